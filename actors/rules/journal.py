"""The last endings of a line: why, and where the time went until data flowed again."""

from __future__ import annotations

import re
from itertools import chain, pairwise
from typing import Final

from msgspec import Struct, structs

from actors.events import VenueState

KEPT = 20  # entries per line
VARIOUS: Final = "various"  # the code of an entry of tries that ended in different ways

_NUMBER = re.compile(r"\d+")

DAY_NS = 86_400 * 1_000_000_000


class RecoveryTimes(Struct, frozen=True):
    """The way back, in milliseconds. None: it did not get that far.

    detect: from the last sign of life to the ending; wait: until a new connection was begun; connect:
    until the venue accepted the WebSocket; login: until subscriptions could be sent; subscribe: until
    all were answered for; first_data: until an event came.
    """

    detect: float | None = None
    wait: float | None = None
    connect: float | None = None
    login: float | None = None
    subscribe: float | None = None
    first_data: float | None = None


class LineExit(Struct, frozen=True, tag_field="entry", tag="exit"):
    """One life that ended, or equal tries of one outage. Times are wall-clock nanoseconds.

    `lived_s` counts from being live. `at_ns` is the first of `times` endings, `last_at_ns` the last; all
    other fields are those of the last.
    """

    epoch: int
    at_ns: int
    kind: str  # retryable, slow, fatal, crashed, stopped
    code: str
    text: str
    attempt: int
    lived_s: float | None
    split: RecoveryTimes
    url: str = ""  # the address of that connection, where its feed has several
    times: int = 1
    last_at_ns: int = 0  # 0: there is one


class SilentLossEntry(Struct, frozen=True, tag_field="entry", tag="silent_loss"):
    """An audit found that an event of an account had not come, though its line was up.

    `account`: its feed and number. `text`: what was missing. Times are wall-clock nanoseconds.
    """

    account: str
    epoch: int
    at_ns: int
    text: str


JournalEntry = LineExit | VenueState | SilentLossEntry


class RecoveryRecord:
    """One ending and the marks on the way back from it, in monotonic seconds."""

    STEPS = ("started", "upgraded", "opened", "live", "data")

    def __init__(self, ending: LineExit, received_at: float | None, ended_at: float) -> None:
        self._ending = ending
        self._received_at = received_at
        self._ended_at = ended_at
        self._marks: dict[str, float] = {}

    def mark(self, step: str, at: float) -> None:
        self._marks.setdefault(step, at)

    def line_exit(self) -> LineExit:
        marks = [self._ended_at, *(self._marks.get(step) for step in self.STEPS)]
        way = [_ms(since, until) for since, until in pairwise(marks)]
        return structs.replace(
            self._ending, split=RecoveryTimes(_ms(self._received_at, self._ended_at), *way)
        )


class Journal:
    """One line's. One thread writes; any thread may read its exits.

    An outage begins with the end of a life that was live, or with the first ending of all; the tries that
    follow belong to it. Its first entry stays for as long as it lasts. Tries of one outage with the same
    kind, code, address and text (up to its numbers) are one entry. Where an outage has more kinds of tries
    than there is room for, the oldest entries behind the first become one. Of former outages the oldest goes
    first, with all of its entries. So the `times` of all entries are the endings since the oldest of them.
    """

    def __init__(self, keep: int = KEPT) -> None:
        """`keep`: entries, 2 or more."""
        self._keep = keep
        self._last: RecoveryRecord | None = None
        self._at = 0  # the index of the last ending in its outage
        self._outages: tuple[tuple[LineExit, ...], ...] = ()
        self._exits: tuple[LineExit, ...] = ()

    def ended(self, ending: LineExit, received_at: float | None, ended_at: float) -> None:
        """`received_at`: the last sign of life, where there was one."""
        if ending.lived_s is not None or not self._outages:
            self._outages = (*self._outages, (ending,))
            self._at = 0
        else:
            *former, outage = self._outages
            outage, self._at = _with_try(outage, ending, self._keep)
            self._outages = (*former, outage)
        while len(self._outages) > 1 and sum(map(len, self._outages)) > self._keep:
            self._outages = self._outages[1:]
        self._last = RecoveryRecord(self._outages[-1][self._at], received_at, ended_at)
        self._show(self._last.line_exit())

    def mark(self, step: str, at: float) -> None:
        """A step of the way back from the last ending, the first time it is taken."""
        if self._last is not None:
            self._last.mark(step, at)
            self._show(self._last.line_exit())

    def exits(self) -> tuple[LineExit, ...]:
        """The oldest first, by the first ending of each entry; a value that does not change."""
        return self._exits

    def _show(self, last: LineExit) -> None:
        *former, outage = self._outages
        self._outages = (*former, (*outage[: self._at], last, *outage[self._at + 1 :]))
        self._exits = tuple(chain.from_iterable(self._outages))


def _with_try(outage: tuple[LineExit, ...], ending: LineExit, keep: int) -> tuple[tuple[LineExit, ...], int]:
    """The outage with one more try, and the index of the entry that has it."""
    wanted = _likeness(ending)
    for at, entry in enumerate(outage):
        if entry.lived_s is None and _likeness(entry) == wanted:
            return (*outage[:at], _folded(entry, ending), *outage[at + 1 :]), at
    outage = (*outage, ending)
    if len(outage) > keep:
        first, one, other, *rest = outage
        outage = (first, _various(one, other), *rest)
    return outage, len(outage) - 1


def _likeness(ending: LineExit) -> tuple[str, ...]:
    """What equal tries have in common."""
    return ending.kind, ending.code, ending.url, _NUMBER.sub("0", ending.text)


def _folded(one: LineExit, last: LineExit) -> LineExit:
    return structs.replace(
        last,
        at_ns=one.at_ns,
        times=one.times + last.times,
        last_at_ns=max(_last_at(one), _last_at(last)),
    )


def _various(one: LineExit, other: LineExit) -> LineExit:
    """Two entries of different kinds as one: it shows the one that happened last."""
    earlier, later = sorted((one, other), key=_last_at)
    folded = structs.replace(_folded(earlier, later), at_ns=min(one.at_ns, other.at_ns), code=VARIOUS)
    if later.code == VARIOUS:
        return folded
    return structs.replace(folded, text=f"tries that ended in different ways; the last: {later.text}")


def _last_at(ending: LineExit) -> int:
    return ending.last_at_ns or ending.at_ns


class Repairs(Struct, frozen=True):
    """How many gaps of a line its venue was asked to fill. Complete ones lack nothing any more."""

    complete: int = 0
    incomplete: int = 0

    def with_one(self, *, complete: bool) -> Repairs:
        """The same and one more."""
        return Repairs(self.complete + complete, self.incomplete + (not complete))


NO_REPAIRS = Repairs()


class BlindTime(Struct, frozen=True, gc=False):
    """How long a subscription was without data that could be trusted. Wall-clock nanoseconds, UTC days."""

    total_ns: int = 0
    day: int = 0  # of the end of the last interruption
    of_day_ns: int = 0  # in that day

    def plus(self, since_ns: int, until_ns: int) -> BlindTime:
        """The same and one more interruption."""
        day = until_ns // DAY_NS
        before = self.of_day_ns if day == self.day else 0
        total_ns = self.total_ns + max(0, until_ns - since_ns)
        return BlindTime(total_ns, day, before + _within(day, since_ns, until_ns))

    def today_ns(self, now_ns: int) -> int:
        return self.of_day_ns if now_ns // DAY_NS == self.day else 0

    def with_open(self, since_ns: int | None, now_ns: int) -> tuple[int, int]:
        """All, and today's, with the interruption that is still going on."""
        if since_ns is None:
            return self.total_ns, self.today_ns(now_ns)
        going_on = max(0, now_ns - since_ns)
        today = self.today_ns(now_ns) + _within(now_ns // DAY_NS, since_ns, now_ns)
        return self.total_ns + going_on, today


def _within(day: int, since_ns: int, until_ns: int) -> int:
    return max(0, until_ns - max(since_ns, day * DAY_NS))


def _ms(since: float | None, until: float | None) -> float | None:
    # What came in one read with the last answer is there a moment before that answer is dealt with.
    return None if since is None or until is None else round(max(0.0, until - since) * 1000.0, 3)
