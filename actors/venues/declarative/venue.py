"""The class that a table becomes: a venue like those that are built in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from actors.protocol import (
    Backfilled,
    Bound,
    Bounds,
    Call,
    Channel,
    Endpoint,
    Loss,
    Opening,
    Option,
    Options,
    Print,
    RateLimit,
    Secret,
    SendRate,
    Session,
    Topic,
    Variable,
    Venue,
    VenueSettings,
    is_loopback,
)
from actors.venues.declarative.history import Backfill, TableRest
from actors.venues.declarative.messages import Message
from actors.venues.declarative.path import MISSING
from actors.venues.declarative.protocol import TableProtocol, Vocabulary
from actors.venues.declarative.session import DeclaredSession
from actors.venues.declarative.table import ChannelTable, FrameTable, KeyTable, OptionTable, VenueTable
from actors.venues.declarative.tape import Tape

V = TypeVar("V", bound="DeclarativeVenue")


class DeclarativeVenue(Venue):
    """A venue that a table describes, whatever its protocol. One table makes one class."""

    table: ClassVar[VenueTable]
    tape: ClassVar[Tape | None]
    has_constants: ClassVar[bool] = False  # a table may have the name of another venue
    protocol: Vocabulary

    @abstractmethod
    def listener(self, *, takes_all: bool = True) -> Session:
        """A session for captured messages; `takes_all`: every topic that can be made out is asked for."""

    def starts_anew(self, topic: Topic, event: Message) -> bool:
        return event.kind in self.table.channels[topic.channel].whole

    # ── history ──

    def trade(self, event: Any) -> Print | None:
        return self.tape.trade(event) if self.tape is not None and isinstance(event, Message) else None

    def rest(self) -> TableRest | None:
        """At the host of a feed's own URL, if that is of this machine: a simulator has both."""
        table = self.table.rest
        if table is None:
            return None
        parts = urlsplit(self.url())
        if is_loopback(parts.hostname or ""):
            return TableRest(f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}", table.limit)
        return TableRest(str(table.url.render(self.protocol.own)).rstrip("/"), table.limit)

    def backfill(self, topic: Topic, loss: Loss) -> Call[Backfilled] | None:
        asking, rest = self._backfill(topic.channel), self.rest()
        return None if asking is None or rest is None else asking.call(rest.base, topic, loss)

    def duplicate_key(self, topic: Topic, event: Any) -> Hashable | None:
        """The id, in channels with back-fill."""
        asking = self._backfill(topic.channel)
        return None if asking is None else asking.id_of(event)

    def _backfill(self, channel: str) -> Backfill | None:
        table = self.table.channels[channel].backfill
        return None if table is None else Backfill(table, self.protocol)

    # ── topics and addresses ──

    def own(self) -> dict[str, str]:
        """The feed's own keys, as templates name them."""
        return {
            f"${name}": text
            for name, key in self.table.keys.items()
            if (text := self._own(name, key)) is not None
        }

    def _own(self, name: str, key: KeyTable) -> str | None:
        value = getattr(self.settings, name)
        if isinstance(value, Secret):
            value = value.reveal()
        return str(key.values[value]) if isinstance(key.values, dict) else value

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        name = self.channel(channel).name
        names = self.protocol.names[name]
        spelled = names.spelled(key)
        if bool(spelled) != bool(names.table.key):
            wants = f"wants a key ({names.table.key})" if names.table.key else "takes no keys"
            raise self.mistake(f"{name} {wants}.")
        topic = Topic(self.feed, name, spelled, self._options(name, names.table, options))
        if names.wire.render(names.values(topic)) is MISSING:
            wanted = sorted(names.wire.slots - {"key"} - dict(topic.options).keys())
            raise self.mistake(f"{name} wants {' and '.join(wanted)}.")
        return topic

    def _options(self, name: str, channel: ChannelTable, given: Mapping[str, Option]) -> Options:
        self.check_options(self.channels[name], given)
        chosen = {}
        for option, table in channel.options.items():
            value = given.get(option, table.default)
            if value is not None:
                chosen[option] = self._choice(name, option, table, value)
        return tuple(sorted(chosen.items()))

    def _choice(self, name: str, option: str, table: OptionTable, value: Option) -> Option:
        """As the table writes it, so that 5 and "5" are one."""
        if table.values is None:
            return value
        known = {str(each): each for each in table.values}
        self.check_value(name, option, value, known)
        return known[str(value)]

    def url(self) -> str:
        """Where this feed's venue is."""
        own = self.protocol.own
        in_url = {
            f"${name}": own[f"${name}"] if key.values else quote(own[f"${name}"], safe="")
            for name, key in self.table.keys.items()
            if f"${name}" in own
        }
        return self.settings.url or str(self.table.url.render(in_url))

    def headers(self) -> tuple[tuple[str, str], ...]:
        """What the table puts into every request for a connection."""
        headers = {name: text.render(self.protocol.own) for name, text in self.table.headers.items()}
        return tuple((name, str(text)) for name, text in headers.items() if text is not MISSING)

    def endpoint(self, opening: Opening) -> Endpoint:
        return Endpoint(self.url(), self.headers())

    def event_time_ns(self, event: Any) -> int | None:
        return event.at_ns if isinstance(event, Message) else None

    def bounds(self, topic: Topic) -> Bounds:
        """What the table says of a line's size; and no topic that messages could not tell from this one."""
        most = self.table.topics_per_line
        size = (Bound("", most),) if most is not None else ()
        return (*size, Bound(self._shown(topic), 1)) if self.protocol.silent[topic.channel] else size

    def _shown(self, topic: Topic) -> object:
        """What the messages of a topic tell of it."""
        silent = self.protocol.silent[topic.channel]
        return topic.channel, topic.key, tuple(pair for pair in topic.options if pair[0] not in silent)


class Declared(DeclarativeVenue):
    """A venue that is subscribed to by frames; the text of its table is its protocol."""

    table: ClassVar[FrameTable]

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        super().__init__(feed, settings)
        self.protocol: TableProtocol = TableProtocol(self.table, feed, self.own())

    def session(self, opening: Opening) -> Session:
        return DeclaredSession(self.protocol)

    def listener(self, *, takes_all: bool = True) -> DeclaredSession:
        return DeclaredSession(self.protocol, takes_all=takes_all)


def venue_of(table: FrameTable) -> type[Declared]:
    """The class of this table's venue: a new one at each call."""
    interval = table.ping.interval if table.ping is not None else 0.0
    return class_of(table, Declared, interval)


def class_of(
    table: VenueTable, base: type[V], ping_interval: float, keys: type[VenueSettings] = VenueSettings
) -> type[V]:
    """A new class for this table.

    `ping_interval`: seconds between the venue's own heartbeats, from us. `keys`: what its feeds may say
    beside the table's own keys.
    """
    settings = msgspec.defstruct(
        "TableSettings",
        [_field(name, key) for name, key in table.keys.items()],
        bases=(keys,),
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )
    members: dict[str, Any] = {
        "__doc__": table.about,
        "table": table,
        "tape": None if table.trades is None else Tape(table.trades),
        "name": table.name,
        "about": table.about,
        "Settings": settings,
        "channels": {name: _channel(name, channel) for name, channel in table.channels.items()},
        "tape_channel": "" if table.trades is None else table.trades.channel,
        "send_rate": SendRate(table.send_rate.batch, table.send_rate.frames),
        "connect_rate": RateLimit(table.connect_rate.burst, table.connect_rate.interval),
        "ping_interval": ping_interval,
        "limits": _limits(table),
        "venue_states": _venue_states(table),
        # Of no login: a table that came from elsewhere shall not name what is taken from the environment.
        "variables": {key.variable: Variable(key.about) for key in table.keys.values() if key.variable},
    }
    return type(f"{base.__name__}_{table.name.replace('-', '_')}", (base,), members)


def _field(name: str, key: KeyTable) -> tuple[Any, ...]:
    kind: Any = str
    if key.secret:
        kind = Secret
    elif key.values is not None:
        kind = Literal[tuple(map(str, key.values))]
    if key.variable:
        kind = Annotated[kind, msgspec.Meta(description=f'text, such as "${{{key.variable}}}"')]
    if key.default is None:
        return name, kind
    return name, kind, Secret(key.default) if key.secret else key.default


def _channel(name: str, table: ChannelTable) -> Channel:
    return Channel(
        name,
        Message,
        table.about,
        key=table.key,
        options={option: _told(each) for option, each in table.options.items()},
        acknowledged=table.acknowledged,
        deltas=table.deltas,
        whole=(Message,) if table.whole else (),
        resyncable=table.resyncable,
        account=table.account,
        unique=table.backfill is not None,
        backfill=table.backfill is not None,
    )


def _told(option: OptionTable) -> str:
    parts = [option.about] if option.about else []
    if option.values is not None:
        parts.append(f"one of {', '.join(map(str, option.values))}")
    if option.default is not None:
        parts.append(f"by default {option.default}")
    return "; ".join(parts) or "any"


def _venue_states(table: VenueTable) -> dict[str, str]:
    """Which states the venue tells of itself, and what each is about."""
    told: dict[str, str] = {}
    for each in table.venue_states:
        states = dict.fromkeys([each.state] if each.state is not None else each.states.values())
        about = "a key" if each.key is not None else "" if each.channel else "the whole line"
        parts = [about, each.channel and f"channel {each.channel}", each.closes and "the line is rotated"]
        told[", ".join(states)] = "; ".join(part for part in parts if part)
    return told


def _limits(table: VenueTable) -> dict[str, str]:
    limits = dict(table.limits)
    if table.topics_per_line is not None:
        limits.setdefault("topics", f"{table.topics_per_line} on one connection; more open another")
    return limits
