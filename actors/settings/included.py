"""Feeds and calendars of other files, which a config includes."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from actors.errors import ConfigError
from actors.settings.places import Place
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.toml_file import parsed, text_of, user_path
from actors.settings.wording import found, key_name

WHERE = "include"
MOST_FILES = 1_000
LARGEST = 4_194_304  # bytes of one file
TABLES = ("feeds", "calendars")
EXAMPLE = 'a list of texts, such as ["feeds.d/*.toml"]'
Patterns = Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(description=EXAMPLE)]

_WILD = re.compile(r"[*?\[]")


class Included(Struct):
    """What the files hold, beside what the config holds itself."""

    feeds: dict[str, object]
    calendars: dict[str, object]
    files: list[str]


def read_included(reader: SettingsReader, top: Mapping[str, object]) -> Included:
    """The feeds and calendars of a config and of all files that it includes. Mistakes are the reader's.

    An included file has feeds and calendars only, and so includes nothing itself.
    """
    found_in = {name: _own(reader, name, top) for name in TABLES}
    homes = {(name, key): reader.places.main.file for name in TABLES for key in found_in[name]}
    files: list[str] = []
    for path, shown in _files(reader, top):
        files.append(shown)
        with suppress(ConfigError):
            for name, tables in _tables_of(reader, path, shown).items():
                for key, table in tables.items():
                    where = f"[{name}.{key_name(str(key))}]"
                    if other := homes.get((name, key)):
                        one = name.removesuffix("s")
                        reader.complain_in(shown, where, "", f"{other} has a {one} of this name, too")
                        continue
                    homes[name, key] = shown
                    found_in[name][key] = table
                    reader.places.add_table(where, Place(shown, path.parent))
    return Included(found_in["feeds"], found_in["calendars"], files)


def _own(reader: SettingsReader, name: str, top: Mapping[str, object]) -> dict[str, object]:
    return reader.table(f"[{name}]", top.get(name, {}))


def _tables_of(reader: SettingsReader, path: Path, file: str) -> dict[str, Mapping[str, Any]]:
    """Raises ConfigError: the file cannot be read, which is reported."""
    try:
        source = parsed(text_of(path, file), file)
    except ConfigError as error:
        reader.problems += error.problems
        raise
    for key in (key for key in source if key not in TABLES):
        text = "an included file has no such table; it has [feeds.NAME] and [calendars.NAME] only"
        reader.complain_in(file, "", key, text)
    tables: dict[str, Mapping[str, Any]] = {}
    for name in (name for name in TABLES if name in source):
        if isinstance(source[name], Mapping):
            tables[name] = source[name]
        else:
            reader.complain_in(file, f"[{name}]", "", f"expected a table, found {found(source[name])}")
    return tables


def _files(reader: SettingsReader, top: Mapping[str, object]) -> Iterator[tuple[Path, str]]:
    """Each file once, with its name for people: pattern by pattern, and in the order of their names."""
    patterns: tuple[str, ...] = ()
    if WHERE in top:
        with suppress(RefusedError):
            patterns = reader.convert(WHERE, "", top[WHERE], Patterns)
    main = reader.places.main
    seen = {_identity(Path(main.directory, Path(main.file).name))}
    for pattern in patterns:
        for path in _matches(reader, pattern):
            identity = _identity(path)
            if identity is not None and identity in seen:
                continue  # also the config itself, where it lies among them
            seen.add(identity)
            if len(seen) > MOST_FILES:
                reader.complain(WHERE, "", f"{pattern!r}: at most {MOST_FILES:,} files can be included")
                return
            if mistake := _mistake(path):
                reader.complain(WHERE, "", f"{str(path)!r} {mistake}")
            else:
                yield path, str(path)


def _matches(reader: SettingsReader, pattern: str) -> list[Path]:
    """Hidden files are left out, as shells do: editors make such."""
    path = Path(reader.places.main.directory, user_path(pattern))
    if "\0" in pattern or _WILD.search(str(path.parent)):
        text = "expected a path in which * stands in the name of the file only"
        reader.complain(WHERE, "", f"{pattern!r}: {text}")
        return []
    if not _WILD.search(path.name):
        return [path]
    try:
        names = [each.name for each in path.parent.iterdir()]
    except OSError as error:
        why = error.strerror or error
        reader.complain(WHERE, "", f"{pattern!r}: the folder {str(path.parent)!r} cannot be read ({why})")
        return []
    found = [name for name in names if fnmatchcase(name, path.name) and not name.startswith(".")]
    if not found:
        reader.warn(WHERE, "", f"{pattern!r} matches no file")
    return [path.parent / name for name in sorted(found)]


def _identity(path: Path) -> tuple[int, int] | None:
    """None: it cannot be looked at."""
    with suppress(OSError):
        facts = path.stat()
        return facts.st_dev, facts.st_ino
    return None


def _mistake(path: Path) -> str:
    """Why this file is not read; empty: it is."""
    try:
        facts = path.stat()
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if not stat.S_ISREG(facts.st_mode):
        return "is no regular file"
    return f"has more than {LARGEST:,} bytes" if facts.st_size > LARGEST else ""
