"""The quickstart of o2-sdk: choose a market, look at its book, place an order, follow it and the balances.

    python examples/migrating/o2_sdk/quickstart.py
    python examples/migrating/o2_sdk/quickstart.py testnet MARKET ACCOUNT

Without arguments the venue is simulated inside this process. With them it reads O2. The order is printed
instead of sent: wallet, account, session and orders stay with o2-sdk (see beside.py). It ends with the first
update of an order in this market.
"""

import sys
from decimal import Decimal

from beside import MARKET, Listed, Orders, PrintedOrders, listed

import actors
from actors.simulators import SimulatedO2
from actors.venues import o2

ACCOUNT = "0x" + "c0de" * 16


def quickstart(config: dict[str, object], market: Listed, account: str, orders: Orders) -> None:
    with actors.start({"feeds": {"o2": {"venue": "o2", **config}}}, wait=10.0) as runtime:
        # o2-sdk: get_depth reads a picture over REST. This one is kept current, and says when it is not.
        book = runtime.book("o2", market.name, precision=1, wait=10.0)
        if book.best_ask is None:
            raise SystemExit(f"{market.name}: {book.reason or 'there are no asks'}")
        ask = market.price(int(book.best_ask[0]))
        print(f"{market.name}: the best ask is {ask:f}")

        # Subscribed and confirmed before the order leaves: its first update cannot be missed.
        updates = runtime.subscribe("o2", o2.ORDERS, account, wait=10.0)
        balances = runtime.subscribe("o2", o2.BALANCES, account, wait=10.0)
        runtime.require(
            ("o2", "depth", market.name), max_age=60.0
        )  # raises where the book cannot be trusted now
        orders.create(market.name, "buy", ask / 2, Decimal(1))

        for received in runtime.merge(updates, balances):
            event = received.event
            if isinstance(event, o2.Balance):
                print(
                    f"balance of {event.asset[:10]}…: {event.available:,} available, {event.total:,} in all"
                )
            elif event.market == market.id:
                price = market.price(event.price)
                print(f"order {event.order_id[:10]}…: {event.side} at {price:f}, {event.state}")
                break


if __name__ == "__main__":
    if len(sys.argv) == 4:
        network, name, whose = sys.argv[1:]
        host = "api.o2.app" if network == "mainnet" else f"api.{network}.o2.app"
        quickstart({"network": network}, listed(f"https://{host}", name), whose, PrintedOrders())
    else:
        with SimulatedO2(rate=50) as venue:
            quickstart({"url": venue.url}, listed(venue.http_url, MARKET), ACCOUNT, PrintedOrders())
