"""TOML from a file, or a sentence that says why not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from actors.errors import ConfigError


def user_path(path: str | Path) -> Path:
    """The path with the home directory for a `~`; as it is, if there is none, as shells leave it."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_file(path: Path) -> bool:
    """No, where it cannot be looked at."""
    try:
        return "\0" not in str(path) and path.is_file()
    except OSError:
        return False


def text_of(path: Path, file: str) -> str:
    """The text of a file; `file` is what people call it.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problem = f"{file}: there is no such file."
    except OSError as error:
        problem = f"{file}: it cannot be read ({error.strerror or error})."
    except UnicodeDecodeError as error:
        problem = f"{file}: it is not UTF-8 text (byte {error.start})."
    except ValueError as error:  # of a path with a NUL
        problem = f"{file}: it cannot be read ({error})."
    raise ConfigError([problem])


def parsed(text: str, file: str) -> dict[str, Any]:
    """The content of a text.

    Raises:
        ConfigError: it is not TOML; with the place.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = _syntax(file, text, str(error))
    except RecursionError:
        problem = f"{file}: it is nested too deeply."
    except ValueError as error:  # of a number with thousands of digits
        problem = f"{file}: it cannot be read ({error})."
    raise ConfigError([problem])


def _syntax(file: str, text: str, error: str) -> str:
    what, _, place = error.partition(" (at ")
    numbers = re.findall(r"\d+", place)
    if len(numbers) != 2:  # "at end of document"
        lines = text.splitlines() or [""]
        numbers = [str(len(lines)), str(len(lines[-1]) + 1)]
    json = " A config is TOML, and this looks like JSON." if text.lstrip().startswith("{") else ""
    quotes = ' (a text has quotes: venue = "o2")' if what == "Invalid value" else ""
    told = f"{what[:1].lower()}{what[1:]}{quotes}"
    return f"{file}:{numbers[0]}:{numbers[1]}: this is not TOML: {told}.{json}"
