"""Folds storms in the log: a few records of one shape a minute pass, and the rest are counted, and told.

Its place is on a handler, so that it hears every logger's records:

    folding = Folding(handler.handle)
    handler.addFilter(folding)

`tell_due`, called now and then, tells what was folded when no other record comes to carry it;
`tell_all` is for the end.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from hashlib import blake2b

PASS = 5  # records of one shape...
PERIOD = 60.0  # ...within so many seconds
SHAPES = 1_000  # that are remembered; what was folded of the one that makes room is told first
LONGEST = 200  # characters of a folded message that are told

Key = tuple[str, str, int, bytes]

_NUMBER = re.compile(
    r"(?<![\w.:/-])[-+]?\d+(?:[,_]\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?P<unit>ms|us|µs|ns|s|m|h|%)?(?!\w|[.:/-]\w)",
    re.IGNORECASE,
)
# A code is a cause, a count is none. 503 and 1006 are codes where nothing says that they are counted.
_CODE = re.compile(r"\d{3,4}")
_CODE_BEFORE = re.compile(r"\b(?:code|error|errno|status|http|reports)\W{0,2}$", re.IGNORECASE)
_COUNTED_BEFORE = re.compile(r"(?:\b(?:try|attempt|epoch|number|within|after|every)\s|#)$", re.IGNORECASE)
_COUNTED_AFTER = re.compile(
    r"\s(?:[a-zµ]?s|min|seconds?|minutes?|hours?|times|tries|bytes|[KMG]i?B|of|more|fewer|lines?|topics?|"
    r"events?|messages?|records?|open|threads?)\b",
    re.IGNORECASE,
)


class Folding(logging.Filter):
    """At most `passing` records of one shape pass in any `period` seconds; the others are folded.

    One shape: the same logger, line, level, words and place of the error; the numbers in the words may
    differ, but for those that are codes. `emit` is where a count goes as a record of its own: `… 37 more like
    this in the last minute: ` and the last one's words. Any thread may call. `clock` is monotonic seconds.
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
        self._lock = threading.RLock()  # whoever logs may be interrupted by one who logs
        self._passed: dict[Key, deque[float]] = {}  # when; the shape that was silent longest first
        self._folded: dict[Key, _Fold] = {}  # the one begun first, first

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it passes; one that does brings with it what was folded and is due."""
        if isinstance(record, _Told):
            return True
        try:
            text = record.getMessage()
            key = _key(record, text)
        except Exception:  # its words do not fit its arguments: the handler says so as it always does
            return True
        with self._lock:
            now = self._clock()
            due = self._take_due(now)
            passes = self._judge(key, record, text, now)
            if passes and (fold := self._folded.pop(key, None)) is not None:
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
        """Tell what was folded and whose minute is over."""
        with self._lock:
            now = self._clock()
            due = self._take_due(now)
        self._tell(due, now)

    def tell_all(self) -> None:
        """Tell all that was folded and not told yet: nothing may follow."""
        with self._lock:
            now, due = self._clock(), list(self._folded.values())
            self._folded.clear()
        self._tell(due, now)

    def _judge(self, key: Key, record: logging.LogRecord, text: str, now: float) -> bool:
        times = self._passed.pop(key, None) or deque(maxlen=self._passing)
        self._passed[key] = times
        if len(times) < self._passing or now - times[0] >= self._period:
            times.append(now)
            return True
        self._folded.setdefault(key, _Fold(now)).add(record, text, now)
        return False

    def _take_due(self, now: float) -> list[_Fold]:
        due = []
        while self._folded:
            key, fold = next(iter(self._folded.items()))
            if now - fold.since < self._period:
                break
            due.append(self._folded.pop(key))
        return due

    def _make_room(self) -> list[_Fold]:
        due = []
        while len(self._passed) > self._shapes:
            key = next(iter(self._passed))
            del self._passed[key]
            if (fold := self._folded.pop(key, None)) is not None:
                due.append(fold)
        return due

    def _tell(self, due: list[_Fold], now: float, before: logging.LogRecord | None = None) -> None:
        for fold in due:
            told = fold.told(now, self._period)
            if before is not None:  # a log's times do not run backwards
                told.created, told.msecs = before.created, before.msecs
            self._emit(told)


class _Told(logging.LogRecord):
    """A count of folded records; `folded` is their number."""

    folded = 0


class _Fold:
    """What was folded of one shape: how many, since when, and the last one's words."""

    def __init__(self, since: float) -> None:
        self.since = self._until = since
        self._count = 0

    def add(self, record: logging.LogRecord, text: str, now: float) -> None:
        """Keeps words alone: the record holds a traceback, and that its frames."""
        self._count += 1
        self._until = now
        self._from = (record.name, record.levelno, record.pathname, record.lineno, record.funcName)
        self._line, self._epoch = getattr(record, "line", None), getattr(record, "epoch", None)
        text = text.removeprefix(f"{self._line}: ")
        self._words = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

    def told(self, now: float, period: float) -> logging.LogRecord:
        text = f"… {self._count:,} more like this {self._when(now, period)}: {self._words}"
        name, level, path, number, function = self._from
        told = _Told(name, level, path, number, "%s", (text,), None, function)
        told.folded, told.line, told.epoch = self._count, self._line, self._epoch
        return told

    def _when(self, now: float, period: float) -> str:
        """True also where nobody called for a long time."""
        ago, span = now - self._until, now - self.since
        if span > 1.5 * period:
            return f"within {max(1.0, self._until - self.since):,.0f} s, the last one {ago:,.0f} s ago"
        return "in the last minute" if period == 60 and span > 45 else f"in the last {max(1.0, span):,.0f} s"


def _key(record: logging.LogRecord, text: str) -> Key:
    text = shape(text)
    if record.exc_info and record.exc_info[1] is not None:
        error, trace = record.exc_info[1], record.exc_info[2]
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        text += f"\n{type(error).__qualname__} {where} {shape(str(error))}"
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()  # a key is small
    return record.name, str(getattr(record, "line", "")), record.levelno, digest


def shape(text: str) -> str:
    """The text with # for each number that measures or counts; codes and names stay."""
    return _NUMBER.sub(_shaped, text)


def _shaped(match: re.Match[str]) -> str:
    text, number = match.string, match.group()
    before = text[max(0, match.start() - 12) : match.start()]
    if _CODE_BEFORE.search(before):
        return number
    counted = _COUNTED_BEFORE.search(before) or _COUNTED_AFTER.match(text, match.end())
    return number if _CODE.fullmatch(number) and not counted else f"#{match['unit'] or ''}"
