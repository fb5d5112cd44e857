"""Logins: nonces to be signed, tokens for their signatures, and the limit on both."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from actors.simulators.base.client import RequestRefused
from actors.simulators.base.history import BoundedDict, Meter
from actors.simulators.tplus.endpoints import is_user
from actors.simulators.tplus.settings import SimulatedTplusSettings

UNAUTHORIZED = "Invalid or missing auth token"

_KEPT = 10.0  # seconds a nonce must have left to be given out again
_REMEMBERED = 10_000  # nonces, and tokens
_NS = 1_000_000_000


class Cosigner(Struct):
    signer: dict[str, list[int]]
    signature: list[int]


class Login(Struct):
    """The body of `POST /auth`."""

    user_id: str
    nonce: str
    signature: list[int]
    additional_signers: list[Cosigner] = []


class Grant(Struct, frozen=True):
    """A nonce or a token, and until when it is good."""

    value: str
    expiry_ns: int  # since 1970

    @property
    def left(self) -> float:
        """Seconds."""
        return (self.expiry_ns - time.time_ns()) / _NS


_login = msgspec.json.Decoder(Login).decode


class SignatureGate:
    """Signed nonces in, tokens out. Tokens are good for everything that is their user's."""

    def __init__(self, settings: SimulatedTplusSettings) -> None:
        self.asked = 0  # requests for nonces and tokens, ever
        self.delegates: dict[str, set[str]] = {}  # keys that sign for a user, in hex
        self._settings = settings
        self._meter = Meter(settings.auth_window)
        self._nonces: dict[str, Grant] = BoundedDict(_REMEMBERED)  # by user
        self._tokens: dict[str, tuple[str, Grant]] = BoundedDict(_REMEMBERED)  # the user of each

    def meter(self) -> None:
        """Counts a request. Raises RequestRefused where there were too many."""
        self.asked += 1
        if not self._meter.admits(self._settings.auth_limit):
            raise RequestRefused(429, "Too many authentication requests")

    def nonce(self, user: str) -> Grant:
        """What this user is to sign: the same again while it has more than 10 s left."""
        known = self._nonces.get(user)
        if known is None or known.left <= _KEPT:
            known = self._nonces[user] = _grant(secrets.token_hex(32), self._settings.nonce_life)
        return known

    def login(self, body: bytes) -> Grant:
        """A token for a signed nonce. Raises RequestRefused where the signature is not the user's."""
        try:
            asked = _login(body)
        except (msgspec.DecodeError, RecursionError) as wrong:
            raise RequestRefused(400, str(wrong)) from None
        if not is_user(asked.user_id):
            raise RequestRefused(400, "user_id is 64 digits of hex")
        nonce = self._nonces.get(asked.user_id)
        if nonce is None or nonce.value != asked.nonce:
            raise RequestRefused(401, "No such nonce", name="NONCE_NOT_FOUND")
        if nonce.left <= 0:
            raise RequestRefused(401, "The nonce has expired", name="NONCE_EXPIRED")
        self._check(asked)
        grant = _grant(secrets.token_urlsafe(32), self._settings.token_life)
        self._tokens[grant.value] = (asked.user_id, grant)
        return grant

    def holder(self, headers: Mapping[str, str]) -> str:
        """The user whose valid token these headers have; empty: none."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        user, grant = self._tokens.get(token, ("", None))
        if scheme != "Bearer" or grant is None or grant.left <= 0:
            return ""
        return user if headers.get("user-id") == user else ""

    def logout(self, headers: Mapping[str, str]) -> None:
        self._tokens.pop(headers.get("authorization", "").partition(" ")[2], None)

    def expire(self) -> None:
        """No token that was given is good any longer."""
        self._tokens.clear()

    def _check(self, asked: Login) -> None:
        if asked.signature:
            signed = _signed(asked.user_id, asked.signature, asked.nonce)
        else:  # a delegated account: its master key has no part in it
            signed = any(self._cosigned(asked, each) for each in asked.additional_signers)
        if not signed:
            raise RequestRefused(401, "The signature does not fit the nonce", name="INVALID_SIGNATURE")

    def _cosigned(self, asked: Login, by: Cosigner) -> bool:
        try:
            key = bytes(by.signer.get("Ed25519", [])).hex()
        except ValueError:
            return False
        known = key in self.delegates.get(asked.user_id, ())
        return known and _signed(key, by.signature, asked.nonce)


def _signed(key: str, signature: list[int], nonce: str) -> bool:
    """Whether this key signed the nonce's text: its hex digits as they are, not what they stand for."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes(signature), nonce.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def _grant(value: str, life: float) -> Grant:
    return Grant(value, time.time_ns() + int(life * _NS))
