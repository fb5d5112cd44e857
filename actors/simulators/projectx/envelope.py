"""What every answer of ProjectX's REST comes in: business failures too, under HTTP 200."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.simulators.base.client import HttpReply
from actors.simulators.signalr.framing import encode

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def enveloped(**payload: object) -> HttpReply:
    return HttpReply(200, encode({**payload, "success": True, "errorCode": 0, "errorMessage": None}))


def failure(code: int, message: str | None, **payload: object) -> HttpReply:
    """`success: false`, which is HTTP 200 all the same. Codes have another meaning on each page."""
    return HttpReply(200, encode({**payload, "success": False, "errorCode": code, "errorMessage": message}))


def problem(detail: str) -> HttpReply:
    """A request that cannot be read: RFC 7807."""
    about = {"type": "https://tools.ietf.org/html/rfc9110#section-15.5.1", "status": 400}
    return HttpReply(400, encode({**about, "title": "Bad Request", "detail": detail}))


def without_list(kind: str) -> Callable[[HttpReply], HttpReply]:
    """What takes the lists out of an answer: each is null, or its key is missing."""

    def edit(reply: HttpReply) -> HttpReply:
        told: dict[str, Any] = dict(_decode(reply.body))
        for key in [key for key, value in told.items() if bytes(value)[:1] == b"["]:
            if kind == "null":
                told[key] = None
            else:
                del told[key]
        return msgspec.structs.replace(reply, body=encode(told))

    return edit
