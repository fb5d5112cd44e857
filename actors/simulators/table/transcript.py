"""Transcripts: what a server and a client say, one frame per line.

# a comment
< {"event":"welcome"}            the server sends it; <b in a binary frame, <m as msgpack
> {"op":"subscribe","id":1}      the client sends it: JSON is compared by value, other text as it is
= confirmed trades/ABC           a state or an action (*) of the client: passed over
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from actors.errors import ConfigError
from actors.simulators.base.client import binary_frame, text_frame

_PASSED_OVER = ("#", "=", "*")


class Exchange(Struct):
    """A frame of the client, and the frames that answer it."""

    line: int = 0  # of the client's frame; 0: the connection opens, and nothing is waited for
    wanted: Any = None  # the client's frame, as `value_of` reads it
    frames: list[bytes] = []


def read_talk(file: str) -> list[Exchange]:
    """The exchanges of a file; the first one is the opening of the connection.

    Raises:
        ConfigError: the file cannot be read, or has a line that is no part of a transcript.
    """
    try:
        lines = Path(file).read_bytes().decode().splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError([f"{file}: {reason[0].lower()}{reason[1:]}."]) from None
    talk, problems = [Exchange()], []
    for number, line in enumerate(lines, 1):
        mark, _, text = line.strip().partition(" ")
        if not mark or mark.startswith(_PASSED_OVER):
            continue
        try:
            if mark == ">":
                talk.append(Exchange(number, _wanted(text)))
            else:
                talk[-1].frames.append(_frame(mark, text))
        except ValueError as wrong:
            problems.append(f"{file}:{number}: {wrong}.")
    if talk == [Exchange()] and not problems:
        problems.append(f"{file}: there is no frame in it.")
    if problems:
        raise ConfigError(problems)
    return talk


def value_of(message: str | bytes) -> Any:
    """A frame as it is compared: JSON decoded, or its text."""
    try:
        return msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError):
        return message if isinstance(message, str) else message.decode(errors="replace")


def _wanted(text: str) -> Any:
    if text[:1] in ("{", "["):
        return _json(text)
    return value_of(_said(text))


def _frame(mark: str, text: str) -> bytes:
    match mark:
        case "<":
            return text_frame(_said(text).encode())
        case "<b":
            return binary_frame(_said(text).encode())
        case "<m":
            return binary_frame(msgspec.msgpack.encode(_json(text)))
        case _:
            raise ValueError(f"a line begins with <, <b, <m, >, =, * or #, not with {mark[:20]!r}")


def _said(text: str) -> str:
    if not text:
        raise ValueError("no frame follows the mark")
    return text


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"this is not JSON ({error})") from None
