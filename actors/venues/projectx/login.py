"""How a token is got, and kept alive: `loginKey` and `validate` of the gateway's REST part.

A token lasts 24 hours. A new login leaves older tokens as they are, so lines may show different ones.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from typing import Any

import msgspec
from msgspec import Struct

from actors.protocol import (
    Conversation,
    Fatal,
    HttpRequest,
    Retryable,
    Secret,
    Token,
    decoded,
    is_token,
    settled,
)
from actors.venues.projectx.errors import (
    EXPIRED,
    decode_envelope,
    refused_by_status,
    refused_login,
    refused_renewal,
)

SECOND = 1_000_000_000  # nanoseconds
MISSING_LOGIN = (
    "there is no login, and both hubs want one: add "
    'user_name = "${PROJECT_X_USERNAME}" and api_key = "${PROJECT_X_API_KEY}", or a token'
)
NO_LOGIN = "Add user_name and api_key to the feed, or a token; then restart the feed."
JSON = (("Content-Type", "application/json"), ("Accept", "application/json"))


class TokenClaims(Struct, frozen=True):
    exp: Any = None


_claims = msgspec.json.Decoder(TokenClaims).decode


def expiry_ns(token: str) -> int | None:
    """When a JWT ends, by its own words (RFC 7519, 4.1.4), unverified; None: it does not say.

    Wall-clock nanoseconds.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        exp = _claims(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))).exp
    except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(exp, (int, float)) or isinstance(exp, bool) or not 0 < exp < 1e11:
        return None
    return int(exp * SECOND)


def no_login() -> Conversation[Token]:
    """No account is configured: no request is sent."""
    return settled(Fatal("no login is set for this feed", "projectx_login", NO_LOGIN))


def given(token: Secret, now_ns: int) -> Conversation[Token]:
    """A token that the settings hold is as good as a new one, while it lasts."""
    given = token_of(token.reveal().strip())
    if given is None:
        return settled(
            Fatal("the token of this feed is none: it has signs that no token has", "token", EXPIRED)
        )
    if given.expires_ns is not None and given.expires_ns <= now_ns:
        return settled(Fatal("the token of this feed has expired", "token_expired", EXPIRED))
    return settled(given)


def log_in(rest: str, user_name: str, api_key: Secret) -> Conversation[Token]:
    """By the key, over `loginKey`."""
    body = msgspec.json.encode({"userName": user_name, "apiKey": api_key.reveal()})
    answer = yield HttpRequest("POST", f"{rest}/api/Auth/loginKey", JSON, body)
    if answer.status != 200:
        return refused_by_status(answer, "the login")
    envelope = decoded(decode_envelope, answer.body)
    if envelope is None or envelope.is_good is None:
        return _unreadable()
    if not envelope.is_good:
        return refused_login(envelope, api_key)
    return token_of(envelope.token) or _unreadable()


def renew(rest: str, token: Token, otherwise: Conversation[Token] | None) -> Conversation[Token]:
    """By the token itself, over `validate`; where that gives none, `otherwise`, a login.

    Whether a token that has ended can still be renewed is not known, and what came of a renewal may
    not be either: a login is right in any case. None: there is no way to log in.
    """
    bearer = ("Authorization", f"Bearer {token.value.reveal()}")
    answer = yield HttpRequest("POST", f"{rest}/api/Auth/validate", (*JSON, bearer))
    if answer.status == 429 or answer.retry_after is not None:  # a login is metered by the same count
        return refused_by_status(answer, "the renewal of the token")
    envelope = decoded(decode_envelope, answer.body) if answer.status == 200 else None
    if envelope is not None and envelope.is_good and (renewed := token_of(envelope.new_token)):
        return renewed
    if otherwise is not None:
        return (yield from otherwise)
    if answer.status != 200:
        return refused_by_status(answer, "the renewal of the token")
    if envelope is not None and envelope.is_good is False:
        return refused_renewal(envelope, token.value)
    return _unreadable()


def token_of(text: str | None) -> Token | None:
    """None: it cannot be presented."""
    return Token(Secret(text), expiry_ns(text)) if text and is_token(text) else None


def _unreadable() -> Retryable:
    return Retryable("ProjectX' answer to the login could not be read", "projectx_login")
