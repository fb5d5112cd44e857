"""A trading process is killed between any two steps of an order: the next one does not send it again."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from tests.commands import PATIENCE

TAG = "the-one-order"
PROGRAM = """
    import os, signal, sys, time
    import actors
    from actors.trading.mutation import MutationAsk
    from actors.trading.order_store import OrderStore
    from actors.wire.kept_connections import KeptConnection
    from actors.wire.send_right import SendRight

    folder, url, step = sys.argv[1:]
    STEPS = {
        "before the commit": (OrderStore, "begin", "before"),
        "after the commit": (OrderStore, "begin", "after"),
        "before the first byte": (SendRight, "write", "before"),
        "after the first bytes": (SendRight, "write", "after"),
        "after the answer": (KeptConnection, "exchange", "after"),
        "before the outcome": (OrderStore, "finish", "before"),
        "after the outcome": (OrderStore, "finish", "after"),
    }

    def die_at(kind, name, when):
        method = getattr(kind, name)

        def dying(self, *args, **named):
            is_it = name != "exchange" or args[-1] is not None  # an exchange of a mutation has a right
            if when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            found = method(self, *args, **named)
            if is_it:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        setattr(kind, name, dying)

    feed = {"venue": "projectx", "url": url, "user_name": "me", "api_key": "a-key", "trading": True}
    feed["limits"] = {"max_size": 3, "orders_per_minute": 30}
    with actors.start({"trading": {"dir": folder}, "feeds": {"projectx": feed}}) as runtime:
        px = runtime.ask("projectx")
        px.contract("ENQ").get(10)
        px.wait_settled(10)
        if step:
            die_at(*STEPS[step])
        print(type(px.place(4242, "ENQ", "buy", 1, tag="the-one-order").get()).__name__, flush=True)
"""
# What the venue has after the kill, and what the next process is told by the same call.
STEPS = {
    "before the commit": (0, "Accepted"),
    "after the commit": (0, "Unknown"),
    "before the first byte": (0, "Unknown"),
    "after the first bytes": (1, "Accepted"),
    "after the answer": (1, "Accepted"),
    "before the outcome": (1, "Accepted"),
    "after the outcome": (1, "Accepted"),
}


def trade(folder: Path, venue: SimulatedProjectX, step: str = "") -> tuple[int, str]:
    """How a process ended that places this order, and what it was told."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), venue.url, step]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return ran.returncode, ran.stdout.strip() or ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no order store")
@pytest.mark.parametrize(
    "step",
    ["after the first bytes", *(pytest.param(each, marks=pytest.mark.long) for each in STEPS)],
)
def test_an_order_of_a_killed_process_is_not_sent_again(tmp_path: Path, step: str) -> None:
    count, told = STEPS[step]
    OrderStore.create(tmp_path / "orders").close()
    with SimulatedProjectX(rate=0) as venue:
        assert trade(tmp_path / "orders", venue, step)[0] == -signal.SIGKILL
        if step == "after the first bytes":  # the head of the request has left, and its body perhaps
            count = venue.seen.orders(TAG)
            told = "Accepted" if count else "Unknown"
        assert venue.seen.orders(TAG) == count
        assert trade(tmp_path / "orders", venue) == (0, told)
        assert venue.seen.orders(TAG) == (1 if told == "Accepted" else 0)
        assert venue.seen.placed_twice == []
