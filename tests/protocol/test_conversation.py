"""Conversations without a request, what can be presented as a token, and what an HTTP status means."""

from __future__ import annotations

import pytest

from actors.protocol import (
    Fatal,
    HttpAnswer,
    Reason,
    Retryable,
    Secret,
    Slow,
    Token,
    is_token,
    settled,
    status_reason,
)

ADVICE = "Check the address."


@pytest.mark.parametrize("result", [Token(Secret("t")), Fatal("no login", "login")])
def test_a_settled_conversation_sends_nothing_and_returns_its_result(result: Token | Fatal) -> None:
    with pytest.raises(StopIteration) as ended:
        next(settled(result))
    assert ended.value.value == result


@pytest.mark.parametrize(
    ("text", "can_be"),
    [
        ("eyJ9.e30.c2ln", True),
        ("a-b_c~d+e/f=", True),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("é", False),
    ],
)
def test_a_token_is_printable_ascii_without_spaces(text: str, can_be: bool) -> None:
    assert is_token(text) == can_be


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (429, {}, Slow("t", "http_429", shared=True)),
        (429, {"retry-after": "7"}, Slow("t", "http_429", 7.0, shared=True)),
        (503, {"retry-after": "0.5"}, Slow("t", "http_503", 0.5, shared=True)),
        (503, {}, Retryable("t", "http_503")),
        (503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, Retryable("t", "http_503")),
        (302, {}, Fatal("t", "http_302", ADVICE)),
        (404, {"retry-after": "7"}, Fatal("t", "http_404", ADVICE)),
        (408, {}, Retryable("t", "http_408")),
        (425, {}, Retryable("t", "http_425")),
        (204, {}, Retryable("t", "http_204")),
    ],
)
def test_a_status_has_a_reason(status: int, headers: dict[str, str], reason: Reason) -> None:
    assert status_reason(HttpAnswer(status, b"", headers), "t", ADVICE) == reason


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", None),
        ("0", 0.0),
        ("86399", 86_399.0),
        ("86400", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after_is_read_in_seconds_of_less_than_a_day(said: str, seconds: float | None) -> None:
    assert HttpAnswer(429, b"", {"retry-after": said}).retry_after == seconds
