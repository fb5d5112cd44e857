"""The bars of one key in all of its timeframes, kept from its trades and from REST.

The stream's prints count from the moment on from which it has brought all of them. What was before, and what
a loss has cost, is unknown until REST has told it: for each length of buckets, whole ones that are over are
asked for, and once after each beginning finer ones for what is not over. A bucket that REST has told holds
no print, so nothing counts twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from actors.protocol.bars import SECOND_NS, Bar, BarUnit, Print, Timeframe
from actors.rules.bars.buckets import Buckets
from actors.rules.bars.frame import NEVER, BarEvent, Frame, Name, Told
from actors.rules.bars.periods import Periods, periods_of
from actors.rules.bars.sources import HasBars, finest, source_of
from actors.rules.bars.spans import EVER, Span, Spans
from actors.rules.bars.tape import MOST, Tape
from actors.rules.bars.view import BarsView, FrameView
from actors.rules.calendar import Calendar

GRACE: Final = SECOND_NS  # after its end, a bar is over without a later print
SETTLE: Final = 2 * SECOND_NS  # after its end, REST is asked for a bar
MAKING: Final = 10 * SECOND_NS  # after its end, REST has a bar, or there is none
OVERDUE: Final = 30 * SECOND_NS  # after its end, a bar that REST has not told counts as missing
SLACK: Final = 2 * SECOND_NS  # by which clocks may differ beyond what was measured
FUTURE: Final = 300 * SECOND_NS  # a print is no later than this after its receipt
DAY: Final = 86_400 * SECOND_NS
HOLES: Final = 8  # a history of so many times its length is searched for its bars
HOLIDAYS: Final = 10 * DAY  # or of this, if it is longer, for bars of so many in it at most
SEARCHED: Final = 20_000
USUAL: Final[Mapping[BarUnit, int]] = {"week": 104, "month": 24}  # bars of history; of other units 300
HISTORY: Final = 300
GAPS: Final = 100  # that are remembered, for they may be mended
FIRST_PAUSE: Final = 5.0  # seconds until REST is asked again for what it did not tell
LONGEST_PAUSE: Final = 300.0

CONNECTING: Final = "the subscription is not confirmed yet"


class Wanted(Struct, frozen=True):
    """Bars that REST is to be asked for. `limit`: the newest ones. `is_fill`: in buckets not yet over."""

    every: Timeframe
    since_ns: int
    until_ns: int
    limit: int | None = None
    is_fill: bool = False

    @property
    def lane(self) -> tuple[Timeframe, bool]:
        """Of each kind one is asked at a time."""
        return self.every, self.is_fill


class _Pace(Struct):
    """When REST may be asked for bars of one kind."""

    in_flight: bool = False
    pause: float = 0.0
    not_before_ns: int = 0
    trouble: str = ""

    def end(self, now_ns: int, trouble: str, *, is_done: bool, pause: float = 0.0) -> None:
        """`pause`: seconds until more is asked for, where all was told."""
        self.in_flight, self.trouble = False, trouble
        self.pause = pause if is_done else min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self.pause))
        self.not_before_ns = now_ns + int(self.pause * SECOND_NS)


class Keeper:
    """Told what happens to one key, it keeps the bars and says what to ask.

    Times are wall clock, nanoseconds.
    """

    def __init__(self, feed: str, key: str, has_bars: HasBars, *, most: int = MOST) -> None:
        self.feed, self.key = feed, key
        self.left_out = self.duplicates = self.ahead = 0
        self._has_bars = has_bars
        self._fine = finest(has_bars)
        self._tape = Tape(most)
        self._buckets: dict[tuple[Timeframe, Calendar | None], Buckets] = {}
        self._frames: dict[Name, Frame] = {}
        self._of: dict[int, list[Frame]] = {}  # frames by the id of their buckets
        self._all: tuple[tuple[Buckets, list[Frame]], ...] = ()  # the same, for each print
        self._limits: dict[Timeframe, int] = {}  # of the history that is still to be asked for
        self._paces: dict[tuple[Timeframe, bool], _Pace] = {}
        self._told: list[tuple[Name, BarEvent]] = []
        self._missing = Spans()  # when the stream did not bring all trades
        self._missing.add(0, EVER)
        self._down = CONNECTING  # why it does not; empty: it does
        self._needs_fill = False
        self._kept_since = self._next_end = NEVER
        self._lag = EVER  # the shortest between a print's time and its receipt; below 0: its clock is ahead
        self._judged_lag = EVER  # by which the beginning of the stream was judged
        self._live_from: int | None = None  # by the local clock
        self._newest_at: int | None = None
        self._epoch: int | None = None
        self._gaps: dict[tuple[int, int], Span] = {}  # by the local clock: the same by the venue's
        self._fill_from = 0  # before, what REST has may end before the stream begins

    # ── what is kept ──

    def add(
        self,
        timeframe: Timeframe,
        calendar: Calendar | None,
        *,
        history: int | None,
        keep: int,
        now_ns: int,
    ) -> None:
        """Keeps bars of this timeframe, too; or more of them. `history`: None: as many as usual.

        Raises:
            LinewardenError: the timeframe needs a calendar, or is none.
        """
        history = USUAL.get(timeframe.unit, HISTORY) if history is None else history
        name = timeframe, calendar if timeframe.length_ns is None else None
        frame = self._frames.get(name)
        periods = periods_of(timeframe, calendar) if frame is None else frame.periods
        if frame is not None and history <= frame.history:
            frame.keep = max(frame.keep, keep)
            return
        since, limit = self._history(timeframe, periods, history, now_ns)
        if frame is None:
            buckets = self._buckets_of(periods, timeframe, calendar, since)
            frame = self._frames[name] = Frame(name, periods, buckets, keep)
            frame.told_since = (periods.at(now_ns) or (now_ns, 0))[0]
            self._of[id(buckets)].append(frame)
            buckets.seal(now_ns - GRACE)
            frame.advance(now_ns - GRACE)
            frame.touched_all(buckets.starts(0, EVER))
        frame.keep, frame.history = max(frame.keep, keep), history
        self._lengthen(frame.buckets, since, limit)
        self._all = tuple((buckets, self._of[id(buckets)]) for buckets in self._buckets.values())
        self._look_ahead()

    def _history(
        self, timeframe: Timeframe, periods: Periods, history: int, now_ns: int
    ) -> tuple[int, int | None]:
        """From where on bars are asked for, and how many of them at most."""
        source = source_of(periods.grid, self._has_bars)
        present = periods.at(now_ns)
        first = now_ns if present is None else present[0]
        if not source.has_rest:
            return first - max(DAY, history * (timeframe.length_ns or 0)), None
        if (length := timeframe.length_ns) is not None:
            assert source.every.length_ns is not None
            searched = max(HOLES * history * length, min(HOLIDAYS, SEARCHED * length))
            since = first - (searched if history else 0)
            return max(0, since - since % length), history * (length // source.every.length_ns)
        for _ in range(history):
            if (before := periods.before(first)) is None:
                break
            first = before[0]
        return max(0, first), None

    def _buckets_of(
        self, periods: Periods, timeframe: Timeframe, calendar: Calendar | None, since: int
    ) -> Buckets:
        source = source_of(periods.grid, self._has_bars)
        name = source.every, None if periods.accepts_all else calendar
        buckets = self._buckets.get(name)
        if buckets is not None:
            return buckets
        accepts: Callable[[int], bool] | None = None
        if not periods.accepts_all:
            accepts = _within(periods)
        buckets = self._buckets[name] = Buckets(source.every, has_rest=source.has_rest, accepts=accepts)
        self._of[id(buckets)] = []
        buckets.kept_since = since - since % buckets.length
        for unknown in (buckets.unknown, buckets.unfilled):
            for first, last in self._missing:
                unknown.add(max(first, buckets.kept_since), last)
            unknown.add(buckets.kept_since, self._tape.forgotten_until_ns)
        for print in self._tape.between(0, EVER):
            buckets.add(print, 0)
        self._limits.setdefault(source.every, 0)
        self._needs_fill = True
        return buckets

    def _lengthen(self, buckets: Buckets, since: int, limit: int | None) -> None:
        if since < buckets.kept_since:
            buckets.unknown.add(since, buckets.kept_since)
            buckets.unfilled.add(since, buckets.kept_since)
            buckets.kept_since = since - since % buckets.length
            self._limits.setdefault(buckets.every, 0)
        if buckets.every in self._limits:
            known = self._limits[buckets.every]
            self._limits[buckets.every] = EVER if limit is None else max(known, limit)

    # ── what the stream brings ──

    def print(self, print: Print, received_ns: int, epoch: int) -> None:
        """One more trade; `received_ns`: when it was received, by the local clock."""
        if print.cancels is not None:
            self._cancel(print)
        if not print.size:
            return
        at_ns = print.at_ns
        if at_ns > received_ns + FUTURE:
            self.ahead += 1
            return
        if at_ns < self._kept_since:
            self.left_out += 1
            return
        if not self._tape.add(print):
            self.duplicates += 1
            return
        if epoch != self._epoch:
            self._begin_epoch(print, epoch)
        if received_ns - at_ns < self._lag:
            self._compare_clocks(received_ns - at_ns)
        for buckets, frames in self._all:
            touched = buckets.add(print, received_ns)
            if touched is not None:
                self._touch(touched, frames)
        if self._newest_at is None or at_ns > self._newest_at:
            self._newest_at = at_ns
            if at_ns >= self._next_end:
                self._advance(at_ns)

    def _touch(self, bucket: int, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self._tell(frame, frame.touched(bucket))
        self._look_ahead()

    def _cancel(self, print: Print) -> None:
        assert print.cancels is not None
        try:
            gone = self._tape.cancel(print.cancels)
        except KeyError:
            return
        for buckets, frames in self._all:
            if gone is not None:
                touched = buckets.take_out(gone, self._tape)
            else:
                touched = buckets.doubt_at(print.at_ns, self._tape)
            if touched is not None:
                self._touch(touched, frames)

    def _begin_epoch(self, first: Print, epoch: int) -> None:
        """A connection that takes over without a gap may bring prints again that have no id."""
        before, self._epoch = self._epoch, epoch
        newest = self._newest_at
        if before is not None and first.id is None and newest is not None and first.at_ns <= newest:
            self._lose(first.at_ns - SLACK, newest + SLACK)

    def _compare_clocks(self, lag: int) -> None:
        """A print came sooner after its time than any before: the venue's clock is at least so far ahead.

        By it the stream has brought all trades from another moment on than was believed.
        """
        self._lag = lag
        if self._live_from is None or self._judged_lag - lag <= SLACK:
            return
        is_first, self._judged_lag = self._judged_lag == EVER, lag
        began = self._live_from - lag
        if is_first:
            self._find(max(self._live_from, began) + SLACK, self._live_from + FUTURE)
        if lag < -SLACK:
            self._lose(self._live_from, began + SLACK)
        elif lag > SLACK:  # REST was asked when its bars of that time were not made yet
            self._lose(began - MAKING, began + SLACK)

    def tick(self, now_ns: int) -> None:
        """The time is this, by the local clock."""
        reached = self._reached(now_ns)
        if reached >= self._next_end:
            self._advance(reached)
        self._forget()

    def _reached(self, now_ns: int) -> int:
        """What ends by then is over, also without a later print."""
        return self._venue_ns(now_ns) - GRACE

    def _venue_ns(self, now_ns: int) -> int:
        """A time of the local clock by the venue's, rather too early."""
        return now_ns - max(self._lag, 0) if self._lag < EVER else now_ns

    @property
    def _ahead(self) -> int:
        """By how much the venue's clock is ahead, as far as is known."""
        return max(0, -self._lag) if self._lag < EVER else 0

    def _advance(self, reached_ns: int) -> None:
        for buckets, frames in self._all:
            buckets.seal(reached_ns)
            for frame in frames:
                self._tell(frame, frame.advance(reached_ns))
        self._look_ahead()

    def _look_ahead(self) -> None:
        self._next_end = min((each.next_end for each in self._frames.values()), default=NEVER)
        self._kept_since = min((each.kept_since for each, _ in self._all), default=NEVER)

    def _forget(self) -> None:
        for buckets, frames in self._all:
            needed = [frame.needs_since for frame in frames]
            if (first := min(needed)) > buckets.kept_since:
                buckets.keep_since(first - first % buckets.length)
                self._look_ahead()

    # ── what it did not bring ──

    def is_live(self) -> bool:
        """Whether the stream brings all trades."""
        return not self._down

    def live(self, now_ns: int) -> None:
        """From now on the stream brings all trades."""
        self._down, self._needs_fill = "", True
        self._live_from, self._judged_lag = now_ns, self._lag
        self._fill_from = now_ns + SLACK
        for pace in self._paces.values():
            pace.pause, pace.not_before_ns = 0.0, 0
        unsure = self._ahead + SLACK if self._lag < EVER else FUTURE
        for spans in self._every_missing():
            spans.remove(now_ns + unsure, EVER)

    def down(self, now_ns: int, reason: str) -> None:
        """From now on it does not."""
        self._down, self._live_from = reason or CONNECTING, None
        self._lose(self._since(now_ns), EVER)

    def gap(self, since_ns: int, until_ns: int) -> None:
        """It did not between these moments of the local clock."""
        since, until = self._gaps[since_ns, until_ns] = self._stretch(since_ns, until_ns)
        if len(self._gaps) > GAPS:
            del self._gaps[next(iter(self._gaps))]
        self._lose(since, until)
        self._needs_fill = True

    def mended(self, since_ns: int, until_ns: int) -> None:
        """All trades of this gap have come after all."""
        since, until = self._gaps.pop((since_ns, until_ns), (0, 0))
        self._find(since, until)

    def _find(self, since_ns: int, until_ns: int) -> None:
        """Of this time the stream has brought all trades, but for what other gaps have cost."""
        for spans in self._every_missing():
            spans.remove(since_ns, until_ns)
            for first, last in self._gaps.values():
                spans.add(max(first, since_ns), min(last, until_ns))
        for frame in self._frames.values():
            self._tell(frame, frame.touched_all(()))

    def _stretch(self, since_ns: int, until_ns: int) -> tuple[int, int]:
        """A stretch of the local clock, by the venue's; it is rather too long."""
        return self._since(since_ns), until_ns + self._ahead + SLACK

    def _since(self, now_ns: int) -> int:
        """A time of the local clock, by the venue's: no trade from before it came later."""
        return now_ns - FUTURE if self._newest_at is None else min(now_ns, self._newest_at)

    def _lose(self, since_ns: int, until_ns: int) -> None:
        for spans in self._every_missing():
            spans.add(since_ns, until_ns)
        for frame in self._frames.values():
            self._tell(frame, frame.lost(since_ns, until_ns))

    def _every_missing(self) -> Iterable[Spans]:
        yield self._missing
        for buckets, _ in self._all:
            yield buckets.unknown
            yield buckets.unfilled

    # ── asking ──

    def wanted(self, now_ns: int) -> list[Wanted]:
        """What to ask REST for now; each is answered or failed once."""
        found = []
        for every in dict.fromkeys(buckets.every for buckets, _ in self._all):
            if (wanted := self._wanted(every, now_ns)) is not None:
                found.append(wanted)
        if (fill := self._fill(now_ns)) is not None:
            found.append(fill)
        for each in found:
            self._pace(each.lane).in_flight = True
        return found

    def _wanted(self, every: Timeframe, now_ns: int) -> Wanted | None:
        pace = self._pace((every, False))
        if pace.in_flight or now_ns < pace.not_before_ns:
            return None
        settled = self._venue_ns(now_ns) - SETTLE
        spans = [span for each, _ in self._all if each.every == every and (span := each.wanted(settled))]
        if not spans:
            return None
        limit = self._limits.get(every, EVER)
        since, until = min(first for first, _ in spans), max(last for _, last in spans)
        return Wanted(every, since, until, limit if 0 < limit < EVER else None)

    def _fill(self, now_ns: int) -> Wanted | None:
        """The beginning of the buckets that are not over, where the stream did not bring it."""
        fine = self._fine
        if (
            not self._needs_fill
            or self._down
            or now_ns < self._fill_from
            or fine is None
            or fine.length_ns is None
        ):
            return None
        pace = self._pace((fine, True))
        if pace.in_flight or now_ns < pace.not_before_ns:
            return None
        self._needs_fill = False
        now_ns = self._venue_ns(now_ns) + self._ahead
        until = now_ns - now_ns % fine.length_ns
        starts = [now_ns - now_ns % each.length for each, _ in self._all if each.length > fine.length_ns]
        missing = [start for start in starts if start < until and self._missing.touches(start, now_ns)]
        return Wanted(fine, min(missing), until, is_fill=True) if missing else None

    def _pace(self, lane: tuple[Timeframe, bool]) -> _Pace:
        return self._paces.setdefault(lane, _Pace())

    def answered(self, wanted: Wanted, bars: tuple[Bar, ...], asked_ns: int, now_ns: int) -> None:
        """REST has told these bars; `asked_ns`: when it was asked."""
        self._advance(self._reached(now_ns))
        span = wanted.since_ns, wanted.until_ns
        proven = max(self._venue_ns(asked_ns) - MAKING, bars[-1].end_ns if bars else 0)
        is_cut = wanted.limit is not None and len(bars) >= wanted.limit
        for buckets, frames in self._all:
            if wanted.is_fill:
                changed = (
                    buckets.take_fill(wanted.every, span, bars, self._tape) if self._fits(buckets) else ()
                )
            elif buckets.every != wanted.every:
                continue
            else:
                if is_cut:
                    buckets.keep_since(bars[0].start_ns)
                changed = buckets.take_answer(span, bars, asked_ns, proven)
            for frame in frames:
                self._tell(frame, frame.touched_all(changed))
        if not wanted.is_fill:
            self._limits.pop(wanted.every, None)
        self._look_ahead()
        is_done = wanted.is_fill or self._is_done(wanted.every, now_ns)
        pause = FIRST_PAUSE if self._down else 0.0  # REST then stands in for the stream
        self._pace(wanted.lane).end(now_ns, "", is_done=is_done, pause=pause)

    def _fits(self, buckets: Buckets) -> bool:
        fine = self._fine
        return fine is not None and fine.length_ns is not None and buckets.length > fine.length_ns

    def _is_done(self, every: Timeframe, now_ns: int) -> bool:
        settled = self._venue_ns(now_ns) - SETTLE
        return not any(each.every == every and each.wanted(settled) for each, _ in self._all)

    def failed(self, wanted: Wanted, trouble: str, now_ns: int) -> None:
        """REST has not told them: why. It is asked again."""
        if wanted.is_fill:
            self._needs_fill = True
        self._pace(wanted.lane).end(now_ns, trouble, is_done=False)

    # ── looking ──

    def take_told(self) -> list[tuple[Name, BarEvent]]:
        """What has happened since the last call, each with the name of its frame."""
        told, self._told = self._told, []
        return told

    def view(self, names: Iterable[Name], now_ns: int) -> BarsView:
        """These timeframes as they are now."""
        frames = {str(name[0]): self._frame_view(self._frames[name], now_ns) for name in names}
        return BarsView(self.feed, self.key, frames, self.left_out, self.duplicates, self.ahead)

    def _frame_view(self, frame: Frame, now_ns: int) -> FrameView:
        reason = self._reason(frame, now_ns)
        return FrameView(str(frame.timeframe), frame.finished(), frame.forming(), not reason, reason)

    def _reason(self, frame: Frame, now_ns: int) -> str:
        if self._down:
            return self._down
        if frame.buckets.wanted(self._venue_ns(now_ns) - OVERDUE) is None and not frame.waits_for_rest():
            return ""
        trouble = self._pace((frame.buckets.every, False)).trouble
        return f"REST could not be asked for bars: {trouble}" if trouble else "REST is being asked for bars"

    def _tell(self, frame: Frame, told: Iterable[Told]) -> None:
        timeframe = str(frame.timeframe)
        events = (BarEvent(self.feed, self.key, timeframe, bar, kind) for bar, kind in told)
        self._told += [(frame.name, event) for event in events]


def _within(periods: Periods) -> Callable[[int], bool]:
    """Whether a moment lies in one of these periods. Remembers the one of the last moment."""
    present = (0, 0)

    def accepts(at_ns: int) -> bool:
        nonlocal present
        if present[0] <= at_ns < present[1]:
            return True
        found = periods.at(at_ns)
        if found is not None:
            present = found
        return found is not None

    return accepts
