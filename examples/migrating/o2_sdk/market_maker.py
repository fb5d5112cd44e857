"""o2-sdk's market maker: quotes on both sides of the middle, replaced in each cycle.

    python examples/migrating/o2_sdk/market_maker.py

The venue is simulated inside this process, and its connection is cut once. Each cycle prints what it would
send; `SdkOrders` of beside.py sends it. What differs from the original: the middle is that of a book that is
known to be current, and there is no cycle on another; after a gap, REST has to say which orders are open.
"""

import threading
from decimal import Decimal

from beside import MARKET, Listed, Orders, PrintedOrders, listed

import actors
from actors.events import Marker
from actors.simulators import SimulatedO2
from actors.venues import o2

ACCOUNT = "0x" + "c0de" * 16
SPREAD = Decimal("0.02")  # of the middle, to each side
WORTH = Decimal(2)  # of the quote, for each side
CYCLE = 0.2  # seconds; 15 in the original
CYCLES = 3


class MarketMaker:
    def __init__(self, runtime: actors.Runtime, market: Listed, account: str, orders: Orders) -> None:
        self.runtime, self.market, self.orders = runtime, market, orders
        self.over: set[str] = set()  # orders that are filled or cancelled
        self.active: list[str] = []  # the ids of ours; those that are printed have none
        self.is_certain = True  # whether `over` has all that is over
        self.stop = threading.Event()
        runtime.book("o2", market.name, wait=10.0)
        # o2-sdk: a task with `async for update in client.stream_orders(account)`.
        self.watched = runtime.on(
            "o2", o2.ORDERS, account, handler=self.order, on_marker=self.marker, wait=10.0
        )

    def order(self, order: o2.Order) -> None:
        if order.state != "open":
            self.over.add(order.order_id)

    def marker(self, marker: Marker) -> None:
        """A fill may have been lost: ask REST which orders are open before the next cycle."""
        if isinstance(marker, actors.Gap):
            print(f"updates of orders may be missing ({marker.reason})")
            self.is_certain = False

    def run(self) -> None:
        cycles = 0
        while cycles < CYCLES and not self.stop.wait(CYCLE):
            cycles += self.cycle()

    def cycle(self) -> bool:
        """Returns whether it has quoted."""
        try:
            self.runtime.require(("o2", "depth", self.market.name), self.watched, max_age=60.0)
        except actors.Blind as blind:
            print(f"no quotes: {blind.reasons[0].cause}")
            return False
        if not self.is_certain:
            # With o2-sdk: sdk.call(sdk.client.get_orders(market, account, is_open=True))
            print("open orders are read again")
            self.is_certain = True
        view = self.runtime.book("o2", self.market.name)
        if view.best_bid is None or view.best_ask is None:
            return False
        bid, ask = (self.market.price(int(level[0])) for level in (view.best_bid, view.best_ask))
        middle = (bid + ask) / 2
        cancel = [order for order in self.active if order not in self.over]
        buy, sell = (middle * (1 - SPREAD)).normalize(), (middle * (1 + SPREAD)).normalize()
        size = round(WORTH / middle, 2)
        self.active = self.orders.replace(self.market.name, cancel, buy, sell, size)
        return True


def main() -> None:
    with SimulatedO2(rate=50) as venue:
        feed = {"venue": "o2", "url": venue.url, "restart": {"initial": 0.2}}
        with actors.start({"feeds": {"o2": feed}}, wait=10.0) as runtime:
            market = listed(venue.http_url, MARKET)
            maker = MarketMaker(runtime, market, ACCOUNT, PrintedOrders())
            maker.cycle()
            lives = runtime.lifecycle("o2")
            venue.drop()
            while lives.get(timeout=10.0).state != "disconnected":
                pass
            maker.run()


if __name__ == "__main__":
    main()
