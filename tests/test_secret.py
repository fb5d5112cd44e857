from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from actors.http_types import Endpoint, HttpAnswer, HttpRequest
from actors.messages import FetchDue, SendMessage
from actors.protocol.conversation import Token
from actors.protocol.session import Fetch, Send
from actors.secret import RedactedStruct, Secret, dec_hook
from actors.venues.tplus.login import Granted
from actors.wire.connect import Dial
from actors.wire.proxies import parse_proxy
from actors.wire.request import parse_endpoint

CANARY = "canary-5f1d"


class Login(msgspec.Struct, frozen=True):
    user: str
    key: Secret


def test_it_is_used_only_where_the_code_says_so() -> None:
    assert Secret(CANARY).reveal() == CANARY


@pytest.mark.parametrize("shown", ["{}", "{!r}", "{!s}", "{!a}", "{:>40}", "{:.40}", "{:x}"])
def test_no_way_of_formatting_shows_it(shown: str) -> None:
    text = shown.format(Secret(CANARY))
    assert "canary" not in text
    assert "…" in text or "\\u2026" in text


def test_percent_and_containers_do_not_show_it() -> None:
    secret = Secret(CANARY)
    assert "%s" % secret == "…"  # noqa: UP031
    assert repr([secret, {"key": secret}]) == "[Secret('…'), {'key': Secret('…')}]"
    assert CANARY not in repr(Login("me", secret))


def test_a_traceback_does_not_show_it_even_with_locals() -> None:
    def login(key: Secret) -> None:
        raise ValueError("refused", key)

    try:
        login(Secret(CANARY))
    except ValueError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert CANARY not in "".join(told.format()).replace(f'CANARY = "{CANARY}"', "")


def test_it_is_not_pickled() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(Secret(CANARY), protocol)
    with pytest.raises(TypeError, match="not pickled"):
        Secret(CANARY).__getstate__()


def test_a_copy_is_the_same_secret() -> None:
    secret = Secret(CANARY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": secret})["key"] is secret


def test_encoders_do_not_write_it() -> None:
    login = Login("me", Secret(CANARY))
    with pytest.raises(TypeError):
        msgspec.json.encode(login)
    with pytest.raises(TypeError):
        json.dumps({"key": login.key})


def test_a_decoder_reads_it() -> None:
    login = msgspec.json.decode(b'{"user":"me","key":"k"}', type=Login, dec_hook=dec_hook)
    assert login.key.reveal() == "k"
    kept = msgspec.convert({"user": "me", "key": login.key}, Login, dec_hook=dec_hook)
    assert kept.key is login.key


def test_only_text_can_be_secret() -> None:
    with pytest.raises(TypeError, match=r"^a secret is text$"):
        Secret(12345)  # type: ignore[arg-type]
    with pytest.raises(msgspec.ValidationError, match="a secret is text"):
        msgspec.convert({"user": "me", "key": 1}, Login, dec_hook=dec_hook)


def test_hooks_leave_other_types_alone() -> None:
    with pytest.raises(NotImplementedError):
        dec_hook(complex, "1j")


@given(st.text(), st.text())
def test_secrets_are_equal_as_their_texts_are(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) == (one == other)
    assert hash(Secret(one)) == hash(Secret(one))
    assert bool(Secret(one)) == bool(one)
    assert Secret(one) != one  # a comparison with plain text would not be in constant time


# ── whatever has a secret somewhere in it ───────────────────────────────────────────────────────

URL = f"wss://{CANARY}:{CANARY}@venue.example:8443/{CANARY}?key={CANARY}#{CANARY}"
HEADERS = (("Authorization", f"Bearer {CANARY}"),)
REQUEST = HttpRequest("POST", URL, HEADERS, CANARY.encode())


class Forgetful(RedactedStruct, frozen=True):
    """Nobody said what may be seen of it."""

    key: str


BEARERS = [
    Endpoint(URL, HEADERS),
    REQUEST,
    HttpAnswer(200, CANARY.encode(), {"set-cookie": CANARY}),
    FetchDue("snapshot", REQUEST),
    Fetch("snapshot", REQUEST, 0.0),
    Send(CANARY),
    SendMessage(CANARY.encode()),
    parse_endpoint(Endpoint(URL, HEADERS)),
    parse_proxy(f"socks5://{CANARY}:{CANARY}@proxy.example"),
    Dial(proxy=f"socks5://{CANARY}:{CANARY}@proxy.example"),
    Dial(proxy=f"{CANARY}:{CANARY}@proxy.example:1080"),
    Granted(CANARY),
    Token(Secret(CANARY)),
    Forgetful(CANARY),
]


@pytest.mark.parametrize("bearer", BEARERS, ids=lambda bearer: type(bearer).__name__)
@pytest.mark.parametrize("show", [repr, pretty_repr, str], ids=lambda show: show.__name__)
def test_whatever_bears_a_secret_shows_none_of_it(show: Callable[[object], str], bearer: object) -> None:
    for text in (show(bearer), show([bearer]), show({"it": bearer})):
        assert "canary" not in text.lower()


@pytest.mark.parametrize("show", [repr, pretty_repr])
def test_what_is_no_secret_is_shown(show: Callable[[object], str]) -> None:
    assert show(REQUEST) == "HttpRequest(method='POST', url='wss://venue.example:8443/…', timeout=10.0)"
    assert show(HttpAnswer(503, b"busy")) == "HttpAnswer(status=503, size=4)"
    assert show(parse_proxy("socks5://u:p@h")) == "ProxyServer(scheme='socks5', target='h:1080')"
    assert "proxy='env'" in show(Dial(proxy="env"))
    assert "proxy='http://h:1/…'" in show(Dial(proxy="http://u:p@h:1"))
