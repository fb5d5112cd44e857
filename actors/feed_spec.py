"""One feed as the supervisor is to run it, and all feeds of a config."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from actors.events import Topic
from actors.login.token_store import TokenStore
from actors.protocol.limits import SendRate
from actors.protocol.venue import Opening, Venue
from actors.rules.freshness import FreshnessPolicy
from actors.rules.line_policy import LinePolicy
from actors.wire.connect import Dial


class FeedSpec(Struct, frozen=True, kw_only=True):
    """One feed as it is wanted; seconds and bytes."""

    venue: Venue  # at the first of its addresses
    others: tuple[Venue, ...] = ()  # the same at the other ones
    token_store: TokenStore
    login_variables: tuple[str, ...] = ()  # of the environment, that its login was taken from
    dial: Dial = Dial()
    policy: LinePolicy = LinePolicy()
    wanted: tuple[Topic, ...] = ()
    freshness: Mapping[Topic, FreshnessPolicy] = {}
    kind: object = None  # of venue; a feed that gets another one is another feed
    price_sources: tuple[str, ...] = ()  # the order in which `latest` looks at them
    identity: tuple[object, ...] = ()  # all that its connections depend on: a change reconnects

    @property
    def doors(self) -> tuple[Venue, ...]:
        """The venue at each of its addresses."""
        return (self.venue, *self.others)

    @property
    def urls(self) -> tuple[str, ...]:
        """Its addresses, as the config has them."""
        return tuple(door.settings.url for door in self.doors)

    @property
    def send_rate(self) -> SendRate:
        """What its connections may send."""
        return self.policy.send_rate or self.venue.send_rate

    @property
    def access(self) -> tuple[object, ...]:
        """URL, credentials and the way to the venue: what a stable life has proved to work."""
        return self.kind, self.venue.settings, self.dial.proxy, self.dial.ca_file, self.dial.verify_tls

    @property
    def accounts(self) -> tuple[str, ...]:
        """The account at each of its addresses: each has its own limits and cool-down."""
        return tuple(door.account() for door in self.doors)

    def url(self, line: str, door: int = 0) -> str:
        """Where the line connects to, without the query."""
        try:
            return self.doors[door % len(self.doors)].endpoint(Opening(line)).url.partition("?")[0]
        except Exception:  # a defect of the venue's: its connection meets and reports it, too
            return ""


Feeds = Mapping[str, FeedSpec]  # by name


class Specs(Struct, frozen=True, kw_only=True):
    """What is wanted of a runtime, all at once: `generation` counts the configs it has had.

    The supervisor owns the newest one and publishes it.
    """

    generation: int = 0
    feeds: Feeds = {}
    settings: object = None  # as the user wrote them
