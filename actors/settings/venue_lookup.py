"""Finds the venue of a feed: built in, of a table, of a program of the user, or a hub."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from actors.errors import ConfigError
from actors.lazy import imported
from actors.protocol.venue import Venue
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.toml_file import is_file, text_of
from actors.settings.wording import suggested

HUB = "signalr"  # the venue that a feed describes itself
Table = Mapping[str, object]
Venues = Mapping[str, type[Venue]]


def find_venue(reader: SettingsReader, venues: Venues, where: str, table: Table) -> type[Venue] | None:
    known = ", ".join(sorted(venues))
    if "venue" not in table:
        reader.complain(where, "venue", f"missing; expected one of: {known}")
        return None
    try:
        name = reader.convert(where, "venue", table["venue"], str)
    except RefusedError:
        return None
    if name == HUB:
        return _hub(reader, where, table)
    if name in venues:
        return venues[name]
    if name.endswith(".toml") or "/" in name:
        return _described(reader, where, name, str(table["venue"]))
    if ":" in name:
        return _imported(reader, where, name, str(table["venue"]))
    # As it was written: a variable's value is not shown.
    text = f"there is no venue {str(table['venue'])!r}{suggested(name, venues)}"
    reader.complain(where, "venue", text)
    return None


def venue_class(place: str, shown: str) -> type[Venue]:
    """The venue at `module:Class`; `shown` is the place as it was written.

    Raises:
        ConfigError: it cannot be imported, or is no venue.
    """
    try:
        found = imported(place)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the module does when it is imported
        advice = "; install it, or put its directory into PYTHONPATH"
        hint = advice if isinstance(error, ModuleNotFoundError) else ""
        cause = type(error).__name__
        if shown == place:  # else the error's text may repeat a variable's value
            cause += f": {' '.join(str(error).split())}"
        raise ConfigError([f"{shown!r} cannot be imported ({cause}){hint}."]) from None
    if not (isinstance(found, type) and issubclass(found, Venue)):
        raise ConfigError([f"{shown!r} is no subclass of actors.protocol.Venue."])
    return found


def _imported(reader: SettingsReader, where: str, name: str, shown: str) -> type[Venue] | None:
    """A venue that does not come with the package, as `module:Class`."""
    try:
        return venue_class(name, shown)
    except ConfigError as error:
        for text in error.problems:
            reader.complain(where, "venue", text)
        return None


def _described(reader: SettingsReader, where: str, name: str, shown: str) -> type[Venue] | None:
    """The venue of a table's own file."""
    from actors.settings.venue_tables import read_venue

    path = reader.path(where, "venue", name)
    try:
        return read_venue(text_of(path, shown), shown)
    except ConfigError as error:
        if not is_file(path):
            reader.complain(where, "venue", f"there is no file {shown!r} (from the config's directory)")
        else:
            reader.problems += error.problems
        return None


def _hub(reader: SettingsReader, where: str, table: Table) -> type[Venue] | None:
    """The venue of a hub that the feed describes itself."""
    from actors.settings.venue_tables import read_hub
    from actors.venues.signalr import GIVEN

    if "url" not in table:
        reader.complain(where, "url", "missing; expected the hub's address, such as wss://host/hubs/market")
    if "hub" not in table:
        text = "missing; expected a table with the hub's channels and events, see docs/venues.md"
        reader.complain(where, "hub", text)
        return None
    inside = f"{where.removesuffix(']')}.hub]"
    described = reader.table(inside, table["hub"])
    for key in GIVEN.keys() & described.keys():
        place = f"it belongs in {where}" if key in {"url", "token"} else f"{HUB} is all that it is called"
        reader.complain(inside, key, f"it has no place here; {place}")
    try:
        with suppress(RefusedError):
            return read_hub(
                reader.expand(inside, "", described), f"{reader.places.of(inside, '').file}: {inside}"
            )
    except ConfigError as error:
        reader.problems += error.problems
    return None
