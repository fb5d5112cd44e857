"""What the log says of handlers that raise: enough to see the mistake, and not a traceback per event."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from actors.delivery.handlers import UnawaitedError
from actors.events import Closed, Gap, Lifecycle, Marker, Repaired, Topic, VenueState
from actors.log_queue import EventLogger

PASS: Final = 5  # equal failures that are logged...
PERIOD: Final = 60.0  # ...within so many seconds
KINDS: Final = 100  # that are told apart


class FailureLog:
    """Logs the exception that is being handled: a handler of one stream raised it.

    Failures are equal if an exception of one type was raised in one place. `clock` is monotonic seconds.
    """

    def __init__(self, log: EventLogger, clock: Callable[[], float]) -> None:
        self._log, self._clock = log, clock
        self._told_unawaited = False
        self._logged: dict[object, deque[float]] = {}  # times, by kind
        self._left_out = 0  # since the last one that was logged

    def __call__(self, about: Topic | Marker) -> None:
        """It was called with an event of this topic, or with this marker."""
        error = sys.exception()
        if isinstance(error, UnawaitedError):
            if not self._told_unawaited:
                self._told_unawaited = True
                text = "The handler of %s failed: %s. Each such call counts as failed; this is logged once."
                self._log.error("handler.failed", text, _named(about), error)
            return
        if (more := self._judge(error)) is None:
            return
        match about:
            case Topic():
                text = "The handler of %s failed; it goes on with the next event.%s"
            case Closed():
                text = "on_marker failed for %s of its stream.%s"
            case _:
                text = "on_marker failed for %s; it goes on with the next item.%s"
        self._log.exception(
            "handler.failed", text, "the end" if isinstance(about, Closed) else _named(about), more
        )

    def _judge(self, error: BaseException | None) -> str | None:
        """What is to be said besides; None: it is not logged."""
        kind, now = (type(error), _place(error)), self._clock()
        if len(self._logged) >= KINDS and kind not in self._logged:
            self._logged.clear()
        times = self._logged.setdefault(kind, deque(maxlen=PASS))
        if len(times) == PASS and now - times[0] < PERIOD:
            self._left_out += 1
            return None
        times.append(now)
        words = f" {self._left_out:,} failures before it were not logged." if self._left_out else ""
        self._left_out = 0
        if len(times) == PASS and now - times[0] < PERIOD:
            words += f" More like it are counted in handler_errors; at most {PASS} in a minute are logged."
        return words


def _place(error: BaseException | None) -> tuple[str, int] | None:
    """The file and line in which it was raised."""
    trace = None if error is None else error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)


def _named(about: Topic | Marker) -> str:
    match about:
        case Gap(topic=topic):
            return f"a gap in {topic}"
        case Repaired(topic=topic):
            return f"a repaired gap in {topic}"
        case Lifecycle(line=line, state=state):
            return f"{state!r} of {line}"
        case VenueState(line=line):
            return f"{str(about)!r} of the venue of {line}"
        case _:
            return str(about)
