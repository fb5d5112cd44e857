"""What tplus' errors mean: in an answer over HTTP, and in the welcome of a stream."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from actors.protocol import (
    Fatal,
    HttpAnswer,
    Reason,
    Retryable,
    Slow,
    Weather,
    code_of,
    decoded,
    status_reason,
)

MAX_WORDS = 300  # characters of an error that are passed on
AUTH_CODES = ("UNAUTHORIZED", "INVALID_SIGNATURE", "SIGNER_")
NONCE_CODES = ("NONCE_",)  # another login has another nonce, and what bounds logins bounds these
BUSY_CODES = ("RATE_LIMITED", "SERVER_BUSY")
PASSING_CODES = ("INTERNAL_ERROR", "CE_COMMUNICATION_ERROR", "TIMEOUT")

KEY_ADVICE = (
    "Check user and private_key (or token) of this feed, and that the account knows the key; "
    "then restart the feed."
)
MISSING_ADVICE = "Check the feed's network, url and user, and the asset; then restart the line."


class Details(Struct, frozen=True):
    code: Any = None
    message: Any = None
    retryable: Any = None


class Body(Struct, frozen=True):
    error: Details | str | None = None


_decode = msgspec.json.Decoder(Body).decode


class ErrorAnswer(Struct, frozen=True):
    """An error as tplus tells it; any part may be missing."""

    code: str = ""
    text: str = ""
    retryable: bool | None = None

    def has(self, *codes: str) -> bool:
        """Whether its code is one of these; one that ends in _ stands for all that begin so."""
        return any(self.code == code or (code[-1] == "_" and self.code.startswith(code)) for code in codes)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.text) if part) or "no words"


def failure_in(body: bytes) -> ErrorAnswer:
    """Both shapes: {"error": {"code", "message", "retryable"}} and {"error": "text"}."""
    answer = decoded(_decode, body)  # None: a proxy's page, or anything else
    error = None if answer is None else answer.error
    if isinstance(error, Details):
        retryable = error.retryable if isinstance(error.retryable, bool) else None
        return ErrorAnswer(words(error.code), words(error.message), retryable)
    return ErrorAnswer(text=words(error))


def words(value: Any, depth: int = 0) -> str:
    """What the venue says, as text of a bounded length, however it is put."""
    if value is None:
        return ""
    if isinstance(value, dict):
        named = [value[key] for key in ("code", "message") if value.get(key)]
        text = ": ".join(_words(named or list(value.values()), depth))
    elif isinstance(value, list):
        text = ", ".join(_words(value, depth))
    elif isinstance(value, int) and abs(value) > 10**20:  # it could be too long for a text
        text = "a very large number"
    else:
        text = str(value)
    return " ".join(text.split())[:MAX_WORDS]


def _words(values: list[Any], depth: int) -> list[str]:
    return [words(value, depth + 1) for value in values[:5]] if depth < 3 else ["…"]


def refusal(answer: HttpAnswer, asked: str) -> Reason:
    """Why an answer is not what was `asked` for. What the body says of trying again goes first."""
    failure = failure_in(answer.body)
    code = code_of("tplus", failure.code) if failure.code else f"http_{answer.status}"
    said = f" ({failure})" if failure.code or failure.text else ""
    text = f"tplus refused {asked}: HTTP {answer.status}{said}"
    wait = answer.retry_after
    if answer.status == 429 or failure.has(*BUSY_CODES) or wait is not None:
        return Slow(text, code, wait, shared=True)
    if failure.retryable is True or failure.has(*NONCE_CODES):
        return Retryable(text, code)
    if answer.status == 401 or failure.has(*AUTH_CODES):
        return Fatal(text, code, KEY_ADVICE)
    is_its_own = bool(said)  # not the page of a proxy or a CDN
    if (
        failure.retryable is False
        or failure.code.endswith("_NOT_FOUND")
        or (answer.status == 404 and is_its_own)
    ):
        return Fatal(text, code, MISSING_ADVICE)
    if answer.status == 403:
        return Weather(text, code, KEY_ADVICE)
    return Retryable(text, code) if is_its_own else status_reason(answer, text, MISSING_ADVICE)


def is_unauthorized(text: str) -> bool:
    said = text.lower()
    return "unauthorized" in said or "invalid or missing auth token" in said


def passing(text: str) -> Reason | None:
    """Why the connection is of no use now, though it may be later; None: the stream is refused."""
    said = text.upper()
    if any(code in said for code in BUSY_CODES):
        return Slow(f"tplus opened no stream: {text}", "tplus_busy")
    if any(code in said for code in PASSING_CODES):
        return Retryable(f"tplus opened no stream: {text}", "tplus_error")
    return None
