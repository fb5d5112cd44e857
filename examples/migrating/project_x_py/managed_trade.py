"""A trade as a `with` block: sized by its risk, with its exits, and over when the block is left.

    python examples/migrating/project_x_py/managed_trade.py

Their `suite.managed_trade(...)`. The end of the block closes the position, also after an exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from project_x_suite import WAIT, Instrument, order_id, trading_suite

import actors
from actors.protocol.accounts import Side


@dataclass(frozen=True)
class Trade:
    """A position with its bracket. `entry`: the order."""

    instrument: Instrument
    side: Side
    size: int
    entry: int

    def stop(self) -> actors.AccountOrder | None:
        orders = [each.order for each in self.instrument.suite.account.orders]
        return next((each for each in orders if each.parent == self.entry and each.type == "stop"), None)

    def move_stop(self, ticks: int) -> None:
        """`adjust_stop`: so many ticks behind the present price."""
        stop, one = self.stop(), self.instrument
        if stop is None:
            return
        away = one.ticks(ticks) if self.side == "buy" else -one.ticks(ticks)
        px, account = one.suite.orders, one.suite.account_id
        done = px.modify(account, stop.id, stop=one.price - away, align="safe").get(timeout=WAIT)
        print("stop moved:", type(done).__name__)

    def scale_out(self, size: int) -> None:
        """`scale_out`, `exit_partial`: its legs are made as small, or they would open a short."""
        suite = self.instrument.suite
        px, account = suite.orders, suite.account_id
        done = px.close(account, self.instrument.contract, size).get(timeout=WAIT)
        legs = [each.order.id for each in suite.account.orders if each.order.parent == self.entry]
        changed = actors.gather(
            [px.modify(account, each, size=self.size - size) for each in legs], timeout=WAIT
        )
        print(f"{size} closed: {type(done).__name__}; legs: {[type(each).__name__ for each in changed]}")


@contextmanager
def managed_trade(name: str, one: Instrument, side: Side, risk: int, stop: int) -> Iterator[Trade | None]:
    """None: it was not entered. `risk`: money; `stop`: ticks; the target is at twice of it."""
    suite = one.suite
    size = min(3, actors.position_size(one.contract, one.price, one.price - one.ticks(stop), risk))
    if not size:
        print(f"a stop of {stop} ticks risks more than {risk}: not entered")
        yield None
        return
    bracket = actors.Bracket(stop=stop, target=2 * stop)
    entry = order_id(suite.orders.place(suite.account_id, one.contract, side, size, bracket=bracket))
    if entry is None:
        yield None
        return
    suite.legs(entry)  # it is filled, and they work
    try:
        yield Trade(one, side, size, entry)
    finally:
        print(f"{name} is over:", suite.flatten(name))


def main() -> None:
    with trading_suite("NQ") as suite:
        with managed_trade("NQ", suite["NQ"], "buy", risk=500, stop=40) as trade:
            if trade is not None:
                print(f"entered {trade.size}, the stop is at work: {trade.stop() is not None}")
                trade.move_stop(60)
                trade.scale_out(1)
        with managed_trade("NQ", suite["NQ"], "sell", risk=10, stop=40) as trade:
            print("short:", trade)
        with managed_trade("NQ", suite["NQ"], "sell", risk=200, stop=40) as trade:
            print("short:", trade.size if trade else 0, "net", suite.account.net(suite["NQ"].contract))


if __name__ == "__main__":
    main()
