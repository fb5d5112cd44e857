"""A venue with a channel of deltas, for deliveries without a session."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

from actors.events import Option, Topic
from actors.http_types import Endpoint
from actors.protocol import Opening
from actors.protocol.session import Session
from actors.protocol.venue import Channel, Venue, VenueSettings


class Stub(Venue):
    """Events are texts; one of `depth` that begins with `whole` starts its topic anew."""

    name: ClassVar[str] = "stub"
    about: ClassVar[str] = "for tests"
    channels: ClassVar[Mapping[str, Channel]] = {
        "trades": Channel("trades", str, "trades", key="symbol"),
        "depth": Channel("depth", str, "books", key="symbol", deltas=True, whole=(str,), resyncable=True),
        "changes": Channel("changes", str, "books that begin nowhere", key="symbol", deltas=True),
    }

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        return Topic(self.feed, channel, key)

    def endpoint(self, opening: Opening) -> Endpoint:
        raise NotImplementedError

    def session(self, opening: Opening) -> Session:
        raise NotImplementedError

    def starts_anew(self, topic: Topic, event: Any) -> bool:
        return topic.channel == "depth" and str(event).startswith("whole")

    def duplicate_key(self, topic: Topic, event: Any) -> Hashable | None:
        return None


STUB = Stub("o2", VenueSettings())
