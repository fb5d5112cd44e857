"""Bars as data frames: records for polars and pandas, grouped and joined without either.

    python examples/migrating/project_x_py/data_frames.py

A view is immutable, so there is no cache to clear and nothing to copy. Queries are those of your
library: their batches of lazy operations are `polars.DataFrame(rows).lazy()`.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

from project_x_suite import trading_suite

import actors


def by_day(rows: list[dict[str, Any]]) -> dict[date, float]:
    """Volume by day: `get_aggregated_data` in plain Python."""
    volumes = defaultdict[date, float](float)
    for row in rows:
        volumes[row["start"].date()] += row["volume"]
    return dict(volumes)


def main() -> None:
    with trading_suite("NQ", timeframes=("1min", "5min", "1h")) as suite:
        view = suite["NQ"].bars  # all timeframes, at one moment: their `execute_batch_queries`
        for timeframe, each in view.frames.items():
            rows = actors.records(each)
            closes = [row["close"] for row in rows]
            print(f"{timeframe}: {len(rows)} rows, close from {min(closes):,.2f} to {max(closes):,.2f}")
        rows = actors.records(view["5min"])
        # polars.DataFrame(rows).lazy()…, pandas.DataFrame(rows).set_index("start")…
        print(f"{len(by_day(rows))} days in {len(rows)} rows with {', '.join(rows[0])}")
        exact = actors.records(view["5min"].finished[-3:], exact=True)  # Decimal, as they came
        print("exact:", all(isinstance(row["close"], Decimal) for row in exact))


if __name__ == "__main__":
    main()
