"""What may be known of each topic without asking an actor.

Each part has one writer, and each value is replaced, never changed: the registry writes the state of the
subscription, the line's connection what it has last_events, the dispatcher for how long the topic was blind.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping

from actors.delivery.arrivals import Right
from actors.delivery.holder import Holder
from actors.delivery.last_events import LastEvents
from actors.events import Gap, SubscriptionState, Topic
from actors.rules.freshness import FreshnessPolicy
from actors.rules.journal import NO_REPAIRS, BlindTime, Repairs
from actors.rules.ledger import DESIRED
from actors.rules.venue_states import VenueStates

NEVER_BLIND = BlindTime()
NEVER_TOLD = VenueStates()


class Cell:
    """One topic that is wanted."""

    __slots__ = ("blind_since", "blind_time", "line", "moves", "policies", "subscription")

    def __init__(self) -> None:
        self.line: str | None = None  # the registry's; None: no line can take it
        self.moves = 0  # the registry's; how often that changed
        self.subscription: SubscriptionState = DESIRED  # the registry's
        self.blind_since: int | None = None  # the dispatcher's; wall-clock nanoseconds
        self.blind_time = NEVER_BLIND  # the dispatcher's; of interruptions that are over
        self.policies: tuple[FreshnessPolicy, ...] = ()  # the dispatcher's; those of streams, each once


class Cells:
    """The cells of all topics, and the last events of each line. Any thread may read; a read never waits."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._cells: dict[Topic, Cell] = {}
        self._lines: dict[str, dict[Topic, Cell]] = {}
        self._refused: dict[str, dict[Topic, Cell]] = {}  # by feed: wanted, and on no line
        self._last_events: dict[str, LastEvents] = {}  # by line
        self._gaps: dict[str, tuple[int, Gap | None]] = {}  # by line: how many, and the last one
        self._repairs: dict[str, Repairs] = {}  # by line
        self._venue_states: dict[str, VenueStates] = {}  # by line
        self._holders: dict[str, Holder] = {}  # by line; the last one

    # ── the registry's ──

    def place(self, topics: Iterable[Topic], line: str | None) -> None:
        """These are wanted, and lie on this line; None: on none."""
        with self._lock:
            for topic in topics:
                cell = self._cells.setdefault(topic, Cell())
                self._lift(topic, cell)
                cell.moves += cell.line != line
                cell.line = line
                if line is None:
                    self._refused.setdefault(topic.feed, {})[topic] = cell
                else:
                    self._lines.setdefault(line, {})[topic] = cell

    def remove(self, topics: Iterable[Topic]) -> None:
        """These are wanted no longer."""
        with self._lock:
            for topic in topics:
                cell = self._cells.pop(topic, None)
                if cell is not None:
                    self._lift(topic, cell)
                    cell.line = None

    def note_states(self, states: Mapping[Topic, SubscriptionState]) -> None:
        """These have come so far."""
        cells = self._cells
        for topic, state in states.items():
            if (cell := cells.get(topic)) is not None:
                cell.subscription = state

    def _lift(self, topic: Topic, cell: Cell) -> None:
        groups, name = (self._refused, topic.feed) if cell.line is None else (self._lines, cell.line)
        group = groups.get(name)
        if group is not None:
            group.pop(topic, None)
            if not group:
                del groups[name]

    # ── a connection's ──

    def publish(self, line: str, holder: Holder) -> None:
        """What this epoch shows is what is known of the line from now on."""
        with self._lock:
            if holder.right.valid:
                self._holders[line] = holder
                self._last_events[line] = holder.last_events
                self._venue_states[line] = holder.states

    def note_gaps(self, line: str, right: Right, count: int, last: Gap | None) -> None:
        with self._lock:
            if right.valid:
                self._gaps[line] = count, last

    def note_repairs(self, line: str, right: Right, repairs: Repairs) -> None:
        with self._lock:
            if right.valid:
                self._repairs[line] = repairs

    def forget_lines(self, feed: str) -> None:
        """The feed was removed."""
        with self._lock:
            for table in (self._last_events, self._gaps, self._repairs, self._venue_states, self._holders):
                for line in [line for line in table if line.partition("/")[0] == feed]:
                    del table[line]

    def take_over(self, line: str, *, copy: bool) -> LastEvents | None:
        """What the next holder begins with; a `copy`, where a former one may still write to its own."""
        with self._lock:
            last_events = self._last_events.get(line)
        return last_events.copy() if last_events is not None and copy else last_events

    # ── any thread's ──

    def get(self, topic: Topic) -> Cell | None:
        return self._cells.get(topic)

    def states(self, topics: Iterable[Topic]) -> dict[Topic, SubscriptionState]:
        """How far each of these has come; one that is not wanted has no state."""
        cells = self._cells
        return {topic: cell.subscription for topic in topics if (cell := cells.get(topic)) is not None}

    def topics_of(self, line: str) -> Collection[tuple[Topic, Cell]]:
        with self._lock:
            return tuple(self._lines.get(line, {}).items())

    def topics_of_feed(self, feed: str) -> Collection[Topic]:
        """Those on its lines, and those that no line can take."""
        with self._lock:
            return tuple(topic for topic in self._cells if topic.feed == feed)

    def lines(self) -> Collection[str]:
        """Those on which some topic lies."""
        with self._lock:
            return tuple(self._lines)

    def has_topics(self, line: str) -> bool:
        return line in self._lines

    def count(self, line: str) -> int:
        return len(self._lines.get(line, ()))

    def refused(self, feed: str) -> Collection[tuple[Topic, Cell]]:
        with self._lock:
            return tuple(self._refused.get(feed, {}).items())

    def last_events(self, line: str) -> LastEvents | None:
        return self._last_events.get(line)

    def last_events_of_feed(self, feed: str) -> tuple[LastEvents, ...]:
        """Of all lines of this feed."""
        with self._lock:
            return tuple(
                last_events
                for line, last_events in self._last_events.items()
                if line.partition("/")[0] == feed
            )

    def gaps(self, line: str) -> tuple[int, Gap | None]:
        return self._gaps.get(line, (0, None))

    def repairs(self, line: str) -> Repairs:
        return self._repairs.get(line, NO_REPAIRS)

    def venue_states(self, line: str) -> VenueStates:
        """What the venue has said of itself."""
        return self._venue_states.get(line, NEVER_TOLD)

    def holder(self, line: str) -> Holder | None:
        """The connection that delivers the line, or the last one that did: its right may be over."""
        return self._holders.get(line)

    def silent_since(self, topic: Topic) -> float:
        """Monotonic seconds of its last event, or from which its silence counts; 0: its line is not up."""
        cell = self._cells.get(topic)
        holder = None if cell is None or cell.line is None else self._holders.get(cell.line)
        settled_at = 0.0 if holder is None else holder.settled_at(topic)
        return max(settled_at, self.last_event_at(topic) or 0.0)

    def last_event_at(self, topic: Topic) -> float | None:
        """Monotonic seconds of its last event; None: there was none."""
        cell = self._cells.get(topic)
        last_events = None if cell is None or cell.line is None else self._last_events.get(cell.line)
        stamp = None if last_events is None else last_events.stamps.get(topic)
        return None if stamp is None else stamp.at
