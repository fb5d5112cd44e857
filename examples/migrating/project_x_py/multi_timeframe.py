"""Do several timeframes agree? Then size a trade by the average range, and place it with its exits.

    python examples/migrating/project_x_py/multi_timeframe.py

All timeframes are of one view, which is one moment. A bar that is over is told once, so a decision is
made once for each.
"""

from __future__ import annotations

from decimal import Decimal
from queue import SimpleQueue

from indicators import average_true_range, ema, macd, rsi
from project_x_suite import WAIT, Instrument, TradingSuite, trading_suite

import actors
from actors.protocol.accounts import Side

TIMEFRAMES = ("5min", "15min", "1h")


def trend(bars: tuple[actors.Bar, ...]) -> int:
    """1: up, -1: down, 0: neither."""
    closes = [float(bar.close) for bar in bars]
    up = [ema(closes, 9)[-1] > ema(closes, 21)[-1], rsi(bars) > 50, macd(bars)[0] > macd(bars)[1]]
    return 1 if sum(up) >= 2 else -1 if sum(up) == 0 else 0


def confluence(nq: Instrument) -> int:
    """1 or -1 where two timeframes agree and none is against them; 0 otherwise."""
    view = nq.bars
    if not view.synced:  # something is missing in a bar: no decision is built on it
        print("no decision:", view.reason)
        return 0
    found = [trend(frame.finished) for frame in view.frames.values()]
    print("trends:", dict(zip(view.frames, found, strict=True)))
    agreed = [side for side in (1, -1) if found.count(side) >= 2 and -side not in found]
    return agreed[0] if agreed else 0


def trade(suite: TradingSuite, side: int) -> None:
    nq = suite["NQ"]
    distance = max(average_true_range(nq.bars["5min"].finished) * 2, nq.ticks(8))
    ticks = int(distance / nq.contract.tick_size)
    size = actors.position_size(nq.contract, nq.price, nq.price - distance, risk=Decimal(1000))
    bracket = actors.Bracket(stop=ticks, target=2 * ticks)
    way: Side = "buy" if side > 0 else "sell"
    placed = suite.orders.place(suite.account_id, nq.contract, way, min(size, 3), bracket=bracket)
    print(f"{way} {min(size, 3)}: {type(placed.get(timeout=WAIT)).__name__}")


def main() -> None:
    with trading_suite("NQ", timeframes=TIMEFRAMES, past=3) as suite:
        side = confluence(suite["NQ"])
        if not side:
            print("they do not agree; the last hour decides")
            side = trend(suite["NQ"].bars["5min"].finished[-40:]) or 1
        if suite.runtime.flat("projectx", suite.account_id, wait=WAIT):
            trade(suite, side)

        bars = SimpleQueue[actors.BarEvent]()  # then again with each bar, here of a second
        with suite.runtime.on_bar("projectx", suite["NQ"].contract, "1s", handler=bars.put):
            event = bars.get(timeout=WAIT)
            print(f"{event.timeframe} bar: agreed {confluence(suite['NQ'])}")
        print("closed:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
