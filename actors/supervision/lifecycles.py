"""The lifecycle events of lines as a stream of their own: each change, in the order of the table of lives.

The streams of data get these as markers from the holder of their line. Here the supervisor writes them, so
they are told of every line, whether or not it carries a topic.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.inlet import Inlet
from actors.events import LIFECYCLE, Lifecycle, LifecycleState, Topic
from actors.rules.stream_buffer import Batch, Origin
from actors.timers import Clock

LIVE: tuple[LifecycleState, ...] = ("connected", "restored")


class Present(Struct, frozen=True):
    """The state of a line that was told last."""

    feed: str
    told: Lifecycle
    was_live: bool


class Follower(Struct, frozen=True):
    """A stream of these events. `target`: a feed, a line, or None for all."""

    inlet: Inlet
    target: str | None

    def wants(self, present: Present) -> bool:
        return self.target in (None, present.feed, present.told.line)


class Lifecycles:
    """Of every line that there is. In the supervisor's thread; a put waits for no reader."""

    def __init__(self, arrivals: Arrivals, clock: Clock) -> None:
        self._arrivals, self._right, self._clock = arrivals, Right(), clock
        self._lines: dict[str, Present] = {}
        self._followers: dict[int, Follower] = {}

    def follow(self, inlet: Inlet, target: str | None) -> None:
        """The stream gets the present state of each line, and each change after it."""
        follower = self._followers[inlet.id] = Follower(inlet, target)
        for present in self._lines.values():
            if follower.wants(present):
                self._put([inlet], present)

    def leave(self, stream: int) -> None:
        """It has been closed."""
        self._followers.pop(stream, None)

    def tell(self, feed: str, told: Lifecycle) -> None:
        """The state of a line has changed."""
        former = self._lines.get(told.line)
        was_live = former is not None and former.was_live
        present = self._lines[told.line] = Present(feed, told, was_live or told.state in LIVE)
        self._put([each.inlet for each in self._followers.values() if each.wants(present)], present)

    def live_word(self, line: str) -> LifecycleState:
        """The word for a line that is live for the first time in the life of its connection."""
        return "restored" if self._lines[line].was_live else "connected"

    def forget(self, line: str) -> None:
        """The line is gone."""
        self._lines.pop(line, None)

    def end(self, reason: str, *, quiet: bool) -> None:
        """The supervisor has ended."""
        for follower in self._followers.values():
            follower.inlet.close(reason, quiet=quiet)
        self._followers.clear()

    def _put(self, inlets: Sequence[Inlet], present: Present) -> None:
        told = present.told
        if not inlets:
            return
        now, now_ns = self._clock.monotonic(), self._clock.wall_ns()
        try:
            origin = Origin(now_ns, told.epoch, self._arrivals.begin(self._right), now)
            batch = Batch([Topic(present.feed, LIFECYCLE, told.line)], [told], origin)
            for inlet in inlets:
                inlet.put(self._right, batch, now)
        finally:
            self._arrivals.end(self._right)
