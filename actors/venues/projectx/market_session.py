"""The hub of contracts. Quotes are made whole here; a book's reset takes its message along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, Literal

from msgspec import Raw
from msgspec.structs import force_setattr

from actors.protocol import Effect, EffectBatch, SessionState, Topic
from actors.venues.projectx.hub_methods import HubMethods
from actors.venues.projectx.messages import (
    HUGE,
    TINY,
    Depth,
    DepthReset,
    DomType,
    check,
    check_depth,
)
from actors.venues.projectx.normalise import contract_of
from actors.venues.projectx.pushes import QuotePush, TradePush, decode
from actors.venues.projectx.quote_merge import Quotes
from actors.venues.projectx.session import GatewaySession

Read = Sequence[Any]  # what came one behind the other in a message
Told = Sequence[Any]  # the events that it becomes
Begins = Literal["reset", "first_list"]

REST: Final = 10.0  # seconds between two new beginnings of a topic that we want by ourselves
AT_ONCE: Final = 10  # topics that are resubscribed in one second, with two calls each
RESET: Final = DomType.RESET
RENEWED: Final = ("quotes", "depth")  # what is built up from what came before


class MarketSession(GatewaySession):
    """One connection to the market hub. `begins`: with what a book does."""

    hub = "market"

    def __init__(self, feed: str, begins: Begins = "reset") -> None:
        super().__init__(feed)
        self._begins = begins
        self._tellers: dict[str, Callable[[Topic, Read], Told]] = {
            "quotes": self._tell_quotes,
            "trades": self._tell_prints,
            "depth": self._tell_book,
        }
        self._quotes = Quotes()
        self._fresh: set[Topic] = set()  # books of which nothing has come yet
        self._due: dict[Topic, float] = {}  # when these are resubscribed
        self._begun: dict[Topic, float] = {}  # when they were resubscribed

    # ── what the runtime wants ──

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        self._expect(topic for topic in topics if topic not in self.wanted)
        return super().subscribe(topics, now)

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        begun = [topic for topic in topics if self._waiting.is_over(topic)]
        effects = super().resync(topics, now)
        self._expect(begun)
        return effects

    def ping(self, now: float) -> list[Effect]:
        effects = super().ping(now)
        late = [topic for topic, at in self._due.items() if at <= now]
        due = [topic for topic in late if self._waiting.is_over(topic)][:AT_ONCE]
        if not due or self.state is not SessionState.OPEN:
            return effects
        self._begun |= dict.fromkeys(due, now)
        return [*effects, *self.resync(due, now)]

    # ── hearing ──

    def read_all(self, records: Sequence[bytes], out: EffectBatch) -> None:
        """The loop reads the usual messages by itself: what is pushed of a topic that is answered for.

        `read` reads all others. It reads the usual ones as well, with the same effects.
        """
        answered = self._waiting.answered
        events: Sequence[Any]
        quotes, trades, books = answered["quotes"], answered["trades"], answered["depth"]
        for record in records:
            try:
                push = decode(record)
                kind, (contract, told) = type(push), push.arguments
                if kind is QuotePush:
                    topic = quotes[contract]
                    if type(told) is list:
                        (told,) = told  # of several, one that cannot be merged would be found too late
                    events = (self._quotes.merge(topic, told),)
                elif kind is TradePush:
                    topic = trades[contract]
                    events = told if type(told) is list else (told,)
                    for trade in events:
                        if not (TINY <= trade.price < HUGE and TINY <= trade.volume < HUGE):
                            check(trade)
                        force_setattr(trade, "contract_id", topic.key)
                else:
                    topic = books[contract]
                    events = self._tell_changes(topic, told if type(told) is list else (told,))
            except Exception:
                self.read(record, out)
                if self.state is not SessionState.OPEN:
                    return
            else:
                out.topics += (topic,) * len(events)
                out.events += events

    def handle_push(self, stream: HubMethods, arguments: list[Raw], out: EffectBatch) -> None:
        topic = Topic(self._feed, stream.channel, contract_of(arguments))
        every = stream.reader.find(arguments[1:])
        if topic not in self.wanted:
            out.unrouted += len(every)
            return
        read: list[Any] = []
        for found in every:
            try:
                read.append(stream.reader.read(found))
            except Exception as error:
                self._tell(topic, read, out)
                read = []
                self.put_aside(found, error, (topic,), out)
        self._tell(topic, read, out)

    def _tell(self, topic: Topic, read: Read, out: EffectBatch) -> None:
        self.tell(topic, self._tellers[topic.channel](topic, read), out)

    # ── what is told of what was read ──

    def _tell_prints(self, topic: Topic, read: Read) -> Told:
        return _of(topic.key, read)

    def _tell_quotes(self, topic: Topic, read: Read) -> Told:
        return [self._quotes.merge(topic, sparse) for sparse in read]

    def _tell_book(self, topic: Topic, read: Read) -> Told:
        resets = [place for place, event in enumerate(read) if event.type is RESET]
        if resets or topic in self._fresh:
            return self._tell_beginning(topic, read, resets)
        return self._tell_prints(topic, read)

    def _tell_changes(self, topic: Topic, levels: Sequence[Depth]) -> Told:
        """Raises: ValueError: a book begins here, or something is wrong with a level."""
        if topic in self._fresh:
            raise ValueError("the first list may be the whole book")
        for level in levels:
            check_depth(level)
            if level.type is RESET:
                raise ValueError("this level resets the book")
        return _of(topic.key, levels)

    def _tell_beginning(self, topic: Topic, read: Read, resets: list[int]) -> Told:
        """A reset and all that follows it in one message are one event: no reader gets half a book."""
        if topic in self._fresh and read:
            self._fresh.remove(topic)
            if not resets and self._begins == "first_list" and len(read) > 1:
                book = DepthReset(contract_id=topic.key, entries=_of(topic.key, read), assumed=True)
                return [book]
        told = [*self._tell_prints(topic, read[: resets[0]] if resets else read)]
        for place, end in pairwise([*resets, len(read)]):
            book = DepthReset(
                contract_id=topic.key,
                symbol_id=read[place].symbol_id,
                timestamp=read[place].timestamp,
                entries=_of(topic.key, read[place + 1 : end]),
            )
            told.append(book)
        return told

    # ── what is built up ──

    def _expect(self, topics: Iterable[Topic]) -> None:
        self._fresh.update(topic for topic in topics if topic.channel == "depth")

    def distrust(self, topics: Iterable[Topic]) -> None:
        """Resubscribes it: as far as is known, the hub sends a whole book only at a subscription."""
        for topic in topics:
            if topic.channel in RENEWED:
                self._quotes.forget(topic)
                self._due.setdefault(topic, max(self.now, self._begun.get(topic, -REST) + REST))

    def forget(self, topics: Iterable[Topic]) -> list[Effect]:
        topics = tuple(topics)
        for topic in topics:
            self._quotes.forget(topic)
            self._due.pop(topic, None)
            self._fresh.discard(topic)
        return super().forget(topics)


def _of(contract: str, read: Read) -> tuple[Any, ...]:
    """These, with their contract set before they are delivered."""
    for event in read:
        force_setattr(event, "contract_id", contract)
    return tuple(read)
