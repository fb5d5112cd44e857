"""The newest prints of one key: each id once, and those that were cancelled are none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Final

from actors.protocol.bars import SECOND_NS, Print

MOST: Final = 20_000  # prints
_MINUTE: Final = 60 * SECOND_NS


class Tape:
    """Keeps prints for as long as it may be needed to count them again, by the minute in which they lie."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._count = 0
        self._minutes: dict[int, list[Print]] = {}
        self._ids: OrderedDict[Hashable, Print | None] = OrderedDict()  # None: it was cancelled
        self.forgotten_until_ns = 0  # from there on it has all that came

    def add(self, print: Print) -> bool:
        """Keeps it; returns False if one with its id has come before, or was cancelled."""
        if print.id is not None:
            if print.id in self._ids:
                return False
            self._note(print.id, print)
        minute = print.at_ns // _MINUTE
        kept = self._minutes.get(minute)
        if kept is None:
            kept = self._minutes[minute] = []
        kept.append(print)
        self._count += 1
        if self._count > self._most:
            self._forget()
        return True

    def cancel(self, id: Hashable) -> Print | None:
        """Takes a print out, and returns it; None: it is not kept, and will not be when it comes.

        Raises:
            KeyError: it was cancelled before.
        """
        print = self._ids.get(id)
        if print is None and id in self._ids:
            raise KeyError(id)
        self._note(id, None)
        if print is None:
            return None
        kept = self._minutes.get(print.at_ns // _MINUTE, [])
        for place, each in enumerate(kept):
            if each is print:
                del kept[place]
                self._count -= 1
                break
        return print

    def reaches(self, since_ns: int) -> bool:
        """Whether it has all prints that came, from this moment of the venue's time on."""
        return since_ns >= self.forgotten_until_ns

    def between(self, since_ns: int, until_ns: int) -> Iterator[Print]:
        """The prints of a time, in no order but that of their coming where they have the same time."""
        first, last = since_ns // _MINUTE, (until_ns - 1) // _MINUTE
        minutes: range | list[int] = range(first, last + 1)
        if len(minutes) > len(self._minutes):
            minutes = [each for each in sorted(self._minutes) if first <= each <= last]
        for minute in minutes:
            for each in self._minutes.get(minute, ()):
                if since_ns <= each.at_ns < until_ns:
                    yield each

    def _note(self, id: Hashable, print: Print | None) -> None:
        self._ids[id] = print
        if len(self._ids) > 2 * self._most:
            self._ids.popitem(last=False)

    def _forget(self) -> None:
        """The oldest minute."""
        oldest = min(self._minutes)
        gone = self._minutes.pop(oldest)
        self.forgotten_until_ns = max(self.forgotten_until_ns, (oldest + 1) * _MINUTE)
        self._count -= len(gone)
