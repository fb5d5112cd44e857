"""Reads the entries of `subscribe`, and asks the venue about their topics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from actors.events import Option, Topic
from actors.protocol.foreign_words import meaning
from actors.protocol.venue import Channel, Venue
from actors.rules.topics import topic_of
from actors.settings.calendar_tables import Calendars, named_calendar
from actors.settings.schema import WantedTopics
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.wording import found, keys_of, nearest, suggested

ENTRY_KEYS = keys_of(WantedTopics) - {"options"}
PLAIN_ENTRY_KEYS = ENTRY_KEYS - {"calendar"}
Table = Mapping[str, object]
AnyVenue = Venue | type[Venue] | None  # of a feed; its kind, where it cannot be made


def read_subscriptions(
    reader: SettingsReader, calendars: Calendars, where: str, raw: object, venue: AnyVenue
) -> tuple[WantedTopics, ...]:
    if not isinstance(raw, list | tuple):
        text = f'expected a list of tables such as {{ channel = "…" }}, found {found(raw)}'
        reader.complain(where, "subscribe", text)
        return ()
    seen: set[Topic] = set()
    wanted = []
    for number, entry in enumerate(raw, 1):
        place = f"{where} subscribe entry {number}"
        topics = _wanted(reader, calendars, place, reader.table(place, entry), venue)
        if topics is not None:
            wanted.append(topics)
            if isinstance(venue, Venue):
                _check_topics(reader, place, reader.says_variable(entry), topics, venue, seen)
    return tuple(wanted)


def _wanted(
    reader: SettingsReader, calendars: Calendars, where: str, table: dict[str, object], venue: AnyVenue
) -> WantedTopics | None:
    table = _with_keys_as_text(table)
    lone = {"keys"} if isinstance(table.get("keys"), str | int | float) else set()
    if lone:
        reader.complain(
            where, "keys", 'expected a list of texts, such as ["AAPL"]: one key has brackets, too'
        )
    fields = reader.some_fields(where, table, WantedTopics, PLAIN_ENTRY_KEYS - lone)
    if "calendar" in table:
        fields["calendar"] = named_calendar(reader, calendars, where, table)
    _check_freshness(reader, where, fields, venue)
    sound = "keys" in fields or "keys" not in table
    if not all(fields.get("keys", ())):
        reader.complain(where, "keys", "expected texts that are not empty")
        sound = False
    channel = _channel(reader, where, table, fields.get("channel"), venue)
    options: dict[str, Option] = {}
    for key in [key for key in table if key not in ENTRY_KEYS]:
        if channel is not None and key not in channel.options:
            reader.complain(where, key, _no_such_option(reader, key, channel, venue))
        elif channel is None and (near := nearest(key, ENTRY_KEYS)):
            reader.complain(where, key, f"there is no such key; did you mean {near!r}?")
        else:
            try:
                options[key] = _option(reader, where, key, table[key])
            except RefusedError:
                sound = False
    return WantedTopics(options=options, **fields) if channel is not None and sound else None


def _check_freshness(reader: SettingsReader, where: str, fields: Mapping[str, Any], venue: AnyVenue) -> None:
    """What is allowed and means nothing."""
    dated = fields.get("max_event_lag")
    kind = type(venue) if isinstance(venue, Venue) else venue
    if dated and kind is not None and kind.event_time_ns is Venue.event_time_ns:
        reader.warn(where, "max_event_lag", f"events of venue {kind.name} have no timestamp of the venue")


def _channel(
    reader: SettingsReader, where: str, table: Table, name: str | None, venue: AnyVenue
) -> Channel | None:
    if venue is None or name is None:
        return None
    if name not in venue.channels:  # reported as it was written
        hint = meaning(name, "channels", venue.sdk_words()) or suggested(name, venue.channels)
        text = f"venue {venue.name} has no channel {table['channel']!r}{hint}"
        reader.complain(where, "channel", text)
    return venue.channels.get(name)


def _no_such_option(reader: SettingsReader, key: str, channel: Channel, venue: AnyVenue) -> str:
    text = f"channel {channel.name} has no such option"
    if venue is not None and (told := meaning(key, "options", venue.sdk_words())):
        return f"{text}{told}"
    if near := nearest(key, [*channel.options, *ENTRY_KEYS]):
        return f"{text}; did you mean {near!r}?"
    takes = f"takes {', '.join(sorted(channel.options))}" if channel.options else "takes no options"
    return f"{text}{reader.home(key)}; it {takes}"


def _option(reader: SettingsReader, where: str, key: str, raw: object) -> Option:
    value = reader.expand(where, key, raw)
    if isinstance(value, float) and not math.isfinite(value):
        reader.complain(where, key, f"expected a finite number, found {value}")
    elif isinstance(value, str | int | float):
        return value
    else:
        reader.complain(where, key, f"expected text, a number, true or false, found {found(raw)}")
    raise RefusedError


def _check_topics(
    reader: SettingsReader, where: str, foreign: bool, wanted: WantedTopics, venue: Venue, seen: set[Topic]
) -> None:
    channel = venue.channels[wanted.channel]
    if channel.key and not wanted.keys:
        reader.complain(where, "keys", f"channel {channel.name} wants at least one key ({channel.key})")
        return
    if wanted.keys and not channel.key:
        reader.complain(where, "keys", f"channel {channel.name} takes no keys")
        return
    wrong: set[str] = set()
    for key in wanted.keys or ("",):
        topic = _topic(reader, where, foreign, wanted, venue, key, wrong)
        if topic is None:
            continue
        if topic in seen:
            which = "one of its topics" if foreign else str(topic)
            reader.warn(where, "", f"{which} is wanted twice")
        seen.add(topic)


def _topic(
    reader: SettingsReader,
    where: str,
    foreign: bool,
    wanted: WantedTopics,
    venue: Venue,
    key: str,
    wrong: set[str],
) -> Topic | None:
    """None: the venue refuses it, which is reported; `wrong` are options that were reported already."""
    options = dict(wanted.options)

    def build() -> Topic:
        return topic_of(venue, wanted.channel, key, options)

    def report(place: str) -> Topic | None:
        return reader.quoting(where, place, build, withheld=foreign, prefix=f"{venue.feed}: ")

    while option := _wrong_option(venue, wanted.channel, key, options):
        if option not in wrong:
            wrong.add(option)
            report(option)
        del options[option]
    if len(options) < len(wanted.options):
        return None
    return report("keys" if key else "")


def _with_keys_as_text(table: dict[str, object]) -> dict[str, object]:
    """Integers among the keys as their digits."""
    keys = table.get("keys")
    if not isinstance(keys, list | tuple):
        return table
    return table | {"keys": [str(key) if type(key) is int and abs(key) < 2**63 else key for key in keys]}


def _wrong_option(venue: Venue, channel: str, key: str, options: Mapping[str, Option]) -> str:
    """The option without which the venue has another objection, or none; empty: there is no such option."""

    def objection(left_out: str = "") -> str:
        rest = {name: value for name, value in options.items() if name != left_out}
        try:
            venue.topic(channel, key, rest)
        except Exception as error:  # a defect of the venue's is placed as an objection is
            return f"{type(error).__name__}: {error}"
        return ""

    told = objection()
    return next((name for name in options if told and objection(name) != told), "")
