"""Messages that nobody understood: kept raw, a few of them, so that a person can look."""

from __future__ import annotations

import sys
import threading
import traceback
from collections import deque
from threading import RLock

from msgspec import Struct
from pykka.messages import ProxyCall

from actors.login.redaction import Redactor

KEPT = 4_096  # characters of a message
READ = 64 * 1_024  # bytes of it that are looked at: a secret across the cut is struck out whole


class Quarantined(Struct, frozen=True):
    """One message put aside. `raw` is its beginning without our secrets, `size` its whole length in bytes."""

    line: str
    at_ns: int
    error: str
    size: int
    raw: str


class Quarantine:
    """The newest few; all are counted. Any thread."""

    def __init__(self, keep: int = 50) -> None:
        self.count = 0
        self._lock = RLock()  # the garbage collector may look in the middle of an `add`
        self._newest: deque[Quarantined] = deque(maxlen=keep)

    def add(self, line: str, raw: bytes, error: str, at_ns: int, redactor: Redactor) -> None:
        """`redactor` knows the secrets of the line's feed: a venue may send back what it was sent."""
        text = redactor.redact(raw[:READ].decode("utf-8", "backslashreplace"), KEPT)
        put_aside = Quarantined(line, at_ns, redactor.redact(error), len(raw), text)
        with self._lock:
            self.count += 1
            self._newest.append(put_aside)

    def newest(self) -> tuple[Quarantined, ...]:
        with self._lock:
            return tuple(self._newest)


class DeadLetter(Struct, frozen=True):
    """A message that nobody took, or a failure that nobody read. Only types are kept: no secrets."""

    to: str
    message: str
    why: str


class DeadLetters:
    """Counted, and the newest kept to look at. Any thread."""

    def __init__(self, keep: int = 50) -> None:
        self.count = 0
        self._newest: deque[DeadLetter] = deque(maxlen=keep)
        self._lock = threading.RLock()  # the garbage collector may add one in the middle of another

    def add(self, to: str, message: object, why: str) -> None:
        with self._lock:
            self.count += 1
            self._newest.append(DeadLetter(to, _name(message), why))

    def newest(self) -> tuple[DeadLetter, ...]:
        with self._lock:
            return tuple(self._newest)


def _name(message: object) -> str:
    if isinstance(message, str):
        return message
    if isinstance(message, ProxyCall):
        return ".".join(message.attr_path)
    return type(message).__name__


def stack_of(thread: threading.Thread) -> str:
    """Where a thread stands now, as a traceback shows it."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return "(its thread has ended)"
    return "".join(traceback.format_stack(frame)).rstrip()
