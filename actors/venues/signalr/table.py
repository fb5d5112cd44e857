"""What the table of a SignalR hub may say, beside what every table says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from actors.venues.declarative.path import MISSING
from actors.venues.declarative.table import (
    ChannelTable,
    EventTable,
    Part,
    Seconds,
    VenueStateTable,
    VenueTable,
    Words,
)
from actors.venues.declarative.template import MistakeError, Template, Text

Silence = Annotated[float, Meta(gt=0, le=86_400, description="seconds, more than 0 and at most a day")]


class Arguments(Template, frozen=True):
    """The arguments of a call: their places are counted, so none of them may be missing."""

    expected: ClassVar[str] = 'a list such as ["{key}", 5]'

    @classmethod
    def parse(cls, raw: object) -> Arguments:
        """Raises: MistakeError: in words, with the path inside."""
        if not isinstance(raw, list):
            raise MistakeError(f"expected {cls.expected}")
        return cls(Template.parse(raw).node)

    def filled(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Raises: ValueError: a value is missing, or is no number where one is wanted."""
        if missing := sorted(name for name in self.slots if values.get(name, MISSING) is MISSING):
            raise ValueError(f"it wants {' and '.join(missing)}")
        return tuple(self.value(values))


class CallTable(Part, frozen=True, kw_only=True):
    """`subscribe` and `unsubscribe` of a channel: a method of the hub, and what it is called with."""

    method: Text
    arguments: Arguments = Arguments([])


class HubChannelTable(ChannelTable, frozen=True, kw_only=True):
    """`[channels.NAME]`."""

    subscribe: CallTable | None = None  # None: the hub pushes it to all
    unsubscribe: CallTable | None = None  # None: it lasts as long as the connection


class PushTable(EventTable, frozen=True, kw_only=True):
    """An entry of `[[events]]`: its paths begin at the arguments of what the hub invokes."""

    target: Words


class PushedStateTable(VenueStateTable, frozen=True, kw_only=True):
    """An entry of `[[venue_states]]`: its paths begin there as well."""

    target: Words


class HubTable(VenueTable, frozen=True, kw_only=True):
    """A whole table with `protocol = "signalr"`."""

    protocol: Literal["signalr"] = "signalr"
    channels: dict[str, HubChannelTable]
    events: tuple[PushTable, ...]
    venue_states: tuple[PushedStateTable, ...] = ()
    token: Text | None = None
    token_in: Literal["query", "header"] = "query"
    skip_negotiation: bool = False
    keep_alive: Silence = 15.0  # we are never silent for longer
    server_timeout: Silence = 30.0  # nor is the hub
    answer_timeout: Silence = 15.0  # of a call
    retry_after: Seconds | None = None  # a refused topic may be asked for again
    ignore: tuple[str, ...] = ()  # targets that mean nothing to us
