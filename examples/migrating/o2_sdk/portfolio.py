"""o2-sdk's portfolio monitor: the balances and the orders of an account, as they change.

    python examples/migrating/o2_sdk/portfolio.py
    python examples/migrating/o2_sdk/portfolio.py NETWORK ACCOUNT

Without arguments the venue is simulated inside this process, and its connection is cut once. With them it
reads O2; Ctrl-C ends it. O2 sends no present state to a subscriber: what has not changed yet is not known.
o2-sdk's `get_balances` and `get_orders` read it (see beside.py).
"""

import sys
import threading

import actors
from actors.events import Marker
from actors.simulators import SimulatedO2
from actors.venues import o2

ACCOUNT = "0x" + "c0de" * 16


class Portfolio:
    """What is known of one account."""

    def __init__(self, runtime: actors.Runtime, account: str) -> None:
        self.balances: dict[str, o2.Balance] = {}  # by asset
        self.orders: dict[str, o2.Order] = {}  # that are open, by id
        self.resumed = threading.Event()  # behind a gap of the balances
        self.updated = threading.Event()  # by a balance after that gap
        # o2-sdk: two tasks with `async for`; a subscriber of `stream_lifecycle` that notices reconnects.
        self.followed = (
            runtime.on("o2", o2.BALANCES, account, handler=self.balance, on_marker=self.marker, wait=10.0),
            runtime.on("o2", o2.ORDERS, account, handler=self.order, on_marker=self.marker, wait=10.0),
        )

    def balance(self, balance: o2.Balance) -> None:
        if self.balances.get(balance.asset) != balance:
            print(f"balance of {balance.asset[:10]}…: {balance.available:,} available of {balance.total:,}")
        self.balances[balance.asset] = balance
        if self.resumed.is_set():
            self.updated.set()

    def order(self, order: o2.Order) -> None:
        state = "partly filled" if order.state == "open" and order.partially_filled else order.state
        print(f"{order.side} {order.quantity:,} at {order.price:,}: {state}")
        if order.state == "open":
            self.orders[order.order_id] = order
        else:
            self.orders.pop(order.order_id, None)

    def marker(self, marker: Marker) -> None:
        match marker:
            case actors.Gap(topic=topic, reason=reason):
                # With o2-sdk: sdk.call(sdk.client.get_balances(account)), and get_orders of each market.
                print(f"-- {topic.channel}: changes may be missing ({reason}); read them again over REST")
                if topic.channel == o2.BALANCES:
                    self.resumed.set()
            case actors.Lifecycle(state=state, reason=why):
                print(f"-- {state}" + (f": {why}" if why else ""))


def main(config: dict[str, object], account: str, venue: SimulatedO2 | None) -> None:
    with actors.start({"feeds": {"o2": {"venue": "o2", **config}}}, wait=10.0) as runtime:
        portfolio = Portfolio(runtime, account)
        if venue is None:
            threading.Event().wait()  # until Ctrl-C
            return
        venue.balance(account)
        venue.order(account)
        venue.drop()
        portfolio.resumed.wait(20.0)
        venue.balance(account, total_unlocked="1000000")
        portfolio.updated.wait(20.0)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main({"network": sys.argv[1]}, sys.argv[2], None)
    else:
        with SimulatedO2(rate=0) as simulated:
            main({"url": simulated.url}, ACCOUNT, simulated)
