"""Venues that tables describe: a file as a class, with all of its mistakes reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Any
from weakref import WeakValueDictionary

from actors.protocol.venue import Venue
from actors.settings.table_reader import RefusedError
from actors.settings.toml_file import parsed
from actors.settings.venue_table_reader import VenueTableReader
from actors.venues.declarative.path import Condition, Path
from actors.venues.declarative.protocol import MANY, TableProtocol
from actors.venues.declarative.table import AskTable, FrameTable
from actors.venues.declarative.template import Text
from actors.venues.declarative.topics import Names
from actors.venues.declarative.venue import DeclarativeVenue, venue_of

_made: WeakValueDictionary[str, type[DeclarativeVenue]] = WeakValueDictionary()


def read_venue(text: str, file: str) -> type[DeclarativeVenue]:
    """The venue of a table's text; the same text makes the same class. `file` is for people.

    Raises:
        ConfigError: every mistake there is, a sentence each.
    """
    made = _made.get(text)
    if made is None:
        source = parsed(text, file)
        if source.get("protocol") == "signalr":
            from actors.settings.hub_tables import HubReader  # with all of SignalR, only where it is needed
            from actors.venues.signalr import hub_of

            made = hub_of(HubReader(file).read(source))
        else:
            made = venue_of(TableReader(file).read(source))
        _made[text] = made
    return made


def read_hub(source: Mapping[str, Any], file: str) -> type[DeclarativeVenue]:
    """The venue of a feed that describes its hub itself; the same description makes the same class.

    Raises:
        ConfigError: every mistake there is, a sentence each.
    """
    from actors.settings.hub_tables import HubReader
    from actors.venues.signalr import GIVEN, HubSettings, hub_of

    known = f"{file} {source!r}"
    made = _made.get(known)
    if made is None:
        made = _made[known] = hub_of(HubReader(file).read({**source, **GIVEN}), HubSettings)
    return made


class KnownVenues(Mapping[str, type[Venue]]):
    """The venues that are built in, and those whose tables come with the package, read when asked for."""

    def __init__(self, built_in: Mapping[str, type[Venue]]) -> None:
        self._built_in = built_in
        tables = files("actors.venues") / "tables"
        self._tables = {
            each.name.removesuffix(".toml"): each
            for each in sorted(tables.iterdir() if tables.is_dir() else (), key=lambda each: each.name)
            if each.name.endswith(".toml")
        }

    def __getitem__(self, name: str) -> type[Venue]:
        if name in self._built_in:
            return self._built_in[name]
        return read_venue(self._tables[name].read_text("utf-8"), f"{name}.toml")

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in self._tables

    def __iter__(self) -> Iterator[str]:
        yield from self._built_in
        yield from (name for name in self._tables if name not in self._built_in)

    def __len__(self) -> int:
        return len(self._built_in.keys() | self._tables.keys())


class TableReader(VenueTableReader[FrameTable]):
    """Reads the table of a venue that is subscribed to by frames."""

    kind = FrameTable

    def protocol(self, table: FrameTable, own: Mapping[str, str]) -> TableProtocol:
        return TableProtocol(table, "feed", own)

    def check_talk(self, table: FrameTable, own: set[str]) -> None:
        options = {option for channel in table.channels.values() for option in channel.options}
        topic = {"channel", "key", "wire", *options} | own
        for verb, ask in (("subscribe", table.subscribe), ("unsubscribe", table.unsubscribe)):
            if ask is not None:
                self.check_frame(f"[{verb}] send", ask.send, topic | {MANY, "id"})
                self.check_frame(f"[{verb}] topic", ask.topic, topic)
        if table.login is not None:
            for number, frame in enumerate(table.login.send, 1):
                self.check_frame(f"[login] send entry {number}", frame, own | {"id"})
        if table.ping is not None:
            self.check_frame("[ping] send", table.ping.send, own | {"id"})
        for number, reply in enumerate(table.replies, 1):
            for slot in sorted(reply.send.slots - own - {"id"}):
                with suppress(RefusedError):
                    self._parse(f"[[replies]] entry {number}", "send", slot, Path)
        for kind, places in (("acks", table.acks), ("errors", table.errors)):
            for number, place in enumerate(places, 1):
                self.check_place(f"[[{kind}]] entry {number}", table, place)
        for number, state in enumerate(table.venue_states, 1):
            where = f"[[venue_states]] entry {number}"
            if state.when is None and where not in self._unsound:
                self.complain(where, "when", f"missing; expected {Condition.expected.partition(',')[0]}")

    def check_said(self, table: FrameTable, names: Names) -> None:
        ask = table.subscribe
        if ask is None:
            return
        if names.table.key and "key" not in _said(ask, names):
            self.complain("[subscribe] topic", "", f"nothing tells the venue the key of channel {names.name}")
        elif not names.table.key and _needs_key(ask):
            advice = "put it into the wire of those channels that have one"
            self.complain("[subscribe] topic", "", f"channel {names.name} has no {{key}}; {advice}")


def _said(ask: AskTable, names: Names) -> set[str]:
    """The parts of a topic that a subscribing frame contains."""
    slots = ask.send.slots | (ask.topic.slots if MANY in ask.send.slots else set())
    return slots | (names.wire.slots if "wire" in slots else set())


def _needs_key(ask: AskTable) -> bool:
    """Whether of a topic without a key nothing would be left in a frame."""
    is_text = isinstance(ask.topic.node, Text) and "key" in ask.topic.slots
    return is_text and not ask.send.slots & {"wire", "channel"}
