"""The way to a hub: what is asked, what the upgrade shows, and why there is no upgrade."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.http_types import Endpoint, HttpAnswer, HttpRequest
from actors.protocol.conversation import Conversation
from actors.protocol.signalr import negotiate
from actors.reasons import Fatal, Reason, Retryable, Slow, Weather
from actors.secret import Secret

TOKEN = Secret("ey.J/+=")
SHOWN = "ey.J%2F%2B%3D"
WEBSOCKETS = {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}
POLLING = {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]}
OFFER: dict[str, Any] = {
    "negotiateVersion": 1,
    "connectionId": "public",
    "connectionToken": "s3cr/t+",
    "availableTransports": [POLLING, WEBSOCKETS],
}


def said(told: Mapping[str, Any] | bytes, status: int = 200, **headers: str) -> HttpAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status, told if isinstance(told, bytes) else msgspec.json.encode(told), named)


def carried_on(
    conversation: Conversation[Endpoint], *answers: HttpAnswer
) -> tuple[list[HttpRequest], Endpoint | Reason]:
    """What was asked, and what came of it; all answers are heard."""
    asked: list[HttpRequest] = []
    left = list(answers)
    try:
        asked.append(next(conversation))
        while True:
            asked.append(conversation.send(left.pop(0)))
    except StopIteration as end:
        assert not left
        return asked, end.value


def outcome(told: Mapping[str, Any] | bytes, status: int = 200, **headers: str) -> Endpoint | Reason:
    return carried_on(negotiate("https://h/hub", TOKEN), said(told, status, **headers))[1]


def upgrade(told: Mapping[str, Any] = OFFER, url: str = "https://h/hub", **how: Any) -> Endpoint:
    _, endpoint = carried_on(negotiate(url, how.pop("token", TOKEN), **how), said(told))
    assert isinstance(endpoint, Endpoint)
    return endpoint


def question(url: str) -> str:
    return next(negotiate(url, TOKEN)).url


# ── what is asked ───────────────────────────────────────────────────────────────────────────────


def test_a_negotiation_is_an_empty_post_with_the_token_in_its_header() -> None:
    asked = next(negotiate("https://h/hub", TOKEN))
    assert (asked.method, asked.body) == ("POST", b"")
    assert asked.headers == (("Authorization", "Bearer ey.J/+="),)
    assert next(negotiate("https://h/hub")).headers == ()


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://h/hubs/user", "https://h/hubs/user/negotiate?negotiateVersion=1"),
        ("https://h/hubs/user/", "https://h/hubs/user/negotiate?negotiateVersion=1"),
        ("https://h/hubs/user?x=1", "https://h/hubs/user/negotiate?x=1&negotiateVersion=1"),
        ("https://h/hub?x=a%20b&y", "https://h/hub/negotiate?x=a%20b&y&negotiateVersion=1"),
        ("https://h/hub?NegotiateVersion=0", "https://h/hub/negotiate?NegotiateVersion=0"),
        ("wss://h/hub", "https://h/hub/negotiate?negotiateVersion=1"),
        ("WS://h:5000/hub#part", "http://h:5000/hub/negotiate?negotiateVersion=1"),
        ("https://h", "https://h/negotiate?negotiateVersion=1"),
    ],
)
def test_the_url_of_a_negotiation(url: str, asked: str) -> None:
    assert question(url) == asked


# ── where the upgrade goes ──────────────────────────────────────────────────────────────────────


def test_the_upgrade_shows_the_connections_token_and_ours() -> None:
    assert upgrade().url == f"wss://h/hub?id=s3cr%2Ft%2B&access_token={SHOWN}"
    assert upgrade().headers == ()


def test_or_ours_in_a_header() -> None:
    endpoint = upgrade(place="header", headers=(("X-App", "desk"), ("authorization", "Basic old")))
    assert endpoint.url == "wss://h/hub?id=s3cr%2Ft%2B"
    assert endpoint.headers == (("X-App", "desk"), ("Authorization", "Bearer ey.J/+="))


def test_a_hub_without_a_token() -> None:
    assert upgrade(token=None, url="http://h/hub?x=1").url == "ws://h/hub?x=1&id=s3cr%2Ft%2B"


@pytest.mark.parametrize("version", [{"negotiateVersion": 0}, {"negotiateVersion": None}, {}])
def test_in_version_0_the_id_is_the_token(version: Mapping[str, Any]) -> None:
    offer = {"connectionId": "a/b", "availableTransports": [WEBSOCKETS], **version}
    assert upgrade(offer, token=None).url == "wss://h/hub?id=a%2Fb"


def test_an_old_id_and_an_old_token_in_the_url_give_way() -> None:
    endpoint = upgrade(url="https://h/hub?a=1&ID=old&Access_Token=old&b=%2F")
    assert endpoint.url == f"wss://h/hub?a=1&b=%2F&id=s3cr%2Ft%2B&access_token={SHOWN}"


@pytest.mark.parametrize("url", ["https://h/hub?x=1", "wss://h/hub?x=1", "WSS://h/hub?x=1#top"])
def test_without_a_negotiation_nothing_is_asked(url: str) -> None:
    asked, endpoint = carried_on(negotiate(url, TOKEN, skip=True))
    assert asked == []
    assert endpoint == Endpoint(f"wss://h/hub?x=1&access_token={SHOWN}")
    _, endpoint = carried_on(negotiate(url, TOKEN, skip=True, place="header"))
    assert endpoint == Endpoint("wss://h/hub?x=1", (("Authorization", "Bearer ey.J/+="),))


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1))
def test_whatever_stands_in_a_token_is_one_value_of_the_query(id: str, token: str) -> None:
    url = upgrade({**OFFER, "connectionToken": id}, url="https://h/hub?x=1", token=Secret(token)).url
    assert parse_qsl(urlsplit(url).query) == [("x", "1"), ("id", id), ("access_token", token)]
    assert url.isascii()
    assert url.isprintable()


def test_cookies_of_the_negotiation_come_with_the_upgrade() -> None:
    balanced = 'ARR=ab=c; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly, same="x y"; Secure'
    _, endpoint = carried_on(
        negotiate("https://h/hub", headers=(("cookie", "mine=1"), ("X-App", "desk"))),
        said(OFFER, set_cookie=balanced),
    )
    assert isinstance(endpoint, Endpoint)
    assert endpoint.headers == (("X-App", "desk"), ("Cookie", 'mine=1; ARR=ab=c; same="x y"'))


# ── redirects ───────────────────────────────────────────────────────────────────────────────────


def test_a_redirect_is_followed_with_the_token_that_it_gives() -> None:
    asked, endpoint = carried_on(
        negotiate("https://h/hub", TOKEN),
        said({"url": "https://other/client/?hub=user", "accessToken": "theirs"}),
        said(OFFER),
    )
    assert [each.url for each in asked] == [
        "https://h/hub/negotiate?negotiateVersion=1",
        "https://other/client/negotiate?hub=user&negotiateVersion=1",
    ]
    assert [dict(each.headers)["Authorization"] for each in asked] == ["Bearer ey.J/+=", "Bearer theirs"]
    assert endpoint == Endpoint(
        "wss://other/client/?hub=user&id=s3cr%2Ft%2B&access_token=theirs", passing=(404, 409)
    )


def test_the_token_of_one_redirect_serves_the_next_and_ours_where_none_gives_one() -> None:
    hops = [said({"url": "https://b/hub"}), said({"url": "/c", "accessToken": "theirs"}), said({"url": "/d"})]
    asked, _ = carried_on(negotiate("https://a/hub", TOKEN), *hops, said(OFFER))
    assert [each.url.partition("/negotiate")[0] for each in asked] == [
        "https://a/hub",
        "https://b/hub",
        "https://b/c",
        "https://b/d",
    ]
    shown = [dict(each.headers)["Authorization"].removeprefix("Bearer ") for each in asked]
    assert shown == ["ey.J/+=", "ey.J/+=", "theirs", "theirs"]


def test_cookies_stay_with_their_host() -> None:
    asked, endpoint = carried_on(
        negotiate("https://a/hub"),
        said({"url": "https://a/second"}, set_cookie="first=1"),
        said({"url": "https://b/third"}, set_cookie="second=2"),
        said(OFFER, set_cookie="third=3"),
    )
    assert [dict(each.headers).get("Cookie") for each in asked] == [None, "first=1", None]
    assert isinstance(endpoint, Endpoint)
    assert endpoint.headers == (("Cookie", "third=3"),)


def test_redirects_come_to_an_end() -> None:
    asked, reason = carried_on(negotiate("https://h/hub"), *[said({"url": "https://h/hub"})] * 101)
    assert len(asked) == 101
    assert isinstance(reason, Slow)
    assert reason.code == "negotiate_redirects"


@pytest.mark.parametrize(
    "redirect",
    [
        {"url": "ftp://h/hub"},
        {"url": "https://:80/hub"},
        {"url": "https://[1/hub"},
        {"url": "https://h/a b"},
        {"url": "https://h/a\r\nX-Evil: 1"},
        {"url": "https://h/hub", "accessToken": "a\r\nX-Evil: 1"},
        {"url": "https://h/hub", "accessToken": "é"},
    ],
)
def test_a_redirect_to_nowhere(redirect: Mapping[str, Any]) -> None:
    reason = outcome(redirect)
    assert isinstance(reason, Retryable)
    assert reason.code == "negotiate_redirect"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_redirect_from_the_clear_may_lead_anywhere(scheme: str) -> None:
    hops = [said({"url": f"{scheme}://other/hub"}), said(OFFER)]
    _, endpoint = carried_on(negotiate("http://h/hub"), *hops)
    assert isinstance(endpoint, Endpoint)
    assert endpoint.url.partition("?")[0] == f"{scheme.replace('http', 'ws')}://other/hub"


def test_a_redirect_never_takes_the_token_into_the_clear() -> None:
    reason = outcome({"url": "http://h/hub"})
    assert isinstance(reason, Fatal)
    assert "from https to http" in reason.text


# ── offers that cannot be taken ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("offer", "kind", "code"),
    [
        ({"error": "The client requested version 'x'"}, Slow, "negotiate_refused"),
        ({**OFFER, "error": "no"}, Slow, "negotiate_refused"),
        ({"ProtocolVersion": "1.5", "Url": "/signalr"}, Weather, "negotiate_legacy"),
        ({**OFFER, "availableTransports": [POLLING]}, Weather, "negotiate_transport"),
        ({**OFFER, "availableTransports": []}, Weather, "negotiate_transport"),
        ({**OFFER, "availableTransports": None}, Weather, "negotiate_transport"),
        (
            {**OFFER, "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Binary"]}]},
            Weather,
            "negotiate_format",
        ),
        (
            {**OFFER, "availableTransports": [{"transport": "WebSockets"}]},
            Weather,
            "negotiate_format",
        ),
        ({**OFFER, "useStatefulReconnect": True}, Weather, "negotiate_stateful"),
        ({"negotiateVersion": 1, "availableTransports": [WEBSOCKETS]}, Retryable, "negotiate"),
        (b"<html>", Retryable, "negotiate"),
        (b"[]", Retryable, "negotiate"),
        (b"", Retryable, "negotiate"),
        ({**OFFER, "negotiateVersion": "one"}, Retryable, "negotiate"),
    ],
)
def test_an_offer_that_cannot_be_taken(
    offer: Mapping[str, Any] | bytes, kind: type[Reason], code: str
) -> None:
    reason = outcome(offer)
    assert type(reason) is kind
    assert reason.code == code


@pytest.mark.parametrize(
    ("status", "headers", "kind", "words"),
    [
        (401, {}, Fatal, "Check the credentials"),
        (403, {}, Weather, "Check the credentials"),
        (403, {"retry_after": "7"}, Slow, ""),
        (404, {}, Weather, "Check the path of the hub"),
        (405, {}, Weather, "takes no POST"),
        (400, {}, Weather, "Check url"),
        (302, {}, Weather, "if you trust it"),
        (408, {}, Retryable, ""),
        (429, {}, Slow, ""),
        (500, {}, Retryable, ""),
        (503, {}, Retryable, ""),
        (503, {"retry_after": "7"}, Slow, ""),
        (204, {}, Retryable, ""),
    ],
)
def test_a_status_that_is_no_offer(
    status: int, headers: Mapping[str, str], kind: type[Reason], words: str
) -> None:
    reason = outcome(b"", status, **headers)
    assert type(reason) is kind
    assert reason.code == f"http_{status}"  # 401 and 403: by which the door knows a token turned away
    assert str(status) in reason.text
    if isinstance(reason, Fatal):
        assert words in reason.advice


@pytest.mark.parametrize(("said_so", "wait"), [("7", 7.0), ("nan", None), ("soon", None), ("-1", None)])
def test_how_long_a_hub_wants_to_be_left_alone(said_so: str, wait: float | None) -> None:
    reason = outcome(b"", 429, retry_after=said_so)
    assert isinstance(reason, Slow)
    assert reason.retry_after == wait


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("echo", ["ey.J/+=", SHOWN])
def test_a_hub_that_echoes_the_token_is_quoted_without_it(echo: str) -> None:
    long = "x" * 290  # where the quotation is cut short
    for told in (
        outcome({"error": f"bad token {echo}"}),
        outcome({"error": long + echo}),
        outcome(f"bad token {echo}".encode(), 401, content_type="text/plain; charset=utf-8"),
    ):
        assert not isinstance(told, Endpoint)
        assert "ey.J" not in repr(told)
    refused = outcome(b"bad token", 401, content_type="text/plain")
    assert not isinstance(refused, Endpoint)
    assert refused.text.endswith("(bad token)")


def test_no_repr_shows_a_secret() -> None:
    conversation = negotiate("https://h/hub?access_token=ey.J", TOKEN)
    asked = next(conversation)
    for shown in (asked, said(OFFER), upgrade(url="https://h/hub?access_token=ey.J")):
        assert not re.search(r"ey\.J|s3cr", repr(shown))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
offers = st.fixed_dictionaries({}, optional=dict.fromkeys([*OFFER, "url", "accessToken", "error"], json))


@given(st.lists(offers, max_size=3), st.sampled_from([200, 200, 401, 500]), json)
def test_no_answer_makes_a_conversation_raise(
    redirects: Sequence[Mapping[str, Any]], status: int, cookie: Any
) -> None:
    told = [{**OFFER, **redirect} for redirect in redirects]
    answers = [said(each, status, set_cookie=f"{cookie}={cookie}, {cookie}") for each in [*told, OFFER]]
    assert isinstance(end_of(negotiate("https://h/hub", TOKEN), answers), (Endpoint, Retryable, Slow, Fatal))


def end_of(conversation: Conversation[Endpoint], answers: Sequence[HttpAnswer]) -> Endpoint | Reason:
    """What a conversation comes to by the last of these answers, or before it."""
    next(conversation)
    for answer in answers:
        try:
            conversation.send(answer)
        except StopIteration as end:
            told: Endpoint | Reason = end.value
            return told
    raise AssertionError("it does not end")
