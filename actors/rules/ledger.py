"""Which subscriptions are wanted, by whom, and how far each has come in each epoch of its line.

Desired → sent → confirmed, or rejected. The wants are for ever; the states belong to one epoch and
end with it. A line may have two epochs at once, while one connection takes over from another; what
is reported of an epoch that the ledger does not know is late and changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from actors.events import SubscriptionState, Topic
from actors.protocol.placement import Bounds, Placement

STRIKES = 3  # ends of its line after which a topic is not asked for any more
CONFIG = 0  # the stream number under which the config wants its topics
DESIRED = SubscriptionState("desired")
SENT = SubscriptionState("sent")
CONFIRMED = SubscriptionState("confirmed")
ASSUMED = SubscriptionState("confirmed", assumed=True)


class Life:
    """One epoch of one line: what has been asked of it, and what it answered."""

    def __init__(self) -> None:
        self.states: dict[Topic, SubscriptionState] = {}
        self.waiting: dict[Topic, None] = {}  # desired and not yet sent, in order
        self.asked: dict[Topic, int] = {}  # how many times, since it was last answered
        self.turn = 0  # counts the askings of this life
        self.turns: dict[Topic, int] = {}  # in which of them a topic was last asked for
        self.asking: dict[Topic, int] = {}  # asked for, and the frame has not left
        self.unsettled: set[Topic] = set()  # desired or sent
        self.rejected: dict[Topic, None] = {}

    def desire(self, topic: Topic) -> None:
        self.states[topic] = DESIRED
        self.waiting[topic] = None
        self.unsettled.add(topic)
        self.rejected.pop(topic, None)

    def ask(self, topics: Iterable[Topic]) -> int:
        """The connection is told to ask for them; the number of this asking."""
        self.turn += 1
        for topic in topics:
            self.asking[topic] = self.turn
            self.unsettled.add(topic)
        return self.turn

    def send(self, topics: Iterable[Topic], turn: int, times: int | None = None) -> None:
        """The first frame of that asking leaves."""
        for topic in topics:
            self.states[topic] = SENT
            self.unsettled.add(topic)
            self.rejected.pop(topic, None)
            self.asking.pop(topic, None)
            self.asked[topic] = self.asked.get(topic, 0) + 1 if times is None else times
            self.turns[topic] = turn

    def answer(self, topic: Topic, state: SubscriptionState) -> None:
        self.states[topic] = state
        self.rejected.pop(topic, None)
        if state.state == "rejected":
            self.rejected[topic] = None
        self.unsettled.discard(topic)
        self.asked.pop(topic, None)
        self.turns.pop(topic, None)

    def forget(self, topic: Topic) -> None:
        self.states.pop(topic, None)
        self.waiting.pop(topic, None)
        self.asking.pop(topic, None)
        self.asked.pop(topic, None)
        self.turns.pop(topic, None)
        self.unsettled.discard(topic)
        self.rejected.pop(topic, None)

    def mend(self, topics: Collection[Topic]) -> None:
        """Of these, and of no others, each is asked for, answered, or waits to be asked for."""
        for topic in [topic for topic in self.states if topic not in topics]:
            self.forget(topic)
        self.waiting.clear()
        for topic in topics:
            state = self.states.setdefault(topic, DESIRED).state
            if state == "desired" and topic not in self.asking:
                self.waiting[topic] = None
            if state in {"desired", "sent"}:
                self.unsettled.add(topic)
            else:
                self.unsettled.discard(topic)

    def copy(self) -> Life:
        copy = Life()
        copy.states, copy.waiting = self.states.copy(), self.waiting.copy()
        copy.asked, copy.asking = self.asked.copy(), self.asking.copy()
        copy.turn, copy.turns = self.turn, self.turns.copy()
        copy.unsettled, copy.rejected = self.unsettled.copy(), self.rejected.copy()
        return copy


class Overdue(Struct, frozen=True):
    """What is to be done about topics that were not answered in time."""

    ask_again: tuple[Topic, ...]
    give_up: tuple[Topic, ...]  # asked twice: the line is of no use


class Ledger:
    """What the registry keeps. One keeper at a time changes it, under the lease of its role."""

    def __init__(self) -> None:
        self._wants: dict[Topic, set[int]] = {}  # topic: the streams that want it; 0 is the config
        self._placed: dict[str, Placement] = {}  # feed: its lines that have topics
        self._numbers: dict[Topic, int] = {}  # of their placements
        self._placements = 0
        self._lives: dict[str, dict[int, Life]] = {}
        # Feed: wanted, and no line can take them: why. A dict is slow to find its first after many have left.
        self._refused: dict[str, OrderedDict[Topic, str]] = {}
        self._barred: dict[Topic, str] = {}  # rejected in each life of their line, until a person acts: why
        self._strikes: dict[Topic, int] = {}  # how often these ended their line

    def copy(self) -> Ledger:
        """What another keeper goes on with, where a former one hangs over this. Any thread.

        Each dict is copied in one step of the interpreter before it is walked.
        """
        copy = Ledger()
        copy._wants = {topic: wants.copy() for topic, wants in self._wants.copy().items()}
        copy._placed = {feed: placed.copy() for feed, placed in self._placed.copy().items()}
        copy._refused = {feed: refused.copy() for feed, refused in self._refused.copy().items()}
        copy._barred, copy._strikes = self._barred.copy(), self._strikes.copy()
        copy._numbers, copy._placements = self._numbers.copy(), self._placements
        copy._lives = {
            line: {epoch: life.copy() for epoch, life in lives.copy().items()}
            for line, lives in self._lives.copy().items()
        }
        return copy

    def mend(self) -> tuple[list[Topic], list[Topic]]:
        """A former keeper may have stopped in the middle of a change: what depends on the rest is rebuilt.

        Returns the topics that are wanted and lie nowhere, and those that lie on a line and are not wanted.
        """
        self._placed = {feed: placed.copy() for feed, placed in self._placed.items()}
        for topic in [
            topic for topic, wants in self._wants.items() if not wants and self.line(topic) is None
        ]:
            del self._wants[topic]
        for line, lives in self._lives.items():
            for life in lives.values():
                life.mend(self.topics(line))
        lost = [topic for topic in self._wants if self.line(topic) is None and not self.is_refused(topic)]
        orphans = [
            topic
            for placed in self._placed.values()
            for topics in placed.values()
            for topic in topics
            if not self._wants.setdefault(topic, set())
        ]
        return lost, orphans

    def keep_only(self, epochs: Mapping[str, Collection[int]]) -> None:
        """Forget the lives that have ended without the former keeper's knowledge."""
        for line, lives in list(self._lives.items()):
            for epoch in [epoch for epoch in lives if epoch not in epochs.get(line, ())]:
                del lives[epoch]

    # ── what is wanted ──

    def want(self, stream: int, topic: Topic) -> bool:
        """Whether no stream wanted it before: then it has to be placed."""
        wants = self._wants.setdefault(topic, set())
        wants.add(stream)
        return self.line(topic) is None

    def place(self, topic: Topic, line: str, bounds: Bounds = ()) -> None:
        """It lies on this line from now on; every open epoch of the line has it to send."""
        self._placements += 1
        self._numbers[topic] = self._placements
        for life in self._lives.get(line, {}).values():
            life.desire(topic)
        self._not_refused(topic)  # first: a keeper that dies behind it is followed by one that finds it lost
        self.placed(topic.feed).add(topic, line, bounds)

    def refuse(self, topic: Topic, reason: str) -> None:
        """No line can take it now."""
        self._refused.setdefault(topic.feed, OrderedDict())[topic] = reason

    def refused(self, feed: str) -> tuple[Topic, ...]:
        """What waits for room on the lines of this feed, in the order of wanting."""
        return tuple(self._refused.get(feed, ()))

    def first_refused(self, feed: str) -> Topic | None:
        return next(iter(self._refused.get(feed, ())), None)

    def is_refused(self, topic: Topic) -> bool:
        return bool(self._refused) and topic in self._refused.get(topic.feed, ())

    def _not_refused(self, topic: Topic) -> None:
        refused = self._refused.get(topic.feed)
        if refused is not None and refused.pop(topic, None) is not None and not refused:
            del self._refused[topic.feed]

    def is_last(self, stream: int, topic: Topic) -> bool:
        """Whether no other stream wants it."""
        wants = self._wants.get(topic)
        return wants is not None and wants <= {stream}

    def unwant(self, stream: int, topic: Topic) -> str | None:
        """The line it lay on, if it is no longer wanted; None: it still is."""
        wants = self._wants.get(topic)
        if wants is None:
            return None
        wants.discard(stream)
        if wants:
            return None
        self._not_refused(topic)
        line = self.line(topic)
        for life in self._lives.get(line or "", {}).values():
            life.forget(topic)
        self.placed(topic.feed).remove(topic)
        self._numbers.pop(topic, None)
        self._barred.pop(topic, None)
        self._strikes.pop(topic, None)
        del self._wants[topic]  # last: a keeper that dies before is followed by one that does it again
        return line

    def wanted(self) -> tuple[Topic, ...]:
        return tuple(self._wants)

    def count(self, topic: Topic) -> int:
        """How many want it."""
        return len(self._wants.get(topic, ()))

    def streams(self, topics: Iterable[Topic]) -> dict[Topic, frozenset[int]]:
        """The streams that want each of these."""
        return {topic: frozenset(self._wants.get(topic, ())) for topic in topics}

    def line(self, topic: Topic) -> str | None:
        return self.placed(topic.feed).line_of(topic)

    def topics(self, line: str) -> tuple[Topic, ...]:
        return tuple(self._on(line))

    def has_topics(self, line: str) -> bool:
        return bool(self._on(line))

    def _on(self, line: str) -> Collection[Topic]:
        """The topics of a line, in the order of wanting."""
        return self.placed(line.partition("/")[0]).get(line, ())

    def numbers(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        """The placements of those of them that lie on a line."""
        return {topic: number for topic in topics if (number := self._numbers.get(topic)) is not None}

    def placed(self, feed: str) -> Placement:
        """The lines of a feed that have topics, with these in the order of wanting, as they are now."""
        placed = self._placed.get(feed)
        if placed is None:
            placed = self._placed[feed] = Placement(feed)
        return placed

    # ── a life of a line ──

    def open(self, line: str, epoch: int) -> tuple[Topic, ...]:
        """The line is logged in: everything that lies on it is to be sent, but what is barred.

        Returns the barred topics, which are rejected. Asked twice, once is done.
        """
        lives = self._lives.setdefault(line, {})
        if epoch in lives:
            return ()
        life = lives[epoch] = Life()
        for topic in self._on(line):
            life.desire(topic)
        barred = tuple(topic for topic in self._barred if topic in life.states)
        for topic in barred:
            life.waiting.pop(topic, None)
            life.answer(topic, SubscriptionState("rejected", reason=self._barred[topic]))
        return barred

    def bar(self, line: str, topics: Iterable[Topic], reason: str, *, at_once: bool) -> tuple[Topic, ...]:
        """They ended their line. Those that will be rejected in its later lives, without being asked for.

        Unless `at_once`, that takes as many ends as `STRIKES`.
        """
        mine = [topic for topic in topics if self.line(topic) == line]
        for topic in mine:
            self._strikes[topic] = self._strikes.get(topic, 0) + 1
        barred = tuple(topic for topic in mine if at_once or self._strikes[topic] >= STRIKES)
        self._barred.update(dict.fromkeys(barred, reason))
        return barred

    def lift_bars(self, line: str) -> None:
        """The next life of this line asks for everything."""
        for topics in (self._barred, self._strikes):
            for topic in [topic for topic in topics if self.line(topic) == line]:
                topics.pop(topic)

    def close(self, line: str, epoch: int) -> None:
        self._lives.get(line, {}).pop(epoch, None)

    def next_batch(self, line: str, epoch: int, size: int) -> tuple[Topic, ...]:
        """The next topics to ask for, in the order of wanting; `sent` is told when their frames leave."""
        life = self._life(line, epoch)
        if life is None:
            return ()
        batch: list[Topic] = []
        taken: list[Topic] = []
        for topic in life.waiting:
            if len(batch) == size:
                break
            taken.append(topic)
            if self._is_due(life, topic):
                batch.append(topic)
        for topic in taken:
            del life.waiting[topic]
        life.ask(batch)
        return tuple(batch)

    def send(self, line: str, epoch: int, topics: Iterable[Topic], turn: int) -> tuple[Topic, ...]:
        """The first frame of that asking leaves. Those that were still to be asked for by it."""
        life = self._life(line, epoch)
        if life is None:
            return ()
        sent = tuple(topic for topic in topics if life.asking.get(topic) == turn)
        life.send(sent, turn)
        return sent

    def has_more(self, line: str, epoch: int) -> bool:
        life = self._life(line, epoch)
        if life is None:
            return False
        return any(self._is_due(life, topic) for topic in life.waiting)

    def _is_due(self, life: Life, topic: Topic) -> bool:
        return life.states.get(topic) == DESIRED and topic not in life.asking

    def confirm(self, line: str, epoch: int, topics: Iterable[Topic], *, assumed: bool) -> tuple[Topic, ...]:
        """Those of them that this changed. An assumption never overrules an answer.

        What is not sent yet has no answer: this one is to an earlier wish, taken back meanwhile.
        """
        life = self._life(line, epoch)
        if life is None:
            return ()
        changed = [
            topic
            for topic in topics
            if (state := life.states.get(topic)) is not None
            and state not in {DESIRED, CONFIRMED}
            and not (assumed and state.state in {"confirmed", "rejected"})
        ]
        for topic in changed:
            life.answer(topic, ASSUMED if assumed else CONFIRMED)
        return tuple(changed)

    def reject(self, line: str, epoch: int, topics: Iterable[Topic], reason: str) -> tuple[Topic, ...]:
        """Those of them that are wanted here and have been sent."""
        life = self._life(line, epoch)
        if life is None:
            return ()
        known = tuple(topic for topic in topics if life.states.get(topic, DESIRED) != DESIRED)
        for topic in known:
            life.answer(topic, SubscriptionState("rejected", reason=reason))
        return known

    def resent(self, line: str, epoch: int, topics: Iterable[Topic], turn: int) -> tuple[Topic, ...]:
        """The session sent these again by itself: they wait for a new answer."""
        life = self._life(line, epoch)
        if life is None:
            return ()
        known = tuple(topic for topic in topics if topic in life.states)
        life.send(known, turn, times=1)
        return known

    def ask_again(self, line: str, epoch: int, topics: Iterable[Topic]) -> None:
        """Rejected for a while, and the while is over."""
        life = self._life(line, epoch)
        if life is None:
            return
        for topic in topics:
            if topic in life.states and life.states[topic].state == "rejected":
                life.desire(topic)

    def asking(self, line: str, epoch: int) -> dict[int, list[Topic]]:
        """By asking: what was asked for, and its frames have not left as far as is known."""
        life, by_turn = self._life(line, epoch), dict[int, list[Topic]]()
        for topic, turn in life.asking.items() if life is not None else ():
            by_turn.setdefault(turn, []).append(topic)
        return by_turn

    def turn(self, line: str, epoch: int) -> int:
        """The number of the last asking in this life."""
        life = self._life(line, epoch)
        return life.turn if life is not None else 0

    def overdue(self, line: str, epoch: int, topics: Iterable[Topic], turn: int) -> Overdue:
        """Those still unanswered that were last asked for then; once more they may be, not twice."""
        life = self._life(line, epoch)
        if life is None:
            return Overdue((), ())
        ask_again: list[Topic] = []
        give_up: list[Topic] = []
        for topic in topics:
            if life.states.get(topic) == SENT and life.turns.get(topic) == turn:
                (give_up if life.asked.get(topic, 0) > 1 else ask_again).append(topic)
        return Overdue(tuple(ask_again), tuple(give_up))

    def ask_once_more(self, line: str, epoch: int, topics: Iterable[Topic]) -> int:
        """They are asked for a second time; the number of that asking."""
        life = self._life(line, epoch)
        return 0 if life is None else life.ask(topics)

    def settled(self, line: str, epoch: int) -> bool:
        """Whether every desired topic of this life is confirmed or rejected."""
        life = self._life(line, epoch)
        return life is not None and not life.unsettled

    def unanswered(self, line: str, epoch: int) -> tuple[Topic, ...]:
        """Sent, and not yet confirmed or rejected."""
        life = self._life(line, epoch)
        if life is None:
            return ()
        return tuple(topic for topic in life.unsettled if life.states.get(topic) == SENT)

    def lines(self) -> tuple[str, ...]:
        """Every line that has or had topics, or lives."""
        having = (line for placed in self._placed.values() for line in placed)
        return tuple(dict.fromkeys((*having, *self._lives)))

    def open_epochs(self, line: str) -> tuple[int, ...]:
        return tuple(self._lives.get(line, ()))

    # ── for people ──

    def state(self, topic: Topic) -> SubscriptionState | None:
        """In the present epoch of its line; `desired` where it has none; None: it is not wanted."""
        if topic not in self._wants:
            return None
        if self.is_refused(topic):
            return SubscriptionState("rejected", reason=self._refused[topic.feed][topic])
        lives = self._lives.get(self.line(topic) or "", {})
        if not lives:
            return DESIRED
        return lives[min(lives)].states.get(topic, DESIRED)  # a later one is a candidate's

    def states(self, topics: Iterable[Topic]) -> dict[Topic, SubscriptionState]:
        """How far each of them has come; those that are not wanted are left out."""
        states: dict[Topic, SubscriptionState] = {}
        known: dict[str | None, Mapping[Topic, SubscriptionState]] = {}  # by line: its present life's
        for topic in topics:
            if topic in self._wants and not self.is_refused(topic):
                line = self.line(topic)
                if line not in known:
                    lives = self._lives.get(line or "", {})
                    known[line] = lives[min(lives)].states if lives else {}
                states[topic] = known[line].get(topic, DESIRED)
            elif (state := self.state(topic)) is not None:
                states[topic] = state
        return states

    def worse(self, line: str, epoch: int, present: int) -> tuple[Topic, ...]:
        """What the venue confirmed in the present epoch, and refused in this one."""
        life, other = self._life(line, epoch), self._life(line, present)
        if life is None or other is None:
            return ()
        states = other.states
        return tuple(topic for topic in life.rejected if states.get(topic, DESIRED).state == "confirmed")

    def _life(self, line: str, epoch: int) -> Life | None:
        return self._lives.get(line, {}).get(epoch)
