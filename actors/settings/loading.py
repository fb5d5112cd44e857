"""Reads the settings of a config, of one feed, or of a table that describes a venue."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.errors import ConfigError
from actors.protocol.venue import Venue
from actors.settings.config import TABLES, ConfigReader
from actors.settings.places import Places
from actors.settings.schema import FILE, FeedSettings, Settings
from actors.settings.toml_file import parsed, text_of, user_path
from actors.settings.wording import found

if TYPE_CHECKING:
    from actors.venues.declarative import DeclarativeVenue


def load(
    source: str | Path | Mapping[str, Any] | Settings,
    environ: Mapping[str, str] | None = None,
    *,
    venues: Mapping[str, type[Venue]] | None = None,
) -> Settings:
    """The settings in a TOML file, or in a mapping of the same shape.

    `${NAME}` in a text takes the value of that variable in `environ`; None: of this process. Feeds may name
    any of `venues`; None means those that come with the package.

    Raises:
        ConfigError: every mistake there is, a sentence each. None repeats a variable's value.
    """
    if isinstance(source, Settings):
        return source
    known = known_venues() if venues is None else venues
    try:
        return _read(source, os.environ if environ is None else environ, known)
    except ConfigError as error:
        # Some tracebacks show the values of variables, and those of the frames below are secrets.
        raise error.with_traceback(None) from None


def _read(
    source: str | Path | Mapping[str, Any], environ: Mapping[str, str], venues: Mapping[str, type[Venue]]
) -> Settings:
    if isinstance(source, Mapping):
        return ConfigReader(FILE, Path(), environ, venues).settings(source)
    path, file = _path(source), str(source)
    return ConfigReader(file, path.parent, environ, venues).settings(parsed(text_of(path, file), file))


def explained(source: str | Path) -> tuple[Settings, Places]:
    """The settings in a TOML file, and where each of them was written. Raises as `load` does."""
    path, file = _path(source), str(source)
    reader = ConfigReader(file, path.parent, os.environ, known_venues())
    try:
        return reader.settings(parsed(text_of(path, file), file)), reader.places
    except ConfigError as error:  # as in `load`
        raise error.with_traceback(None) from None


def load_feed(
    name: str, table: Mapping[str, Any], beside: Settings, environ: Mapping[str, str] = os.environ
) -> FeedSettings:
    """The settings of one feed, of a mapping such as `[feeds.NAME]` of the config that these settings are of.

    Raises:
        ConfigError: as `load` does.
    """
    where = "add_feed"
    if not isinstance(name, str):
        raise ConfigError([f"{where}: expected a feed's name, found {found(name)}."])
    if not isinstance(table, Mapping):
        text = f"expected a mapping such as the table [feeds.{name}] of a config, found {found(table)}"
        raise ConfigError([f"{where}: {text}. Of a TOML text, give what tomllib.loads makes of that table."])
    directory = Path() if beside.file == FILE else _path(beside.file).parent
    try:
        return ConfigReader(where, directory, environ, known_venues()).feed(name, table, beside)
    except ConfigError as error:  # as in `load`
        raise error.with_traceback(None) from None


def _path(source: object) -> Path:
    """Raises ConfigError for what is no path of a file."""
    if not isinstance(source, str | os.PathLike) or not isinstance(os.fspath(source), str):
        raise ConfigError([f"expected the path of a TOML file, or a mapping; found {found(source)}."])
    text = os.fspath(source)
    if not text.strip():
        raise ConfigError(["expected the path of a TOML file, found an empty text."])
    if "\n" in text:
        advice = "give what tomllib.loads makes of it"
        raise ConfigError([f"expected the path of a TOML file, found a text of several lines; {advice}."])
    return user_path(text)


def described(path: Path) -> type[DeclarativeVenue] | None:
    """The venue that this file describes; None: it is a config, or no TOML.

    Raises:
        ConfigError: it is the table of a venue, and has mistakes.
    """
    file = str(path)
    try:
        text = text_of(user_path(path), file)
        source = parsed(text, file)
    except ConfigError:  # it is reported when it is read as a config
        return None
    if source.keys() & TABLES or not source.keys() & {"channels", "events"}:
        return None
    from actors.settings.venue_tables import read_venue

    return read_venue(text, file)


def known_venues() -> Mapping[str, type[Venue]]:
    """The venues that a config may name: those that are built in, and those whose tables come along."""
    from actors.settings.venue_tables import KnownVenues
    from actors.venues import VENUES

    return KnownVenues(VENUES)
