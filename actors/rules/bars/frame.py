"""The bars of one timeframe: those that are over, and the one that forms; and what is told of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct, structs

from actors.protocol.bars import Bar, Timeframe
from actors.rules.bars.buckets import Buckets
from actors.rules.bars.periods import Periods
from actors.rules.bars.spans import EVER, Span
from actors.rules.calendar import Calendar

Name = tuple[Timeframe, Calendar | None]  # of a frame; bars of a clock's lengths have no calendar
Kind = Literal["finished", "corrected", "repaired"]
NEVER: Final = EVER


class BarEvent(Struct, frozen=True):
    """Something happened to a bar that is over.

    `finished`: it is over now. `corrected`: a late or cancelled trade has changed it, or something is known
    to be missing in it. If all of its trades were cancelled its volume is 0, and it is left out of the view.
    `repaired`: it is as the venue's REST has it, or was found there after a loss.
    """

    feed: str
    key: str
    timeframe: str
    bar: Bar
    kind: Kind


Told = tuple[Bar, Kind]


class Frame:
    """Puts the buckets of one series together to the periods of one timeframe. Keeps `keep` finished bars."""

    def __init__(self, name: Name, periods: Periods, buckets: Buckets, keep: int) -> None:
        self.name, self.timeframe, self.periods, self.buckets = name, name[0], periods, buckets
        self.keep = keep
        self.history = 0  # bars that REST was asked for
        self.told_since = NEVER  # of bars that begin before, nothing is told
        self.next_end = NEVER  # the first end of a period that has trades and is not over
        self._all: tuple[Bar, ...] | None = None  # that are over, until one changes
        self._finished: dict[int, Bar] = {}
        self._starts: list[int] = []
        self._inexact: set[int] = set()
        self._open: dict[int, int] = {}  # periods with trades that are not over: start, end
        self._reached = 0  # the venue's time; what ends by then is over
        self._present: Span = (0, 0)

    # ── what happens ──

    def touched(self, bucket: int, *, by_rest: bool = False) -> Iterable[Told]:
        """A bucket is new, or other prints than the newest have changed it."""
        period = self._period(bucket)
        if period is None or period[0] < self.buckets.kept_since:
            return ()
        if period[1] <= self._reached:
            return self._make(period, by_rest=by_rest)
        if period[0] not in self._open:
            self._open[period[0]] = period[1]
            self.next_end = min(self.next_end, period[1])
        return ()

    def touched_all(self, buckets: Iterable[int]) -> Iterable[Told]:
        """REST has changed these buckets, or what is known of any."""
        told: list[Told] = []
        periods = {period for bucket in buckets if (period := self._period(bucket)) is not None}
        known = {(start, self._finished[start].end_ns) for start in self._inexact}
        for period in sorted(periods | known):
            if period[0] < self.buckets.kept_since:
                continue
            if period[1] <= self._reached:
                told += self._make(period, by_rest=True)
            elif period in periods:
                told += self.touched(period[0], by_rest=True) if self._has_trades(period) else ()
        return told

    def advance(self, reached_ns: int) -> Iterable[Told]:
        """The venue's time is this: what ends by then is over."""
        self._reached = max(self._reached, reached_ns)
        told: list[Told] = []
        for start, end in sorted(self._open.items()):
            if end <= self._reached:
                del self._open[start]
                told += self._make((start, end), kind="finished")
        self.next_end = min(self._open.values(), default=NEVER)
        return told

    def lost(self, since_ns: int, until_ns: int) -> Iterable[Told]:
        """Trades of this time may be missing: bars that are over are marked."""
        told: list[Told] = []
        for start in self._starts[max(0, bisect_left(self._starts, since_ns) - 1) :]:
            bar = self._finished[start]
            if bar.end_ns > since_ns and start < until_ns:
                told += self._make((start, bar.end_ns))
        return told

    # ── looking ──

    def finished(self) -> tuple[Bar, ...]:
        """The bars that are over, oldest first."""
        if self._all is None:
            self._all = tuple(self._finished[start] for start in self._starts)
        return self._all

    def forming(self) -> Bar | None:
        """The bar of the newest period that is not over; None: nothing was traded in it."""
        if not self._open:
            return None
        start = max(self._open)
        return self._bar((start, self._open[start]))

    def waits_for_rest(self) -> bool:
        """Whether a bar that is over is not exact, and REST may know it."""
        if not self._inexact or not self.buckets.has_rest:
            return False
        open = self.buckets.unknown.without(self.buckets.hopeless)
        return any(open.touches(start, self._finished[start].end_ns) for start in self._inexact)

    @property
    def needs_since(self) -> int:
        """Trades before do not concern it any more."""
        return self._starts[0] if len(self._starts) >= self.keep else self.buckets.kept_since

    # ── details ──

    def _period(self, bucket: int) -> Span | None:
        """That of a bucket. Its start may be before the opening of a session that a closure has put off."""
        if self._present[0] <= bucket < self._present[1]:
            return self._present
        period = self.periods.at(bucket)
        if period is None and not self.periods.accepts_all:
            period = self.periods.at(bucket + self.buckets.length - 1)
        if period is not None:
            self._present = period
        return period

    def _first_bucket(self, period: Span) -> int:
        return period[0] - period[0] % self.buckets.length

    def _has_trades(self, period: Span) -> bool:
        return bool(self.buckets.starts(self._first_bucket(period), period[1]))

    def _bar(self, period: Span) -> Bar | None:
        start, end = period
        made = self.buckets.made(self._first_bucket(period), end)
        if made is None:
            return None
        exact = not self.buckets.unknown.touches(start, end)
        complete = not self.buckets.unfilled.touches(start, end)
        return made.bar(start, end, exact=exact, complete=complete)

    def _make(self, period: Span, kind: Kind = "corrected", *, by_rest: bool = False) -> Iterable[Told]:
        """Makes the bar of a period that is over; tells of it if it is another one than before."""
        start = period[0]
        bar, before = self._bar(period), self._finished.get(start)
        if bar == before:
            return ()
        self._all = None
        if bar is None:
            return self._unmake(start)
        if before is None:
            insort(self._starts, start)
            kind = "finished"
        self._finished[start] = bar
        (self._inexact.discard if bar.exact else self._inexact.add)(start)
        self._forget()
        is_told = start >= self.told_since and start in self._finished
        return ((bar, "repaired" if by_rest else kind),) if is_told else ()

    def _unmake(self, start: int) -> Iterable[Told]:
        """All of its trades were cancelled: there is no such bar."""
        gone = structs.replace(self._finished.pop(start), volume=Decimal(0), trades=0)
        self._starts.remove(start)
        self._inexact.discard(start)
        return ((gone, "corrected"),) if start >= self.told_since else ()

    def _forget(self) -> None:
        while len(self._starts) > self.keep:
            gone = self._starts.pop(0)
            del self._finished[gone]
            self._inexact.discard(gone)
