"""tplus' login: a nonce, signed, for a token; and what each refusal means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from actors.http_types import HttpAnswer, HttpRequest
from actors.protocol.conversation import Conversation, T, Token
from actors.reasons import Fatal, Retryable, Slow
from actors.secret import Secret
from actors.venues.tplus import Tplus, TplusSettings

SEED = "07" * 32
USER = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED)).public_key().public_bytes_raw().hex()
OTHER = "cd" * 32
NONCE = "77fe" * 16
GOOD_NONCE = HttpAnswer(200, msgspec.json.encode({"value": f" {NONCE}\n", "expiry_ns": 1790000300000000000}))
GOOD_TOKEN = HttpAnswer(200, msgspec.json.encode({"token": "tok-1", "expiry_ns": 1790086400000000000}))


def conversation(
    talk: Conversation[T] | None, answers: list[HttpAnswer]
) -> tuple[list[HttpRequest], T | object]:
    """Everything that was asked, and what came of it."""
    assert talk is not None
    asked: list[HttpRequest] = []
    following: Iterator[HttpAnswer] = iter(answers)
    try:
        asked.append(next(talk))
        while True:
            asked.append(talk.send(next(following)))
    except StopIteration as end:
        assert next(following, None) is None, "an answer that nobody asked for"
        return asked, end.value


def login(*answers: HttpAnswer, **settings: Any) -> tuple[list[HttpRequest], object]:
    chosen = {"private_key": Secret(SEED), "url": "ws://127.0.0.1:9", **settings}
    return conversation(Tplus("tplus", TplusSettings(**chosen)).login(0), list(answers))


def error(code: str, status: int = 400, retryable: bool | None = None, **headers: str) -> HttpAnswer:
    told: dict[str, Any] = {"code": code, "message": "because", "details": None}
    if retryable is not None:
        told["retryable"] = retryable
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status, msgspec.json.encode({"error": told}), names)


def test_the_nonces_text_is_signed_and_the_token_kept_with_its_end() -> None:
    (first, second), token = login(GOOD_NONCE, GOOD_TOKEN)
    assert (first.method, first.url) == ("GET", f"http://127.0.0.1:9/nonce/{USER}")
    assert (second.method, second.url) == ("POST", "http://127.0.0.1:9/auth")
    assert dict(second.headers)["Content-Type"] == "application/json"
    body = msgspec.json.decode(second.body)
    signature = body.pop("signature")
    assert body == {"user_id": USER, "nonce": NONCE, "additional_signers": []}
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(USER))
    public.verify(bytes(signature), NONCE.encode())  # raises where it does not fit
    assert token == Token(Secret("tok-1"), 1790086400000000000)
    assert "tok-1" not in repr(token)


def test_a_key_of_another_account_signs_beside_it() -> None:
    (first, second), token = login(GOOD_NONCE, GOOD_TOKEN, user=f"0x{OTHER.upper()}")
    assert first.url.endswith(f"/nonce/{OTHER}")
    body = msgspec.json.decode(second.body)
    assert (body["user_id"], body["signature"]) == (OTHER, [])
    [signer] = body["additional_signers"]
    assert bytes(signer["signer"]["Ed25519"]).hex() == USER
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(USER))
    public.verify(bytes(signer["signature"]), NONCE.encode())
    assert isinstance(token, Token)


def test_the_key_may_begin_with_0x() -> None:
    (first, _), _ = login(GOOD_NONCE, GOOD_TOKEN, private_key=Secret(f" 0x{SEED.upper()}"))
    assert first.url.endswith(USER)


def test_a_token_that_was_given_is_presented_and_nothing_is_asked() -> None:
    given_token = Secret("tok-2")
    asked, token = login(private_key=None, token=given_token, user=USER)
    assert asked == []
    assert token == Token(given_token)


def test_a_nonce_that_ran_out_is_asked_for_once_more() -> None:
    old = error("NONCE_EXPIRED", 401)
    asked, token = login(GOOD_NONCE, old, GOOD_NONCE, GOOD_TOKEN)
    assert [request.method for request in asked] == ["GET", "POST"] * 2
    assert isinstance(token, Token)
    asked, _ = login(GOOD_NONCE, old, GOOD_NONCE, old)
    assert len(asked) == 4


@pytest.mark.parametrize("status", [400, 401, 404])
@pytest.mark.parametrize("code", ["NONCE_EXPIRED", "NONCE_NOT_FOUND"])
def test_nonces_that_run_out_again_and_again_are_no_fault_of_the_key(code: str, status: int) -> None:
    old = error(code, status, retryable=False)
    _, reason = login(GOOD_NONCE, old, GOOD_NONCE, old)
    assert isinstance(reason, Retryable)
    assert reason.code == f"tplus_{code.lower()}"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (error("UNAUTHORIZED", 401), Fatal),
        (HttpAnswer(401, b'{"error":"Invalid or missing auth token"}'), Fatal),
        (HttpAnswer(403, b"<html>"), Fatal),
        (error("INVALID_SIGNATURE"), Fatal),
        (error("SIGNER_UNKNOWN"), Fatal),
        (error("USER_NOT_FOUND", 404), Fatal),
        (error("SOMETHING_NEW", 422, retryable=False), Fatal),
        (error("INVALID_SIGNATURE", 401, retryable=True), Retryable),
        (error("INTERNAL_ERROR", 500), Retryable),
        (error("CE_COMMUNICATION_ERROR", 502, retryable=True), Retryable),
        (error("TIMEOUT_UNKNOWN_STATE", 504), Retryable),
        (HttpAnswer(500, b""), Retryable),
        (error("RATE_LIMITED", 429, retry_after="1800"), Slow),
        (error("RATE_LIMITED", 429, retryable=False), Slow),
        (error("SERVER_BUSY", 503), Slow),
        (HttpAnswer(503, b"", {"retry-after": "5"}), Slow),
        (HttpAnswer(503, b"", {"retry-after": "soon"}), Retryable),
        (HttpAnswer(200, b"{}"), Retryable),
        (HttpAnswer(200, b'{"token":"a\\r\\nb","value":""}'), Retryable),
    ],
)
def test_what_a_refusal_means(answer: HttpAnswer, reason: type) -> None:
    for answers in ([answer], [GOOD_NONCE, answer]):
        _, told = login(*answers)
        assert isinstance(told, reason), told
        if isinstance(told, Fatal):
            assert told.advice


def test_the_venues_words_and_its_wish_are_passed_on() -> None:
    _, told = login(error("RATE_LIMITED", 429, retry_after="1800"))
    text = "tplus refused a nonce: HTTP 429 (RATE_LIMITED: because)"
    assert told == Slow(text, "tplus_rate_limited", 1800.0, shared=True)


def test_the_budget_stays_within_what_tplus_counts() -> None:
    budget = Tplus.login_budget
    assert 2 * (budget.burst + 1800 / budget.interval) <= 100


@given(st.integers(100, 599), st.binary(max_size=80), st.text(max_size=8), st.booleans())
def test_no_answer_raises(status: int, body: bytes, wait: str, second: bool) -> None:
    answer = HttpAnswer(status, body, {"retry-after": wait})
    _, told = login(*[GOOD_NONCE] * second, answer)
    assert SEED not in repr(told)
