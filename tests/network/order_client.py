"""A runtime's side of the room that places orders when it is told to."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import actors
from actors.trading.order_store import OrderStore
from tests.network.client import HEARTBEAT, RESTART
from tests.network.room import enter
from tests.network.venue import run, say


def main(address: str, channel: socket.socket, folder: Path, url: str) -> None:
    enter(address, channel)
    OrderStore.create(folder / "orders").close()
    login = {"venue": "projectx", "url": url, "user_name": "me", "api_key": "a-key"}
    limits = {"max_size": 1, "orders_per_minute": 100}
    feed = {**login, "trading": True, "limits": limits, "restart": RESTART, "heartbeat": HEARTBEAT}
    with actors.start({"trading": {"dir": str(folder / "orders")}, "feeds": {"px": feed}}) as runtime:
        px = runtime.ask("px")
        px.wait_settled(60.0)
        first = px.place(4242, "ENQ", "buy", 1, deadline=30.0).get()
        say(word="live", outcome=type(first).__name__)
        for line in sys.stdin:
            handle = px.place(4242, "ENQ", "sell", 1, deadline=json.loads(line)["deadline"])
            say(outcome=type(handle.get()).__name__, tag=handle.tag)


if __name__ == "__main__":
    run(lambda address, channel, folder, url: main(address, channel, Path(folder), url))
