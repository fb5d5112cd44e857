"""Requests and responses, without a socket. Every response is JSON and not cached."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from websockets.datastructures import Headers
from websockets.http11 import Response

from actors.secret import REDACTED, Secret
from actors.service.rights import NOBODY, Caller

ReloadAnswer: TypeAlias = Struct  # the result of a reload, such as a plan; it is sent as JSON


class ServiceRequest(Struct, frozen=True):
    """One request. `argument` is the rest of a path such as `/restart/o2`, decoded."""

    method: str
    path: str  # as received, without the query
    query: tuple[tuple[str, str], ...] = ()
    upgrade: bool = False  # to a WebSocket
    known: bool = False  # has the token, or the service has none
    caller: Caller = NOBODY
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


def parse_switch(value: str, name: str) -> bool:
    if value not in {"0", "1"}:
        raise RequestDeclined(400, f"expected {name}=1 or {name}=0, found {name}={value[:20]}")
    return value == "1"


def to_json(value: Any) -> bytes:
    """Exact: integers of any size stay integers, beyond 2**53 too, and a `Decimal` is a text.

    A reader whose numbers are doubles, as JavaScript's are, has to parse large integers separately.
    """
    return _encode(value)


def response(answer: ServiceResponse, *, head: bool = False) -> Response:
    """As sent. Every connection has one request. `head`: the length alone, without the body."""
    body = answer.body if isinstance(answer.body, bytes) else to_json(answer.body)
    headers = Headers(
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
    return Response(answer.status, HTTPStatus(answer.status).phrase, headers, b"" if head else body)


def _plain(value: Any) -> Any:
    """A value that msgspec does not know, such as a venue's own type, becomes text."""
    if isinstance(value, Secret):
        return REDACTED
    return dict(value) if isinstance(value, Mapping) else str(value)


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
