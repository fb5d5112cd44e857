"""O2: one trade per message, its number in `trade_id`, in clear and by TLS; and changes of order books."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import structs

from actors.simulators import SimulatedO2
from benchmarks.clients.feeds import Subscription
from benchmarks.shapes.front import Front
from benchmarks.shapes.shape import Shape


class O2Trades(Shape[SimulatedO2]):
    name: ClassVar[str] = "o2"

    def __init__(self, topics: int) -> None:
        keys = [f"0x{number:064x}" for number in range(1, topics + 1)]
        super().__init__(SimulatedO2(rate=0, market=False, markets=keys, inactivity=0), keys)

    def place(self) -> Mapping[str, Any]:
        return {"url": self.venue.url, "http": self.venue.http_url, "keys": self.keys}

    def wants(self, url: str) -> Subscription:
        return Subscription({"venue": "o2", "url": url}, "trades", "trade_id", is_text=True)

    def subscribers(self, key: str) -> int:
        return self.venue.subscribers("trades", key)

    def payload(self, number: int) -> bytes:
        at = 1_790_000_000_000 + number  # milliseconds
        price, quantity = 3_000_000_000_000 + number * 7_919 % 10**9, 10_000_000 + number % 1_000 * 10_000
        trade = {
            "trade_id": str(number),
            "side": ("buy", "sell")[number % 2],
            "total": str(price * quantity // 10**9),
            "quantity": str(quantity),
            "price": str(price),
            "timestamp": at,
        }
        told = {
            "action": "subscribe_trades",
            "market_id": self.key(number),
            "trades": [trade],
            "onchain_timestamp": str(at // 1_000),
            "seen_timestamp": str(at * 1_000_000),
        }
        return msgspec.json.encode(told)


WHOLE = 1_000  # messages from one whole book to the next


class O2Depth(O2Trades):
    """One change per message, its number in `seen_timestamp`; every 1,000th of a market is a whole book."""

    name: ClassVar[str] = "o2-depth"

    def wants(self, url: str) -> Subscription:
        return Subscription({"venue": "o2", "url": url}, "depth", "seen_ns", passed_over=1)

    def subscribers(self, key: str) -> int:
        return self.venue.subscribers("depth", key)

    def payload(self, number: int) -> bytes:
        price, quantity = 3_000_000_000_000 + number * 7_919 % 10**9, 10_000_000 + number % 1_000 * 10_000
        levels = {
            "buys": [{"price": str(price), "quantity": str(quantity)}],
            "sells": [{"price": str(price + 10_000), "quantity": str(-quantity)}],
        }
        whole = (number - 1) // len(self.keys) % WHOLE == 0
        kind = {"action": "subscribe_depth", "orders": levels}
        if not whole:
            kind = {"action": "subscribe_depth_update", "changes": levels}
        told = {
            **kind,
            "market_id": self.key(number),
            "onchain_timestamp": str(1_790_000_000 + number // 1_000),
            "seen_timestamp": str(number),
        }
        return msgspec.json.encode(told)


class O2TradesByTls(O2Trades):
    name: ClassVar[str] = "o2-tls"

    def start(self) -> None:
        super().start()
        self._front = Front(self.venue.port)

    def stop(self) -> None:
        super().stop()
        self._front.stop()

    def place(self) -> Mapping[str, Any]:
        url = f"wss://localhost:{self._front.port}{self.venue.path}"
        return {**super().place(), "url": url, "ca_file": self._front.ca_file}

    def wants(self, url: str) -> Subscription:
        trades = super().wants(url)
        return structs.replace(trades, feed={**trades.feed, "ca_file": self._front.ca_file})


SHAPES = (O2Trades, O2TradesByTls, O2Depth)
