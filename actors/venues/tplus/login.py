"""The login at tplus: a nonce, signed with the account's Ed25519 key, for a token of 24 hours.

All sockets of a feed share the token: tplus counts nonces and logins, 100 in half an hour.
"""

from __future__ import annotations

import re

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from actors.protocol import (
    Conversation,
    Fatal,
    HttpAnswer,
    HttpRequest,
    RedactedStruct,
    Retryable,
    Secret,
    Token,
    decoded,
    is_token,
)
from actors.venues.tplus.errors import NONCE_CODES, failure_in, refusal

TRIES = 2  # a nonce may have run out between its two requests
JSON = (("Content-Type", "application/json"), ("Accept", "application/json"))


class NonceAnswer(Struct, frozen=True):
    value: str
    expiry_ns: int | None = None


class Granted(RedactedStruct, frozen=True):
    token: str
    expiry_ns: int | None = None


_nonce = msgspec.json.Decoder(NonceAnswer, strict=False).decode
_granted = msgspec.json.Decoder(Granted, strict=False).decode


def key_of(seed: Secret) -> Ed25519PrivateKey:
    """Raises: ValueError: it is no seed of 32 bytes in hexadecimal; its words tell nothing of it."""
    text = seed.reveal().strip().removeprefix("0x").removeprefix("0X")
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))
    except ValueError:
        pass
    raise ValueError(f"an Ed25519 seed is 64 hexadecimal digits, and this is {_kind_of_key(text)}")


def _kind_of_key(text: str) -> str:
    """What stands in place of a seed, without a character of it."""
    if "-----BEGIN" in text:
        return "a PEM file; openssl pkey -in FILE -outform DER | tail -c 32 | xxd -p -c 32 prints its seed"
    if not re.fullmatch("[0-9A-Fa-f]*", text):
        return "text with other characters"
    pair = "; a seed with its public key behind it is 128 digits, of which the first 64 are the seed"
    return f"{len(text)} digits{pair if len(text) == 128 else ''}"


def public_key(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def login(http: str, user: str, key: Ed25519PrivateKey) -> Conversation[Token]:
    """Ask for a nonce, sign it, and get a token for it."""
    for last in range(TRIES):
        answer = yield HttpRequest("GET", f"{http}/nonce/{user}", (("Accept", "application/json"),))
        if answer.status != 200:
            return refusal(answer, "a nonce")
        nonce = decoded(_nonce, answer.body)
        if nonce is None or not (text := nonce.value.strip()):
            return _unreadable("a nonce")
        answer = yield HttpRequest("POST", f"{http}/auth", JSON, signed(user, text, key))
        if answer.status == 200:
            return _token(answer)
        if last or answer.retry_after is not None or not failure_in(answer.body).has(*NONCE_CODES):
            break
    return refusal(answer, "the login")


def signed(user: str, nonce: str, key: Ed25519PrivateKey) -> bytes:
    """The body of the login. What is signed is the nonce's text, not the bytes it may stand for.

    An account that is controlled by another key has it in `additional_signers`.
    """
    signature = list(key.sign(nonce.strip().encode()))
    own = public_key(key) == user
    signer = {"signer": {"Ed25519": list(bytes.fromhex(public_key(key)))}, "signature": signature}
    return msgspec.json.encode(
        {
            "user_id": user,
            "nonce": nonce,
            "signature": signature if own else [],
            "additional_signers": [] if own else [signer],
        }
    )


def _token(answer: HttpAnswer) -> Token | Retryable | Fatal:
    granted = decoded(_granted, answer.body)
    if granted is None or not is_token(granted.token):
        return _unreadable("the login")
    return Token(Secret(granted.token), granted.expiry_ns)


def _unreadable(what: str) -> Retryable:
    return Retryable(f"tplus' answer to {what} could not be read", "tplus_login")
