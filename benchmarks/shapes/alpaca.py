"""Alpaca: one quote a message, its number in the bid's size; as JSON, and as the msgpack of its own SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from actors.simulators import SimulatedAlpaca
from actors.simulators.alpaca.payloads import Stamp, to_json, to_msgpack
from actors.simulators.base.client import binary_frame
from benchmarks.clients.feeds import Subscription
from benchmarks.shapes.shape import Shape

KEY, SECRET = "PKBENCH", "bench"
OPENING_NS = 1_790_000_000_000_000_000


class AlpacaQuotes(Shape[SimulatedAlpaca]):
    name: ClassVar[str] = "alpaca"
    encoding: ClassVar[str] = "json"

    def __init__(self, topics: int) -> None:
        keys = ["AAPL", *(f"AA{number}" for number in range(2, topics + 1))]
        super().__init__(SimulatedAlpaca(rate=0), keys)

    def place(self) -> Mapping[str, Any]:
        return {"url": self.venue.url_of("iex"), "keys": self.keys, "user": KEY, "secret": SECRET}

    def wants(self, url: str) -> Subscription:
        feed = {"venue": "alpaca", "url": url, "key": KEY, "secret": SECRET, "encoding": self.encoding}
        return Subscription(feed, "quotes", "bid_size")

    def subscribers(self, key: str) -> int:
        return self.venue.subscribers("quotes", key)

    def payload(self, number: int) -> bytes:
        return to_json([self.quote(number)])

    def quote(self, number: int) -> dict[str, Any]:
        cents = 19_000 + number * 7_919 % 1_000
        return {
            "T": "q",
            "S": self.key(number),
            "bx": "V",
            "bp": cents / 100,
            "bs": number,
            "ax": "Q",
            "ap": (cents + 1 + number % 3) / 100,
            "as": 1 + number % 30,
            "c": ["R"],
            "z": "C",
            "t": Stamp.at(OPENING_NS + number * 1_000_003),
        }


class AlpacaPackedQuotes(AlpacaQuotes):
    name: ClassVar[str] = "alpaca-msgpack"
    encoding: ClassVar[str] = "msgpack"

    def payload(self, number: int) -> bytes:
        return to_msgpack([self.quote(number)])

    def frame(self, number: int) -> bytes:
        return binary_frame(self.payload(number))


SHAPES = (AlpacaQuotes, AlpacaPackedQuotes)
