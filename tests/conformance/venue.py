"""A venue whose line goes through a suite of cases: each of its lives is one of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import ClassVar

from actors.errors import LinewardenError
from actors.events import Option, Topic
from actors.http_types import Endpoint
from actors.protocol import Opening
from actors.protocol.conversation import Conversation
from actors.protocol.session import TEXT, Effect, Frame, Send, Session
from actors.protocol.venue import Channel, Venue, VenueSettings


class Echo(Session):
    """Says what it hears."""

    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        return [Send(payload.decode() if opcode == TEXT else payload) for opcode, payload in frames]

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        return []

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        return []


class Suite(Venue):
    """Each connect of its line is the next case. After the last one the suite answers none."""

    name = "suite"
    about = "a suite of cases"
    channels: ClassVar[Mapping[str, Channel]] = {}

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        super().__init__(feed, settings)
        self._cases = itertools.count(1)

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        raise LinewardenError("there is nothing to subscribe to")

    def endpoint(self, opening: Opening) -> Endpoint:
        return Endpoint(self.settings.url)

    def approach(self, opening: Opening) -> Conversation[Endpoint]:
        yield from ()  # nothing is asked over HTTP
        return Endpoint(f"{self.settings.url}/runCase?agent=linewarden&case={next(self._cases)}")

    def session(self, opening: Opening) -> Session:
        return Echo()
