"""o2-sdk beside Linewarden: its REST and its orders, called from plain threads. The other ports import this.

    python examples/migrating/o2_sdk/beside.py

Where o2-sdk is installed, it reads the simulated venue's markets with the SDK's own client. Where it is not,
it says so, and reads the list of markets itself.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.request import urlopen

from actors.simulators import SimulatedO2

T = TypeVar("T")
MARKET = "FUEL/USDC"  # of the simulator; on testnet it is "fFUEL/fUSDC"


class Listed(NamedTuple):
    """A market as O2 lists it. Numbers in events are integers in units of the chain."""

    name: str
    id: str  # which an `Order` has
    base: int  # decimals
    quote: int

    def price(self, chain: int) -> Decimal:
        return Decimal(chain).scaleb(-self.quote)

    def quantity(self, chain: int) -> Decimal:
        return Decimal(chain).scaleb(-self.base)


def listed(api: str, name: str) -> Listed:
    """Reads O2's list of markets; `api` is https://api.o2.app, or that of another network."""
    with urlopen(f"{api}/v1/markets", timeout=10.0) as answer:  # nosec B310
        markets = json.load(answer)["markets"]
    for each in markets:
        base, quote = each["base"], each["quote"]
        if f"{base['symbol']}/{quote['symbol']}" == name:
            return Listed(
                name, "0x" + each["market_id"].lower().removeprefix("0x"), base["decimals"], quote["decimals"]
            )
    raise SystemExit(f"o2 lists no market {name}")


class Sdk:
    """A client of o2-sdk on an event loop in a thread of its own. Any thread may call it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """`make` makes the client, on the loop."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="o2-sdk", daemon=True)
        self._thread.start()
        self.client = self.call(_made(make))

    def call(self, work: Coroutine[Any, Any, T], timeout: float = 30.0) -> T:
        """What the coroutine returns, or raises: `sdk.call(sdk.client.get_orders(market, account))`.

        An order whose call ends with TimeoutError may have been sent: read it before you send another.
        """
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def close(self) -> None:
        self.call(self.client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()


async def _made(make: Callable[[], T]) -> T:
    return make()


class Orders(Protocol):
    """What the ports send. Linewarden places no orders at O2."""

    def create(self, market: str, side: str, price: Decimal, quantity: Decimal) -> None: ...
    def replace(
        self, market: str, cancel: list[str], buy: Decimal, sell: Decimal, quantity: Decimal
    ) -> list[str]:
        """Returns the ids of the new orders."""


class PrintedOrders:
    """Prints what would be sent."""

    def create(self, market: str, side: str, price: Decimal, quantity: Decimal) -> None:
        print(f"would {side} {quantity:f} of {market} at {price:f}")

    def replace(
        self, market: str, cancel: list[str], buy: Decimal, sell: Decimal, quantity: Decimal
    ) -> list[str]:
        print(f"would cancel {len(cancel)} orders, buy {quantity:f} of {market} at {buy:f}, sell at {sell:f}")
        return []


class SdkOrders:
    """Sends them through o2-sdk, whose client has a session. `module` is `o2_sdk`."""

    def __init__(self, sdk: Sdk, module: Any) -> None:
        self._sdk, self._o2 = sdk, module

    def create(self, market: str, side: str, price: Decimal, quantity: Decimal) -> None:
        self._sdk.call(self._sdk.client.create_order(market, self._side(side), price, quantity))

    def replace(
        self, market: str, cancel: list[str], buy: Decimal, sell: Decimal, quantity: Decimal
    ) -> list[str]:
        actions = self._sdk.client.actions_for(market)
        for order in cancel:
            actions = actions.cancel_order(order)
        actions = actions.settle_balance()
        actions = actions.create_order(self._side("buy"), buy, quantity)
        actions = actions.create_order(self._side("sell"), sell, quantity)
        done = self._sdk.call(self._sdk.client.batch_actions([actions.build()], collect_orders=True))
        return [str(order.order_id) for order in done.orders or ()]

    def _side(self, side: str) -> Any:
        return self._o2.OrderSide[side.upper()]


def read(venue: SimulatedO2) -> None:
    """Print a market, once by the SDK if it is there, and once without it."""
    own = listed(venue.http_url, MARKET)
    print(f"{own.name} is {own.id[:10]}…, with {own.base} and {own.quote} decimals")
    try:
        import o2_sdk
    except ImportError:
        print("o2-sdk is not installed: the ports print their orders")
        return
    places = o2_sdk.NetworkConfig(venue.http_url, venue.url, venue.http_url, None)
    sdk = Sdk(lambda: o2_sdk.O2Client(custom_config=places))
    market = sdk.call(sdk.client.get_market(MARKET))
    print(f"by o2-sdk: {market.pair} is {market.market_id[:10]}…")
    sdk.close()


if __name__ == "__main__":
    with SimulatedO2() as simulated:
        read(simulated)
