"""Log records, and calls of objects that belong to the program, on a thread that may wait.

    log = log_queue.logger("actors.supervisor")
    log.warning("line.lost", "%s: %s", line, text, line=line, epoch=3)

Each record has an `event` (`log_events.py`), and where it concerns one, `line`, `epoch` and `feed`.
The caller makes the record, if the ordinary logger of that name wants its level: time, thread and traceback
are those of the call. The arguments must not change afterwards. The queue's thread gives the records, in
their order, to the ordinary logger, with the filters and handlers of the program. So no actor waits for a
handler that writes into a full pipe, or that asks the runtime. No handler is installed.

A process has one queue and at most one such thread. The thread starts with the first record and ends after
a second without work. A full queue drops what is new, counts it, and reports the count in a record. One line
takes a tenth of it at most: a storm of its records drops those of no other.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict, Unpack

from actors.log_events import LogEvent

THREAD = "linewarden/log"
BOUND = 10_000  # records and calls that wait
SHARE = 1_000  # records of one line among them
LINGER = 1.0  # seconds without work after which the thread ends
AT_EXIT = 1.0  # seconds for what waits when the program ends

Job = Callable[[], object]


class LogQueue:
    """A bounded queue of jobs, and the thread that does them. Any thread may call, and signal handlers."""

    def __init__(self, bound: int = BOUND, linger: float = LINGER, share: int = SHARE) -> None:
        self._bound, self._linger, self._share = bound, linger, share
        self.dropped = 0  # jobs, ever
        self.reset()

    def reset(self) -> None:
        """Begin with an empty queue; so does a forked child, which has no copy of the thread."""
        self._lock = threading.RLock()  # for bookkeeping alone; signal handlers and finalisers re-enter it
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._missed = 0  # dropped, and not reported
        self._waiting: dict[str, int] = {}  # jobs by their line

    def put(self, job: Job, line: str = "") -> None:
        """Do this on the queue's thread; returns at once. A full queue, or a line's full share, drops it."""
        with self._lock:
            if self._jobs.qsize() >= self._bound or self._waiting.get(line, 0) >= self._share:
                self.dropped += 1
                self._missed += 1
                return
            if line:
                self._waiting[line] = self._waiting.get(line, 0) + 1
                job = partial(self._do_for, line, job)
            if self._missed:
                self._jobs.put(self._report())
            self._jobs.put(job)
            self._has_thread()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is done; False: `timeout` seconds were not enough.

        Returns at once on the queue's own thread. If the machine gives no thread, the caller does the work.
        """
        done = threading.Event()
        with self._lock:
            if self._thread is threading.current_thread() or (self._thread is None and self._jobs.empty()):
                return True
            self._jobs.put(done.set)
            has_thread = self._has_thread()
        if not has_thread:
            self._work(linger=0.0)
        return done.wait(None if timeout > threading.TIMEOUT_MAX else timeout)

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._work, args=(self._linger,), name=THREAD, daemon=True)
            self._thread = thread  # before it runs: a signal handler that logs now must not start another
            try:
                thread.start()
            except RuntimeError:  # out of threads; the next record asks again
                self._thread = None
        return self._thread is not None

    def _do_for(self, line: str, job: Job) -> None:
        with self._lock:
            self._waiting[line] -= 1
            if not self._waiting[line]:
                del self._waiting[line]
        job()

    def _work(self, linger: float) -> None:
        while (job := self._next(linger)) is not None:
            try:
                job()
            except BaseException:  # of a handler or a filter; logging reports such on stderr, too
                logging.Handler().handleError(logging.makeLogRecord({"msg": str(job)}))
            del job  # a record may hold a traceback, and that its frames

    def _next(self, linger: float) -> Job | None:
        """The next job; None: there is none, and the next `put` starts another thread."""
        with contextlib.suppress(queue.Empty):
            return self._jobs.get(timeout=linger) if linger else self._jobs.get_nowait()
        with self._lock:  # nothing is put now
            with contextlib.suppress(queue.Empty):
                return self._jobs.get_nowait()
            if self._missed:
                return self._report()
            if self._thread is threading.current_thread():
                self._thread = None
        return None

    def _report(self) -> Job:
        missed, self._missed = self._missed, 0
        text = "Log records or metrics were dropped, %d of them: their handler is too slow."
        return partial(_ordinary.warning, text, missed, extra={"event": "log.dropped"})


class QueuedLogger(logging.Logger):
    """Logs as the ordinary logger of this name does, on the queue's thread. Set levels on that one."""

    def __init__(self, name: str, jobs: LogQueue) -> None:
        super().__init__(name)
        self._ordinary, self._jobs = logging.getLogger(name), jobs

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return self._ordinary.isEnabledFor(level)

    def getEffectiveLevel(self) -> int:  # noqa: N802
        return self._ordinary.getEffectiveLevel()

    def handle(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            record.exc_text = _formatter.formatException(record.exc_info)
        self._jobs.put(partial(self._ordinary.handle, record), getattr(record, "line", ""))


class Place(TypedDict, total=False):
    """What a record concerns. Without a `feed` it has that of its line."""

    line: str
    epoch: int
    feed: str


class About(Place, total=False):
    """The same, and what records that differ in their numbers have in common."""

    cause: str


class EventLogger:
    """Logs records with an event, and with what they concern as attributes. Any thread may call."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: LogEvent, text: str, *args: object, **about: Unpack[About]) -> None:
        self._write(logging.DEBUG, event, text, args, about)

    def info(self, event: LogEvent, text: str, *args: object, **about: Unpack[About]) -> None:
        self._write(logging.INFO, event, text, args, about)

    def warning(self, event: LogEvent, text: str, *args: object, **about: Unpack[About]) -> None:
        self._write(logging.WARNING, event, text, args, about)

    def error(self, event: LogEvent, text: str, *args: object, **about: Unpack[About]) -> None:
        self._write(logging.ERROR, event, text, args, about)

    def critical(self, event: LogEvent, text: str, *args: object, **about: Unpack[About]) -> None:
        self._write(logging.CRITICAL, event, text, args, about)

    def exception(self, event: LogEvent, text: str, *args: object, **about: Unpack[About]) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, text, args, about, exc_info=True)

    def log(self, level: int, event: LogEvent, text: str, *args: object, **about: Unpack[About]) -> None:
        self._write(level, event, text, args, about)

    def traced(
        self, level: int, event: LogEvent, text: str, *args: object, error: Any, **about: Unpack[About]
    ) -> None:
        """With the traceback of `error`, which is what `exc_info` may be."""
        self._write(level, event, text, args, about, exc_info=error)

    def _write(
        self,
        level: int,
        event: LogEvent,
        text: str,
        args: tuple[object, ...],
        about: About,
        exc_info: Any = None,
    ) -> None:
        if self._logger.isEnabledFor(level):
            feed = about.get("feed") or about.get("line", "").partition("/")[0] or None
            extra = {**about, "event": event, "feed": feed}
            self._logger.log(level, text, *args, exc_info=exc_info, stacklevel=3, extra=extra)


_ordinary = logging.getLogger("actors.log_queue")
_formatter = logging.Formatter()
_queue = LogQueue()
atexit.register(_queue.flush, AT_EXIT)  # before the end of logging, which was registered before
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_queue.reset)


def queued(name: str) -> logging.Logger:
    """Returns the logger of this name that never waits for a handler, for records of another library."""
    return QueuedLogger(name, _queue)


def logger(name: str) -> EventLogger:
    """Returns the logger of this name for an actor: it never waits for a handler."""
    return EventLogger(queued(name))


def call_later(job: Job) -> None:
    """Do this on the queue's thread, behind what was logged before. A full queue drops it."""
    _queue.put(job)


def flush(timeout: float) -> bool:
    """Wait until what this process has logged so far is handled; False: it is not after `timeout` seconds."""
    return _queue.flush(timeout)


def levels() -> dict[str, str]:
    """Returns the levels of Linewarden's loggers that have one of their own, by name."""
    found = logging.root.manager.loggerDict.copy()
    return {
        name: logging.getLevelName(logger.level).lower()
        for name, logger in sorted(found.items())
        if isinstance(logger, logging.Logger) and logger.level and f"{name}.".startswith("actors.")
    }


def dropped() -> int:
    """Returns how many records and calls this process has dropped."""
    return _queue.dropped
