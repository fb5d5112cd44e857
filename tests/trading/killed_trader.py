"""A program that is killed in the middle of its orders: one forked child for each event.

`python -m tests.trading.killed_trader URL FOLDER EVENT...`: the child of an event kills itself at that event,
which is a call, line or return on the way of a mutation. Each has an account, and tells each step.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

import actors
from actors import Accepted, OrderHandle
from actors.trading.projectx_requests import ProjectXRequests
from actors.trading.request_meter import RequestMeter

ROOT = Path(actors.__file__).parent
TRACED = tuple(
    str(ROOT / part)
    for part in ("trading", "wire/send_right.py", "wire/kept_connections.py", "venues/projectx/rest")
)
CONTRACT = "CON.F.US.EP.Z26"
FIRST_ACCOUNT = 10_000
ORDERS = ("first", "second", "last")  # the steps that place one


def account_of(number: int) -> int:
    """Of the child with this number: what it leaves open refuses no order of another one."""
    return FIRST_ACCOUNT + number


def config(url: str, folder: Path) -> dict[str, Any]:
    table = {
        "venue": "projectx",
        "url": url,
        "trading": True,
        "user_name": "me",
        "api_key": "a-key-of-the-gateway",
        "limits": {"max_size": 10, "orders_per_minute": 1_000, "max_net": 100, "max_open_orders": 100},
    }
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": table}}


def tell(*words: object) -> None:
    """At once, and in one piece."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


class Kill:
    """A trace function of threads that begin from now on: it kills this process at one event, or counts."""

    def __init__(self, at: int) -> None:
        self._at, self._next = at, itertools.count(1)
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(TRACED):
            return None
        self.count = next(self._next)
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self


def trade(px: ProjectXRequests, account: int, name: str) -> None:
    def told(step: str, handle: OrderHandle) -> int:
        outcome = handle.get(20.0)
        tell("told", step, type(outcome).__name__)
        return outcome.order_id or 0 if isinstance(outcome, Accepted) else 0

    def tag(step: str) -> str:
        tell("begin", step)
        return f"{name}-{step}"

    order = told("first", px.place(account, CONTRACT, "buy", 2, limit=Decimal(1_000), tag=tag("first")))
    told("modify", px.modify(account, order or 1, size=1, tag=tag("modify")))
    told("second", px.place(account, CONTRACT, "buy", 1, tag=tag("second")))
    told("cancel", px.cancel(account, order or 1, tag=tag("cancel")))
    told("close", px.close(account, CONTRACT, tag=tag("close")))
    told("last", px.place(account, CONTRACT, "sell", 1, tag=tag("last")))


def killed(url: str, folder: Path, number: int, at: int) -> None:
    if not os.fork():
        runtime = actors.start(config(url, folder))
        px = runtime.ask("projectx")
        while runtime._requests.settlement.is_under_way("projectx"):
            threading.Event().wait(0.005)
        px.ping().get(10.0)
        kill = Kill(at)
        threading.settrace(kill)
        trade(px, account_of(number), f"killed-at-{at}")
        tell("count", kill.count)
        os._exit(0)
    os.wait()


def unmetered(*_: object) -> float:
    """All children are one login, which may ask as often as it likes."""
    return 0.0


def main() -> None:
    RequestMeter.take = unmetered  # type: ignore[method-assign, assignment]
    url, folder = sys.argv[1], Path(sys.argv[2])
    for number, at in enumerate(map(int, sys.argv[3:])):
        tell("kill", at)
        killed(url, folder, number, at)


if __name__ == "__main__":
    main()
