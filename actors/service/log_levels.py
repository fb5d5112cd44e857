"""The levels of the log, changed while the service runs."""

from __future__ import annotations

import logging
import threading
from difflib import get_close_matches
from typing import Final, get_args

from actors import log_queue
from actors.service.responses import RequestDeclined
from actors.settings.schema import LogLevel

LEVELS: Final = get_args(LogLevel)
RESET: Final = "reset"  # in place of a level: the one from before the first change
LONGEST: Final = 86_400.0  # seconds
ROOT: Final = "actors"  # the logger above all of Linewarden's

log = log_queue.logger("actors.service")


class LogLevels:
    """Any thread may call. A change ends with its time, the next change of that logger, or `stop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: dict[str, int] = {}  # by logger: its level before the first change
        self._timers: dict[str, threading.Timer] = {}

    def change(self, level: str, name: str, seconds: float | None, by: str) -> None:
        """Sets the level of this logger, for so many seconds; None: until the process ends.

        Raises:
            RequestDeclined: there is no such level (400) or logger (404).
        """
        if level not in (*LEVELS, RESET):
            raise RequestDeclined(400, f"expected {', '.join(LEVELS)} or {RESET}, found {level[:40]!r}")
        known = {ROOT, *(each for each in logging.root.manager.loggerDict if each.startswith(f"{ROOT}."))}
        if name not in known:
            near = get_close_matches(name[:200], known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; {ROOT!r} is all of Linewarden"
            raise RequestDeclined(404, f"there is no logger {name[:200]!r}{hint}")
        with self._lock:
            self._cancel(name)
            if level == RESET:
                self._reset(name, by)
                return
            self._before.setdefault(name, logging.getLogger(name).level)
            span = "" if seconds is None else f" for {seconds:g} s"
            self._set(name, getattr(logging, level.upper()), f"{level}{span}, as {by} asked")
            if seconds is not None:
                timer = threading.Timer(seconds, self._due, (name,))
                timer.daemon, timer.name = True, "service/log-level"
                self._timers[name] = timer
                timer.start()

    def stop(self) -> None:
        """Every logger has the level from before."""
        with self._lock:
            for name in [*self._before]:
                self._cancel(name)
                self._reset(name, "the end of the service")

    def _due(self, name: str) -> None:
        with self._lock:
            if self._timers.get(name) is threading.current_thread():
                del self._timers[name]
                self._reset(name, "its time")

    def _cancel(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    def _reset(self, name: str, by: str) -> None:
        before = self._before.pop(name, None)
        if before is not None:
            word = logging.getLevelName(before).lower() if before else "that of its parent"
            self._set(name, before, f"{word} again, as {by} asked")

    def _set(self, name: str, level: int, words: str) -> None:
        """Logged while a warning passes, if one does at either level."""
        text = "The log level of %s is %s."
        logger = logging.getLogger(name)
        if logger.isEnabledFor(logging.WARNING):
            log.warning("log.level", text, name, words)
            logger.setLevel(level)
        else:
            logger.setLevel(level)
            log.warning("log.level", text, name, words)
