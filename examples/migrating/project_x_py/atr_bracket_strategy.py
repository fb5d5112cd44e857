"""A strategy that decides with each bar: RSI and an average for the entry, the average range for its
exits.

    python examples/migrating/project_x_py/atr_bracket_strategy.py

Bars come as a queue to the main thread, where orders are placed too. The venue watches the exits.
"""

from __future__ import annotations

from decimal import Decimal
from queue import SimpleQueue

from indicators import average_true_range, rsi, sma
from project_x_suite import WAIT, TradingSuite, order_id, trading_suite

import actors
from actors.protocol.accounts import Side

FRAME = "5min"  # of the indicators
BEAT = "1s"  # of the decisions; the strategy on the market would take its own timeframe


def signal(bars: tuple[actors.Bar, ...]) -> Side | None:
    """With the average, and not where the market has run already."""
    strength, above = rsi(bars), float(bars[-1].close) > sma(bars, 50)
    if above and strength < 75:
        return "buy"
    if not above and strength > 25:
        return "sell"
    return None


def exits(suite: TradingSuite) -> actors.Bracket:
    """Two average ranges to the stop, three to the target, in ticks from the fill."""
    nq = suite["NQ"]
    width = average_true_range(nq.bars[FRAME].finished)
    ticks = max(4, int(2 * width / nq.contract.tick_size))
    return actors.Bracket(stop=ticks, target=int(ticks * Decimal("1.5")))


def decide(suite: TradingSuite) -> int | None:
    """The order, if one was placed. Not while a position or an order is there, or that is not known."""
    nq = suite["NQ"]
    side = signal(nq.bars[FRAME].finished)
    if side is None or not suite.runtime.flat("projectx", suite.account_id, wait=WAIT):
        return None
    bracket = exits(suite)
    print(f"{side} with a stop of {bracket.stop} and a target of {bracket.target} ticks")
    return order_id(suite.orders.place(suite.account_id, nq.contract, side, 1, bracket=bracket))


def report(suite: TradingSuite, entry: int) -> None:
    row = suite.orders.order(suite.account_id, entry).get(timeout=WAIT)
    view = suite.wait_account(lambda view: any(each.order == entry for each in view.fills))
    works = [each.order for each in view.orders if each.order.parent == entry]
    print(f"entry is {row.status.name.lower() if row.status else None}; exits at work: {len(works)}")


def main() -> None:
    with trading_suite("NQ", timeframes=(FRAME,)) as suite:
        bars = SimpleQueue[actors.BarEvent]()
        with suite.runtime.on_bar("projectx", suite["NQ"].contract, BEAT, handler=bars.put):
            for _ in range(2):
                event = bars.get(timeout=WAIT)
                if event.kind == "finished" and (entry := decide(suite)) is not None:
                    report(suite, entry)
                    break
        print("closed:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
