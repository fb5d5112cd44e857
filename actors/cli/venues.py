"""`linewarden venues`: the venues, their channels, options and limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from msgspec import NODEFAULT, structs
from rich.table import Table

from actors.cli.arguments import complain, described_venue, known_name
from actors.cli.formatting import console, plain_table
from actors.errors import ConfigError
from actors.protocol.limits import SendRate
from actors.protocol.variables import Variable
from actors.protocol.venue import Channel, Venue
from actors.settings import expected, known_venues, venue_class
from actors.venues.declarative import DeclarativeVenue


def venues(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A venue, its table such as tables/mine.toml, or its module:Class.",
        ),
    ] = None,
) -> None:
    """List the venues, or describe one.

    The description has its channels with their keys and options, its keys in a config, its limits, and which
    states of itself it tells.
    """
    known = known_venues()
    shown = console()
    if name is None:
        table = plain_table("venue", "about", "channels")
        for venue in known.values():
            table.add_row(venue.name, venue.about, ", ".join(venue.channels))
        shown.print(table)
        return
    kind = _named(name, known)
    shown.print(f"{kind.name}: {kind.about}\n")
    if issubclass(kind, DeclarativeVenue):
        shown.print(f"url: {kind.table.url.source}\n", soft_wrap=True)
    shown.print(channel_table(kind), "")
    settings = plain_table("key in [feeds.NAME]", "expected", "default")
    for field in structs.fields(kind.Settings):
        settings.add_row(field.encode_name, expected(field.type), _default(field))
    shown.print(settings, "")
    lists = {
        "limit": {**kind.limits, "frames from us": _send_rate(kind.send_rate)},
        "state of the venue": kind.venue_states,
        "environment variable": {name: _held(each) for name, each in kind.variables.items()},
    }
    for heading, rows in lists.items():
        if rows:
            table = plain_table(heading, "")
            for key, value in rows.items():
                table.add_row(key, value)
            shown.print(table, "")


def _named(name: str, known: Mapping[str, type[Venue]]) -> type[Venue]:
    if name.endswith(".toml"):
        return _from_table(Path(name))
    if ":" not in name:
        return known[known_name("NAME", name, known)]
    try:
        return venue_class(name, name)
    except ConfigError as error:
        raise typer.Exit(complain(*error.problems)) from None


def _from_table(file: Path) -> type[DeclarativeVenue]:
    if not file.exists():
        raise typer.Exit(complain(f"{file}: there is no such file."))
    if (venue := described_venue(file)) is None:
        raise typer.Exit(complain(f"{file}: this is not the table of a venue."))
    return venue


def channel_table(kind: type[Venue]) -> Table:
    table = plain_table("channel", "about", "key", "options", "notes")
    for channel in kind.channels.values():
        options = "\n".join(f"{name}: {what}" for name, what in channel.options.items())
        table.add_row(channel.name, channel.about, channel.key, options, ", ".join(_notes(channel)))
    return table


def _notes(channel: Channel) -> Iterator[str]:
    if channel.deltas:
        yield "deltas, resyncable" if channel.resyncable else "deltas"
    if channel.account:
        yield "account"
    if not channel.acknowledged:
        yield "not acknowledged"
    if channel.unique:
        yield "unique"
    if channel.backfill:
        yield "back-filled"


def _held(variable: Variable) -> str:
    key = f", for {variable.key}" if variable.key else ""
    beside = f" has {variable.beside} and" if variable.beside else ""
    taken = f"; a feed that{beside} names no login takes it" if variable.login else ""
    if variable.is_address:
        needs = f"a login of the environment needs {variable.key}"
        return f"{variable.about}, which is not read; while it is set, {needs}"
    return f"{variable.about}{key}{taken}"


def _send_rate(rate: SendRate) -> str:
    frames = " and ".join(map(str, rate.frames)) or "no limit is stated"
    return f"{frames}; {rate.batch} topics are asked for together"


def _default(field: structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    return "" if value is None else str(value)
