"""Which ids a connection has brought lately."""

from __future__ import annotations

from collections.abc import Set
from hashlib import sha256

LONGEST = 128  # characters; of a longer id a digest is remembered
NONE: Set[str] = frozenset()


class RecentIds:
    """A memory of the newest ids: at least `size` of them, and at most twice as many."""

    __slots__ = ("_new", "_old", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._new: set[str] = set()
        self._old = NONE  # never changed

    def add(self, id: str) -> bool:
        """Returns whether it was not there."""
        if len(id) > LONGEST:
            id = sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
        new = self._new
        if id in new or id in self._old:
            return False
        new.add(id)
        if len(new) >= self._size:
            self._old, self._new = new, set()
        return True

    def copy(self) -> RecentIds:
        """Returns a copy. Another thread may use the original."""
        copy = RecentIds(self._size)
        copy._new, copy._old = self._new.copy(), self._old
        return copy
