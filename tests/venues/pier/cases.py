"""A venue that a table describes, in the stories that are told of all venues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from actors.simulators import Simulator
from actors.simulators.base.client import Peer, text_frame
from actors.simulators.base.server import Message
from tests.support.venue_cases import End

PIER = """
name = "pier"
about = "a venue that a table describes"
url = "wss://pier.example"
[channels.trades]
about = "trades"
key = "market"
[subscribe]
send = { op = "sub", id = "{id}", args = "{topics}" }
topic = "{key}"
[unsubscribe]
send = { op = "unsub", id = "{id}", args = "{topics}" }
topic = "{key}"
[[events]]
when = { ch = "trades" }
channel = "trades"
key = "m"
[[acks]]
when = { ok = true }
id = "id"
"""


class SimulatedPier(Simulator):
    """The other end of that table: it sends every trade to every client."""

    name: ClassVar[str] = "pier"
    path: ClassVar[str] = "/"

    def decode(self, message: Message) -> Any:
        return msgspec.json.decode(message)

    def kind(self, heard: Any) -> str:
        return str(heard["op"])

    def received(self, peer: Peer, message: Message) -> None:
        self.acknowledge(
            peer, [text_frame(msgspec.json.encode({"ok": True, "id": self.decode(message)["id"]}))]
        )

    def trade(self, number: int) -> None:
        self.send_frame(text_frame(msgspec.json.encode({"ch": "trades", "m": "ABC", "n": number})))


@contextmanager
def end(directory: Path) -> Iterator[End]:
    table = directory / "pier.toml"
    table.write_text(PIER)
    with SimulatedPier(rate=0) as pier:
        yield End(
            pier,
            {"venue": str(table), "url": pier.url},
            "trades",
            "ABC",
            "feed",
            pier.trade,
            lambda message: int(message.data["n"]),
        )
