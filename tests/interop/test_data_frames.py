"""`actors.records` in pandas and polars: each column has the type that its numbers and times have."""

from __future__ import annotations

import json
import pickle
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors import Bar, Gap, Lifecycle, Received, Topic, records
from actors.venues.o2 import messages as o2
from actors.venues.tplus import messages as tplus
from benchmarks.installs import PANDAS, POLARS
from tests.rules.bars.venue import MINUTE, NOON

SCRIPT = Path(__file__).parent / "data_frames.py"


def bar(minute: int, price: str, trades: int | None) -> Bar:
    start = NOON + minute * MINUTE
    exact = Decimal(price)
    return Bar(start, start + MINUTE, exact, exact + 1, exact - 1, exact, Decimal("2.5"), trades)


BARS = (bar(0, "6800.25", 3), bar(1, "6801.50", 4), bar(70, "6790.00", 5))
TYPES = {
    (PANDAS, False): {"open": "float64", "start": "datetime64[ns, UTC]", "trades": "int64", "exact": "bool"},
    (PANDAS, True): {"open": "object", "start": "datetime64[ns, UTC]", "trades": "int64", "exact": "bool"},
    (POLARS, False): {
        "open": "Float64",
        "start": "Datetime(time_unit='us', time_zone='UTC')",
        "trades": "Int64",
        "exact": "Boolean",
    },
    (POLARS, True): {
        "open": "Decimal(precision=None, scale=2)",
        "start": "Datetime(time_unit='us', time_zone='UTC')",
        "trades": "Int64",
        "exact": "Boolean",
    },
}


def frame(
    python: Path, library: str, rows: list[dict[str, Any]], folder: Path, of: str = "bars"
) -> dict[str, Any]:
    file = folder / "rows.pickle"
    file.write_bytes(pickle.dumps(rows))
    command = [str(python), "-W", "error", str(SCRIPT), of, library, str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


@pytest.mark.parametrize("exact", [False, True], ids=["floats", "exact"])
@pytest.mark.parametrize("library", [PANDAS, POLARS])
def test_rows_become_columns_of_numbers_and_times(
    sdk_python: Callable[..., Path], tmp_path: Path, library: str, exact: bool
) -> None:
    name = library.partition("==")[0]
    told = frame(sdk_python(library), name, records(BARS, exact=exact), tmp_path)
    assert told["rows"] == 3
    assert {column: told["types"][column] for column in TYPES[library, exact]} == TYPES[library, exact]
    assert [float(each) for each in told["highs"]] == [6802.5, 6791.0]
    assert [float(each) for each in told["volumes"]] == [5.0, 2.5]


@pytest.mark.parametrize("library", [PANDAS, POLARS])
def test_trades_that_are_not_known_are_missing(
    sdk_python: Callable[..., Path], tmp_path: Path, library: str
) -> None:
    rows = records((bar(0, "1", None), bar(1, "1", 2)))
    told = frame(sdk_python(library), library.partition("==")[0], rows, tmp_path)
    assert told["types"]["trades"] == ("float64" if library == PANDAS else "Int64")


# ── events ──────────────────────────────────────────────────────────────────────────────────────

TOPIC = Topic("o2", "trades", "0x1")


def mixed(count: int) -> list[Any]:
    """Two kinds of events, and markers far behind the first of them."""
    trade = o2.Trade("0x1", "5", "buy", 100, 7, timestamp_ms=NOON // 10**6)
    trades = (Received(TOPIC, NOON + number, 1, trade) for number in range(count))
    quote = tplus.Quote(Decimal("1.5"), Decimal(3))
    ticker = tplus.Ticker(asset_id="200", volume_24h=Decimal("2.5"), timestamp_ns=NOON, best_bid=quote)
    gap, restored = Gap(TOPIC, "disconnect", 5, NOON, NOON, 1), Lifecycle("o2", "restored", 2, 1, "", NOON)
    return [*trades, gap, restored, *[Received(TOPIC, NOON, 2, ticker)] * count]


MIXED_TYPES = {
    PANDAS: {
        "received": "datetime64[ns, UTC]",
        "timestamp": "datetime64[ns, UTC]",
        "since": "datetime64[ns, UTC]",
        "price": "float64",  # pandas has no integer for what is missing
        "best_bid.price": "float64",
        "missed": "float64",
        "reason": "object",
    },
    POLARS: {
        "received": "Datetime(time_unit='us', time_zone='UTC')",
        "timestamp": "Datetime(time_unit='us', time_zone='UTC')",
        "since": "Datetime(time_unit='us', time_zone='UTC')",
        "price": "Int64",
        "best_bid.price": "Float64",
        "missed": "Int64",
        "reason": "String",
    },
}


EXACT_TYPES = {
    PANDAS: {"best_bid.price": "object", "received_ns": "float64"},
    POLARS: {"best_bid.price": "Decimal(precision=None, scale=1)", "received_ns": "Int64"},
}


@pytest.mark.parametrize(("exact", "count"), [(False, 50_000), (True, 500)], ids=["floats", "exact"])
@pytest.mark.parametrize("library", [PANDAS, POLARS])
def test_a_hundred_thousand_events_and_markers_become_one_frame(
    sdk_python: Callable[..., Path], tmp_path: Path, library: str, exact: bool, count: int
) -> None:
    events, begun = mixed(count), time.monotonic()
    rows = records(events, exact=exact)
    took = time.monotonic() - begun
    told = frame(sdk_python(library), library.partition("==")[0], rows, tmp_path, "events")
    assert (told["rows"], told["gaps"]) == (2 * count + 2, 1)
    wanted = MIXED_TYPES[library]
    if exact:
        wanted = {**wanted, **EXACT_TYPES[library]}
    assert {column: told["types"][column] for column in wanted} == wanted
    assert took + told["seconds"] < 60.0  # an idle machine needs two to three
