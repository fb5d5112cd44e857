"""o2-sdk's taker bot: follows a book and buys when the best ask is at or below a price.

    python examples/migrating/o2_sdk/taker_bot.py

The venue is simulated inside this process. The order is printed; `SdkOrders` of beside.py sends it. What
differs from the original: it looks at the whole book behind each change. The original reads the best ask of
the change itself, which the SDK's changes do not have.
"""

from decimal import Decimal

from beside import MARKET, Listed, Orders, PrintedOrders, listed

import actors
from actors.simulators import SimulatedO2
from actors.venues import o2

MOST = Decimal(50)  # of the base, in one order
SLIPPAGE = Decimal("0.005")


def take(runtime: actors.Runtime, market: Listed, below: Decimal, orders: Orders) -> None:
    """Buy once, at the first moment at which the best ask is at or below this price."""
    changes = runtime.subscribe("o2", o2.DEPTH, market.name, precision=1, wait=10.0)
    runtime.book("o2", market.name, precision=1, wait=10.0)
    for _ in changes:
        view = runtime.book("o2", market.name, precision=1)
        if view.best_ask is None:  # `view.reason` says why, after a loss
            continue
        ask, quantity = market.price(int(view.best_ask[0])), market.quantity(int(view.best_ask[1]))
        if ask > below:
            continue
        try:
            runtime.require(("o2", "depth", market.name), max_age=5.0)
        except actors.Blind as blind:
            print(f"not at {ask:f}: {blind.reasons[0]}")
            continue
        print(f"the best ask is {ask:f}, at or below {below:f}")
        orders.create(market.name, "buy", (ask * (1 + SLIPPAGE)).normalize(), min(MOST, quantity))
        return


def main() -> None:
    with (
        SimulatedO2(rate=50) as venue,
        actors.start({"feeds": {"o2": {"venue": "o2", "url": venue.url}}}, wait=10.0) as runtime,
    ):
        market = listed(venue.http_url, MARKET)
        first = runtime.book("o2", MARKET, precision=1, wait=10.0).best_ask
        if first is None:
            raise SystemExit("the book has no asks")
        take(runtime, market, market.price(int(first[0])) * 2, PrintedOrders())


if __name__ == "__main__":
    main()
