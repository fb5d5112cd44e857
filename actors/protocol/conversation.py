"""HTTP requests of a venue, sans-I/O: a conversation is a generator.

It yields requests, is sent their answers, and returns its result or a reason:

    def login(self, now_ns: int) -> Conversation[Token]:
        answer = yield HttpRequest("POST", f"{self.url}/auth", body=b"…")
        if answer.status != 200:
            return refusal(answer)
        return decode_token(answer.body)

A request without an answer (no connection, a timeout) closes the generator, and the caller makes the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

from msgspec import Struct

from actors import http_types
from actors.http_types import HttpAnswer, HttpRequest
from actors.reasons import Reason
from actors.secret import Secret

T = TypeVar("T")

Conversation: TypeAlias = Generator[HttpRequest, HttpAnswer, T | Reason]  # never raises for an answer


class Token(Struct, frozen=True):
    """The result of a login, presented at each connect until `expires_ns` is near or the venue rejects it."""

    value: Secret
    expires_ns: int | None = None  # wall clock, nanoseconds; None: unknown


def settled(result: T | Reason) -> Conversation[T]:
    """Returns a conversation without a request: its result is known."""
    return result
    yield  # a generator


def is_token(text: str) -> bool:
    """Returns whether a text can be presented in a header and in a URL: printable ASCII without spaces."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def decoded(decode: Callable[[bytes], T], body: bytes) -> T | None:
    """Returns what the decoder reads; None: it raises, for whatever reason."""
    try:
        return decode(body)
    except Exception:
        return None


def status_reason(answer: HttpAnswer, text: str, advice: str) -> Reason:
    """The reason for an answer whose status is not the expected one; its code is `http_STATUS`.

    `Slow` and shared by the account: 429, and any status with Retry-After. `Fatal`, with `advice`: 401 and
    407. `Weather`, with `advice`: other 3xx and 4xx. `Retryable`: all others, and 408 and 425. `text` is
    shown to people and must not contain a secret.
    """
    return http_types.status_reason(answer.status, text, advice, answer.retry_after)
