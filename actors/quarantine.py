"""Messages that nobody understood: kept raw, a few of them, so that a person can look."""

from __future__ import annotations

from collections import deque
from threading import Lock

from msgspec import Struct

KEPT_BYTES = 4_096


class Quarantined(Struct, frozen=True):
    """One message put aside. `raw` is its beginning, `size` its whole length in bytes."""

    line: str
    at_ns: int
    error: str
    size: int
    raw: str


class Quarantine:
    """The newest few; all are counted. Any thread."""

    def __init__(self, keep: int = 50) -> None:
        self.count = 0
        self._lock = Lock()
        self._newest: deque[Quarantined] = deque(maxlen=keep)

    def add(self, line: str, raw: bytes, error: str, at_ns: int) -> None:
        with self._lock:
            self.count += 1
        text = raw[:KEPT_BYTES].decode("utf-8", "backslashreplace")
        self._newest.append(Quarantined(line, at_ns, error, len(raw), text))

    def newest(self) -> tuple[Quarantined, ...]:
        return tuple(self._newest)
