"""config/*.toml as frozen Structs; a mistake is named by file, table and key, and all at once.

`tables` is what a config says, `config` reads one, table by table, `reading` key by key; `words` and
`addresses` are how mistakes are told.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actors.errors import ConfigError
from actors.rules.venue import Venue
from actors.settings.config import ConfigReader
from actors.settings.tables import (
    FeedSettings,
    HeartbeatSettings,
    RuntimeSettings,
    ServiceSettings,
    Settings,
    WantedTopics,
)
from actors.settings.words import expected

__all__ = [
    "FeedSettings",
    "HeartbeatSettings",
    "RuntimeSettings",
    "ServiceSettings",
    "Settings",
    "WantedTopics",
    "expected",
    "load",
]


def load(
    source: str | Path | Mapping[str, Any] | Settings,
    environ: Mapping[str, str] = os.environ,
    *,
    venues: Mapping[str, type[Venue]] | None = None,
) -> Settings:
    """The settings in a TOML file, or in a mapping of the same shape.

    `${NAME}` in a text takes the value of that variable in `environ`. Feeds may name any of
    `venues`; None means those that are built in.

    Raises:
        ConfigError: every mistake there is, a sentence each. None repeats a variable's value.
    """
    if isinstance(source, Settings):
        return source
    if venues is None:
        from actors.venues import VENUES

        venues = VENUES
    if isinstance(source, Mapping):
        return ConfigReader("<config>", Path(), environ, venues).settings(source)
    path = Path(source).expanduser()
    return ConfigReader(str(source), path.parent, environ, venues).settings(_parsed(path, str(source)))


def _parsed(path: Path, file: str) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return tomllib.loads(text)
    except FileNotFoundError:
        problem = f"{file}: there is no such file."
    except OSError as error:
        problem = f"{file}: it cannot be read ({error.strerror or error})."
    except UnicodeDecodeError as error:
        problem = f"{file}: it is not UTF-8 text (byte {error.start})."
    except tomllib.TOMLDecodeError as error:
        problem = _syntax(file, text, str(error))
    except RecursionError:
        problem = f"{file}: it is nested too deeply."
    except ValueError as error:  # of a number with thousands of digits, or a path with a NUL
        problem = f"{file}: it cannot be read ({error})."
    raise ConfigError([problem])


def _syntax(file: str, text: str, error: str) -> str:
    what, _, place = error.partition(" (at ")
    numbers = re.findall(r"\d+", place)
    if len(numbers) != 2:  # "at end of document"
        lines = text.splitlines() or [""]
        numbers = [str(len(lines)), str(len(lines[-1]) + 1)]
    return f"{file}:{numbers[0]}:{numbers[1]}: this is not TOML: {what[:1].lower()}{what[1:]}."
