"""What becomes of a difference between the stream and REST on a line that is live.

The first look that shows it withdraws trust. It is asked for again after 2, 5 and 15 s. It is over when a
look does not show it any more, and begins again when the stream tells of that order or position meanwhile:
REST may lag behind. What the look after 15 s still shows stands, if one between the two has shown it as well:
after a pause of the process, or where looks wait for the meter, the stream gets its time to tell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Final

from msgspec import Struct

from actors.rules.account.differences import Difference
from actors.rules.account.rows import Key, Kind
from actors.rules.account.view import SilentLoss

AGAIN: Final = (2.0, 5.0, 15.0)  # seconds after the first look that showed it
SHOWN: Final = 3  # looks: the first, the last, and one between them
HOUR: Final = 3_600.0
TOO_MANY: Final = 3  # silent losses within an hour


class Suspicion(Struct):
    """`first`: when it was shown first, monotonic seconds; `first_ns`: the same, wall clock, nanoseconds.

    `shown`: by how many looks.
    """

    difference: Difference
    first: float
    first_ns: int
    shown: int = 1

    def stands(self, asked: float) -> bool:
        """Whether it is over with the looks; `asked`: when the newest one was asked for."""
        return asked >= self.first + AGAIN[-1] and self.shown >= SHOWN


class Audit:
    """The differences that are under way."""

    def __init__(self) -> None:
        self.suspicions: dict[Key, Suspicion] = {}

    def forget(self) -> None:
        """The line is down, or the next look is taken over as it is."""
        self.suspicions.clear()

    def judge(
        self,
        found: Mapping[Key, Difference],
        judged: Collection[Kind],
        heard: Callable[[Key], float],
        asked: float,
        now: float,
        now_ns: int,
    ) -> list[Suspicion]:
        """Takes what a look found, and returns what stands.

        `judged`: the kinds of rows of which it had a whole list. `heard`: when the stream last told of a key.
        `asked`: when the first of its lists was asked for.
        """
        for key in [key for key in self.suspicions if key[0] in judged and key not in found]:
            del self.suspicions[key]
        standing = []
        for key, difference in found.items():
            known = self.suspicions.get(key)
            if known is None or heard(key) > known.first:
                self.suspicions[key] = Suspicion(difference, now, now_ns)
                continue
            known.difference = difference
            known.shown += 1
            if known.stands(asked):
                standing.append(known)
        return standing

    def settled(self, key: Key) -> None:
        """It was taken over."""
        self.suspicions.pop(key, None)

    def due(self, asked: float | None) -> float | None:
        """Returns when to look again, after a look that was asked for then; None: nothing is under way."""
        times = (_next(each, asked) for each in self.suspicions.values())
        return min((time for time in times if time is not None), default=None)


def _next(suspicion: Suspicion, asked: float | None) -> float | None:
    """None: all its looks are over."""
    times = (suspicion.first + seconds for seconds in AGAIN)
    if asked is None:
        return next(times)
    if suspicion.stands(asked):
        return None
    return next((time for time in times if time > asked), asked + AGAIN[0])


class Losses:
    """Silent losses of the last hour."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, SilentLoss]] = deque(maxlen=1_000)

    def add(self, loss: SilentLoss, now: float) -> None:
        """Records one."""
        self._recent.append((now, loss))

    def recent(self, now: float) -> tuple[SilentLoss, ...]:
        """Returns those of the last hour, the oldest first."""
        return tuple(loss for at, loss in self._recent if now - at < HOUR)

    def after(self, start: float, now: float) -> int:
        """Returns how many of them came after this moment."""
        return sum(1 for at, _ in self._recent if now - at < HOUR and at > start)
