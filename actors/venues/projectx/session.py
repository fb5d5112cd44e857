"""One hub: what is asked of it, and where what it pushes belongs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Literal

from msgspec import Raw
from msgspec.structs import force_setattr

from actors.events import Topic
from actors.messages import Slow
from actors.rules.session import Effect, Missed, Quarantine, Reject, State
from actors.rules.signalr import Call, Events, HubSession, Subscription
from actors.venues.projectx import messages as m
from actors.venues.projectx.errors import words
from actors.venues.projectx.normalise import Found, arguments_of, contract_of
from actors.venues.projectx.platforms import Hub
from actors.venues.projectx.quotes import Quotes
from actors.venues.projectx.streams import BY_TARGET, LOGOUT, STREAMS, Stream

Begins = Literal["reset", "first_list"]

REST: Final = 10.0  # seconds between two new beginnings of a topic that we want by ourselves
AT_ONCE: Final = 10  # topics that begin anew in one second, with two calls each
RENEWED: Final = ("quotes", "depth")  # what is built up from what came before


class GatewaySession(HubSession):
    """What both hubs have in common."""

    hub: ClassVar[Hub]

    def __init__(self, feed: str) -> None:
        super().__init__()
        self._feed = feed

    def needs(self, topic: Topic) -> Sequence[Subscription]:
        return (STREAMS[topic.channel].subscription(topic),)

    def refused(self, topics: tuple[Topic, ...], call: Call, said: str) -> list[Effect]:
        return [Reject(topics, words(said))]

    def invoked(self, target: str, arguments: Raw, out: Events) -> None:
        name = target.lower()
        if name == LOGOUT:
            self._log_out(arguments, out)
        elif (stream := BY_TARGET.get(name)) is not None and stream.hub == self.hub:
            self._hear_push(stream, arguments_of(arguments), out)
        else:
            out.unrouted += 1

    def spoiled(self, record: bytes, out: Events) -> None:
        super().spoiled(record, out)
        self._distrust(self.wanted)

    # ── what the hubs differ in ──

    def _hear_push(self, stream: Stream, arguments: list[Raw], out: Events) -> None:
        """Raises, before anything is done: the arguments are none of this push's."""
        raise NotImplementedError

    def _distrust(self, topics: Iterable[Topic]) -> None:
        """Something of these is missing: what was built up of it is no longer true."""

    # ── for both ──

    def _put_aside(self, found: Found, error: Exception, topics: tuple[Topic, ...], out: Events) -> None:
        out.add(Quarantine(bytes(found.raw), str(error) or type(error).__name__))
        if topics:
            out.add(Missed(topics, "quarantine"))

    def _log_out(self, arguments: Raw, out: Events) -> None:
        """The gateway ends the session, in favour of another one maybe: two that came back at once would
        go on throwing each other out. A token that has ended with it is turned away at the next connect,
        and a new one is made then.
        """
        said = words(bytes(arguments).decode("utf-8", "replace"))
        said = f": {said}" if said not in ("", "[]") else ""
        text = f"ProjectX logged this session out (GatewayLogout){said}"
        out.add(*self.end(Slow(text, "gateway_logout")))


class UserSession(GatewaySession):
    """The hub of accounts. What it tells of bears its account's id, and only that says whose it is."""

    hub = "user"

    def _hear_push(self, stream: Stream, arguments: list[Raw], out: Events) -> None:
        for found in stream.reader.find(arguments):
            try:
                event = stream.read(found)
                topic = self._topic_of(stream, event)
            except Exception as error:
                ours = tuple(topic for topic in self.wanted if topic.channel == stream.channel)
                self._put_aside(found, error, ours, out)
                continue
            if topic not in self.wanted:
                out.unrouted += 1
                continue
            force_setattr(event, "action", found.action)  # before anybody has seen it
            out.pairs.append((topic, event))

    def _topic_of(self, stream: Stream, event: Any) -> Topic:
        """Raises: ValueError: nobody can tell whose it is."""
        if not stream.keyed:
            return Topic(self._feed, stream.channel)
        if event.account_id is not None:
            return Topic(self._feed, stream.channel, str(event.account_id))
        ours = [topic for topic in self.wanted if topic.channel == stream.channel]
        if len(ours) != 1:
            raise ValueError(f"a push of {stream.target} without an accountId")
        return ours[0]


class MarketSession(GatewaySession):
    """The hub of contracts. Quotes are made whole here; a book's reset takes its message along."""

    hub = "market"

    def __init__(self, feed: str, begins: Begins = "reset") -> None:
        super().__init__(feed)
        self._begins = begins
        self._quotes = Quotes()
        self._fresh: set[Topic] = set()  # books of which nothing has come yet
        self._due: dict[Topic, float] = {}  # when these are to begin anew
        self._begun: dict[Topic, float] = {}  # when we made them begin anew

    # ── what the runtime wants ──

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        self._fresh.update(topic for topic in topics if topic.channel == "depth" and topic not in self.wanted)
        return super().subscribe(topics, now)

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        effects = super().unsubscribe(topics, now)
        self._forget(topics)
        return effects

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        self._forget(topics)
        self._fresh.update(topic for topic in topics if topic.channel == "depth" and topic in self.wanted)
        return super().resync(topics, now)

    def refused(self, topics: tuple[Topic, ...], call: Call, said: str) -> list[Effect]:
        self._forget(topics)
        return super().refused(topics, call, said)

    def ping(self, now: float) -> list[Effect]:
        effects = super().ping(now)
        due = [topic for topic, at in self._due.items() if at <= now][:AT_ONCE]
        if not due or self.state is not State.OPEN:
            return effects
        self._begun |= dict.fromkeys(due, now)
        return [*effects, *self.resync(due, now)]

    # ── hearing ──

    def _hear_push(self, stream: Stream, arguments: list[Raw], out: Events) -> None:
        contract = contract_of(arguments)
        every = stream.reader.find(arguments[1:])
        topic = Topic(self._feed, stream.channel, contract)
        if topic not in self.wanted:
            out.unrouted += len(every)
            return
        read: list[Any] = []
        for found in every:
            try:
                event = stream.read(found)
            except Exception as error:
                self._tell(topic, read, out)
                read = []
                self._put_aside(found, error, (topic,), out)
                self._distrust((topic,))
            else:
                read.append(event)
        self._tell(topic, read, out)

    def _tell(self, topic: Topic, read: list[Any], out: Events) -> None:
        if topic.channel == "quotes":
            out.pairs += [(topic, self._quotes.merge(topic, event)) for event in read]
            return
        for event in read:
            force_setattr(event, "contract_id", topic.key)  # before anybody has seen it
        if topic.channel == "depth":
            read = self._book(topic, read)
        out.pairs += [(topic, event) for event in read]

    def _book(self, topic: Topic, read: list[Any]) -> list[Any]:
        """A reset and all that follows it in one message are one event, so that nobody sees half a book."""
        is_first = topic in self._fresh
        if read:
            self._fresh.discard(topic)
        resets = [place for place, event in enumerate(read) if type(event) is m.DepthReset]
        if not resets:
            if is_first and self._begins == "first_list" and len(read) > 1:
                return [m.DepthReset(contract_id=topic.key, entries=tuple(read), assumed=True)]
            return read
        told = read[: resets[0]]
        for place, end in zip(resets, [*resets[1:], len(read)], strict=True):
            force_setattr(read[place], "entries", tuple(read[place + 1 : end]))
            told.append(read[place])
        return told

    # ── what is built up ──

    def _distrust(self, topics: Iterable[Topic]) -> None:
        """It begins anew: the hub tells the whole only to one who subscribes, as far as is known."""
        for topic in topics:
            if topic.channel in RENEWED:
                self._quotes.forget(topic)
                self._due.setdefault(topic, max(self.now, self._begun.get(topic, -REST) + REST))

    def _forget(self, topics: Iterable[Topic]) -> None:
        """Nobody wants these, or they begin anew."""
        for topic in topics:
            self._quotes.forget(topic)
            self._due.pop(topic, None)
            self._fresh.discard(topic)
