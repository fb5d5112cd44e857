"""The other end of the guide's venue."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from actors.simulators import Simulator
from actors.simulators.base.client import Peer, text_frame
from actors.simulators.base.server import Message

FIRST = "ABC"  # whose first tick comes with its subscription


class SimulatedTicks(Simulator):
    name: ClassVar[str] = "ticks"
    path: ClassVar[str] = "/v1"

    def opened(self, peer: Peer) -> None:
        self._say(peer, t="hello")

    def decode(self, message: Message) -> Any:
        return msgspec.json.decode(message)

    def kind(self, heard: Any) -> str:
        return str(heard["t"])

    def received(self, peer: Peer, message: Message) -> None:
        match self.decode(message):
            case {"t": "login", "key": "K"}:
                self._say(peer, t="welcome")
            case {"t": "login"}:
                self._say(peer, t="error", code=401, text="who are you?")
            case {"t": "subscribe", "symbols": symbols}:
                known = [symbol for symbol in symbols if not self.rejects(symbol)]
                self._say(peer, t="subscribed", symbols=known)
                if refused := [symbol for symbol in symbols if self.rejects(symbol)]:
                    self._say(peer, t="error", code=404, text="no such symbol", symbols=refused)
                if FIRST in known:
                    self.tick(1)

    def tick(self, number: int, symbol: str = FIRST, price: str = "10.02") -> None:
        said = {"t": "tick", "s": symbol, "p": price, "q": "3", "n": number}
        self.send_raw(msgspec.json.encode(said).decode())

    def _say(self, peer: Peer, **message: Any) -> None:
        peer.tell(text_frame(msgspec.json.encode(message)))
