"""A venue for the tables of Binance, Kraken and OKX that ends a connection that sends too much."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from actors.protocol.limits import FrameLimit
from actors.simulators.base.client import Peer, text_frame
from actors.simulators.base.server import Message, Simulator
from actors.simulators.base.settings import SimulatorSettings

LONG = 10.0  # seconds: a limit over a longer time is one of requests


class StrictVenue(Simulator):
    """Frames are counted in their windows, heartbeats in short ones. `bad`: in symbols that are refused."""

    name = "strict"
    Settings = SimulatorSettings

    def __init__(self, limits: tuple[FrameLimit, ...], bad: str = "/") -> None:
        self.set_up(SimulatorSettings(rate=0, market=False))
        self._limits, self._bad = limits, bad
        self._counted: dict[Peer, list[deque[float]]] = {}
        self.kicked = 0
        self.frames: Counter[str] = Counter()  # by what they ask for
        self.most = [0] * len(limits)  # frames of a window

    def serves(self, path: str) -> bool:
        return True

    def decode(self, message: Message) -> Any:
        return msgspec.json.decode(message) if message != "ping" else message

    def opened(self, peer: Peer) -> None:
        self._counted[peer] = [deque() for _ in self._limits]

    def pinged(self, peer: Peer) -> None:
        self._count(peer, heartbeat=True)
        super().pinged(peer)

    def received(self, peer: Peer, message: Message) -> None:
        if not self._count(peer, heartbeat=message == "ping"):
            return
        if message == "ping":
            peer.tell(text_frame(b"pong"))
            return
        for answer in self._answers(msgspec.json.decode(message)):
            peer.tell(text_frame(msgspec.json.encode(answer)))

    def _count(self, peer: Peer, *, heartbeat: bool) -> bool:
        now = time.monotonic()
        for number, (limit, window) in enumerate(zip(self._limits, self._counted[peer], strict=True)):
            if heartbeat and limit.seconds > LONG:
                continue
            window.append(now)
            while window[0] <= now - limit.seconds:
                window.popleft()
            self.most[number] = max(self.most[number], len(window))
            if len(window) > limit.frames:
                self.kicked += 1
                self._close([peer], 1008, "too many requests")
                return False
        return True

    def _answers(self, asked: Any) -> Iterator[Any]:
        if "req_id" in asked:  # Kraken takes one symbol in a frame
            self.frames[asked["method"]] += 1
            yield {"method": asked["method"], "req_id": asked["req_id"], "success": True, "result": {}}
        elif "method" in asked:
            self.frames[asked["method"]] += 1
            bad = asked["method"] == "SUBSCRIBE" and any(self._bad in each for each in asked["params"])
            refusal = {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": asked["id"]}
            yield refusal if bad else {"result": None, "id": asked["id"]}
        else:
            self.frames[asked["op"]] += 1
            for arg in asked["args"]:
                yield {"event": asked["op"], "id": asked["id"], "arg": arg, "connId": "c"}
                if asked["op"] == "subscribe" and arg["channel"] == "books":
                    yield self.book(arg["instId"], "snapshot", -1, 1)

    @staticmethod
    def book(key: str, action: str, previous: int, number: int) -> dict[str, Any]:
        """A message of OKX's book."""
        data = {"asks": [], "bids": [], "ts": "1767607200900", "prevSeqId": previous, "seqId": number}
        return {"arg": {"channel": "books", "instId": key}, "action": action, "data": [data]}


@contextmanager
def strict_venue(*limits: str, bad: str = "/") -> Iterator[StrictVenue]:
    with StrictVenue(tuple(map(FrameLimit.parse, limits)), bad) as venue:
        yield venue
