"""From the states of lines to the restores that a program has yet to be told of."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from actors.events import Gap, Lifecycle, Received, Restored

DOWN = ("disconnected", "reconnecting", "failed", "paused")


class Outage(Struct, frozen=True):
    """The losses of a line that were not told yet."""

    since_ns: int
    losses: int
    reason: str


class Restorations:
    """Of the lines of one stream of lifecycle events, whose items it takes in their order.

    Restores of a line that were not told yet are one. A restore whose line was lost again is none: it is
    part of the next one.
    """

    def __init__(self) -> None:
        self._down: set[str] = set()  # lines that were lost, or may have been
        self._outages: dict[str, Outage] = {}  # by line
        self._due: dict[str, tuple[str, int, int]] = {}  # feed, epoch, time by line, the first one first
        self._guessed: set[str] = set()  # those of them whose last states were dropped

    def take(self, item: object) -> None:
        """One more event of the stream, or a marker."""
        match item:
            case Received(topic=topic, event=Lifecycle() as told):
                self._take(topic.feed, told)
            case Gap(topic=topic):  # the handler is slow: states of this line were dropped
                self._note_loss(topic.key, item.since_ns, "")
                self._down.add(topic.key)
                self._due[topic.key] = topic.feed, item.epoch, item.until_ns
                self._guessed.add(topic.key)

    def next(self, is_live: Callable[[str], bool]) -> Restored | None:
        """The restore that is to be told now, without its topics; None: there is none.

        Of a line whose last states were dropped, `is_live` tells whether it may be live. If it is not, its
        next `restored` is told.
        """
        for line, (feed, epoch, at_ns) in list(self._due.items()):
            del self._due[line]
            if line in self._guessed:
                self._guessed.discard(line)
                if not is_live(line):
                    continue
            outage = self._outages.pop(line)
            return Restored(feed, line, epoch, outage.since_ns, at_ns, outage.losses, outage.reason)
        return None

    def _take(self, feed: str, told: Lifecycle) -> None:
        line = told.line
        self._guessed.discard(line)
        if told.state in DOWN:
            self._due.pop(line, None)
            if line not in self._down:
                self._down.add(line)
                self._note_loss(line, told.at_ns, told.reason)
        elif told.state == "connected":  # for the first time
            self._down.discard(line)
            self._outages.pop(line, None)
            self._due.pop(line, None)
        elif told.state == "restored" and line in self._down:
            self._down.discard(line)
            self._outages.setdefault(line, Outage(told.at_ns, 1, ""))
            self._due[line] = feed, told.epoch, told.at_ns

    def _note_loss(self, line: str, since_ns: int, reason: str) -> None:
        known = self._outages.get(line, Outage(since_ns, 0, ""))
        self._outages[line] = Outage(min(known.since_ns, since_ns), known.losses + 1, reason or known.reason)
