"""Binance, a venue of a table: one aggregate trade per message, its number in `a`.

The simulator is as much of Binance's combined streams as one client of trades needs.

Authority: developers.binance.com, "WebSocket Streams for Binance", "General WSS information" and "Live
Subscribing/Unsubscribing to streams".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from actors.simulators.base.client import Peer, text_frame
from actors.simulators.base.server import Message, Simulator
from benchmarks.clients.feeds import Subscription
from benchmarks.shapes.shape import Shape


class SimulatedBinance(Simulator):
    name: ClassVar[str] = "binance"
    path: ClassVar[str] = "/stream"

    def __init__(self) -> None:
        super().__init__(rate=0)
        self._streams: dict[Peer, set[str]] = {}

    def serves(self, path: str) -> bool:
        return path.split("/")[1] in ("stream", "ws")

    def subscribers(self, stream: str) -> int:
        with self._lock:
            return sum(stream in wanted for wanted in self._streams.values())

    def opened(self, peer: Peer) -> None:
        assert peer.request is not None
        named = peer.request.query.get("streams", "") or peer.request.path.partition("/ws/")[2]
        self._streams[peer] = {each.lower() for each in named.split("/") if each}

    def received(self, peer: Peer, message: Message) -> None:
        said = msgspec.json.decode(message)
        asked = {each.lower() for each in said.get("params", ())}
        if said.get("method") == "SUBSCRIBE":
            self._streams[peer] |= asked
        elif said.get("method") == "UNSUBSCRIBE":
            self._streams[peer] -= asked
        peer.tell(text_frame(msgspec.json.encode({"result": None, "id": said.get("id")})))

    def closed(self, peer: Peer) -> None:
        self._streams.pop(peer, None)


class BinanceTrades(Shape[SimulatedBinance]):
    name: ClassVar[str] = "binance"

    def __init__(self, topics: int) -> None:
        keys = ["btcusdt", *(f"btc{number}usdt" for number in range(2, topics + 1))]
        super().__init__(SimulatedBinance(), keys)

    def place(self) -> Mapping[str, Any]:
        return {"url": f"ws://127.0.0.1:{self.venue.port}/", "keys": self.keys}

    def wants(self, url: str) -> Subscription:
        feed = {"venue": "binance", "url": f"{url}stream"}
        return Subscription(feed, "agg_trades", "a", is_json=True)

    def subscribers(self, key: str) -> int:
        return self.venue.subscribers(f"{key}@aggtrade")

    def payload(self, number: int) -> bytes:
        at = 1_790_000_000_000 + number  # milliseconds
        cents = 6_700_000 + number * 7_919 % 100_000
        trade = {
            "e": "aggTrade",
            "E": at,
            "s": self.key(number).upper(),
            "a": number,
            "p": f"{cents // 100}.{cents % 100:02}000000",
            "q": f"0.{1 + number % 1_000:05}000",
            "f": number,
            "l": number,
            "T": at,
            "m": number % 2 == 0,
            "M": True,
        }
        return msgspec.json.encode({"stream": f"{self.key(number)}@aggTrade", "data": trade})


SHAPES = (BinanceTrades,)
