"""The runtime's side of the room: one line, whose events and markers it tells as they come."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import actors
from actors import Closed, Gap, Lifecycle, Stream
from tests.network.room import VENUE, enter, use_nameserver
from tests.network.venue import run, say

RESTART = {"initial": 0.1, "maximum": 0.5, "stable_after": 0.1, "max_restarts": 100_000}
HEARTBEAT = {"ping_interval": 0.5, "pong_timeout": 0.5}
TIMES = {"connect_timeout": 2.0, "ack_timeout": 2.0}

_telling = threading.Lock()


def tell(**message: Any) -> None:
    with _telling:
        say(at=time.monotonic(), **message)


def follow(stream: Stream[Any]) -> None:
    for item in stream.with_markers():
        match item:
            case Lifecycle(state=state, reason=reason):
                tell(word=state, reason=reason)
            case Gap(reason=reason, missed=missed):
                tell(word="Gap", reason=reason, missed=missed)
            case Closed():
                tell(word="Closed")
            case _:
                tell(word=str(getattr(item, "id", type(item).__name__)))


def main(address: str, channel: socket.socket, folder: Path, feed: dict[str, Any]) -> None:
    enter(address, channel)
    use_nameserver(VENUE, folder)
    table = {"venue": "alpaca", "key": "K", "secret": "S", "restart": RESTART, "heartbeat": HEARTBEAT}
    with actors.start({"feeds": {"iex": table | TIMES | feed}}) as runtime:
        trades = runtime.subscribe("iex", "trades", "AAPL")
        threading.Thread(target=follow, args=(trades,), daemon=True).start()
        runtime.wait_live(timeout=60.0)
        tell(word="live")
        for line in sys.stdin:
            asked = json.loads(line)
            if "add" in asked:
                trades.add(*asked["add"])
            else:
                begun = time.monotonic()
                found = runtime.status().lines()["iex"]
                told = {"state": found.state, "epoch": found.epoch, "seconds": time.monotonic() - begun}
                codes = [ending.code for ending in found.journal]
                tell(status=told | {"codes": codes, "gaps": found.counters.gaps})


if __name__ == "__main__":
    run(lambda address, channel, folder, feed: main(address, channel, Path(folder), json.loads(feed)))
