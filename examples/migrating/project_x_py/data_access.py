"""Short ways to bars and prices: the last bars, one bar, a range, volumes, since a time.

    python examples/migrating/project_x_py/data_access.py

Bars are a tuple, oldest first: slices and comprehensions are what `get_latest_bars`, `get_ohlc`,
`get_price_range`, `get_volume_stats` and `get_bars_since` are for.
"""

from __future__ import annotations

import time
from decimal import Decimal
from statistics import mean

from project_x_suite import trading_suite

import actors


def price_range(bars: tuple[actors.Bar, ...]) -> tuple[Decimal, Decimal]:
    return min(bar.low for bar in bars), max(bar.high for bar in bars)


def main() -> None:
    with trading_suite("NQ", timeframes=("1min", "5min", "1h")) as suite:
        nq = suite["NQ"]
        frame = nq.bars["5min"]
        print("ready:", frame.synced, frame.reason)  # `is_data_ready`; it was waited for
        print("price:", nq.price)  # `get_latest_price`; raises StalePriceError where it is old

        bar = frame.finished[-1]  # `get_ohlc`
        print(
            f"last bar: {bar.open} {bar.high} {bar.low} {bar.close}, volume {bar.volume}, exact: {bar.exact}"
        )
        print("forming:", frame.forming is not None)  # never among `finished`

        last = frame.finished[-12:]  # `get_latest_bars(12)`
        low, high = price_range(last)
        print(f"range of the last hour: {low} to {high}, {high - low}")
        usual = mean(int(each.volume) for each in last)
        print(f"volume: {sum(each.volume for each in last)}, on average {usual:.0f}")

        since = time.time_ns() - 30 * 60 * 10**9
        print(
            "bars of the last 30 minutes:", len([each for each in frame.finished if each.start_ns >= since])
        )
        where = (nq.price - low) / (high - low) if high > low else Decimal("0.5")
        print("breakout" if where > 1 else f"within the range, at {where:.0%}")


if __name__ == "__main__":
    main()
