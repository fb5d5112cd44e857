"""Which beat is unanswered, and since when; and the health of a line, as a score.

A beat is a protocol ping with a number. An unanswered one ends the connection when nothing else was
received since it was sent: a venue that sends data is there, whether it answers pings or not.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping

from msgspec import Struct

from actors.events import Topic
from actors.rules.freshness import Policies


class Beats:
    """One connection's beats. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.number = 0  # of the last beat
        self.answered = True
        self.rtt: float | None = None  # seconds, the last one measured
        self.missed = 0  # beats in a row without an answer
        self.frozen = False  # the socket is not read: an answer could not be seen

    @property
    def may_beat(self) -> bool:
        """One at a time, and none whose answer could not be seen."""
        return self.answered and not self.frozen

    def beat(self) -> int:
        """The number of the next beat, which is now."""
        self.number += 1
        self.answered = False
        return self.number

    def pong(self, number: int, rtt: float) -> None:
        if number == self.number:
            self.answered = True
            self.missed = 0
            self.rtt = rtt

    def overdue(self, number: int) -> bool:
        """Its deadline has come: whether it counts as unanswered."""
        if self.frozen or self.answered or number != self.number:
            return False
        self.missed += 1
        self.answered = True  # judged; the next beat may be sent
        return True

    def freeze(self) -> None:
        """The socket is not read: a pong behind unread data cannot be seen."""
        self.frozen = True

    def thaw(self) -> None:
        """It is read again. The beat under way is forgotten: its answer may have lain unread."""
        self.frozen = False
        self.answered = True


class HealthInputs(Struct, frozen=True):
    """What the score is made of."""

    live: bool
    rtt_ms: float | None
    missed_pongs: int
    restarts: int  # within the last ten minutes
    quarantined: int  # messages of this epoch
    stale_topics: int
    decodes_nothing: bool = False  # no message that the line receives can be decoded


class Health(Struct, frozen=True):
    score: int  # 0 to 100
    inputs: HealthInputs


def health(inputs: HealthInputs) -> Health:
    """0 unless live; else 100 less what is wrong, at least 1; at most 50 with a stale subscription, or where
    nothing can be decoded.

    Less: 1 for each 25 ms of round trip over 50 ms (at most 20), 15 a missed pong (at most 30), 10 a
    restart (at most 40), 2 a quarantined message (at most 20). A quiet market costs nothing.
    """
    if not inputs.live:
        return Health(0, inputs)
    slow = min(20, int(max(0.0, (inputs.rtt_ms or 0.0) - 50.0) / 25.0))
    score = 100 - slow
    score -= min(30, 15 * inputs.missed_pongs)
    score -= min(40, 10 * inputs.restarts)
    score = max(1, score - min(20, 2 * inputs.quarantined))
    return Health(min(score, 50) if inputs.stale_topics or inputs.decodes_nothing else score, inputs)


class RecentRoundTrips:
    """How many of something happened within a while, 1,000 at most. One thread adds, any thread counts."""

    def __init__(self, period: float = 600.0) -> None:
        self._period = period
        self._at: tuple[float, ...] = ()

    def add(self, now: float) -> None:
        recent = self._at[bisect_left(self._at, now - self._period) :]
        self._at = (*recent, now)[-1000:]

    def count(self, now: float) -> int:
        at = self._at
        return len(at) - bisect_left(at, now - self._period)


class Rhythm(Struct, frozen=True):
    """How a feed's lines are watched; seconds. 0 turns a beat off."""

    ping_interval: float
    pong_timeout: float
    venue_ping_interval: float
    policies: Mapping[Topic, Policies]  # of topics whose silence or lag means something
    reading: bool = True  # whether the line is read now: a full stream may hold it
    health_every: float = 0.0  # between two looks at its health


class Watched(Struct, frozen=True):
    """One life of one line as any thread may see it; the heartbeat replaces it with each change."""

    rtt: float | None = None  # seconds, of the last ping
    missed: int = 0  # pings in a row without an answer


class Watch:
    """One life of one line; `number` tells it from others of the same life."""

    def __init__(self, number: int, epoch: int, since: float, rhythm: Rhythm) -> None:
        self.number, self.epoch, self.since, self.rhythm = number, epoch, since, rhythm
        self.beats = Beats()
        self.policies: dict[Topic, Policies] = dict(rhythm.policies)
        self.stale: set[Topic] = set()  # as last reported
        self.has_looked = False  # the supervisor knows what of this life is stale
        self.look = 0  # the number of the next look at these
        self.look_at = math.inf  # monotonic seconds: when that is

    def shown(self) -> Watched:
        return Watched(self.beats.rtt, self.beats.missed)
