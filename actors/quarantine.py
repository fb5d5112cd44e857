"""Messages that nobody understood: kept raw, a few of them, so that a person can look."""

from __future__ import annotations

from collections import deque
from threading import RLock

from msgspec import Struct

from actors.blotter import Blotter

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

    def add(self, line: str, raw: bytes, error: str, at_ns: int, blotter: Blotter) -> None:
        """`blotter` knows the secrets of the line's feed: a venue may send back what it was sent."""
        text = blotter.strike(raw[:READ].decode("utf-8", "backslashreplace"), KEPT)
        put_aside = Quarantined(line, at_ns, blotter.strike(error), len(raw), text)
        with self._lock:
            self.count += 1
            self._newest.append(put_aside)

    def newest(self) -> tuple[Quarantined, ...]:
        with self._lock:
            return tuple(self._newest)
