"""Folds storms in the log: a few records of one shape pass per minute; the others are counted.

The filter belongs on a handler, where it sees the records of every logger:

    folding = Folding(handler.handle)
    handler.addFilter(folding)

Call `tell_due` now and then, for a count that no other record brings along, and `tell_all` at the end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import takewhile

from actors.display.text import cut

PASS = 5  # records of one shape...
PERIOD = 60.0  # ...within so many seconds
SHAPES = 1_000  # that are remembered; the count of the one that makes room is written first
LONGEST = 200  # characters of a folded message that are written


class Folding(logging.Filter):
    """At most `passing` records of one shape pass in any `period` seconds; the others are folded.

    Records of one shape have the same logger, line, level and format, the same `cause` (an attribute of the
    record), and an error of the same type and place. `emit` takes a count as a record of its own:
    `… 37 more like this in the last minute: ` and the last message. Any thread may call. `clock` is
    monotonic seconds.
    """

    def __init__(
        self,
        emit: Callable[[logging.LogRecord], object],
        *,
        passing: int = PASS,
        period: float = PERIOD,
        shapes: int = SHAPES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._emit = emit
        self._passing, self._period, self._shapes = passing, period, shapes
        self._clock = clock
        self._lock = threading.RLock()  # a signal handler that logs may interrupt a thread that logs
        self._passed: dict[int, deque[float]] = {}  # times by shape; the longest silent first
        self._folded: dict[int, _Fold] = {}  # by shape; the oldest first

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it passes. One that passes brings the counts that are due."""
        if isinstance(record, _Count):
            return True
        try:
            text = record.getMessage()
            shape = _shape(record)
        except Exception:  # its format does not fit its arguments: the handler reports it as usual
            return True
        with self._lock:
            now = self._clock()
            due = self._take_due(now)
            passes = self._judge(shape, record, text, now)
            if passes and (fold := self._folded.pop(shape, None)) is not None:
                due.append(fold)
            due += self._make_room()
        self._tell(due, now, record)
        return passes

    @property
    def due(self) -> bool:
        """Whether there is something for `tell_due` to tell."""
        with self._lock:
            return any(self._clock() - fold.since >= self._period for fold in self._folded.values())

    def tell_due(self) -> None:
        """Write the counts whose minute is over."""
        with self._lock:
            now = self._clock()
            due = self._take_due(now)
        self._tell(due, now)

    def tell_all(self) -> None:
        """Write all counts: the log ends."""
        with self._lock:
            now, due = self._clock(), list(self._folded.values())
            self._folded.clear()
        self._tell(due, now)

    def _judge(self, shape: int, record: logging.LogRecord, text: str, now: float) -> bool:
        times = self._passed.pop(shape, None) or deque(maxlen=self._passing)
        self._passed[shape] = times
        if len(times) < self._passing or now - times[0] >= self._period:
            times.append(now)
            return True
        self._folded.setdefault(shape, _Fold(now)).add(record, text, now)
        return False

    def _take_due(self, now: float) -> list[_Fold]:
        due = takewhile(lambda each: now - each[1].since >= self._period, self._folded.items())
        return [self._folded.pop(shape) for shape, _ in list(due)]

    def _make_room(self) -> list[_Fold]:
        due = []
        while len(self._passed) > self._shapes:
            shape = next(iter(self._passed))
            del self._passed[shape]
            if (fold := self._folded.pop(shape, None)) is not None:
                due.append(fold)
        return due

    def _tell(self, due: list[_Fold], now: float, before: logging.LogRecord | None = None) -> None:
        for fold in due:
            count = fold.count(now, self._period)
            if before is not None:  # the times of a log do not run backwards
                count.created, count.msecs = before.created, before.msecs
            self._emit(count)


class _Count(logging.LogRecord):
    """A count of folded records; `folded` is their number."""

    folded = 0


class _Fold:
    """The folded records of one shape: their number, since when, and the last message."""

    def __init__(self, since: float) -> None:
        self.since = self._until = since
        self._count = 0

    def add(self, record: logging.LogRecord, text: str, now: float) -> None:
        """Keeps the text alone: a record holds a traceback, and that its frames."""
        self._count += 1
        self._until = now
        self._from = (record.name, record.levelno, record.pathname, record.lineno, record.funcName)
        self._about = {name: getattr(record, name, None) for name in ("event", "feed", "line", "epoch")}
        self._words = cut(text.removeprefix(f"{self._about['line']}: "), LONGEST)

    def count(self, now: float, period: float) -> logging.LogRecord:
        text = f"… {self._count:,} more like this {self._when(now, period)}: {self._words}"
        name, level, path, number, function = self._from
        count = _Count(name, level, path, number, "%s", (text,), None, function)
        count.folded = self._count
        vars(count).update(self._about)
        return count

    def _when(self, now: float, period: float) -> str:
        """Also correct where no record came for a long time."""
        ago, span = now - self._until, now - self.since
        if span > 1.5 * period:
            return f"within {max(1.0, self._until - self.since):,.0f} s, the last one {ago:,.0f} s ago"
        return "in the last minute" if period == 60 and span > 45 else f"in the last {max(1.0, span):,.0f} s"


def _shape(record: logging.LogRecord) -> int:
    """Logger, line, level, format and cause. Without a `cause` it is the arguments that are not numbers."""
    cause = getattr(record, "cause", None)
    if cause is None and isinstance(record.args, tuple):
        cause = tuple(str(each) for each in record.args if not isinstance(each, int | float))
    key = (record.name, getattr(record, "line", None), record.levelno, str(record.msg), cause)
    if not record.exc_info or record.exc_info[1] is None:
        return hash(key)
    trace = record.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = None if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return hash((*key, type(record.exc_info[1]), place))  # small, whatever a venue's words are
