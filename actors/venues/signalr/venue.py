"""The class that a hub's table becomes: a venue like those that are built in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from msgspec import field

from actors.protocol import (
    Conversation,
    Endpoint,
    Fatal,
    Opening,
    Option,
    Secret,
    Session,
    Token,
    Topic,
    VenueSettings,
    is_token,
    settled,
)
from actors.protocol.signalr import PING_INTERVAL, hub_endpoint, negotiate
from actors.venues.declarative.path import MISSING
from actors.venues.declarative.table import KeyTable
from actors.venues.declarative.template import Text
from actors.venues.declarative.venue import DeclarativeVenue, class_of
from actors.venues.signalr.protocol import HubProtocol
from actors.venues.signalr.session import DeclarativeHubSession, HubListener
from actors.venues.signalr.table import HubTable


class DeclarativeHub(DeclarativeVenue):
    """A SignalR hub: topics are calls of its methods, events what it invokes."""

    table: ClassVar[HubTable]
    hub_urls: ClassVar[bool] = True

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        super().__init__(feed, settings)
        self.protocol: HubProtocol = HubProtocol(self.table, feed, self.own())

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        topic = super().topic(channel, key, options)
        try:
            self.protocol.subscription(topic)
        except ValueError as error:
            raise self.mistake(f"{topic} cannot be subscribed to: {error}.") from None
        return topic

    # ── the way in ──

    def needs_token(self, line: str) -> bool:
        return bool(self._token())

    def login(self, now_ns: int) -> Conversation[Token]:
        """The token in the feed's settings; no request is sent."""
        token = self._token()
        if not is_token(token):
            advice = f"Check the keys of [feeds.{self.feed}]."
            return settled(Fatal("the token of this feed has signs that no token has", "token", advice))
        return settled(Token(Secret(token)))

    def approach(self, opening: Opening) -> Conversation[Endpoint]:
        """Negotiates before each connect, unless the table skips it."""
        url, token, table = self.url(), opening.secret, self.table
        return negotiate(
            url, token, place=table.token_in, headers=self.headers(), skip=table.skip_negotiation
        )

    def endpoint(self, opening: Opening) -> Endpoint:
        """Where the hub is, without asking it first."""
        return hub_endpoint(self.url(), opening.secret, place=self.table.token_in, headers=self.headers())

    def _token(self) -> str:
        text = self.table.token.render(self.protocol.own) if self.table.token is not None else MISSING
        return "" if text is MISSING else str(text).strip()

    # ── its sessions ──

    def session(self, opening: Opening) -> Session:
        return DeclarativeHubSession(self.protocol)

    def listener(self, *, takes_all: bool = True) -> Session:
        return HubListener(self.protocol, takes_all=takes_all)


class HubSettings(VenueSettings, frozen=True, kw_only=True):
    """Of a feed that describes its hub itself."""

    hub: dict[str, Any] = field(default_factory=dict)

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:  # type: ignore[override]
        """Without the description: environment variables may stand in it."""
        yield from (pair for pair in super().__rich_repr__() if pair[0] != "hub")


def hub_of(table: HubTable, keys: type[VenueSettings] = VenueSettings) -> type[DeclarativeHub]:
    """The class of this table's venue: a new one at each call."""
    return class_of(table, DeclarativeHub, PING_INTERVAL, keys)


# What a feed with `venue = "signalr"` need not say: the rest of the table is its own `hub`.
GIVEN: Mapping[str, Any] = {
    "name": "signalr",
    "about": "any SignalR hub, described in the config",
    "protocol": "signalr",
    "url": "wss://HOST/HUB",  # stands for the feed's own
    "token": "${token}",
    "keys": {"token": {"about": "shown to the hub", "secret": True, "default": ""}},
}

SignalR = hub_of(
    HubTable(
        name=GIVEN["name"],
        about=GIVEN["about"],
        url=Text.parse(GIVEN["url"]),
        token=Text.parse(GIVEN["token"]),
        keys={"token": KeyTable(**GIVEN["keys"]["token"])},
        channels={},
        events=(),
    ),
    HubSettings,
)
