"""Texts without characters that control a terminal, change the order of what is shown, or are not seen."""

from __future__ import annotations

import re
from typing import Final

# Beyond C0, as parts of a class: DEL and C1; soft hyphens; marks, embeddings, overrides and isolates of
# direction; separators of lines and paragraphs; fillers, joiners and other characters without width; halves
# of surrogate pairs, which no output can have; tags and selectors of the supplementary planes.
UNSAFE: Final = (
    r"\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_CONTROL = re.compile(rf"[\x00-\x1f{UNSAFE}]")
_IN_ROWS = re.compile(rf"[\x00-\x09\x0b-\x1f{UNSAFE}]")
_IN_JSON = re.compile(f"[{UNSAFE}]")  # of C0, JSON has escapes alone


def printable(text: str) -> str:
    """The text in one row, each such character as an escape: `\\x1b`, `\\u202e`.

    A text that has been through it stays the same.
    """
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(_escaped, text)


def printable_rows(text: str) -> str:
    """The same in several rows, as an error or a traceback has them."""
    return _IN_ROWS.sub(_escaped, text)


def printable_json(text: str) -> str:
    """JSON without such characters; it is decoded to the same values."""
    return text if text.isascii() and "\x7f" not in text else _IN_JSON.sub(_escaped_in_json, text)


def printable_json_bytes(json: bytes) -> bytes:
    """The same for UTF-8."""
    if json.isascii() and b"\x7f" not in json:
        return json
    return printable_json(json.decode("utf-8", "surrogatepass")).encode()


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


def _escaped_in_json(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}" for at in range(0, len(units), 2))
