"""Messages that were not delivered or not decoded, kept for people to look at; stacks of threads."""

from __future__ import annotations

import math
import sys
import threading
import time
import traceback
from collections import deque
from threading import RLock
from typing import Generic, TypeVar

from msgspec import Struct

from actors.login.redaction import Redactor
from actors.rules.collapse import Collapsed

LOGGED_EVERY = 60.0  # seconds between two records of one line about messages that could not be decoded
KEPT = 4_096  # characters of a message
READ = 64 * 1_024  # bytes of it that are looked at: a secret across the cut is struck out whole


Kept = TypeVar("Kept")


class Newest(Generic[Kept]):
    """All are counted, the newest few are kept to look at. Any thread."""

    def __init__(self, keep: int = 50) -> None:
        self.count = 0
        self._kept: deque[Kept] = deque(maxlen=keep)
        self._lock = RLock()  # the garbage collector may add one, or look, in the middle of an addition

    def newest(self) -> tuple[Kept, ...]:
        with self._lock:
            return tuple(self._kept)

    def _keep(self, item: Kept) -> None:
        with self._lock:
            self.count += 1
            self._kept.append(item)


class Quarantined(Struct, frozen=True):
    """One message put aside. `raw` is its beginning without our secrets, `size` its whole length in bytes."""

    line: str
    at_ns: int
    error: str
    size: int
    raw: str


class QuarantinedMessages(Newest[Quarantined]):
    """Messages of venues that could not be decoded. Each line logs their number now and then."""

    def __init__(self) -> None:
        super().__init__()
        self._unlogged: dict[str, Collapsed[str]] = {}  # errors, by line

    def add(self, line: str, raw: bytes, error: str, at_ns: int, redactor: Redactor) -> bool:
        """Whether it is the first of its line that waits to be logged.

        `redactor` knows the secrets of the line's feed: a venue may send back what it was sent.
        """
        text = redactor.redact(raw[:READ].decode("utf-8", "backslashreplace"), KEPT)
        error = redactor.words(error[:READ], KEPT)
        with self._lock:
            self._keep(Quarantined(line, at_ns, error, len(raw), text))
            return self._unlogged.setdefault(line, Collapsed(LOGGED_EVERY)).add(error)

    def take_unlogged(self, line: str, now: float) -> tuple[int, str] | None:
        """How many messages of this line are to be logged now, and the newest error; monotonic seconds."""
        with self._lock:
            return self._unlogged[line].take(now) if line in self._unlogged else None

    def log_due_at(self, line: str) -> float:
        """Monotonic seconds; infinity: nothing waits to be logged."""
        with self._lock:
            return self._unlogged[line].due_at if line in self._unlogged else math.inf


class DeadLetter(Struct, frozen=True):
    """A message that no actor took, or a failure that was not read. Only types are kept: no secrets."""

    to: str
    message: str
    why: str
    at_ns: int = 0  # wall clock


class DeadLetters(Newest[DeadLetter]):
    """Messages between actors that were not delivered. Occasional ones are harmless."""

    def add(self, to: str, message: object, why: str) -> None:
        """Of a `message`, its type is kept; a text is kept as it is."""
        shown = message if isinstance(message, str) else type(message).__name__
        self._keep(DeadLetter(to, shown, why, time.time_ns()))


def stack_of(thread: threading.Thread) -> str:
    """Where a thread stands now, as a traceback shows it."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return "(its thread has ended)"
    return "".join(traceback.format_stack(frame)).rstrip()
