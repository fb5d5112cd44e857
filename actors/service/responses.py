"""What was asked and what is answered, without a socket: JSON, always, and never cached."""

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

ReloadAnswer: TypeAlias = Struct  # what a reload says of itself, such as a plan; it is sent as JSON


class ServiceRequest(Struct, frozen=True):
    """One request. `argument` is the rest of a path such as `/restart/o2`, decoded."""

    method: str
    path: str  # as it came, without the query
    query: tuple[tuple[str, str], ...] = ()
    upgrade: bool = False  # to a WebSocket
    known: bool = False  # bears the token, or there is none
    argument: str = ""


class ServiceResponse(Struct, frozen=True):
    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = ()


class RequestRefused(Exception):  # noqa: N818 - it travels to the one place that answers, and no further
    """A request that is not carried out, with the sentence that says why."""

    def __init__(self, status: int, sentence: str, *headers: tuple[str, str], **more: Any) -> None:
        self.answer = ServiceResponse(status, {"error": sentence, **more}, headers)
        super().__init__(sentence)


def the_query(text: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except ValueError:
        raise RequestRefused(400, "the query is not percent-encoded UTF-8") from None


def the_switch(value: str, name: str) -> bool:
    if value not in {"0", "1"}:
        raise RequestRefused(400, f"{name}={value[:20]} is neither {name}=1 nor {name}=0")
    return value == "1"


def to_json(value: Any) -> bytes:
    """Exact: integers of any size stay integers, beyond 2**53 too, and a `Decimal` is a text.

    A reader whose numbers are doubles, as JavaScript's are, has to read large integers with care.
    """
    return _encode(value)


def response(answer: ServiceResponse, *, head: bool = False) -> Response:
    """For the wire. Every connection bears one request; `head`: the length alone, not the body."""
    body = to_json(answer.body)
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
    """For what msgspec does not know: a venue's own type is shown as text rather than not at all."""
    if isinstance(value, Secret):
        return REDACTED
    return dict(value) if isinstance(value, Mapping) else str(value)


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
