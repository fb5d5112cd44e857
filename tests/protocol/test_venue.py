"""What a venue has by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from actors.protocol import Channel, Endpoint, LinewardenError, Opening, Option, Session, Topic, Venue
from actors.protocol import VenueSettings as Settings


class Snapshot:
    pass


class Change:
    pass


class Pier(Venue):
    name: ClassVar[str] = "pier"
    about: ClassVar[str] = "for tests"
    channels: ClassVar[Mapping[str, Channel]] = {
        "depth": Channel("depth", Snapshot | Change, "books", key="symbol", deltas=True, whole=(Snapshot,)),
        "changes": Channel("changes", Change, "changes alone", key="symbol", deltas=True),
    }

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        return Topic(self.feed, self.channel(channel).name, key)

    def endpoint(self, opening: Opening) -> Endpoint:
        return Endpoint("wss://pier.example")

    def session(self, opening: Opening) -> Session:
        raise NotImplementedError


PIER = Pier("pier", Settings())


@pytest.mark.parametrize(
    ("channel", "event", "starts"),
    [("depth", Snapshot(), True), ("depth", Change(), False), ("changes", Change(), False)],
)
def test_an_event_of_a_type_that_its_channel_calls_whole_starts_its_topic_anew(
    channel: str, event: object, starts: bool
) -> None:
    assert PIER.starts_anew(PIER.topic(channel, "X", {}), event) == starts


def test_a_channel_that_does_not_exist_is_told_with_the_nearest_name() -> None:
    with pytest.raises(LinewardenError, match=r"did you mean 'depth'\? It has: changes, depth\."):
        PIER.channel("dept")
