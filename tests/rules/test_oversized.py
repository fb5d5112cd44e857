"""The topic of a message that is too large is told by its beginning, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.events import Topic
from actors.rules.oversized import advice, topic_of

BOOK_A, BOOK_B, TRADES_A = Topic("x", "book", "A1"), Topic("x", "book", "B1"), Topic("x", "trades", "A1")
ALL = [BOOK_A, BOOK_B, TRADES_A]


@pytest.mark.parametrize(
    ("head", "asked", "waiting", "found"),
    [
        (b'{"of":"b1"', ALL, [], BOOK_B),
        (b'{"of":"A1"', ALL, [], None),
        (b'{"ch":"subscribe_book","of":"A1"', ALL, [], BOOK_A),
        (b'{"of":"A1"', ALL, [TRADES_A, BOOK_B], TRADES_A),
        (b'{"of":17', ALL, [BOOK_B], BOOK_B),
        (b'{"of":17', ALL, [], None),
        (b"", ALL, [BOOK_B], None),
        (b'{"of":17', [BOOK_A], [], None),
    ],
)
def test_what_the_beginning_tells(
    head: bytes, asked: Sequence[Topic], waiting: Sequence[Topic], found: Topic | None
) -> None:
    assert topic_of(head, asked, waiting) == found


@pytest.mark.parametrize(("size", "enough"), [(300_000, 2**19), (18_000_000, 2**25), (2**24 + 1, 2**25)])
def test_the_advice_has_room_for_a_larger_one(size: int, enough: int) -> None:
    assert advice(size, "x") == f"To take such messages, set max_message = {enough} in [feeds.x]."
