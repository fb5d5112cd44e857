"""Reads `[defaults]`, and puts it under the table of a feed.

`[defaults]` has keys of every feed, `[defaults.VENUE]` those of feeds of that venue. What sends orders and
what names a login stands in a feed alone, so that a feed that is added later gets neither by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msgspec import structs

from actors.protocol.foreign_words import meaning
from actors.protocol.venue import Venue
from actors.secret import SecretFile
from actors.settings.environment_login import login_keys
from actors.settings.feed_keys import FEED_KEYS, PLAIN_KEYS, TABLES
from actors.settings.restart_table import read_restart
from actors.settings.schema import AccountNumbers, DefaultsSettings, FeedSettings
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.venue_lookup import Venues
from actors.settings.wording import found, has_key, holds_secret, key_name, keys_of, plain, suggested

WHERE = "[defaults]"
NOT_HERE = {
    "trading": "it cannot be a default: a feed whose orders may leave says so itself",
    "limits": "they cannot be a default: a feed that trades names its own limits",
    "verify_tls": "it cannot be a default: a feed whose certificates are not checked says so itself",
}
LOGIN = "a login cannot be a default: it stands in the feed that uses it"
TYPES: dict[str, Any] = {field.encode_name: field.type for field in structs.fields(FeedSettings)}

Table = Mapping[str, object]


def read_defaults(reader: SettingsReader, venues: Venues, raw: object) -> DefaultsSettings:
    """What a feed may take. Mistakes are reported; a value with a mistake is kept, a key is not."""
    table = reader.table(WHERE, raw)
    of_venues = {name: table.pop(name) for name in list(table) if name in venues and name not in FEED_KEYS}
    common = _known(reader, WHERE, table, None, venues)
    return DefaultsSettings(
        common=common,
        venues={name: _of_venue(reader, name, each, venues) for name, each in of_venues.items()},
    )


def _of_venue(reader: SettingsReader, name: str, raw: object, venues: Venues) -> Table:
    where = f"[defaults.{key_name(name)}]"
    table = reader.table(where, raw)
    if "venue" in table:
        reader.complain(where, "venue", f"it has no place here: these are the defaults of venue {name}")
        del table["venue"]
    return _known(reader, where, table, venues[name], venues)


def _known(
    reader: SettingsReader, where: str, table: Table, kind: type[Venue] | None, venues: Venues
) -> dict[str, object]:
    """The keys that may stand there, each looked at by itself."""
    own = {field.encode_name: field.type for field in structs.fields(kind.Settings)} if kind else {}
    known: dict[str, object] = {}
    for key, value in table.items():
        if key in NOT_HERE:
            reader.complain(where, key, NOT_HERE[key])
        elif key in TABLES:
            inside = f"{where.removesuffix(']')}.{key}]"
            known[key] = _known_inside(reader, inside, key, value)
        elif key not in FEED_KEYS and _names_login(key, kind, venues):
            reader.complain(where, key, LOGIN)
        elif key in FEED_KEYS or key in own:
            known[key] = value
            with suppress(RefusedError):
                _look_at(reader, where, key, value, own)
        else:
            _reject(reader, where, key, kind, venues)
    return known


def _names_login(key: str, kind: type[Venue] | None, venues: Venues) -> bool:
    """Of this venue; None: of any."""
    return any(key in _login_keys(each) for each in ([kind] if kind is not None else venues.values()))


def _login_keys(kind: type[Venue]) -> set[str]:
    """Those that name a login, and all others that hold a secret, such as the file that a password opens."""
    fields = structs.fields(kind.Settings)
    held = {each.encode_name for each in fields if holds_secret(each.type) or plain(each.type) is SecretFile}
    return held | login_keys(kind)


def _known_inside(reader: SettingsReader, where: str, key: str, raw: object) -> dict[str, object]:
    if key == "restart" and has_key(raw, "initial") and has_key(raw, "maximum"):
        read_restart(reader, where, raw)
    else:  # a feed may have the other one
        reader.fields(where, raw, TABLES[key])
    keys = keys_of(TABLES[key])
    return {name: value for name, value in raw.items() if name in keys} if isinstance(raw, Mapping) else {}


def _look_at(reader: SettingsReader, where: str, key: str, value: object, own: Mapping[str, Any]) -> None:
    """So that a mistake is found in what no feed uses. The others are looked at with their feed."""
    if key in own and not isinstance(value, list | tuple):
        reader.convert(where, key, value, own[key])
    elif key in PLAIN_KEYS:
        reader.convert(where, key, value, TYPES[key])
    elif key == "accounts":
        reader.convert(where, key, value, AccountNumbers)
    elif key == "subscribe" and not isinstance(value, list | tuple):
        text = f'expected a list of tables such as {{ channel = "…" }}, found {found(value)}'
        reader.complain(where, key, text)


def _reject(reader: SettingsReader, where: str, key: str, kind: type[Venue] | None, venues: Venues) -> None:
    kinds = [kind] if kind is not None else list(venues.values())
    if told := next(filter(None, (meaning(key, "keys", each.sdk_words()) for each in kinds)), ""):
        reader.complain(where, key, f"there is no such key{told}, in [feeds.NAME]")
        return
    owners = sorted(name for name, each in venues.items() if key in keys_of(each.Settings))
    if owners:
        places = " or ".join(f"[defaults.{key_name(name)}]" for name in owners[:3])
        reader.complain(where, key, f"there is no such key; it is one of a venue, and belongs in {places}")
        return
    allowed = FEED_KEYS - NOT_HERE.keys() | (keys_of(kind.Settings) if kind else set())
    if near := reader.home(key):
        reader.complain(where, key, f"there is no such key{near}")
    else:
        reader.complain(where, key, f"there is no such key{suggested(key, allowed | set(venues))}")


# ── under a feed's table ────────────────────────────────────────────────────────────────────────


def with_defaults(
    reader: SettingsReader, where: str, own: Table, defaults: DefaultsSettings
) -> dict[str, object]:
    """The table of a feed, with what it leaves out: of its venue's defaults, then of those of every feed."""
    name = own.get("venue", defaults.common.get("venue"))
    with suppress(RefusedError):  # reported where the venue is looked for
        name = reader.expand(where, "venue", name)
    of_venue = defaults.venues.get(name, {}) if isinstance(name, str) else {}
    table = dict(own)
    for place, level in ((f"[defaults.{key_name(str(name))}]", of_venue), (WHERE, defaults.common)):
        for key, value in level.items():
            if key in TABLES and isinstance(value, Mapping):
                _merge_inside(reader, where, key, table, value, place)
            elif key not in table:
                table[key] = value
                reader.places.take(where, key, reader.places.main.at(place))
    return table


def _merge_inside(
    reader: SettingsReader, where: str, key: str, table: dict[str, object], values: Table, place: str
) -> None:
    """A table in the feed's table: the default of each key that is not there."""
    mine = table.get(key, {})
    if not isinstance(mine, Mapping):
        return
    if key == "dead_mans_switch" and key not in table and "after" not in values:
        return  # these are for feeds that have a switch
    if key not in table:
        reader.places.take(where, key, reader.places.main.at(place))
    inside = f"{where.removesuffix(']')}.{key}]"
    from_there = reader.places.main.at(f"{place.removesuffix(']')}.{key}]")
    for name in values.keys() - mine.keys():
        reader.places.take(inside, name, from_there)
    table[key] = {**values, **mine}
