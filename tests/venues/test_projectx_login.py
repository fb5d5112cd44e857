"""How a token is got and kept: by key, by validate, or as it was given; and what refusals mean."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.http_types import HttpAnswer, HttpRequest
from actors.protocol.conversation import Conversation, Token
from actors.reasons import Fatal, Reason, Retryable, Slow
from actors.secret import Secret
from actors.venues.projectx import ProjectX, ProjectXSettings
from actors.venues.projectx.login import expiry_ns

NOW = 1_790_000_000
SECOND = 1_000_000_000
KEY = "key-of-mine-123"
VENUE = ProjectX("projectx", ProjectXSettings(user_name=" me ", api_key=Secret(KEY)))


def jwt(exp: Any = NOW + 86_400, salt: str = "c2ln") -> str:
    claims = msgspec.json.encode({"sub": "4242", "exp": exp})
    return ".".join(
        (*(urlsafe_b64encode(each).rstrip(b"=").decode() for each in (b'{"alg":"HS256"}', claims)), salt)
    )


def said(status: int = 200, headers: dict[str, str] | None = None, **body: Any) -> HttpAnswer:
    return HttpAnswer(status, msgspec.json.encode(body), headers or {})


def held(conversation: Conversation[Token], *answers: HttpAnswer) -> tuple[Token | Reason, list[HttpRequest]]:
    """What came of it, and what was asked; all answers are used."""
    asked: list[HttpRequest] = []
    waiting = list(answers)
    try:
        asked.append(next(conversation))
        while True:
            asked.append(conversation.send(waiting.pop(0)))
    except StopIteration as end:
        assert not waiting
        return end.value, asked


def test_a_login_by_key_reads_when_its_token_ends() -> None:
    token, (request,) = held(
        VENUE.login(NOW * SECOND), said(success=True, errorCode=0, errorMessage=None, token=jwt())
    )
    assert token == Token(Secret(jwt()), (NOW + 86_400) * SECOND)
    assert (request.method, request.url) == ("POST", "https://api.topstepx.com/api/Auth/loginKey")
    assert msgspec.json.decode(request.body) == {"userName": "me", "apiKey": KEY}
    assert KEY not in repr(request)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (said(success=False, errorCode=3, errorMessage=f"no key {KEY}", token=None), Fatal, "projectx_3"),
        (said(success=False, errorCode=1), Fatal, "projectx_1"),
        (said(success=False, errorCode=7), Fatal, "projectx_7"),
        (said(success=False, errorCode=9), Fatal, "projectx_9"),
        (said(success=False, errorCode=10), Fatal, "projectx_10"),
        (said(success=False, errorCode=8), Slow, "projectx_8"),
        (said(success=False, errorCode=77), Slow, "projectx_77"),
        (said(success=True, errorCode=3, token=jwt()), Retryable, "projectx_login"),
        (said(success=False, errorCode=0), Retryable, "projectx_login"),
        (said(token=jwt()), Retryable, "projectx_login"),
        (said(success=True, errorCode=0), Retryable, "projectx_login"),
        (said(success=True, errorCode=0, token="a b"), Retryable, "projectx_login"),
        (HttpAnswer(200, b"<html>"), Retryable, "projectx_login"),
        (said(400), Fatal, "http_400"),
        (said(401), Fatal, "http_401"),
        (said(404), Fatal, "http_404"),
        (said(302), Fatal, "http_302"),
        (said(408), Retryable, "http_408"),
        (said(503), Retryable, "http_503"),
        (said(429), Slow, "http_429"),
    ],
)
def test_what_a_refused_login_means(answer: HttpAnswer, kind: type[Reason], code: str) -> None:
    reason, _ = held(VENUE.login(0), answer)
    assert isinstance(reason, kind)
    assert reason.code == code
    assert KEY not in repr(reason)
    assert "eyJ" not in repr(reason)
    if isinstance(reason, Fatal):
        assert "restart the feed" in reason.advice


@pytest.mark.parametrize("status", [429, 503])
def test_a_gateway_that_names_a_time_is_left_alone_for_it(status: int) -> None:
    reason, _ = held(VENUE.login(0), said(status, {"retry-after": "17"}))
    assert isinstance(reason, Slow)
    assert reason.retry_after == 17.0


OLD = Token(Secret(jwt(NOW + 60)), (NOW + 60) * SECOND)


def test_a_renewal_asks_validate_and_takes_the_new_token() -> None:
    token, (request,) = held(
        VENUE.renew(OLD, NOW * SECOND), said(success=True, errorCode=0, newToken=jwt(NOW + 9))
    )
    assert token == Token(Secret(jwt(NOW + 9)), (NOW + 9) * SECOND)
    assert request.url == "https://api.topstepx.com/api/Auth/validate"
    assert ("Authorization", f"Bearer {OLD.value.reveal()}") in request.headers
    assert request.body == b""
    assert "eyJ" not in repr(request)


@pytest.mark.parametrize(
    "answer",
    [
        said(401),
        said(503),
        said(success=False, errorCode=3),
        said(success=True, errorCode=0, newToken=None),
        HttpAnswer(200, b"?"),
    ],
)
def test_a_renewal_that_gives_no_token_becomes_a_login(answer: HttpAnswer) -> None:
    token, asked = held(VENUE.renew(OLD, NOW * SECOND), answer, said(success=True, errorCode=0, token=jwt()))
    assert token == Token(Secret(jwt()), (NOW + 86_400) * SECOND)
    assert [each.url.rpartition("/")[2] for each in asked] == ["validate", "loginKey"]


@pytest.mark.parametrize(
    "answer", [said(429), said(403, {"retry-after": "9"}), said(503, {"retry-after": "9"})]
)
def test_a_metered_renewal_asks_for_nothing_more(answer: HttpAnswer) -> None:
    reason, asked = held(VENUE.renew(OLD, 0), answer)
    assert isinstance(reason, Slow)
    assert len(asked) == 1


def with_token(text: str) -> ProjectX:
    return ProjectX("projectx", ProjectXSettings(token=Secret(text)))


def test_a_given_token_serves_while_it_lasts_and_is_renewed() -> None:
    venue = with_token(f" {jwt()}\n")
    assert held(venue.login(NOW * SECOND)) == (Token(Secret(jwt()), (NOW + 86_400) * SECOND), [])
    reason, _ = held(venue.login((NOW + 86_400) * SECOND))
    assert isinstance(reason, Fatal)
    assert reason.code == "token_expired"
    token, _ = held(venue.renew(OLD, 0), said(success=True, errorCode=0, newToken=jwt(NOW + 9)))
    assert isinstance(token, Token)
    assert held(with_token("opaque").login(0)) == (Token(Secret("opaque")), [])
    assert isinstance(held(with_token("a b").login(0))[0], Fatal)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said(success=False, errorCode=3), Fatal),
        (said(401), Fatal),
        (said(503), Retryable),
        (HttpAnswer(200, b"?"), Retryable),
    ],
)
def test_a_given_token_that_is_not_renewed_has_no_login_to_go_to(
    answer: HttpAnswer, kind: type[Reason]
) -> None:
    reason, _ = held(with_token(jwt()).renew(OLD, 0), answer)
    assert isinstance(reason, kind)


def test_a_feed_without_an_account_says_what_to_add() -> None:
    reason, asked = held(ProjectX("projectx", ProjectXSettings()).login(0))
    assert isinstance(reason, Fatal)
    assert "user_name and api_key" in reason.advice
    assert not asked


@pytest.mark.parametrize(
    ("exp", "seconds"),
    [
        (NOW, NOW),
        (NOW + 0.5, NOW + 0.5),
        ("soon", None),
        (None, None),
        (True, None),
        (-1, None),
        (1e300, None),
    ],
)
def test_when_a_token_ends(exp: Any, seconds: float | None) -> None:
    assert expiry_ns(jwt(exp)) == (None if seconds is None else seconds * SECOND)


@given(st.text(max_size=40) | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_any_text_may_be_a_token_without_an_end(text: str) -> None:
    ends = expiry_ns(text)
    assert ends is None or ends > 0
