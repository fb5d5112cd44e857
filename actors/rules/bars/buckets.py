"""What was traded in each stretch of one length, by the stream and by REST, and what of it is not known.

Bars of every timeframe are put together from such buckets. A bucket has the venue's own bar, if REST was
asked for it, and then no print counts in it; or the prints that came, which are all where nothing was lost.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from actors.protocol.bars import Bar, Print, Timeframe
from actors.rules.bars.made import Made, joined, made_of, made_of_bar
from actors.rules.bars.spans import EVER, Span, Spans
from actors.rules.bars.tape import Tape

BEYOND: Final = 60  # buckets that are asked for behind: a later bar proves that those before are over
TRIES: Final = 3  # answers of REST without what the stream brought; then its word counts

Accepts = Callable[[int], bool]  # whether what is traded at this time counts


class Bucket:
    """What is known of one stretch. `made`: of prints, or the venue's own bar where `is_venues`."""

    __slots__ = ("asked_ns", "fill", "is_plain", "is_venues", "made", "start", "tries")

    def __init__(self, start: int, *, is_plain: bool) -> None:
        self.start = start
        self.made: Made | None = None
        self.is_venues = False
        self.asked_ns = 0  # when REST was asked for it: local, wall clock
        self.fill: dict[
            int, Made
        ] = {}  # finer bars of the venue, from before the stream; prints are beside them
        self.is_plain = is_plain  # each print of its time counts
        self.tries = 0

    def parts(self) -> Iterator[Made]:
        """All that counts in it."""
        if self.made is not None:
            yield self.made
        yield from self.fill.values()


NONE: Final = Bucket(-EVER, is_plain=False)  # a newest one that no print lies in


class Buckets:
    """The buckets of one length. Times are the venue's."""

    def __init__(self, every: Timeframe, *, has_rest: bool, accepts: Accepts | None = None) -> None:
        assert every.length_ns is not None
        self.every, self.has_rest = every, has_rest
        self.length = every.length_ns
        self.unknown = Spans()  # where trades may be missing
        self.unfilled = Spans()  # of it, what no finer bar of the venue fills either
        self.hopeless = Spans()  # of it, what REST does not know
        self.kept_since = 0  # no bucket begins before
        self._accepts = accepts
        self._by_start: dict[int, Bucket] = {}
        self._starts: list[int] = []
        self._newest = NONE
        self._reached = 0
        self._fine = self.length  # length of the bars in `fill`

    # ── prints ──

    def add(self, print: Print, received_ns: int) -> int | None:
        """One more print. Returns the start of its bucket, if that is new, or is not the newest one."""
        newest = self._newest
        if 0 <= print.at_ns - newest.start < self.length and newest.is_plain:
            if newest.made is None:
                newest.made = Made(print)
            else:
                newest.made.add(print)
            return None
        return self._add_elsewhere(print, received_ns)

    def _add_elsewhere(self, print: Print, received_ns: int) -> int | None:
        at_ns = print.at_ns
        if at_ns < self.kept_since or (self._accepts is not None and not self._accepts(at_ns)):
            return None
        bucket = self._bucket(at_ns)
        if bucket.is_venues:
            if received_ns <= bucket.asked_ns:
                return None
            self._doubt(bucket.start)  # whether the venue's bar has it already is not known
        elif at_ns - at_ns % self._fine not in bucket.fill:
            if bucket.made is None:
                bucket.made = Made(print)
            else:
                bucket.made.add(print)
        return bucket.start

    def seal(self, reached_ns: int) -> None:
        """The venue's time is this: a print of a bucket that is over is a late one from now on."""
        self._reached = max(self._reached, reached_ns)
        if self._newest.start + self.length <= self._reached:
            self._newest = NONE

    def take_out(self, print: Print, tape: Tape) -> int | None:
        """A print that was cancelled, and is no more on the tape. Returns the start of its bucket."""
        bucket = self._by_start.get(print.at_ns - print.at_ns % self.length)
        if bucket is None or (self._accepts is not None and not self._accepts(print.at_ns)):
            return None
        if bucket.is_venues or print.at_ns - print.at_ns % self._fine in bucket.fill:
            self._doubt(bucket.start)
        elif tape.reaches(bucket.start):
            bucket.made = self._made_of_tape(bucket, tape)
        elif bucket.made is not None and not bucket.made.take_out(print):
            self._doubt(bucket.start)
        if bucket.made is None and not bucket.fill:
            self._drop(bucket.start)
        return bucket.start

    def doubt_at(self, at_ns: int, tape: Tape) -> int | None:
        """A print of about this time was cancelled that is not on the tape. It may have been counted here."""
        start = at_ns - at_ns % self.length
        bucket = self._by_start.get(start)
        if bucket is None or (not bucket.is_venues and not bucket.fill and tape.reaches(start)):
            return None
        self._doubt(start)
        return start

    def _doubt(self, start: int) -> None:
        self.unknown.add(start, start + self.length)

    def _made_of_tape(self, bucket: Bucket, tape: Tape) -> Made | None:
        prints = tape.between(bucket.start, bucket.start + self.length)
        return made_of(each for each in prints if self._counts(each, bucket))

    def _counts(self, print: Print, bucket: Bucket) -> bool:
        is_filled = print.at_ns - print.at_ns % self._fine in bucket.fill
        return not is_filled and (self._accepts is None or self._accepts(print.at_ns))

    # ── what the venue knows ──

    def take_answer(self, span: Span, bars: Iterable[Bar], asked_ns: int, proven_ns: int) -> set[int]:
        """The venue's bars of a time. Returns the buckets that have changed.

        What it has no bar for had no trades, up to `proven_ns`: later its bars may not have been made yet.
        """
        since = max(span[0], self.kept_since)
        until = min(span[1], proven_ns - proven_ns % self.length)
        changed, told = set(), {}
        for bar in bars:
            if since <= bar.start_ns < span[1]:
                told[bar.start_ns - bar.start_ns % self.length] = bar
        lacking = [start for start in self._between(since, until) if self._lacks(start, told.get(start))]
        for start, bar in told.items():
            if start not in lacking and self._take_bar(start, bar, asked_ns):
                changed.add(start)
        self._settle(since, until, lacking)
        return changed

    def _lacks(self, start: int, bar: Bar | None) -> bool:
        """Whether the stream has brought what this bar does not have."""
        bucket = self._by_start[start]
        made = bucket.made
        if bucket.is_venues or made is None:
            return False
        if bar is not None and made.high <= bar.high and made.low >= bar.low:
            return False
        if not self.unknown.touches(start, start + self.length):
            return False  # all of its trades came: it stays as it is
        bucket.tries += 1
        return bar is None or bucket.tries < TRIES

    def _take_bar(self, start: int, bar: Bar, asked_ns: int) -> bool:
        bucket = self._bucket(start)
        if self._has_all_of(bucket, bar):
            return False
        bucket.made, bucket.is_venues, bucket.is_plain = made_of_bar(bar, start + self.length), True, False
        bucket.asked_ns, bucket.tries = asked_ns, 0
        bucket.fill.clear()
        return True

    def _has_all_of(self, bucket: Bucket, bar: Bar) -> bool:
        """Whether all of its trades came, as far as is known, and this bar shows no other ones."""
        made = bucket.made
        if made is None or bucket.is_venues or self.unknown.touches(bucket.start, bucket.start + self.length):
            return False
        shows_others = bar.high >= made.high and bar.low <= made.low
        return not shows_others or (bar.high == made.high and bar.low == made.low)

    def _settle(self, since: int, until: int, lacking: Iterable[int]) -> None:
        self.unknown.remove(since, until)
        self.unfilled.remove(since, until)
        for start in lacking:
            self._doubt(start)
            if self._by_start[start].tries >= TRIES:
                self.hopeless.add(start, start + self.length)

    def take_fill(self, fine: Timeframe, span: Span, bars: Iterable[Bar], tape: Tape) -> set[int]:
        """Finer bars for what lies before the stream, in buckets that are not over. Returns what changed."""
        if fine.length_ns is None or not tape.reaches(span[0]):
            return set()  # which prints lie in those bars is not known any more
        self._fine = fine.length_ns
        filled = (self._fill(bar) for bar in bars if span[0] <= bar.start_ns < span[1])
        changed = {start for start in filled if start is not None}
        for start in changed:
            bucket = self._by_start[start]
            bucket.made = self._made_of_tape(bucket, tape)
        self.unfilled.remove(span[0], EVER)  # what is not in them came by the stream
        return changed

    def _fill(self, bar: Bar) -> int | None:
        at_ns = bar.start_ns
        start = at_ns - at_ns % self.length
        if start < self.kept_since or (self._accepts is not None and not self._accepts(at_ns)):
            return None
        if not self.unknown.touches(start, start + self.length):
            return None
        bucket = self._bucket(at_ns)
        if bucket.is_venues:
            return None
        bucket.fill[at_ns] = made_of_bar(bar, at_ns + self._fine)
        bucket.is_plain = False
        return start

    # ── looking ──

    def made(self, since_ns: int, until_ns: int) -> Made | None:
        """What was traded in the buckets that begin in this time; None: nothing."""
        starts = self._between(since_ns, until_ns)
        if len(starts) == 1 and not (bucket := self._by_start[starts[0]]).fill:
            return bucket.made
        return joined(part for start in starts for part in self._by_start[start].parts())

    def starts(self, since_ns: int, until_ns: int) -> list[int]:
        """The buckets with trades that begin in this time."""
        return self._between(since_ns, until_ns)

    def wanted(self, until_ns: int) -> Span | None:
        """The first and last time of which REST is to be asked for whole buckets that end by then."""
        if not self.has_rest:
            return None
        end = until_ns - until_ns % self.length
        open = [(since, until) for since, until in self.unknown.without(self.hopeless) if since < end]
        if not open:
            return None
        first, last = open[0][0], min(open[-1][1], end) + BEYOND * self.length
        return first - first % self.length, min(end, last + -last % self.length)

    def keep_since(self, since_ns: int) -> None:
        """What begins before is forgotten."""
        if since_ns <= self.kept_since:
            return
        self.kept_since = since_ns
        place = bisect_left(self._starts, since_ns)
        for start in self._starts[:place]:
            del self._by_start[start]
        del self._starts[:place]
        for spans in (self.unknown, self.unfilled, self.hopeless):
            spans.remove(0, since_ns)

    # ── details ──

    def _bucket(self, at_ns: int) -> Bucket:
        start = at_ns - at_ns % self.length
        bucket = self._by_start.get(start)
        if bucket is None:
            accepts = self._accepts
            is_plain = accepts is None or (accepts(start) and accepts(start + self.length - 1))
            bucket = self._by_start[start] = Bucket(start, is_plain=is_plain)
            if not self._starts or start > self._starts[-1]:
                self._starts.append(start)
                if start + self.length > self._reached:
                    self._newest = bucket
            else:
                insort(self._starts, start)
        return bucket

    def _drop(self, start: int) -> None:
        del self._by_start[start]
        self._starts.remove(start)
        if self._newest.start == start:
            self._newest = NONE

    def _between(self, since: int, until: int) -> list[int]:
        return self._starts[bisect_left(self._starts, since) : bisect_left(self._starts, until)]
