"""tplus: one trade a message, its number in `trade_id`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from actors.simulators import SimulatedTplus
from benchmarks.clients.feeds import Subscription
from benchmarks.shapes.shape import Shape

PATH = "/trades"  # of every asset: the stream of confirmed trades that tpluspy offers
ASSET = "62622e77d1349face943c6e7d5c01c61465fe1dc000000000000000000000000@00000000000000a4b1"


class TplusTrades(Shape[SimulatedTplus]):
    name: ClassVar[str] = "tplus"

    def __init__(self, topics: int) -> None:
        super().__init__(SimulatedTplus(rate=0, ping_interval=0), [PATH] * topics)

    def place(self) -> Mapping[str, Any]:
        return {"url": self.venue.url, "http": self.venue.http_url, "keys": [], "path": PATH}

    def wants(self, url: str) -> Subscription:
        return Subscription({"venue": "tplus", "url": url}, "trades", "trade_id")

    def subscribers(self, key: str) -> int:
        return self.venue.subscribers(key)

    def payload(self, number: int) -> bytes:
        ticks = 10_000_000 + number * 7_919 % 100_000
        told = {
            "asset_id": ASSET,
            "trade_id": number,
            "order_id": "",
            "price": f"{ticks // 100}.{ticks % 100:02}",
            "quantity": f"{1 + number % 10}.{number % 1_000:03}",
            "timestamp_ns": 1_790_000_000_000_000_000 + number * 1_000_003,
            "buyer_is_maker": number % 2 == 0,
            "status": "Confirmed",
        }
        return msgspec.json.encode(told)


SHAPES = (TplusTrades,)
