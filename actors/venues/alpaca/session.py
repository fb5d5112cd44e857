"""Alpaca's side of one market data connection: frames in, events and commands out.

It goes by what a message is, never by its place: control messages may stand anywhere in an array, and
whether `connected` and `authenticated` both come is not certain where the keys are in the handshake.
So the login is done when the venue says that it is, and it is asked in any case: `authenticated`, or
that we already are (403).
An element that cannot be decoded is quarantined alone, and the topics that it may concern get a `Missed`.

Trades are not told apart by their ids: those are not unique across exchanges, and nothing is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from actors.protocol import (
    Announce,
    Complain,
    Effect,
    EffectBatch,
    End,
    Frame,
    Missed,
    Retryable,
    Secret,
    Send,
    SessionState,
    Topic,
    code_of,
)
from actors.venues.alpaca import messages as m
from actors.venues.alpaca.channels import CHANNELS
from actors.venues.alpaca.codec import PACKED, Encoding, decode, decode_json, elements, named
from actors.venues.alpaca.errors import ALREADY_AUTHENTICATED, NOT_AUTHENTICATED, VERDICTS, ending, told
from actors.venues.alpaca.keyed_session import KeyedSession
from actors.venues.alpaca.statuses import state_of
from actors.venues.alpaca.subscriptions import ALL, BOOKS, CONFIRMED, WAITING, AlpacaSubscriptions, Listed

Topics = tuple[Topic, ...]

ENDED = SessionState.ENDED

# By exact type: `isinstance` is slow where a metaclass has a say in it, as msgspec's has.
CHANNEL_OF: Mapping[type[Struct], str] = {
    each.event: each.name for each in CHANNELS.values() if not each.account
}
_TAGS = {kind.__struct_config__.tag: channel for kind, channel in CHANNEL_OF.items()}
_WORDS = 500  # characters of an error that are told


class Routes(dict[str, Topics]):
    """The confirmed topics of one channel that a symbol's events go to.

    A topic costs no look at the others, unless it is the one of all symbols.
    """

    def __init__(self) -> None:
        super().__init__()
        self.all: Topics = ()

    def add(self, topic: Topic) -> None:
        if topic.key == ALL:
            self._star((topic,))
        else:
            self[topic.key] = (topic, *self.all)

    def remove(self, topic: Topic) -> None:
        if topic.key == ALL:
            self._star(())
        else:
            self.pop(topic.key, None)

    def __missing__(self, symbol: str) -> Topics:
        return self.all

    def _star(self, star: Topics) -> None:
        self.all = star
        for key, topics in self.items():
            self[key] = (topics[0], *star)


LONGEST, MOST = 64, 100_000  # characters of a symbol, and symbols of `*`, whose books are followed


class AlpacaSession(KeyedSession):
    def __init__(self, key: Secret, secret: Secret, *, encoding: Encoding = "json") -> None:
        super().__init__(key, secret, encoding=encoding)
        self._authenticating = False
        self._logins_left = 1  # again, after a 401
        self._wanted = AlpacaSubscriptions(self._frame)
        self._routes = {channel: Routes() for channel in CHANNEL_OF.values()}
        self._books, self._news = self._routes[BOOKS], self._routes["news"]
        self._plain = {kind: self._routes[channel] for kind, channel in CHANNEL_OF.items()}
        self._statuses = self._routes["statuses"]
        for kind in (m.OrderBook, m.News, m.Status):
            del self._plain[kind]
        self._begun: dict[Topic, set[str]] = {}  # the symbols whose book has had its reset
        self._now = 0.0

    def opened(self, now: float) -> list[Effect]:
        self._move("upgraded")
        return []  # the venue speaks first

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        return self._routed(self._wanted.want(topics))

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        return self._routed(self._wanted.unwant(topics))

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        return self._routed(self._wanted.renew(topics))

    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        self._now = now
        out = EffectBatch()
        for _, payload in frames:
            if self.state is ENDED:
                break
            try:
                # Most messages are arrays of JSON: a call less for them.
                items = decode_json(payload) if payload[:1] < PACKED else decode(payload)
            except Exception as error:
                self._handle_apart(payload, error, out)
            else:
                self._handle(items if isinstance(items, list) else [items], out)
        return out.effects()

    def _handle(self, items: list[m.Inbound], out: EffectBatch) -> None:
        routes = self._plain  # without statuses, which say more than an event does
        for item in items:
            route = routes.get(type(item))
            if route is None:
                self._handle_special(item, out)
                if self.state is ENDED:
                    return
                continue
            topics = route[item.symbol]  # type: ignore[union-attr]
            if not topics:
                out.unrouted += 1
            for topic in topics:
                out.topics.append(topic)
                out.events.append(item)

    def _handle_special(self, item: m.Inbound, out: EffectBatch) -> None:
        match item:
            case m.OrderBook():
                self._handle_book(item, out)
            case m.Status():
                self._handle_status(item, out)
            case m.News():
                self._handle_news(item, out)
            case m.Acknowledgement():
                self._add(self._wanted.acknowledged(_listed(item)), out)
            case m.Success():
                self._handle_success(item, out)
            case m.Failure():
                self._handle_failure(item, out)

    def _handle_status(self, status: m.Status, out: EffectBatch) -> None:
        """An event as others are; and what it says of the symbol goes for all channels of this connection."""
        topics = self._statuses[status.symbol]
        for topic in topics:
            out.deliver(topic, status)
        out.unrouted += not topics
        if (state := state_of(status)) is not None:
            out.add(state)

    def _handle_news(self, article: m.News, out: EffectBatch) -> None:
        route = self._news
        topics = dict.fromkeys(route.all)
        for symbol in article.symbols or ():
            topics.update(dict.fromkeys(route.get(symbol, ())))
        for topic in topics:
            out.deliver(topic, article)
        out.unrouted += not topics

    def _handle_book(self, book: m.OrderBook, out: EffectBatch) -> None:
        """A book begins with a reset: changes until then belong to an older subscription."""
        if book.reset:
            self._prove(book, out)
        topics = self._books[book.symbol]
        if book.reset and len(book.symbol) <= LONGEST:
            for topic in topics:
                begun_here = self._begun.setdefault(topic, set())
                if len(begun_here) < MOST:
                    begun_here.add(book.symbol)
        begun = [topic for topic in topics if book.symbol in self._begun.get(topic, ())]
        for topic in begun:
            out.deliver(topic, book)
        out.unrouted += not begun

    def _prove(self, book: m.OrderBook, out: EffectBatch) -> None:
        """A reset that overtakes its acknowledgement: nothing but a new subscription brings one."""
        for item in ((BOOKS, book.symbol), (BOOKS, ALL)):
            for asked in self._wanted.on(item):
                if asked.answer is WAITING and self._wanted.unanswered(item):
                    self._add(self._wanted.prove(asked), out)

    # ── control ──

    def _handle_success(self, success: m.Success, out: EffectBatch) -> None:
        match success.msg:
            case "connected" if self.state is SessionState.LOGGING_IN and not self._authenticating:
                out.add(self._authenticate())
            case "authenticated":
                self._logged_in(out)

    def _authenticate(self) -> Send:
        self._authenticating = True
        return self._login()

    def _logged_in(self, out: EffectBatch) -> None:
        """A login was accepted; if it was not the first, the change in flight was answered by an error."""
        was_asked, self._authenticating = self._authenticating, False
        if self.state is SessionState.LOGGING_IN:
            self._move("welcomed")
            out.add(Announce())
        elif was_asked:
            out.add(*self._wanted.repeat(answered=True))

    def _handle_failure(self, failure: m.Failure, out: EffectBatch) -> None:
        code = "" if failure.code is None else str(failure.code)[:20]
        words = (failure.msg or "")[:_WORDS]
        reason = ending(code, words)
        if reason is not None:
            out.add(self._end(reason))
        elif code == ALREADY_AUTHENTICATED:
            self._logged_in(out)
        elif code == NOT_AUTHENTICATED and self._logins_left:
            self._logins_left -= 1
            out.add(self._authenticate())
        elif code == NOT_AUTHENTICATED or self.state is not SessionState.OPEN:
            out.add(self._end(Retryable(told(code, words), code_of("alpaca", code))))
        elif code in VERDICTS:
            self._add(self._wanted.refused(code, words), out)
        else:
            out.add(Complain(code_of("alpaca", code), told(code, words)))

    # ── what cannot be read ──

    def _handle_apart(self, payload: bytes, error: Exception, out: EffectBatch) -> None:
        """msgspec refuses a whole array for one odd element: each is read by itself."""
        try:
            parts = elements(payload)
        except Exception:
            # It may have held anything.
            self._put_aside(payload, error, self._concerned(m.Named()), out)
            return
        for part in parts:
            if self.state is ENDED:
                return
            try:
                items = decode(part)
            except Exception as odd:
                found = named(part)
                self._put_aside(part, odd, self._concerned(found) if found else (), out)
            else:
                self._handle(items, out)

    def _put_aside(self, part: bytes, error: Exception, concerned: Topics, out: EffectBatch) -> None:
        out.quarantine(part, error)
        books = [topic for topic in concerned if topic.channel == BOOKS]
        others = tuple(topic for topic in concerned if topic.channel != BOOKS)
        if others:
            out.add(Missed(others, "quarantine"))
        for topic in books:
            if self._wanted.asked[topic].answer is CONFIRMED:
                self._add(self._wanted.heal(topic, self._now), out)

    def _concerned(self, found: m.Named) -> Topics:
        """Whose loss it may be: what it does not say may be anything.

        Alpaca adds kinds without notice: an unknown one is quarantined, and concerns no topic, because none
        was asked for.
        """
        channel = _TAGS.get(found.kind) if isinstance(found.kind, str) else None
        if found.kind is not None and channel is None:
            return ()
        symbols = found.symbols if isinstance(found.symbols, list) else [found.symbol]
        known = [symbol for symbol in symbols if isinstance(symbol, str)]
        if known:
            several = self._routes.values() if channel is None else [self._routes[channel]]
            topics = (topic for routes in several for each in known for topic in routes[each])
            return tuple(dict.fromkeys(topics))
        return tuple(
            topic
            for topic, asked in self._wanted.asked.items()
            if asked.answer is CONFIRMED and (channel is None or topic.channel == channel)
        )

    # ── keeping routes in step with what is confirmed ──

    def _add(self, effects: list[Effect], out: EffectBatch) -> None:
        out.add(*self._routed(effects))

    def _routed(self, effects: list[Effect]) -> list[Effect]:
        for topic in self._wanted.moved():
            asked = self._wanted.asked.get(topic)
            if asked is not None and asked.answer is CONFIRMED:
                self._routes[topic.channel].add(topic)
            else:
                self._routes[topic.channel].remove(topic)
                self._begun.pop(topic, None)
        if any(isinstance(effect, End) for effect in effects) and self.state is not SessionState.ENDED:
            self._move("ended")
        return effects


def _listed(acknowledgement: m.Acknowledgement) -> Listed:
    listed: dict[str, frozenset[str] | None] = {}
    for name, wire in zip(
        m.Acknowledgement.__struct_fields__, m.Acknowledgement.__struct_encode_fields__, strict=True
    ):
        symbols = getattr(acknowledgement, name)
        listed[wire] = None if symbols is None else frozenset(symbol.strip().upper() for symbol in symbols)
    return listed
