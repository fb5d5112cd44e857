"""`linewarden check --show`: what a config means in the end, and where each value was written.

Secrets are not shown, and neither is what came out of a variable or a credential: their names are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from msgspec import Struct, structs

from actors.protocol.formatting import counted
from actors.secret import REDACTED, Secret, SecretFile
from actors.settings.places import Places
from actors.settings.schema import FeedSettings, Settings, WantedTopics
from actors.settings.table_reader import names_of_variables
from actors.settings.wording import key_name

TABLES = ("runtime", "service", "trading", "log")
WIDTH = 44  # characters before the place


def config_lines(settings: Settings, places: Places) -> Iterator[str]:
    """The tables, in TOML as far as there is a form for the value, with a comment behind each value."""
    for name in TABLES:
        where = f"[{name}]"
        yield from ("", where)
        yield from _formatted(_rows(where, _fields(getattr(settings, name)), places))
    for feed in settings.feeds.values():
        where = f"[feeds.{key_name(feed.name)}]"
        yield from ("", where)
        yield from _formatted(_rows(where, _values(feed), places, _login(feed)))


def _formatted(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    return (f"{value:<{WIDTH}} # {source}" for value, source in rows)


def _values(feed: FeedSettings) -> dict[str, object]:
    """Of the feed and of its venue: as they may be seen."""
    own = dict(feed.own.__rich_repr__())
    shown = {name: value for name, value in feed.shown() if name not in {"name", "own", "login_variables"}}
    doors = shown.pop("doors")
    if doors:
        own["url"] = doors
    names = {field.name: field.encode_name for field in structs.fields(type(feed.own))}
    return {"venue": shown.pop("venue")} | {names.get(key, key): value for key, value in own.items()} | shown


def _login(feed: FeedSettings) -> str:
    variables = " and ".join(feed.login_variables)
    return f"the environment: {variables}" if variables else ""


def _fields(table: Struct) -> dict[str, object]:
    return {field.encode_name: getattr(table, field.name) for field in structs.fields(type(table))}


def _rows(
    where: str, values: Mapping[str, object], places: Places, login: str = ""
) -> Iterator[tuple[str, str]]:
    """Yields `key = value` and its origin."""
    for key, value in values.items():
        if isinstance(value, Struct) and not isinstance(value, SecretFile):
            inside = f"{where.removesuffix(']')}.{key}]"
            yield from ((f"{key}.{row}", source) for row, source in _rows(inside, _fields(value), places))
            continue
        raw = places.written(where, key)
        variables = names_of_variables(raw)
        shown = REDACTED if variables else _shown(value)
        if raw is not None:
            place = places.of(where, key)
            source = f"{place.file} {place.where}" + (f", {', '.join(variables)}" if variables else "")
        else:
            source = login if login and isinstance(value, Secret) else "default"
        yield f"{key} = {shown}", source


def _shown(value: object) -> str:
    match value:
        case None:
            return "(none)"
        case Secret():
            return REDACTED
        case SecretFile():
            return json.dumps(value.name)
        case bool() | str() | int() | float():
            return json.dumps(value, ensure_ascii=False)
        case tuple() if value and isinstance(value[0], WantedTopics):
            return counted(len(value), "table")
        case tuple() | list():
            return f"[{', '.join(_shown(each) for each in value)}]"
    return str(value)
