"""What two connections of one line both bring is handed out once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.delivery import overlap
from actors.delivery.overlap import KnownKeys, Overlap
from actors.events import Topic
from tests.delivery.streams import TOPICS, A, B
from tests.support.batches import Pair, lists


def key_of(topic: Topic, event: Any) -> Hashable | None:
    return event if isinstance(event, int) else None


def after(former: Overlap) -> KnownKeys:
    known = former.take()
    assert known is not None
    return known


def brought(*pairs: Pair) -> Overlap:
    former = Overlap(key_of)
    former.add(*lists(pairs))
    return former


def passed(successor: KnownKeys, pairs: list[Pair]) -> list[Pair]:
    return list(zip(*successor.without(*lists(pairs)), strict=True))


def test_what_the_former_connection_brought_does_not_come_again() -> None:
    former = Overlap(key_of)
    former.add(*lists([(A, 1), (B, 1), (A, 2)]))
    former.add(*lists([(A, "without a key")]))
    successor = after(former)
    assert passed(successor, [(A, 2), (B, 1), (A, 3)]) == [(A, 3)]
    assert not successor.is_over  # B may bring more of it
    assert passed(successor, [(B, 2)]) == [(B, 2)]
    assert successor.is_over


def test_a_key_that_comes_back_later_is_another_event() -> None:
    successor = after(brought((A, 1)))
    assert passed(successor, [(A, 1), (A, 2), (A, 1)]) == [(A, 2), (A, 1)]


def test_an_event_without_a_key_passes_and_ends_nothing() -> None:
    successor = after(brought((A, 1), (A, 2)))
    assert passed(successor, [(A, 1), (A, "state"), (A, 2), (A, 3)]) == [(A, "state"), (A, 3)]


def test_nothing_was_brought() -> None:
    assert brought((A, "without a key")).take() is None


def test_what_is_brought_once_the_successor_has_looked_is_not_compared() -> None:
    """By a thread that was given up: it came to no stream."""
    former = brought((A, 1))
    successor = after(former)
    former.add(*lists([(A, 2)]))
    assert passed(successor, [(A, 1), (A, 2)]) == [(A, 2)]


def test_too_many_keys_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "KEYS", 3)
    former = Overlap(key_of)
    former.add(*lists([(A, 1), (A, 2), (A, 3), (A, "without a key")]))
    assert not former.is_full
    former.add(*lists([(A, 4)]))
    assert former.is_full


@given(
    st.lists(st.sampled_from(TOPICS), max_size=30), st.integers(0, 30), st.integers(0, 30), st.integers(1, 7)
)
def test_wherever_one_ends_and_the_other_begins_every_event_comes_once(
    sent: list[Topic], begins: int, ends: int, size: int
) -> None:
    """The venue sends to both connections for a while; keys are noted before the candidate begins."""
    pairs = list(zip(sent, range(len(sent)), strict=True))
    begins, ends = sorted((begins, ends))
    noted, old = Overlap(key_of), pairs[:ends]
    noted.add(*lists(pairs[max(0, begins - 3) : ends]))
    successor = noted.take()
    new = pairs[begins:]
    out: list[Pair] = []
    for start in range(0, len(new), size):
        batch = new[start : start + size]
        out += batch if successor is None else passed(successor, batch)
    assert sorted(old + out, key=lambda pair: pair[1]) == pairs
