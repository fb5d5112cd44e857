"""The sender: a process of its own that plays the venue and sends what was built before.

The venue's simulator answers whoever connects; once the client is subscribed its frames are written to
that socket, a great many in one piece, or paced. What the client does not read yet waits here, so a slow
client never delays the sender: each message counts as sent when it was due.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping
from functools import partial
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, cast

from msgspec import Struct

from actors.simulators import Simulator
from benchmarks.shapes import SHAPES, Frames, Shape

SETTLE = 0.3  # seconds between the subscription and the first message: the client is at rest then
PATIENCE = 30.0  # seconds that a client may take to subscribe
TICK_NS = 1_000_000  # messages are sent at most so often; what is due meanwhile goes together
PIECE = 500  # messages that are handed over at once in a full blast
AHEAD = 16 << 20  # bytes that wait for the client in a full blast
UNBOUNDED = 1 << 30
SECOND = 1_000_000_000  # nanoseconds


class Plan(Struct, frozen=True):
    """How many messages, and how many a second; 0: as fast as they are read."""

    count: int
    rate: int = 0


class Sent(Struct, frozen=True):
    """When the first message was sent and, where they were paced, each of them: monotonic nanoseconds."""

    begun_ns: int
    at_ns: list[int]


class Server:
    """The sender of one shape, as the measuring process holds it: a context manager."""

    def __init__(self, shape: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(shape, theirs), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    def listen(self, plan: Plan) -> Mapping[str, str]:
        """Begin anew with this plan: where the client is to connect. Sends once it is subscribed."""
        self._pipe.send(plan)
        return cast("Mapping[str, str]", self._pipe.recv())

    def sent(self) -> Sent:
        """What was sent to the client, which has ended.

        Raises:
            RuntimeError: no client subscribed.
        """
        self._pipe.send(None)
        told: Sent | str = self._pipe.recv()
        if isinstance(told, str):
            raise RuntimeError(told)  # noqa: TRY004  (what the other process says went wrong)
        return told


def _serve(name: str, pipe: Connection[Any, Any]) -> None:
    built: dict[int, Frames] = {}
    while True:
        plan: Plan = pipe.recv()
        shape = SHAPES[name]()
        if plan.count not in built:
            built = {plan.count: Frames(shape, plan.count)}
        with shape.venue:
            pipe.send(shape.address())
            told = _send(shape, built[plan.count], plan)
            pipe.recv()  # the client has ended
            pipe.send(told)


def _send(shape: Shape[Any], frames: Frames, plan: Plan) -> Sent | str:
    venue = shape.venue
    try:
        venue.wait_for(lambda: shape.listeners() == 1, PATIENCE)
    except TimeoutError as error:
        return str(error)
    time.sleep(SETTLE)
    return _pace(venue, frames, plan.rate) if plan.rate else _blast(venue, frames)


def _blast(venue: Simulator, frames: Frames) -> Sent:
    venue.backlog = AHEAD
    pieces = (
        partial(venue.send_frame, frames.between(since, min(since + PIECE, len(frames))))
        for since in range(0, len(frames), PIECE)
    )
    begun = time.monotonic_ns()
    venue.feed(pieces, per_second=None, background=False)
    return Sent(begun, [])


def _pace(venue: Simulator, frames: Frames, rate: int) -> Sent:
    venue.backlog = UNBOUNDED
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
