"""Logins: a key for a token, a token for a newer one. Tokens are JWTs (RFC 7519)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from actors.simulators.base.history import BoundedDict

_REMEMBERED = 10_000  # logged-out tokens
_HEAD = b'{"alg":"HS256","typ":"JWT"}'

# ProjectX, "LoginErrorCode".
INVALID_CREDENTIALS = 3


class Claims(Struct):
    """What a token says: seconds since 1970."""

    name: str
    iat: int
    exp: int
    jti: str


_claims = msgspec.json.Decoder(Claims).decode


class TokenGate:
    """Tokens are told by their signature and their `exp`. A new one does not end an older one."""

    def __init__(self, life: float, keys: Mapping[str, str] | None) -> None:
        self.life = life  # seconds of a token
        self.logins = 0
        self.renewals = 0
        self._keys = None if keys is None else {name.lower(): key for name, key in keys.items()}
        self._secret = secrets.token_bytes(32)
        self._ended: dict[str, None] = BoundedDict(_REMEMBERED)  # tokens that were logged out, by their jti

    def login(self, name: str, key: str) -> str | None:
        """A token for a user's key; None: the key is another's. The case of names does not matter."""
        known = bool(name and key) if self._keys is None else self._keys.get(name.lower()) == key
        if not known:
            return None
        self.logins += 1
        return self.issue(name)

    def renew(self, token: str) -> str | None:
        """A newer token for one that is good."""
        claims = self.read(token)
        if claims is None:
            return None
        self.renewals += 1
        return self.issue(claims.name)

    def issue(self, name: str, life: float | None = None) -> str:
        """A token without a login. `life`: seconds; below 0: it is over already."""
        now = time.time()
        end = now + (self.life if life is None else life)
        claims = Claims(name, int(now), int(end), secrets.token_hex(8))
        said = f"{_base64(_HEAD)}.{_base64(msgspec.json.encode(claims))}"
        return f"{said}.{self._sign(said)}"

    def good(self, token: str) -> bool:
        return self.read(token) is not None

    def read(self, token: str) -> Claims | None:
        """What a good token says; None: it is not good."""
        said, _, signature = token.rpartition(".")
        if not said or not hmac.compare_digest(signature.encode(), self._sign(said).encode()):
            return None
        claims: Claims = _claims(urlsafe_b64decode(said.partition(".")[2] + "=="))
        return claims if claims.exp > time.time() and claims.jti not in self._ended else None

    def logout(self, token: str) -> None:
        claims = self.read(token)
        if claims is not None:
            self._ended[claims.jti] = None

    def expire(self) -> None:
        """No token that was given is good any longer."""
        self._secret = secrets.token_bytes(32)

    def _sign(self, said: str) -> str:
        return _base64(hmac.digest(self._secret, said.encode(), hashlib.sha256))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, good or not."""
    claims: dict[str, Any] = msgspec.json.decode(urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims
