"""Conversations without a request, what can be presented as a token, and what an HTTP status means."""

from __future__ import annotations

import pytest

from actors.http_types import LONGEST_PAUSE
from actors.protocol import (
    Fatal,
    HttpAnswer,
    Reason,
    Retryable,
    Secret,
    Slow,
    Token,
    Weather,
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
        (401, {}, Fatal("t", "http_401", ADVICE)),
        (401, {"retry-after": "7"}, Slow("t", "http_401", 7.0, shared=True)),
        (302, {}, Weather("t", "http_302", ADVICE)),
        (404, {}, Weather("t", "http_404", ADVICE)),
        (404, {"retry-after": "7"}, Slow("t", "http_404", 7.0, shared=True)),
        (418, {"retry-after": "7"}, Slow("t", "http_418", 7.0, shared=True)),
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
        (" 1.5 ", 1.5),
        ("999999999", 999_999_999.0),
        ("9" * 5_000, LONGEST_PAUSE),
        ("-1", None),
        ("1e3", None),
        ("٣", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Sun, 29 Nov 2026 12:00:30 GMT", None),  # from when, is not known
        ("Sun, 99 Nov 2026 12:00:30 GMT", None),
        (f"Sun, {'9' * 5_000} Nov 2026 12:00:30 GMT", None),
    ],
    ids=lambda said: str(said)[:24],
)
def test_retry_after_is_read_in_seconds(said: str, seconds: float | None) -> None:
    assert HttpAnswer(429, b"", {"retry-after": said}).retry_after == seconds


NOON = 1_795_953_600.0  # Sun, 29 Nov 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("said", "date", "seconds"),
    [
        ("Sun, 29 Nov 2026 12:00:30 GMT", "", 30.0),
        ("Sunday, 29-Nov-26 12:00:30 GMT", "", 30.0),
        ("Sun Nov 29 12:00:30 2026", "", 30.0),
        ("Sun, 29 Nov 2026 11:00:00 GMT", "", 0.0),
        ("Sun, 29 Nov 2026 15:00:30 GMT", "Sun, 29 Nov 2026 15:00:00 GMT", 30.0),  # by the venue's own clock
        ("Sun, 29 Nov 2026 12:00:30 GMT", "today", 30.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "", 251_606_347_199.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", "", None),
        ("30", "Sun, 29 Nov 2026 15:00:00 GMT", 30.0),
    ],
)
def test_retry_after_may_be_a_date(said: str, date: str, seconds: float | None) -> None:
    answer = HttpAnswer(429, b"", {"retry-after": said, "date": date}, NOON)
    assert answer.retry_after == seconds
