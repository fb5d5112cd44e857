"""The subscriptions that are wanted, replayed to every new connection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from actors import log_queue
from actors.actor import Actor, ActorContext, KeptReply, Lease
from actors.delivery.cells import Cells
from actors.events import Topic
from actors.feed_spec import FeedSpec
from actors.messages import (
    AckOverdue,
    AskAgain,
    AwaitAnswers,
    ConfirmAssumed,
    EndConnection,
    LiftBars,
    LineLost,
    LineNeeded,
    LineSettled,
    LineUnneeded,
    LineUnsettled,
    ReplayNext,
    RoleStarted,
    SendSubscriptions,
    SendUnsubscriptions,
    SessionOpened,
    Subscribe,
    TopicsConfirmed,
    TopicsLifted,
    TopicsPlaced,
    TopicsRejected,
    TopicsResent,
    TopicsSent,
    TopicsTooLarge,
    Unsubscribe,
    WantsPlaced,
)
from actors.protocol.placement import Bounds, Placement
from actors.protocol.venue import Refusal, Venue
from actors.reasons import Retryable
from actors.rules.ledger import CONFIG, Ledger

log = log_queue.logger("actors.registry")

ANSWERED = ("confirmed", "rejected")
BATCH = 500  # topics of one letter


class Waiter:
    """A question that waits for answers, and the topics that had none at the last look, the next one last."""

    def __init__(self, topics: tuple[Topic, ...], reply: KeptReply) -> None:
        self.topics, self.reply = topics, reply
        self.waiting = [*topics]


class Registry(Actor):
    """Keeps the ledger that is lent to it, and asks connections to bring the venue in line with it."""

    def __init__(
        self,
        context: ActorContext[Lease],
        *,
        ledger: Ledger,
        cells: Cells,
        feeds: Mapping[str, FeedSpec],
        present: Callable[[], Collection[str]],
    ) -> None:
        super().__init__(context)
        self._lease = context.inbox
        self._ledger = ledger
        self._cells = cells
        self._feeds = feeds  # with those that were removed
        self._present = present  # the feeds that the config has now
        self._supervisor, self._dispatcher = self.address("supervisor"), self.address("dispatcher")
        self._settled: dict[tuple[str, int], bool] = {}  # whether we last called that life settled
        self._waiters: dict[Topic, list[Waiter]] = {}  # by the one topic whose answer each waits for next
        self._changed: list[Topic] = []  # some wait for these, and look again at the end of this letter
        self._going_on: set[tuple[str, int]] = set()  # lives with a ReplayNext on its way

    def on_receive(self, message: Any) -> None:
        match message:
            case TopicsConfirmed(line=line, epoch=epoch):
                with self._lease:
                    changed = self._ledger.confirm(line, epoch, message.topics, assumed=message.assumed)
                    self._publish(changed)
                self._update_live(line, epoch)
            case TopicsRejected(line=line, epoch=epoch):
                self._reject(message)
            case TopicsSent(line=line, epoch=epoch, topics=topics, asking=asking):
                with self._lease:
                    self._publish(self._ledger.send(line, epoch, topics, asking))
            case TopicsResent(line=line, epoch=epoch, topics=topics, asking=asking):
                with self._lease:
                    self._publish(self._ledger.resent(line, epoch, topics, asking))
                self._update_live(line, epoch)
            case TopicsTooLarge() | LiftBars():
                self._change_bars(message)
            case SessionOpened(line=line, epoch=epoch):
                with self._lease:
                    self._publish(self._ledger.open(line, epoch))
                self._send_next(line, epoch)
                self._place_refused(line.partition("/")[0])  # a reload may have allowed for more lines
            case LineLost(line=line, epoch=epoch):
                with self._lease:
                    self._ledger.close(line, epoch)
                    self._publish(self._ledger.topics(line))
                self._settled.pop((line, epoch), None)
            case ReplayNext(line=line, epoch=epoch, keeper=keeper):
                if keeper == self.incarnation:
                    self._going_on.discard((line, epoch))
                    self._send_next(line, epoch)
            case AckOverdue():
                self._overdue(message)
            case AskAgain(line=line, epoch=epoch, topics=topics):
                with self._lease:
                    self._ledger.ask_again(line, epoch, topics)
                    self._publish(topics)
                self._send_next(line, epoch)
            case Subscribe(stream=stream, topics=topics, asking=asking):
                self._want(stream, topics, asking)
            case Unsubscribe(stream=stream, topics=topics):
                self._unwant(stream, topics)
            case AwaitAnswers(topics=topics):
                self._wait_on(Waiter(topics, self.keep_reply()))
            case RoleStarted():
                self._take_over()
            case _:
                self.unknown(message)
        self._tell_waiters()

    def _publish(self, topics: Collection[Topic]) -> None:
        """How far these have come is there for all to see."""
        self._lease.check()
        self._cells.note_states(self._ledger.states(topics))
        for topic in topics if self._waiters else ():
            self._note_change(topic)

    # ── what is wanted ──

    def _want(self, stream: int, topics: Sequence[Topic], asking: int) -> None:
        """The topics of a feed that the config no longer has are refused."""
        feeds = self._present()
        gone = tuple(topic for topic in topics if topic.feed not in feeds)
        with self._lease:
            new = [topic for topic in topics if topic.feed in feeds and self._ledger.want(stream, topic)]
        self._place(new)
        if asking:
            for line, placed in self._by_line(topics).items():
                self._tell_placed(line, placed, dict.fromkeys(placed, (stream,)))
            self._dispatcher.tell(WantsPlaced(asking, gone))

    def _by_line(self, topics: Iterable[Topic]) -> dict[str, list[Topic]]:
        """Those of the topics that lie on a line."""
        by_line: dict[str, list[Topic]] = {}
        for topic in topics:
            if (line := self._ledger.line(topic)) is not None:
                by_line.setdefault(line, []).append(topic)
        return by_line

    def _place(self, topics: Iterable[Topic]) -> None:
        by_line: dict[str, list[Topic]] = {}
        for topic in topics:
            placed = self._ledger.placed(topic.feed)
            venue = self._feeds[topic.feed].venue
            found = _place(venue, topic, placed)
            if isinstance(found, Refusal):
                self._refuse(topic, found.reason)
                continue
            line, bounds = found
            if line not in placed:
                self._supervisor.tell(LineNeeded(topic.feed, line))
            with self._lease:
                self._ledger.place(topic, line, bounds)
                self._cells.place((topic,), line)
            by_line.setdefault(line, []).append(topic)
        for line, placed_now in by_line.items():
            self._publish(placed_now)
            self._tell_placed(line, placed_now, self._ledger.streams(placed_now))
            for epoch in self._ledger.open_epochs(line):
                self._send_next(line, epoch)

    def _tell_placed(
        self, line: str, topics: Collection[Topic], streams: Mapping[Topic, Collection[int]]
    ) -> None:
        self._dispatcher.tell(TopicsPlaced(line, self._ledger.numbers(topics), streams))

    def _refuse(self, topic: Topic, reason: str) -> None:
        if not self._ledger.is_refused(topic):
            log.warning(
                "topic.refused", "%s: no line can take %s: %s", topic.feed, topic, reason, feed=topic.feed
            )
        with self._lease:
            self._ledger.refuse(topic, reason)
            self._cells.place((topic,), None)
            self._publish((topic,))

    def _place_refused(self, feed: str) -> None:
        """In the order of wanting, until there is no room again."""
        former: Topic | None = None
        while (topic := self._ledger.first_refused(feed)) not in (None, former):
            self._place((topic,))
            former = topic

    def _unwant(self, stream: int, topics: Sequence[Topic]) -> None:
        gone = [topic for topic in topics if self._ledger.is_last(stream, topic)]
        by_line = self._by_line(gone)
        # Told first, and then noted: a keeper that dies is followed by one that tells it again.
        for line, lifted in by_line.items():
            for epoch in self._ledger.open_epochs(line):
                self.connection(line).tell(SendUnsubscriptions(tuple(lifted)), epoch)
            self._dispatcher.tell(TopicsLifted(line, tuple(lifted)))
        with self._lease:
            for topic in topics:
                self._ledger.unwant(stream, topic)
            self._lease.check()
            self._cells.remove(gone)
        for line in by_line:
            for epoch in self._ledger.open_epochs(line):
                self._update_live(line, epoch)
            if not self._ledger.has_topics(line):
                self._supervisor.tell(LineUnneeded(line))
        for feed in {topic.feed for lifted in by_line.values() for topic in lifted}:
            self._place_refused(feed)  # there may be room now
        for topic in gone:  # they have no state any more
            self._note_change(topic)

    # ── asking the venue ──

    def _send_next(self, line: str, epoch: int) -> None:
        """The next batch; the rest follows by itself."""
        if (line, epoch) not in self._going_on:
            with self._lease:
                batch = self._ledger.next_batch(line, epoch, BATCH)
                asking = self._ledger.turn(line, epoch)
            if batch:
                numbers = self._ledger.numbers(batch)
                self.connection(line).tell(SendSubscriptions(numbers, asking), epoch)
                self._go_on_later(line, epoch)
        self._update_live(line, epoch)

    def _go_on_later(self, line: str, epoch: int) -> None:
        """With the next batch, behind the letters that lie here; the connection keeps the venue's pace."""
        if self._ledger.has_more(line, epoch):
            self._going_on.add((line, epoch))
            self.tell_self(ReplayNext(line, epoch, self.incarnation))

    def _reject(self, report: TopicsRejected) -> None:
        with self._lease:
            known = self._ledger.reject(report.line, report.epoch, report.topics, report.reason)
            self._publish(known)
        if known and report.retry_after is not None:
            self.send_later(report.retry_after, AskAgain(report.line, report.epoch, known))
        self._update_live(report.line, report.epoch)

    def _change_bars(self, report: TopicsTooLarge | LiftBars) -> None:
        """A topic that is too large would end each connection of its line."""
        if isinstance(report, LiftBars):
            with self._lease:
                self._ledger.lift_bars(report.line)
            return
        with self._lease:
            barred = self._ledger.bar(report.line, report.topics, report.reason, at_once=report.first)
            self._publish(self._ledger.reject(report.line, report.epoch, barred, report.reason))
        for topic in barred:
            log.warning(
                "topic.barred",
                "%s: %s is not asked for any more: %s",
                report.line,
                topic,
                report.reason,
                line=report.line,
                epoch=report.epoch,
            )

    def _overdue(self, report: AckOverdue) -> None:
        """No answer: enough where the venue never gives one, else a reason to ask once more."""
        line, epoch = report.line, report.epoch
        silent_channels = _silent(self._spec(line).venue)
        overdue = self._ledger.overdue(line, epoch, report.topics, report.turn)
        if overdue.give_up:
            self._end(line, epoch, overdue.give_up)
            return
        silent = tuple(t for t in overdue.ask_again if t.channel in silent_channels)
        again = tuple(t for t in overdue.ask_again if t.channel not in silent_channels)
        with self._lease:
            changed = self._ledger.confirm(line, epoch, silent, assumed=True)
            self._publish(changed)
        if changed:
            self.connection(line).tell(ConfirmAssumed(changed), epoch)
        if again:
            with self._lease:
                asking = self._ledger.ask_once_more(line, epoch, again)
            self.connection(line).tell(SendUnsubscriptions(again), epoch)
            self.connection(line).tell(SendSubscriptions(self._ledger.numbers(again), asking), epoch)
        self._update_live(line, epoch)

    def _end(self, line: str, epoch: int, topics: tuple[Topic, ...]) -> None:
        more = f" and {len(topics) - 1} more" if len(topics) > 1 else ""
        text = f"the venue did not answer the subscription to {topics[0]}{more}, asked twice"
        self.connection(line).tell(EndConnection(Retryable(text, "ack_timeout")), epoch)

    # ── whether a line is settled ──

    def _update_live(self, line: str, epoch: int) -> None:
        """Tell the supervisor when a life becomes settled, or ceases to be."""
        if epoch not in self._ledger.open_epochs(line):
            return
        settled = self._ledger.settled(line, epoch)
        if self._settled.get((line, epoch)) != settled:
            self._settled[line, epoch] = settled
            if settled:
                present = min(self._ledger.open_epochs(line))
                worse = () if present == epoch else self._ledger.worse(line, epoch, present)
                self._supervisor.tell(LineSettled(line, epoch, worse))
            else:
                self._supervisor.tell(LineUnsettled(line, epoch))

    # ── questions that wait for answers ──

    def _note_change(self, topic: Topic) -> None:
        """The state of this topic may have changed."""
        if topic in self._waiters:
            self._changed.append(topic)

    def _tell_waiters(self) -> None:
        while self._changed:
            for waiter in self._waiters.pop(self._changed.pop(), ()):
                self._wait_on(waiter)

    def _wait_on(self, waiter: Waiter) -> None:
        """Until its next topic without an answer has one; where all have, it is answered."""
        if not waiter.reply.open:
            return
        while waiter.waiting and self._is_answered(waiter.waiting[-1]):
            waiter.waiting.pop()
        if not waiter.waiting:
            known = ((topic, self._ledger.state(topic)) for topic in waiter.topics)
            states = {topic: state for topic, state in known if state is not None}
            waiter.waiting = [topic for topic, state in states.items() if state.state not in ANSWERED]
            if not waiter.waiting:
                waiter.reply.set(states)
                return
        others = self._waiters.get(waiter.waiting[-1], ())  # some have given up meanwhile
        self._waiters[waiter.waiting[-1]] = [*(each for each in others if each.reply.open), waiter]

    def _is_answered(self, topic: Topic) -> bool:
        state = self._ledger.state(topic)
        return state is None or state.state in ANSWERED

    def _take_over(self) -> None:
        """Say and ask again where a former keeper may have been interrupted."""
        with self._lease:
            lost, orphans = self._ledger.mend()
        self._place(lost)
        self._unwant(CONFIG, orphans)
        for line in self._ledger.lines():
            if topics := self._ledger.topics(line):
                self._tell_placed(line, topics, self._ledger.streams(topics))
            else:
                self._supervisor.tell(LineUnneeded(line))
            for epoch in self._ledger.open_epochs(line):
                asking = self._ledger.asking(line, epoch)
                for number, asked in asking.items():  # the connection may not have got it
                    message = SendSubscriptions(self._ledger.numbers(asked), number)
                    self.connection(line).tell(message, epoch)
                self._send_next(line, epoch)

    def _spec(self, line: str) -> FeedSpec:
        return self._feeds[line.partition("/")[0]]


def _place(venue: Venue, topic: Topic, placed: Placement) -> tuple[str, Bounds] | Refusal:
    """A reload may have given the feed another venue while the topic was on its way; its stream ends soon."""
    if not venue.offers(topic.channel):
        return Refusal(f"feed {topic.feed!r} has no channel {topic.channel!r} any more")
    return venue.placed(topic, placed)


def _silent(venue: Venue) -> frozenset[str]:
    """The channels of which the venue never confirms a subscription."""
    return frozenset(name for name, channel in venue.channels.items() if not channel.acknowledged)
