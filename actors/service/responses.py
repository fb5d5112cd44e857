"""Requests and responses, without a socket. Every response is JSON and not cached."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from websockets.datastructures import Headers
from websockets.http11 import Response

from actors.display.escaping import printable, printable_json_bytes
from actors.secret import REDACTED, Secret
from actors.service.rights import STRANGER, Caller

_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")

ReloadAnswer: TypeAlias = Struct  # the result of a reload, such as a plan; it is sent as JSON


class ServiceRequest(Struct, frozen=True):
    """One request. `argument` is the rest of a path such as `/restart/o2`, decoded."""

    method: str
    path: str  # as received, without the query
    query: tuple[tuple[str, str], ...] = ()
    upgrade: bool = False  # to a WebSocket
    caller: Caller = STRANGER
    argument: str = ""
    argument_as_sent: str = ""  # percent-encoded


class ServiceResponse(Struct, frozen=True):
    status: int
    body: Any  # bytes: JSON that is encoded already
    headers: tuple[tuple[str, str], ...] = ()


class RequestDeclined(Exception):  # noqa: N818 - caught by the one place that answers
    """The request is declined; the response has the reason."""

    def __init__(self, status: int, sentence: str, *headers: tuple[str, str], **more: Any) -> None:
        self.answer = ServiceResponse(status, {"error": sentence, **more}, headers)
        super().__init__(sentence)


def parse_query(text: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except ValueError:
        raise RequestDeclined(400, "the query is not percent-encoded UTF-8") from None


def parse_words(asked: ServiceRequest, name: str, known: Sequence[str]) -> dict[str, str]:
    """The query. Raises RequestDeclined for what it does not take; `name`: of what is asked."""
    for key, _ in asked.query:
        if key not in known:
            raise RequestDeclined(400, f"{name} takes {', '.join(known)} and nothing else, not {key[:40]!r}")
    return dict(asked.query)


def parse_switch(value: str, name: str) -> bool:
    if value not in {"0", "1"}:
        raise RequestDeclined(400, f"expected {name}=1 or {name}=0, found {name}={value[:20]}")
    return value == "1"


def parse_seconds(value: str, name: str, most: float) -> float:
    """Raises: RequestDeclined: it is no number of seconds from 0 to `most`."""
    seconds = float(value) if _SECONDS.fullmatch(value) else math.inf
    if seconds > most:
        raise RequestDeclined(400, f"{name}: expected 0 to {most:g} seconds, found {value[:40]!r}")
    return seconds


def to_json(value: Any) -> bytes:
    """Exact: integers of any size stay integers, beyond 2**53 too, and a `Decimal` is a text.

    A reader whose numbers are doubles, as JavaScript's are, has to parse large integers separately.
    Characters that a terminal obeys are escaped. Halves of surrogate pairs, which JSON cannot have, become
    the text of an escape.

    Raises:
        RecursionError: it is nested too deeply.
    """
    try:
        return printable_json_bytes(_encode(value))
    except ValueError:  # half of a surrogate pair, or more digits than Python writes of an integer
        return printable_json_bytes(_encode(_writable(msgspec.to_builtins(value, enc_hook=_plain))))


def response(answer: ServiceResponse) -> Response:
    """As the library takes it."""
    body = _body(answer)
    return Response(answer.status, HTTPStatus(answer.status).phrase, _headers(answer, body), body)


def written(answer: ServiceResponse, *, head: bool = False) -> tuple[bytes, bytes]:
    """As sent: the head, and the body, which is not copied. `head`: without the body, with its length."""
    body = _body(answer)
    bare = Response(answer.status, HTTPStatus(answer.status).phrase, _headers(answer, body))
    return bare.serialize(), b"" if head else body


def _body(answer: ServiceResponse) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else to_json(answer.body)


def _headers(answer: ServiceResponse, body: bytes) -> Headers:
    """Every connection has one request."""
    return Headers(
        [
            ("Date", formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *answer.headers,
        ]
    )


def _plain(value: Any) -> Any:
    """A value that msgspec does not know, such as a venue's own type, becomes text."""
    if isinstance(value, Secret):
        return REDACTED
    try:
        return dict(value) if isinstance(value, Mapping) else str(value)
    except Exception as error:  # a type of the venue's or of the program's
        return f"<{type(value).__name__} that has no text: {type(error).__name__}>"


def _writable(value: Any) -> Any:
    match value:
        case str():
            return printable(value)
        case int() if not isinstance(value, bool):
            return msgspec.Raw(f"{Decimal(value):f}".encode())
        case list() | tuple():
            return [_writable(each) for each in value]
        case dict():
            return {
                printable(name) if isinstance(name, str) else name: _writable(each)
                for name, each in value.items()
            }
    return value


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
