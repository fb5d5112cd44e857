"""The sender: a process of its own that plays the venue and sends what was built before.

The venue's simulator answers whoever connects; once the client is subscribed its frames are written to
that socket, a great many in one piece, or paced. What the client does not read yet waits here, so a slow
client never delays the sender.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing.managers import BaseManager
from typing import Any, Protocol, TypeVar, cast

from msgspec import Struct

from actors.simulators import Simulator
from benchmarks.shapes import SHAPES, Frames

SETTLE = 0.3  # seconds between the subscription and the first message: the client is at rest then
PATIENCE = 60.0  # seconds that a client may take to subscribe
SECOND = 1_000_000_000  # nanoseconds
TICK_NS = 1_000_000  # messages are sent at most so often; what is due meanwhile goes together
PIECE = 500  # messages that are handed over at once in a full blast
AHEAD = 16 << 20  # bytes that wait for the client in a full blast
UNBOUNDED = 1 << 30

Made = TypeVar("Made")


class Plan(Struct, frozen=True):
    """How many messages, and how many a second; 0: as fast as they are read. Each connection gets all."""

    count: int
    rate: int = 0
    connections: int = 1


class Sent(Struct, frozen=True):
    """When the first message was sent and, where they were paced, each of them: monotonic nanoseconds.

    That clock is the same for all processes of a machine.
    """

    begun_ns: int
    at_ns: list[int]


class Server(Protocol):
    """What a run asks of the other end."""

    def listen(self, plan: Plan) -> Mapping[str, Any]:
        """Starts again with this plan. Returns what a client has to know."""

    def sent(self) -> Sent:
        """What was sent to the clients, which have ended. Raises TimeoutError: they were not there."""


class Sender:
    """One shape, message for message. What it offers is called from the measuring process."""

    def __init__(self, shape: str, topics: int = 1) -> None:
        self._make = partial(SHAPES[shape], topics)
        self._built = Frames(self._make(), 0)

    def listen(self, plan: Plan) -> Mapping[str, Any]:
        """Begin anew with this plan: where the clients are to connect. Sends once all are subscribed."""
        self._shape = self._make()
        self._venue: Simulator = self._shape.venue
        if len(self._built) != plan.count:
            self._built = Frames(self._shape, plan.count)
        self._told: Sent | None = None
        self._shape.start()
        self._thread = threading.Thread(target=self._send, args=(plan,), daemon=True)
        self._thread.start()
        return self._shape.address()

    def sent(self) -> Sent:
        """What was sent to the clients, which have ended.

        Raises:
            TimeoutError: they did not subscribe.
        """
        self._thread.join()
        self._shape.stop()
        if self._told is None:
            raise TimeoutError(f"nobody subscribed within {PATIENCE:g} s")
        return self._told

    def drop(self) -> int:
        """Reset every connection. Returns the time just before: monotonic nanoseconds."""
        now = time.monotonic_ns()
        self._venue.drop()
        return now

    def _send(self, plan: Plan) -> None:
        try:
            self._venue.wait_for(lambda: self._shape.listeners() == plan.connections, PATIENCE)
        except TimeoutError:
            return
        time.sleep(SETTLE)
        if plan.rate:
            self._told = _pace(self._venue, self._built, plan.rate)
        else:
            self._told = _blast(self._venue, self._built)


def _blast(venue: Simulator, frames: Frames) -> Sent:
    venue.settings.backlog = AHEAD
    pieces = (
        partial(venue.send_frame, frames.between(since, min(since + PIECE, len(frames))))
        for since in range(0, len(frames), PIECE)
    )
    begun = time.monotonic_ns()
    venue.feed(pieces, per_second=None, background=False)
    return Sent(begun, [])


def _pace(venue: Simulator, frames: Frames, rate: int) -> Sent:
    venue.settings.backlog = UNBOUNDED
    at_ns: list[int] = []
    begun = time.monotonic_ns()
    while (done := len(at_ns)) < len(frames):
        now = time.monotonic_ns()
        due = min(len(frames), (now - begun) * rate // SECOND + 1)
        if due > done:
            venue.send_frame(frames.between(done, due))
            at_ns += [now] * (due - done)
        rest = begun + due * SECOND // rate - time.monotonic_ns()
        time.sleep(max(rest, TICK_NS) / SECOND)
    return Sent(begun, at_ns)


class _Process(BaseManager):
    """What makes a server in another process, and calls it there."""


def _made(kind: Callable[..., Made], given: Sequence[Any]) -> Made:
    return kind(*given)


_Process.register("made", _made)


def _end_with_parent() -> None:
    """A measuring process that is killed leaves no sender behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def hosted(kind: Callable[..., Made], *given: Any) -> Iterator[Made]:
    """A server of this kind in a process of its own, for as long as the block lasts."""
    process = _Process(ctx=multiprocessing.get_context("spawn"))
    process.start(_end_with_parent)
    with process:
        yield cast(Made, cast(Any, process).made(kind, given))


def sending(shape: str, topics: int = 1) -> AbstractContextManager[Sender]:
    """A sender in a process of its own."""
    return hosted(Sender, shape, topics)
