"""Codes that come from a venue's words: few, short, and fit to be a label."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.http_types import HttpAnswer
from actors.protocol.error_codes import code_of
from actors.venues.tplus.errors import refusal

CODE = re.compile(r"[a-z0-9_]{1,40}")


@given(st.sampled_from(["tplus", "alpaca", "kraken-v1", "größe", "a" * 32]), st.text())
def test_whatever_a_venue_says_its_code_is_short_and_plain(venue: str, said: str) -> None:
    assert CODE.fullmatch(code_of(venue, said))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("406", "pier_406"),
        ("INVALID_SIGNATURE", "pier_invalid_signature"),
        ("not-found", "pier_not_found"),
        ("", "pier_error"),
        ("Order 4711 is unknown", "pier_error"),
        ("9" * 40, "pier_error"),
        ("ünknown", "pier_error"),
        ("x\n", "pier_x"),
    ],
)
def test_a_word_is_kept_and_a_sentence_is_none(said: str, code: str) -> None:
    assert code_of("pier", said) == code


@given(st.text() | st.integers() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
def test_a_refusal_over_http_has_such_a_code_whatever_its_body_says(said: object) -> None:
    body = json.dumps({"error": {"code": said, "message": "no"}}).encode()
    for status in (400, 401, 404, 429, 503):
        assert CODE.fullmatch(refusal(HttpAnswer(status, body), "the login").code)
