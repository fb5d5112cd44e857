from __future__ import annotations

import copy
import json
import pickle
import traceback

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.secret import Secret, dec_hook, enc_hook

CANARY = "canary-5f1d"


class Login(msgspec.Struct, frozen=True):
    user: str
    key: Secret


def test_it_is_used_only_by_whoever_says_so() -> None:
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
    assert msgspec.json.decode(msgspec.json.encode(login, enc_hook=enc_hook)) == {"user": "me", "key": "…"}
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
    with pytest.raises(NotImplementedError):
        enc_hook(1j)


@given(st.text(), st.text())
def test_secrets_are_equal_as_their_texts_are(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) == (one == other)
    assert hash(Secret(one)) == hash(Secret(one))
    assert bool(Secret(one)) == bool(one)
    assert Secret(one) != one  # a comparison with plain text would not be in constant time
