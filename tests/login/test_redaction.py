"""What a venue sends back of what it was told in confidence is struck out, however it writes it."""

from __future__ import annotations

import json
import math
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from actors.diagnostics import KEPT as KEPT_OF_A_MESSAGE
from actors.diagnostics import READ, QuarantinedMessages
from actors.http_types import Endpoint
from actors.login.redaction import KEPT, SHORTEST, Redactor, in_the_path, secrets_in, secrets_shown
from actors.secret import Secret

KEY = "c4n+ary/of=ours"

secrets = st.text(st.characters(codec="utf-8"), min_size=SHORTEST, max_size=40).filter(str.strip)


def knowing(*secrets: str) -> Redactor:
    redactor = Redactor()
    redactor.add_secrets(secrets)
    return redactor


@pytest.mark.parametrize(
    "written",
    [KEY, "c4n%2Bary%2Fof%3Dours", "c4n%2bary%2fof%3dours", r"c4n\u002Bary\/of\u003dours", quote_plus(KEY)],
)
def test_a_secret_is_known_in_a_url_and_in_json(written: str) -> None:
    assert knowing(KEY).redact(f'{{"key":"{written}"}}') == '{"key":"…"}'


@given(secrets, st.text(), st.text())
def test_no_secret_is_left_whatever_stands_around_it(secret: str, before: str, after: str) -> None:
    struck = knowing(secret).redact(f"{before}{secret}{after}")
    assert secret not in struck.replace("…", "\0" * 50) or "…" in secret


@given(secrets)
@example("000%")
def test_every_usual_way_of_writing_one_is_struck(secret: str) -> None:
    for written in (
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        f'"{quote(secret, safe="")}"',
    ):
        assert knowing(secret).redact(written) == '"…"'


@given(secrets, st.integers(0, 60), st.integers(0, 60))
def test_no_cut_goes_through_a_secret(secret: str, before: int, length: int) -> None:
    text = "\0" * before + secret + "\1" * 60
    told = knowing(secret).redact(text, length)
    assert told.replace("\0", "").replace("\1", "") in ("", "…") or {"\0", "\1"} & set(secret)
    assert len(told) <= max(length, before + 1)


@given(st.text(), st.integers(0, 50))
def test_what_holds_no_secret_stays_as_it_is(text: str, length: int) -> None:
    assert Redactor().redact(text) == text
    assert Redactor().redact(text, length) == text[:length]
    assert knowing("no" * 40).redact(text) == text


def test_a_word_of_three_letters_is_no_secret() -> None:
    assert knowing("abc", "").redact("abcdef") == "abcdef"


def test_of_secrets_that_begin_alike_the_longer_one_goes_whole() -> None:
    assert knowing("token-1", "token-12345").redact("token-12345 token-1") == "… …"


def test_the_newest_secrets_are_known_and_one_that_is_told_again_is_new() -> None:
    redactor = knowing("the-account-key")
    for number in range(2 * KEPT):
        redactor.add_secrets(["the-account-key", f"token-{number:04}"])
    newest = f"token-{2 * KEPT - 1:04}"
    assert redactor.redact(f"the-account-key {newest} token-0000") == "… … token-0000"


def test_secrets_are_found_wherever_they_lie() -> None:
    class Login(Struct):
        user: str
        key: Secret
        more: dict[str, list[Secret | None]]

    login = Login("somebody", Secret("one"), {"x": [Secret("two"), None]})
    assert list(secrets_in((login, "text", 3))) == ["one", "two"]


def test_of_an_endpoint_only_what_is_long_enough_for_a_token_is_taken_for_one() -> None:
    token, ticket, listen = "t" * 20, "i" * 16, "l" * 24
    endpoint = Endpoint(
        f"wss://v.example/trades?feed=iex&access_token={token}", (("Authorization", f"Bearer {ticket}"),)
    )
    assert list(secrets_shown(endpoint)) == [token, ticket]
    assert list(secrets_shown(Endpoint("wss://v.example/ws"))) == []
    assert list(in_the_path(f"wss://venue.example.org/ws/{listen}?x=y")) == [listen]


@given(st.integers(0, 40))
def test_a_message_is_put_aside_without_a_secret_and_with_its_whole_length(shift: int) -> None:
    quarantine = QuarantinedMessages()
    raw = b"x" * (KEPT_OF_A_MESSAGE - shift) + KEY.encode() + b"y" * 2 * READ
    quarantine.add("o2", raw, f"cannot be read: {KEY}", 1, knowing(KEY))
    (kept,) = quarantine.newest()
    assert kept.size == len(raw)
    assert kept.error == "cannot be read: …"
    assert kept.raw.rstrip("y").lstrip("x") in ("", "…")
    assert len(kept.raw) <= KEPT_OF_A_MESSAGE


def test_quarantined_messages_are_logged_line_by_line_now_and_then() -> None:
    quarantine = QuarantinedMessages()
    redactor = Redactor()
    assert quarantine.add("o2", b"1", "first", 0, redactor)
    assert quarantine.take_unlogged("o2", 100.0) == (1, "first")
    assert quarantine.add("o2", b"2", "second", 0, redactor)
    assert not quarantine.add("o2", b"3", "e" * 10_000, 0, redactor)
    assert quarantine.take_unlogged("o2", 159.0) is None
    assert quarantine.log_due_at("o2") == 160.0
    assert quarantine.add("other", b"1", "other", 0, redactor)
    assert quarantine.take_unlogged("other", 159.0) == (1, "other")
    assert quarantine.take_unlogged("o2", 160.0) == (2, "e" * 4_096)
    assert quarantine.log_due_at("o2") == math.inf
    assert quarantine.log_due_at("unknown") == math.inf
