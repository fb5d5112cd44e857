"""The ports of project-x-py 1.1's examples run as their reader would run them; what they print is true."""

from __future__ import annotations

import importlib.util
import json
import re
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from actors import Bar
from tests.examples.running import EXAMPLES, ROOT, run

PORTS = EXAMPLES / "migrating" / "project_x_py_1"
NQ = "CON.F.US.ENQ.Z26"


class Printed(dict[str, list[str]]):
    """The lines that each port prints; it is run when they are first asked for."""

    def __missing__(self, port: str) -> list[str]:
        lines = self[port] = run(str((PORTS / f"{port}.py").relative_to(EXAMPLES)))
        return lines


@pytest.fixture(scope="module")
def printed() -> Printed:
    return Printed()


def loaded(port: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"port_{port}", PORTS / f"{port}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_names_each_port_and_each_is_run_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    page = (ROOT / "docs" / "migrating" / "project-x-py-1.md").read_text(encoding="utf-8")
    for port in PORTS.glob("*.py"):
        assert f'printed["{port.stem}"]' in here
        assert f"project_x_py_1/{port.name})" in page


def test_basic_client_connection_reads_account_contracts_bars_and_positions(printed: Printed) -> None:
    account, rights, found, traded, latest, positions = printed["basic_client_connection"]
    assert account == "account 4242 PRAC-V2-4242: balance 50,000.00"
    assert rights == "may trade: True, simulated: True"
    assert found == f"found NQZ6 ({NQ}): a tick is 0.25, worth 5.0"
    assert traded == f"traded here: {NQ}"
    assert re.fullmatch(r"latest of \d+ bars: [\d.]+ to [\d.]+, \d+ traded", latest)
    assert positions == "0 positions, and the list is whole: True"


def test_a_port_runs_with_a_config_an_account_and_an_instrument(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    login = 'user_name = "trader"\napi_key = "K"\n'
    url = "sim://projectx?rate=0&past=1"
    config.write_text(f'[feeds.projectx]\nvenue = "projectx"\nurl = "{url}"\n{login}', encoding="utf-8")
    script = str((PORTS / "basic_client_connection.py").relative_to(EXAMPLES))
    told = run(script, str(config), "prac-v2-4243", "ES")
    assert told[0] == "account 4243 PRAC-V2-4243: balance 50,000.00"
    assert told[3] == "traded here: CON.F.US.EP.Z26"


@pytest.mark.long
def test_order_management_places_three_orders_changes_one_and_takes_all_back(printed: Printed) -> None:
    told = [line for line in printed["order_management"] if not line.startswith("-- ")]
    assert [line.partition(":")[0] for line in told] == [
        *("limit", "stop", "entry", "change"),
        *["works"] * 3,
        *("cancelled", "flat"),
    ]
    assert told[3] == "change: Accepted"
    assert [line.rpartition(" at ")[2].partition(", ")[2] for line in told[4:7]] == [
        "0 legs",
        "0 legs",
        "2 legs",
    ]
    assert told[7:] == ["cancelled: 5", "flat: yes"]
    states = re.findall(r"-- order \d+: (\w+)", "\n".join(printed["order_management"]))
    assert {"working", "suspended", "cancelled"} <= set(states)


@pytest.mark.long
def test_position_management_counts_money_by_the_tick(printed: Printed) -> None:
    told = printed["position_management"]
    assert told[0] == "synced: 0 positions, unrealised 0, today 0"
    assert told[1:4] == ["risk 100: 0 contracts", "risk 200: 1 contracts", "risk 500: 2 contracts"]
    assert told[4] == "buy: Accepted"
    assert set(told[5:8]) <= {"profit: not known", "profit: within bounds", "profit: alert"}
    report = json.loads(told[8])
    assert (report["positions"], report["fills"], report["largest_position_risk"]) == ([1], 1, "1")
    assert told[9] == "closed: True; changes: [1, 0]"


def test_realtime_data_keeps_five_timeframes_and_tells_the_state_of_the_lines(printed: Printed) -> None:
    told = printed["realtime_data"]
    frames = ("1s", "1min", "5min", "15min", "1h")
    assert [re.sub(r"\d+ bars", "n bars", line) for line in told[:5]] == [
        f"{frame}: n bars loaded, synced: True" for frame in frames
    ]
    prices = [line for line in told if line.startswith("price ")]
    assert any(line.endswith("fresh: True") for line in prices)
    [ended] = [line for line in told if line.startswith("bars that ended: ")]
    finished, changes = map(int, re.findall(r"\d+", ended))
    assert finished >= 1
    assert changes >= 1
    assert {"projectx/user is live, health 100", "projectx/market is live, health 100"} <= set(told)
    assert told[-1].startswith("-- Closed(")


@pytest.mark.long
def test_orderbook_analysis_reckons_with_levels_and_trades(printed: Printed) -> None:
    told = printed["orderbook_analysis"]
    asks, bids = (
        [float(line.split()[1]) for line in told if line.startswith(side)] for side in ("ask", "bid")
    )
    assert (asks, bids) == (sorted(asks, reverse=True), sorted(bids, reverse=True))
    assert min(asks) > max(bids)
    assert re.fullmatch(r"spread [\d.]+, mid [\d.]+, imbalance [+-][\d.]+", told[-3])
    found = re.fullmatch(r"bought (\d+), sold (\d+), delta ([+-]\d+)", told[-2])
    assert found is not None
    assert int(found[1]) - int(found[2]) == int(found[3])
    assert re.fullmatch(r"vwap [\d.]+", told[-1])


@pytest.mark.long
def test_multi_timeframe_strategy_looks_three_times_and_gets_out(printed: Printed) -> None:
    told = printed["multi_timeframe_strategy"]
    looks = [line for line in told if line.startswith("4h ")]
    assert len(looks) == 3
    assert all(re.fullmatch(r"4h \w+, 1h \w+, 15min \w+ -> (buy|sell|nothing)", line) for line in looks)
    assert "unknown" not in "".join(looks)
    assert "no order works" in told


@pytest.mark.long
def test_the_strategy_enters_with_a_bracket_when_it_has_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = loaded("multi_timeframe_strategy")
    monkeypatch.setattr(port, "signal", lambda _: "buy")
    config = port.simulated(tmp_path / "orders")
    config["feeds"]["projectx"]["url"] = "sim://projectx?rate=50&acting=false"  # no history is needed
    port.trade(config, "PRAC-V2-4242", "NQ", rounds=1)
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("-> buy")
    assert told[1] == "buy 2: Accepted"
    assert told[2] == "no order works"


@pytest.mark.parametrize(
    ("trends", "side"),
    [
        (("up", "up", "up"), "buy"),
        (("up", "up", "none"), "buy"),
        (("up", "up", "down"), None),
        (("down", "down", "down"), "sell"),
        (("down", "up", "up"), None),
        (("unknown", "unknown", "unknown"), None),
    ],
)
def test_the_strategy_acts_when_its_timeframes_agree(trends: tuple[str, ...], side: str | None) -> None:
    assert loaded("multi_timeframe_strategy").signal(dict(enumerate(trends))) == side


@pytest.mark.parametrize(
    ("closes", "trend"),
    [((1, 2, 3), "up"), ((3, 2, 1), "down"), ((2, 2, 2), "none"), ((1, 2), "unknown")],
)
def test_a_trend_goes_by_the_close_and_its_average(closes: tuple[int, ...], trend: str) -> None:
    prices = (Decimal(each) for each in closes)
    bars = [Bar(0, 1, price, price, price, price, Decimal(1)) for price in prices]
    assert loaded("multi_timeframe_strategy").trend(bars, 2) == trend


@pytest.mark.long
def test_technical_indicators_are_reckoned_for_each_timeframe(printed: Printed) -> None:
    told = printed["technical_indicators"]
    assert [line.partition(":")[0] for line in told if not line.startswith(" ")] == ["5min", "15min", "1h"]
    oscillators = re.findall(r"rsi\(14\) ([\d.]+), stochastic\(14\) ([\d.]+)", "\n".join(told))
    assert len(oscillators) == 3
    assert all(0 <= float(value) <= 100 for pair in oscillators for value in pair)


def test_indicators_have_their_textbook_values() -> None:
    port = loaded("technical_indicators")
    assert port.ema([1.0, 2.0, 3.0], 3) == [1.0, 1.5, 2.25]
    assert port.rsi([1.0, 2.0, 3.0], 2) == 100.0
    assert port.rsi([1.0, 2.0, 1.0], 2) == 50.0
    assert port.stochastic([3.0, 5.0], [1.0, 2.0], [2.0, 4.0], 2) == 75.0
    assert port.atr([3.0, 5.0], [1.0, 2.0], [2.0, 4.0], 1) == 3.0
    assert port.obv([1.0, 2.0, 1.0, 1.0], [9.0, 5.0, 2.0, 7.0]) == 3.0


@pytest.mark.long
def test_order_and_position_tracking_sees_the_other_leg_go(printed: Printed) -> None:
    told = printed["order_and_position_tracking"]
    assert "bracket: Accepted" in told
    assert f"-- position 1 of {NQ}" in told
    assert f"-- position 0 of {NQ}" in told
    legs = [line.rpartition(" ")[2] for line in told if line.startswith("-- leg ")]
    assert "cancelled" in legs  # by the venue, or by the sweep
    assert told[-1] == "flat: yes"


@pytest.mark.long
def test_multi_account_finds_accounts_by_their_names(printed: Printed) -> None:
    *found, refused = printed["multi_account"]
    assert found[0].startswith("4242 PRAC-V2-4242: ")
    assert found[2:] == [
        "prac-v2-4242 is 4242, synced: 0 positions",
        "PRAC-V2-4243 is 4243, synced: 0 positions",
    ]
    assert "no active account is named 'X'; there are: PRAC-V2-4242 (4242), " in refused


@pytest.mark.long
def test_order_position_sync_resizes_the_stop_and_cancels_it(printed: Printed) -> None:
    assert printed["order_position_sync"] == [
        "buy 3: Accepted",
        "position 2: stop changed, Accepted",
        "position 0: stop cancelled, Accepted",
        "flat: yes",
    ]


def test_available_instruments_names_one_contract_or_says_why_not(printed: Printed) -> None:
    told = printed["available_instruments"]
    assert told[0] == "may be traded: ESZ6, NQZ6, CLZ6"
    assert f"NQ is {NQ}: product ENQ, a tick of 0.25" in told
    assert "ES is CON.F.US.EP.Z26: product EP, a tick of 0.25" in told
    assert [line for line in told if line.startswith("E: projectx: ") and "Ambiguous" in line]
    assert told[-1].startswith("ZB: projectx: ")
