"""The last endings of a line: why, and where the time went until data flowed again."""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct

from actors.events import VenueState

KEPT = 20  # endings a line

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
    """One life that ended, or several equal tries in a row. Times are wall-clock nanoseconds.

    `lived_s` counts from being live. `at_ns` is the first of `times` endings, `last_at_ns` the last.
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
        ending = self._ending
        return LineExit(
            ending.epoch,
            ending.at_ns,
            ending.kind,
            ending.code,
            ending.text,
            ending.attempt,
            ending.lived_s,
            RecoveryTimes(_ms(self._received_at, self._ended_at), *way),
            ending.url,
        )


class Journal:
    """One line's. One thread writes; any thread may read its exits."""

    def __init__(self, keep: int = KEPT) -> None:
        self._keep = keep
        self._last: RecoveryRecord | None = None
        self._exits: tuple[LineExit, ...] = ()

    def ended(self, ending: LineExit, received_at: float | None, ended_at: float) -> None:
        """`received_at`: the last sign of life, where there was one."""
        self._last = RecoveryRecord(ending, received_at, ended_at)
        self._exits = (*self._exits, self._last.line_exit())[-self._keep :]

    def mark(self, step: str, at: float) -> None:
        """A step of the way back from the last ending, the first time it is taken."""
        if self._last is not None:
            self._last.mark(step, at)
            self._exits = (*self._exits[:-1], self._last.line_exit())

    def exits(self) -> tuple[LineExit, ...]:
        """Oldest first; a value that does not change."""
        return self._exits


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
