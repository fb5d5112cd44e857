"""What a venue has by default."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, ClassVar

import pytest

from actors.protocol import (
    Channel,
    Endpoint,
    LinewardenError,
    Opening,
    Option,
    Session,
    Topic,
    TypedChannel,
    Venue,
)
from actors.protocol import VenueSettings as Settings
from actors.settings.venue_tables import read_venue
from actors.venues import o2


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


DEPTH = TypedChannel[Any]("pier", "depth")


def test_a_channel_is_named_by_text_or_by_a_constant() -> None:
    assert PIER.channel("depth") is PIER.channel(DEPTH) is Pier.channels["depth"]
    with pytest.raises(LinewardenError, match=r"has no channel 'dept'; did you mean 'depth'\?"):
        PIER.channel(TypedChannel[Any]("pier", "dept"))


@pytest.mark.parametrize(
    ("constant", "advice"),
    [(o2.DEPTH, "Write 'depth', or the constant of venue 'pier'."), (o2.NONCE, "It has: changes, depth.")],
    ids=str,
)
def test_a_constant_of_another_venue_is_refused_with_what_to_write(
    constant: TypedChannel[Any], advice: str
) -> None:
    with pytest.raises(LinewardenError) as refused:
        PIER.channel(constant)
    text = f"this constant is for {constant.name!r} of venue 'o2', and the feed is of venue 'pier'."
    assert str(refused.value) == f"pier: {text} {advice}"


def test_a_venue_that_extends_another_takes_its_constants() -> None:
    class Quay(Pier):
        name: ClassVar[str] = "quay"

    assert Quay("quay", Settings()).channel(DEPTH) is Pier.channels["depth"]
    with pytest.raises(LinewardenError, match=r"of venue 'quay', and the feed is of venue 'pier'\."):
        PIER.channel(TypedChannel[Any]("quay", "depth"))


def test_a_table_takes_no_constants_though_it_has_the_name_of_their_venue() -> None:
    text = (files("actors.venues") / "tables" / "coinbase.toml").read_text("utf-8")
    table = read_venue(text.replace('name = "coinbase"', 'name = "o2"', 1), "mine.toml")
    assert table.name == "o2"
    settings = table.Settings()
    assert table("mine", settings).channel("trades") is table.channels["trades"]
    with pytest.raises(LinewardenError) as refused:
        table("mine", settings).channel(o2.TRADES)
    text = "this constant is for 'trades' of venue 'o2', and the feed is of the table 'o2'."
    assert str(refused.value) == f"mine: {text} Write 'trades'."
