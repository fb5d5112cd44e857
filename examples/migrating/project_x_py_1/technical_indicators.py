"""Indicators over kept bars, from plain Python. It does what 07_technical_indicators.py does.

    python examples/migrating/project_x_py_1/technical_indicators.py
    python examples/migrating/project_x_py_1/technical_indicators.py CONFIG INSTRUMENT

Without arguments it reads a market simulated inside this process. Linewarden has no indicators. For more than
these take a library: `polars.DataFrame(actors.records(bars))` is the frame that the SDK's own take, with
`start` in place of `timestamp`.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

import actors

SIMULATED: Mapping[str, Any] = {
    "feeds": {
        "projectx": {
            "venue": "projectx",
            "url": "sim://projectx?rate=50&past=5",
            "user_name": "trader",
            "api_key": "any",
        },
    },
}
TIMEFRAMES = ("5min", "15min", "1h")
WAIT = 30.0  # seconds


def analyse(config: str | Mapping[str, Any], instrument: str) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        view = runtime.bars("projectx", instrument, *TIMEFRAMES, wait=WAIT)
        for timeframe in TIMEFRAMES:
            rows = actors.records(view[timeframe])  # finished ones, oldest first, as floats
            highs, lows, closes, volumes = (
                [row[name] for row in rows] for name in ("high", "low", "close", "volume")
            )
            print(f"{timeframe}: {len(rows)} bars, close {closes[-1]:.2f}")
            print(f"  sma(20) {fmean(closes[-20:]):.2f}, ema(12) {ema(closes, 12)[-1]:.2f}")
            line, slow = macd(closes)
            print(f"  macd {line:+.3f}, signal {slow:+.3f}, histogram {line - slow:+.3f}")
            print(
                f"  rsi(14) {rsi(closes, 14):.1f}, stochastic(14) {stochastic(highs, lows, closes, 14):.1f}"
            )
            middle, width = fmean(closes[-20:]), 2 * pstdev(closes[-20:])
            print(f"  bands(20) {middle - width:.2f} to {middle + width:.2f}")
            print(f"  atr(14) {atr(highs, lows, closes, 14):.2f}, obv {obv(closes, volumes):+,.0f}")


def ema(values: Sequence[float], period: int) -> list[float]:
    """It begins with the first value."""
    alpha, smooth = 2 / (period + 1), [values[0]]
    for value in values[1:]:
        smooth.append(alpha * value + (1 - alpha) * smooth[-1])
    return smooth


def macd(closes: Sequence[float]) -> tuple[float, float]:
    """MACD(12, 26) and its signal(9)."""
    line = [fast - slow for fast, slow in zip(ema(closes, 12), ema(closes, 26), strict=True)]
    return line[-1], ema(line, 9)[-1]


def rsi(closes: Sequence[float], period: int) -> float:
    """By Wilder's averages."""
    changes = [now - before for before, now in pairwise(closes)]
    gain, loss = (wilder([max(sign * change, 0) for change in changes], period) for sign in (1, -1))
    return 100 * gain / (gain + loss) if gain + loss else 50.0


def wilder(values: Sequence[float], period: int) -> float:
    smooth = fmean(values[:period])
    for value in values[period:]:
        smooth += (value - smooth) / period
    return smooth


def stochastic(highs: Sequence[float], lows: Sequence[float], closes: Sequence[float], period: int) -> float:
    high, low = max(highs[-period:]), min(lows[-period:])
    return 100 * (closes[-1] - low) / (high - low) if high > low else 50.0


def atr(highs: Sequence[float], lows: Sequence[float], closes: Sequence[float], period: int) -> float:
    before = zip(highs[1:], lows[1:], closes, strict=False)
    return wilder([max(high, close) - min(low, close) for high, low, close in before], period)


def obv(closes: Sequence[float], volumes: Sequence[float]) -> float:
    """What traded through ProjectX: not the exchange's volume."""
    steps = zip(closes, closes[1:], volumes[1:], strict=False)
    return sum(volume * ((now > before) - (now < before)) for before, now, volume in steps)


if __name__ == "__main__":
    if len(sys.argv) not in {1, 3}:
        sys.exit(__doc__)
    analyse(*(sys.argv[1:] or (SIMULATED, "NQ")))
