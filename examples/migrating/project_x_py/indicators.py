"""Indicators of your own over bars, and the same bars for a library of indicators.

    python examples/migrating/project_x_py/indicators.py

Linewarden has no indicators. `actors.records(bars)` gives rows to pandas or polars, and so to any
library on them; these five are enough for the strategies in this folder, and need nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from queue import SimpleQueue
from statistics import mean

from project_x_suite import WAIT, trading_suite

import actors

Bars = Sequence[actors.Bar]


def sma(bars: Bars, period: int) -> float:
    return mean(float(bar.close) for bar in bars[-period:])


def ema(values: Iterable[float], period: int) -> list[float]:
    """The exponential average of each value and all before it."""
    weight, averages = 2 / (period + 1), list[float]()
    for value in values:
        averages.append(value if not averages else weight * value + (1 - weight) * averages[-1])
    return averages


def macd(bars: Bars, fast: int = 12, slow: int = 26, signal: int = 9) -> tuple[float, float]:
    """The difference of two averages, and its own average."""
    closes = [float(bar.close) for bar in bars]
    line = [a - b for a, b in zip(ema(closes, fast), ema(closes, slow), strict=True)]
    return line[-1], ema(line, signal)[-1]


def rsi(bars: Bars, period: int = 14) -> float:
    """From 0 to 100: how much of the way of the last `period` closes went up. 50 where there was none."""
    changes = [float(b.close - a.close) for a, b in pairwise(bars[-period - 1 :])]
    gains = sum(change for change in changes if change > 0)
    way = sum(map(abs, changes))
    return 100 * gains / way if way else 50.0


def average_true_range(bars: Bars, period: int = 14) -> Decimal:
    """A bar's range includes the way from the close before it."""
    pairs = list(pairwise(bars[-period - 1 :]))
    ranges = [max(b.high, a.close) - min(b.low, a.close) for a, b in pairs]
    return sum(ranges, Decimal()) / max(1, len(ranges))


def main() -> None:
    with trading_suite("NQ", "ES", "CL", timeframes=("1min", "5min", "15min")) as suite:
        for name, instrument in suite.instruments.items():
            bars = instrument.bars["1min"].finished
            print(f"{name}: RSI {rsi(bars):.0f}, SMA {sma(bars, 20):,.2f}, last {bars[-1].close:,.2f}")
        for timeframe, frame in suite["NQ"].bars.frames.items():
            line, signal = macd(frame.finished)
            width = average_true_range(frame.finished)
            print(f"NQ {timeframe}: MACD {line:+.2f} ({signal:+.2f}), average range {width:.2f}")

        def on_bar(event: actors.BarEvent) -> None:
            """Again after each bar, on a thread of its own."""
            every = suite.runtime.bars("projectx", event.key, "1s")["1s"].finished
            told.put(f"NQ {event.timeframe}: RSI {rsi(every):.0f} at {event.bar.close}")

        told = SimpleQueue[str]()
        with suite.runtime.on_bar("projectx", suite["NQ"].contract, "1s", handler=on_bar):
            print(told.get(timeout=WAIT))

        hours = suite.orders.bars(suite["NQ"].contract, "1h", days=1).get(timeout=WAIT)  # once, not followed
        rows = actors.records(hours)  # pandas.DataFrame(rows), polars.DataFrame(rows)
        print(f"{len(rows)} rows with {', '.join(rows[0])}")


if __name__ == "__main__":
    main()
