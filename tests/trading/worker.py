"""A process that trades: it begins, sends and finishes orders, and tells each step before and after.

`python -m tests.trading.worker FOLDER NUMBER [EVENT...]`: with events, it does all of it once for each of
them in a forked child, which kills itself at that event (a call, line or return in `actors/trading`).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import actors.trading
from actors.protocol.trading import Accepted, Intent
from actors.trading.order_store import OrderStore
from actors.trading.records import Begun
from tests.trading.orders import CANCEL, HOST, allow, place

TRADING = str(Path(actors.trading.__file__).parent)


def tell(*words: object) -> None:
    """At once, and in one piece."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


def intent(number: int) -> Intent:
    mutation = place(number + 1) if number % 2 else CANCEL
    return Intent(tag=f"order-{number}", mutation=mutation, begun_ns=time.time_ns())


def trade(folder: Path, number: int) -> None:
    venue, there = socket.socketpair()
    store = OrderStore(folder)
    for each in map(intent, range(number)):
        tell("begin", each.tag)
        answer = store.begin(each, HOST, allow)
        if answer != Begun():
            tell("unrecorded" if answer == Begun(recorded=False) else "refused", each.tag)
            continue
        tell("begun", each.tag)
        venue.send(b"an order")
        there.recv(100)
        store.finish(Accepted(each.tag, 1))
        tell("finished", each.tag)
    store.close()
    tell("done")


class Kill:
    """A trace function: it kills this process at one event, or counts them."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(TRADING):
            return None
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self


def killed(folder: Path, number: int, at: int) -> None:
    folder = folder / str(at)
    OrderStore.make(folder)
    tell("kill", at)
    if not os.fork():
        kill = Kill(at)
        sys.settrace(kill)
        trade(folder, number)
        sys.settrace(None)
        tell("count", kill.count)
        os._exit(0)
    os.wait()


def main() -> None:
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    events = [int(each) for each in sys.argv[3:]]
    for at in events:
        killed(folder, number, at)
    if not events:
        trade(folder, number)


if __name__ == "__main__":
    main()
