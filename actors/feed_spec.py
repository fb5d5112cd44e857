"""One feed as the supervisor is to run it, and all feeds of a config."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from actors.events import Topic
from actors.login.token_store import TokenStore
from actors.protocol.limits import RateLimit, SendRate
from actors.protocol.venue import Venue
from actors.rules.freshness import FreshnessPolicy
from actors.rules.restarts import RestartPolicy
from actors.wire.connect import Dial


class FeedSpec(Struct, frozen=True, kw_only=True):
    """One feed as it is wanted; seconds and bytes."""

    venue: Venue
    token_store: TokenStore
    dial: Dial = Dial()
    restart: RestartPolicy = RestartPolicy()
    send_rate: SendRate | None = None  # None: the venue's own
    connect_rate: RateLimit | None = None  # None: the venue's own
    ack_timeout: float = 10.0
    block_timeout: float = 5.0
    ping_interval: float = 10.0
    pong_timeout: float = 5.0
    venue_ping_interval: float | None = None  # None: the venue's own
    send_buffer: int = 1_048_576
    max_message: int = 16 * 1_048_576
    wanted: tuple[Topic, ...] = ()
    contracts: Mapping[Topic, FreshnessPolicy] = {}
    rotate_every: float = 0.0
    kind: object = None  # of venue; a feed that gets another one is another feed
    identity: tuple[object, ...] = ()  # all that its connections depend on: a change connects anew


class Specs(Struct, frozen=True, kw_only=True):
    """What is wanted of a runtime, all at once: `generation` counts the configs it has had.

    The supervisor owns the newest one and publishes it.
    """

    generation: int = 0
    feeds: Mapping[str, FeedSpec] = {}
    settings: object = None  # what the user said
