"""One connection to a hub that a table describes: what it pushes as events, topics as calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Raw, structs

from actors.protocol import (
    Complain,
    Confirm,
    Effect,
    EffectBatch,
    End,
    Frame,
    GapReason,
    Missed,
    Reason,
    Reject,
    Resent,
    Resync,
    Session,
    SessionState,
    Topic,
)
from actors.protocol.signalr import Call, Completion, Heard, HubSession, HubSubscription, Ping
from actors.protocol.signalr.framing import END
from actors.venues.declarative.asked import CONFIRMED, REST, TableTopic, TableTopics
from actors.venues.declarative.messages import decode
from actors.venues.declarative.states import tell_states
from actors.venues.signalr.protocol import HubProtocol


class DeclarativeHubSession(HubSession):
    """`takes_all`: every topic that the table can make out counts as asked for. `heard` counts what the
    hub invoked, by what it was: event, state, ignored, unrouted."""

    def __init__(self, protocol: HubProtocol, *, takes_all: bool = False) -> None:
        super().__init__(protocol.terms)
        self._protocol = protocol
        self.heard: Counter[str] = Counter()
        self._topics = TableTopics(protocol, self._heal, takes_all=takes_all)
        self._broken: dict[Topic, TableTopic] = {}  # resubscribed a moment ago: they wait
        self._rules = {
            target: [(rule, self._topics.index(rule.places)) for rule in rules]
            for target, rules in protocol.rules.items()
        }

    # ── asking ──────────────────────────────────────────────────────────────────────────────────

    def needs(self, topic: Topic) -> Sequence[HubSubscription]:
        subscription = self._protocol.subscription(topic)
        return (subscription,) if subscription is not None else ()

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        for topic in topics:
            self._topics.enter(topic)
        return super().subscribe(topics, now)

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        self._leave(topics)
        return super().unsubscribe(topics, now)

    def refused(self, topics: tuple[Topic, ...], call: Call, words: str) -> list[Effect]:
        self._leave(topics)
        return [Reject(topics, words, self._protocol.table.retry_after)]

    def closed(self, code: int, words: str) -> Reason:
        return super().closed(code, self._protocol.hide(words))

    def _leave(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            self._broken.pop(topic, None)
            self._topics.leave(topic)

    def pass_on(self, effects: list[Effect]) -> list[Effect]:
        """What the hub's answers come to is kept in mind."""
        for effect in effects:
            if isinstance(effect, Confirm):
                for topic in effect.topics:
                    if asked := self._topics.get(topic):
                        asked.answer = CONFIRMED
            elif isinstance(effect, Missed):  # of a topic that is resubscribed
                for topic in effect.topics:
                    if asked := self._topics.get(topic):
                        self._topics.begin(asked)
        return effects

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """A topic that waits for the message with which it begins delivers nothing: it has its `Missed`."""
        torn = {each.topic for topic in topics if (each := self._topics.get(topic)) and each.count.lost}
        effects: list[Effect] = []
        for effect in super().resync(topics, now):
            if isinstance(effect, Missed):
                seam = tuple(topic for topic in effect.topics if topic not in torn)
                effects += [Missed(seam, effect.reason)] if seam else []
            else:
                effects.append(effect)
        return effects

    # ── hearing ─────────────────────────────────────────────────────────────────────────────────

    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        return [self._hidden(effect) for effect in super().received(frames, now)]

    def invoked(self, target: str, arguments: Raw, out: EffectBatch) -> None:
        rules, states = self._rules.get(target.lower()), self._protocol.states.get(target.lower(), ())
        if rules is None and not states and target.lower() in self._protocol.ignored:
            self.heard["ignored"] += 1
            return
        message = decode(bytes(arguments)) if rules or states else None
        tells = tell_states(states, message, self._protocol.hide, out)
        for rule, index in rules or ():
            told = rule.read(message)
            if told is not None:
                self.heard["event"] += 1
                self._topics.deliver(rule, index, told, out)
                return
        self.heard["state" if tells else "unrouted"] += 1
        out.unrouted += not tells

    def spoiled(self, record: bytes, out: EffectBatch) -> None:
        """It may have been an event: of the topics that it names, or of any."""
        for each in self._topics.named_in(record) or self._topics.up():
            self._heal(each, "quarantine", None, out)

    def _heal(self, asked: TableTopic, why: GapReason, missed: int | None, out: EffectBatch) -> bool:
        """Events are missing: the topic gets a `Missed`, and is resubscribed if its channel is resyncable.

        A hub whose numbers always jump is not to be asked at the speed of its events.
        """
        topics = (asked.topic,)
        if not self._topics.heals(asked):
            out.add(Missed(topics, why, missed))
            return True
        if self.now - asked.healed_at < REST:
            out.add(*self.pass_on([Missed(topics, why, missed), Resent(topics)]))
            self._broken[asked.topic] = asked
            return False
        asked.healed_at = self.now
        out.add(Missed(topics, why, missed), Resync(topics))
        self._topics.begin(asked)  # nothing is delivered until its next beginning
        return False

    def ping(self, now: float) -> list[Effect]:
        """Resubscribes the topics that were broken again too soon."""
        effects = super().ping(now)
        rested = [each for each in self._broken.values() if now - each.healed_at >= REST]
        if self.state is not SessionState.OPEN or not rested:
            return effects
        for asked in rested:
            del self._broken[asked.topic]
            asked.healed_at = now
        return [*effects, Resync(tuple(asked.topic for asked in rested))]

    def _hidden(self, effect: Effect) -> Effect:
        """Without the feed's secrets: a hub may repeat what it was sent."""
        hide = self._protocol.hide
        match effect:
            case Reject(reason=reason):
                return structs.replace(effect, reason=hide(reason))
            case Complain(text=text):
                return structs.replace(effect, text=hide(text))
            case End(reason=reason):
                return End(structs.replace(reason, text=hide(reason.text)))
        return effect


class HubListener(DeclarativeHubSession):
    """A session for captured messages: handshake and separators may be missing."""

    def opened(self, now: float) -> list[Effect]:
        return Session.opened(self, now)

    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        return super().received([(opcode, _ended(payload)) for opcode, payload in frames], now)

    def _handle(self, message: Heard, out: EffectBatch) -> None:
        """Answers are to calls of the one that was captured."""
        if isinstance(message, Completion | Ping):
            self.heard[type(message).__name__.lower()] += 1
        else:
            super()._handle(message, out)


def _ended(payload: bytes) -> bytes:
    """The records of a captured message, each with its end, and without the answer to a handshake."""
    records = (record.strip() for record in payload.split(END))
    return b"".join(record + END for record in records if record not in (b"", b"{}"))
