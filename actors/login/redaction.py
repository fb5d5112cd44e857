"""Texts of venues without our secrets, and without characters that a terminal obeys.

A venue may send back what it was sent: a hub that quotes the whole request in an error. What is
kept of its words for people, in the quarantine, in a reason or a complaint, goes through here. The
raw messages in the quarantine alone keep their characters; views escape them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from threading import Lock
from typing import Final, TypeVar
from urllib.parse import unquote

from msgspec import Struct, structs

from actors.display.escaping import printable
from actors.http_types import Endpoint, HttpFailed
from actors.reasons import Reason
from actors.secret import REDACTED, Secret

SHORTEST: Final = 4  # characters; a shorter one is in every text
LIKE_A_TOKEN: Final = 16  # characters of a URL's part or a header's word that may be one; others are words
READ: Final = 64 * 1_024  # characters of a reason that are looked at
WORDS: Final = 4_096  # characters of it that are kept
KEPT: Final = 64  # secrets, the newest: a token goes out of date, and each connect may bring one


class Redactor:
    """The secrets of one feed, struck out of what it is given. Any thread."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None
        self._lock = Lock()

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """From now on these are struck out, too; it keeps the newest of them."""
        told = tuple(dict.fromkeys(secret for secret in secrets if len(secret) >= SHORTEST))
        with self._lock:
            known = (*(secret for secret in self._known if secret not in told), *told)[-KEPT:]
            if set(known) != set(self._known):
                self._pattern = _pattern(known)
            self._known = known

    def redact(self, text: str, length: int | None = None) -> str:
        """`text`, of which at most `length` characters are read for it, with each secret as `…`.

        A secret is known as it is, in JSON and in a URL. No cut goes through one.
        """
        length = len(text) if length is None else length
        if self._pattern is None:
            return text[:length]
        for found in self._pattern.finditer(text):
            if found.end() > length:
                length = found.end() if found.start() < length else length
                break
        return self._pattern.sub(REDACTED, text[:length])

    def words(self, text: str, length: int | None = None) -> str:
        """The same for people: without characters that control a terminal or are not seen."""
        return printable(self.redact(text, length))


def secrets_in(value: object) -> Iterator[str]:
    """Each `Secret` in a Struct, a mapping or a sequence, revealed."""
    match value:
        case Secret():
            yield value.reveal()
        case Struct():
            yield from secrets_in(structs.astuple(value))
        case Mapping():
            yield from secrets_in(tuple(value.values()))
        case tuple() | list():
            for each in value:
                yield from secrets_in(each)


def secrets_shown(endpoint: Endpoint) -> Iterator[str]:
    """What of the handshake may be a secret: values of the query and of headers."""
    _, _, query = endpoint.url.partition("?")
    values = [pair.partition("=")[2] or pair for pair in query.split("&")]
    values += [word for _, value in endpoint.headers for word in value.split()]
    return (value for value in values if len(value) >= LIKE_A_TOKEN)


def in_the_path(url: str) -> Iterator[str]:
    """What of a configured path may be a secret: such as a listen key."""
    return (part for part in url.partition("?")[0].split("/")[3:] if len(part) >= LIKE_A_TOKEN)


def _pattern(known: Iterable[str]) -> re.Pattern[str] | None:
    forms = {form for secret in known for form in (secret, unquote(secret)) if len(form) >= SHORTEST}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join("".join(map(_written, form)) for form in longest_first)) if forms else None


def _written(char: str) -> str:
    """A pattern of one character: bare, escaped as in JSON (RFC 8259, 7), or as in a URL (RFC 3986, 2.1)."""
    if char.isascii() and char.isalnum():
        return char
    in_json = "".join(f"\\\\u{unit:04x}" for unit in _units(char))
    in_url = "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
    bare, short = re.escape(char), re.escape(json.dumps(char)[1:-1])
    return rf"(?:(?i:{in_json}|{in_url})|{short}|\\?{bare})"  # longest first: `%` is the beginning of `%25`


def _units(char: str) -> Iterator[int]:
    """The code units of UTF-16, which JSON's escapes name."""
    packed = char.encode("utf-16-be", "surrogatepass")
    return (int.from_bytes(packed[at : at + 2], "big") for at in range(0, len(packed), 2))


R = TypeVar("R", Reason, HttpFailed, Reason | HttpFailed)


def without_secrets(reason: R, redactor: Redactor) -> R:
    """A reason may quote the venue, at any length and with any character."""
    return structs.replace(reason, text=redactor.words(reason.text[:READ], WORDS))
