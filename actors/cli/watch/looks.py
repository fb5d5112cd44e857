"""Looks at a running service again and again, on a thread of its own. A look that fails is told as well."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from msgspec import Struct, structs

from actors.display.escaping import printable
from actors.errors import LinewardenError
from actors.status import Status

LOOK: Final = 1.0  # seconds between an answer and the next question


class Service(Protocol):
    """What the view needs of a service. The calls raise `LinewardenError` with a sentence."""

    def status(self) -> Status: ...
    def post(self, path: str) -> bytes: ...


class Look(Struct, frozen=True):
    """What is known after a look. Times are seconds of the wall clock, but for `monotonic`."""

    at: float  # of this look
    status: Status  # the newest that could be read
    taken_at: float  # when it was read
    monotonic: float  # when it was read
    trouble: str = ""  # why looks fail at present, as a sentence; empty: they do not
    troubled_since: float = 0.0  # the first look that failed


def successful(status: Status) -> Look:
    """A look that has just succeeded."""
    now = time.time()
    return Look(now, status, now, time.monotonic())


def next_look(before: Look, ask: Callable[[], Status]) -> Look:
    """Asks once. It never raises: an error keeps the last status and becomes `trouble`."""
    try:
        return successful(ask())
    except Exception as error:
        now = time.time()
        since = before.troubled_since if before.trouble else now
        return structs.replace(before, at=now, trouble=sentence(error), troubled_since=since)


def sentence(error: Exception) -> str:
    """What happened, for people."""
    if isinstance(error, LinewardenError):
        return printable(str(error))
    if isinstance(error, msgspec.MsgspecError | RecursionError | UnicodeDecodeError):
        return "the service answers in the format of another version of Linewarden."
    return printable(f"{type(error).__name__}: {error}")


class Looks:
    """Looks until `stop`. `told` is called on the thread of the looks, after each one."""

    def __init__(self, ask: Callable[[], Status], told: Callable[[Look], object], first: Look) -> None:
        self._ask, self._told, self._look = ask, told, first
        self._ended = threading.Event()
        # A daemon: the end of the command does not wait for an answer that does not come.
        self._thread = threading.Thread(target=self._run, name="linewarden-looks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns at once; a look that is going on is not told."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(LOOK):
            self._look = next_look(self._look, self._ask)
            if not self._ended.is_set():
                self._told(self._look)
