"""A file of variables, `NAME=value` each, as systemd's `EnvironmentFile=` reads it (systemd.exec(5)).

Where systemd passes over a line that it does not understand, this is a mistake: it may have been a key.
No sentence repeats what stands in the file, but for the names of variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
SPACE = " \t\r"
COMMENTS = "#;"
IN_QUOTES = '"\\`$'  # what a backslash escapes between double quotes


class Variables(Struct, frozen=True):
    """The content of a file."""

    values: dict[str, str]
    problems: tuple[str, ...] = ()  # sentences with the file and the line: of each line that is no variable
    warnings: tuple[str, ...] = ()


class _MistakeError(Exception):
    """The line cannot be read."""


def variables_of(text: str, file: str) -> Variables:
    """The variables of a text; `file` is what people call it."""
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[str] = []
    warnings: list[str] = []
    for entry in _Reader(text).entries():
        place = f"{file}:{entry.line}"
        if entry.mistake:
            problems.append(f"{place}: {entry.mistake}.")
        elif entry.name in lines:
            problems.append(f"{place}: {entry.name} is in line {lines[entry.name]} already.")
        else:
            values[entry.name], lines[entry.name] = entry.value, entry.line
            if entry.has_comment:
                told = f"the value of {entry.name} contains what looks like a comment"
                warnings.append(f"{place}: {told}; it is a part of the value, as it is for systemd.")
    return Variables(values, tuple(problems), tuple(warnings))


class _Entry(Struct, frozen=True):
    line: int
    name: str = ""
    value: str = ""
    has_comment: bool = False
    mistake: str = ""


class _Reader:
    """Walks through a text once."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0

    def entries(self) -> Iterator[_Entry]:
        while self._at < len(self._text):
            line = self._text.count("\n", 0, self._at) + 1
            start = self._line_until("=")
            first = start.lstrip(SPACE)[:1]
            is_empty = not first and not self._next_is("=")
            if is_empty or (first and first in COMMENTS):
                self._skip_line()
                continue
            try:
                yield self._entry(line, start)
            except _MistakeError as mistake:
                yield _Entry(line, mistake=str(mistake))
                self._skip_line()

    def _entry(self, line: int, start: str) -> _Entry:
        name = start.strip(SPACE)
        if not self._next_is("="):
            raise _MistakeError("expected NAME=value, found no =")
        if name.split() and name.split()[0] == "export" and len(name.split()) == 2:
            raise _MistakeError("expected NAME=value without export, which systemd does not read")
        if not NAME.match(name):
            raise _MistakeError("expected NAME=value, with a name of letters, digits and _ before the =")
        self._at += 1
        value, has_comment = self._value()
        if "\0" in value:
            raise _MistakeError(f"the value of {name} contains a NUL")
        return _Entry(line, name, value, has_comment)

    def _value(self) -> tuple[str, bool]:
        """To the end of its line. Quotes end where they are closed, perhaps lines later."""
        parts: list[str] = []
        while True:
            self._skip(SPACE)
            match self._take():
                case "" | "\n":
                    return "".join(parts), False
                case "'":
                    parts.append(self._single_quoted())
                case '"':
                    parts.append(self._double_quoted())
                case first:
                    bare = self._bare(first)
                    has_comment = bool(re.search(r"(?:^|\s)#", bare)) and (bool(parts) or bare[0] != "#")
                    return "".join(parts) + bare, has_comment

    def _bare(self, char: str) -> str:
        """Up to the end of the line, without the spaces there that no backslash protects."""
        kept: list[str] = []
        length = 0  # without spaces at the end
        while char not in {"", "\n"}:
            if char == "\\":
                char = self._take()
                kept += [char] if char != "\n" else []
                length = len(kept)
            else:
                kept.append(char)
                length = length if char in SPACE else len(kept)
            char = self._take()
        return "".join(kept[:length])

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise _MistakeError("the quote ' is not closed")
        text, self._at = self._text[self._at : end], end + 1
        return text

    def _double_quoted(self) -> str:
        kept: list[str] = []
        while (char := self._take()) != '"':
            if char == "\\" and (escaped := self._take()):
                kept += [] if escaped == "\n" else [escaped] if escaped in IN_QUOTES else [char, escaped]
            elif char in {"", "\\"}:
                raise _MistakeError('the quote " is not closed')
            else:
                kept.append(char)
        return "".join(kept)

    def _take(self) -> str:
        """The next character; empty: there is none."""
        char = self._text[self._at : self._at + 1]
        self._at += len(char)
        return char

    def _next_is(self, char: str) -> bool:
        return self._text.startswith(char, self._at)

    def _skip(self, chars: str) -> None:
        while self._at < len(self._text) and self._text[self._at] in chars:
            self._at += 1

    def _line_until(self, char: str) -> str:
        """What stands before this character, or before the end of the line."""
        begin = self._at
        while self._at < len(self._text) and self._text[self._at] not in {char, "\n"}:
            self._at += 1
        return self._text[begin : self._at]

    def _skip_line(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end + 1
