"""Which log records a line, or a topic, gets: one for its loss, and one for its return.

A table: (what has been logged, what happened) → (what has been logged now, the record). Tries between a loss
and a return get none. A line that is lost again before it was stable flaps: it gets one record for that, and
no other until it is stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Literal

OutageRecord = Literal["lost", "failed", "flapping", "live", "restored"]


class Logged(Enum):
    """What has been logged of it."""

    NOTHING = auto()  # it was never live; or an operator has acted since: what comes of that is news
    UP = auto()
    DOWN = auto()
    PARKED = auto()  # failed, and probed
    FINAL = auto()  # failed, and waits for an operator
    BACK = auto()  # restored, and not stable yet
    FLAPPING = auto()
    FLAPPING_PARKED = auto()


class Happened(Enum):
    LOST = auto()  # an ending; it is tried again
    PARKED = auto()  # an ending; it is probed
    FAILED = auto()  # an ending; it waits for an operator
    LIVE = auto()
    STABLE = auto()
    ASKED = auto()  # an operator, or a reload, begins it again


_FLAPPED = frozenset({Logged.FLAPPING, Logged.FLAPPING_PARKED})
_WELL = frozenset({Logged.NOTHING, Logged.UP})
_ENDINGS = frozenset({Happened.LOST, Happened.PARKED, Happened.FAILED})

_L, _H = Logged, Happened
_FIRST: Mapping[Happened, tuple[Logged, OutageRecord | None]] = {
    _H.LOST: (_L.DOWN, "lost"),
    _H.PARKED: (_L.PARKED, "failed"),
    _H.FAILED: (_L.FINAL, "failed"),
}
# Where a state has no row for what happened, it stays, and nothing is logged.
TABLE: Mapping[tuple[Logged, Happened], tuple[Logged, OutageRecord | None]] = {
    **{(state, word): row for state in _WELL for word, row in _FIRST.items()},
    (_L.NOTHING, _H.LIVE): (_L.UP, "live"),
    (_L.UP, _H.LIVE): (_L.UP, "live"),
    (_L.DOWN, _H.PARKED): (_L.PARKED, "failed"),
    (_L.DOWN, _H.FAILED): (_L.FINAL, "failed"),
    (_L.PARKED, _H.FAILED): (_L.FINAL, "failed"),
    (_L.BACK, _H.LOST): (_L.FLAPPING, "flapping"),
    (_L.BACK, _H.PARKED): (_L.FLAPPING_PARKED, "failed"),
    (_L.BACK, _H.FAILED): (_L.FINAL, "failed"),
    (_L.BACK, _H.STABLE): (_L.UP, None),
    (_L.FLAPPING, _H.PARKED): (_L.FLAPPING_PARKED, "failed"),
    **{(state, _H.LIVE): (_L.BACK, "restored") for state in (_L.DOWN, _L.PARKED, _L.FINAL)},
    **{(state, _H.FAILED): (_L.FINAL, "failed") for state in _FLAPPED},
    **{(state, _H.STABLE): (_L.UP, "restored") for state in _FLAPPED},
    **{(state, _H.ASKED): (_L.NOTHING, None) for state in (_L.DOWN, _L.PARKED, _L.FINAL, *_FLAPPED)},
    (_L.BACK, _H.ASKED): (_L.UP, None),
}


class OutageLog:
    """One line's, or one topic's. Not thread-safe; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self.logged = Logged.NOTHING
        self.since = 0.0  # when the outage began that goes on, or the last one
        self.tries = 0  # in it, with the one that ended it
        self.losses = 0  # in it: lives that ended
        self._was_live = self._is_open = False  # open: the outage goes on, or what follows may belong to it

    def note(self, happened: Happened, now: float) -> OutageRecord | None:
        """Returns the record that is due; None: it is no news."""
        self.logged, record = TABLE.get((self.logged, happened), (self.logged, None))
        if happened in _ENDINGS:
            self._ended(now)
        elif happened is Happened.LIVE:
            self.tries += 1
            self._was_live = True
            if record == "live" and self._is_open:  # an operator acted, and it was down before
                self.logged, record = Logged.BACK, "restored"
        self._is_open = self._is_open and self.logged is not Logged.UP
        return record

    @property
    def is_flapping(self) -> bool:
        return self.logged in _FLAPPED

    @property
    def is_well(self) -> bool:
        """No outage that goes on has been logged."""
        return self.logged in _WELL

    def _ended(self, now: float) -> None:
        if not self._is_open:
            self._is_open, self.since, self.tries, self.losses = True, now, 0, 0
        if self._was_live:
            self.losses += 1
        else:
            self.tries += 1
        self._was_live = False
