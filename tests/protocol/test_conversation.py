"""Conversations without a request, and what can be presented as a token."""

from __future__ import annotations

import pytest

from actors.protocol import Fatal, Secret, Token, is_token, settled


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
