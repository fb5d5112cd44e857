"""What a connection keeps for the streams until they may have it."""

from __future__ import annotations

import pytest

from actors.delivery import kept
from actors.delivery.kept import Kept, KeptEvents, KeptItem, Misread
from actors.protocol.session import Confirm, Missed
from tests.delivery.streams import A, B, C
from tests.support.batches import lists


def events(count: int, size: int = 100) -> KeptEvents:
    return KeptEvents(*lists([(A, number) for number in range(count)]), 1, 1.0, size)


def test_it_comes_out_in_its_order() -> None:
    store = Kept()
    items: list[KeptItem] = [events(2), Confirm((A, B)), Missed((A,), "sequence", 3), events(1)]
    assert not store
    for item in items:
        store.add(item)
    assert store
    assert store.count == 3
    assert [store.take() for _ in items] == [(item, 0) for item in items]
    assert (bool(store), store.count) == (False, 0)


def test_what_was_answered_for_is_known_also_when_it_has_been_taken() -> None:
    store = Kept()
    store.add(Confirm((A, B)))
    store.add(Confirm((C,)))
    store.take()
    assert store.answered == {A, B, C}


def test_a_topic_that_was_forgotten_is_not_answered_for() -> None:
    store = Kept()
    store.add(Confirm((A, B)))
    store.forget(A)
    store.forget(C)
    assert store.answered == {B}


def test_what_was_kept_of_a_forgotten_topic_is_left_out_and_what_comes_after_is_not() -> None:
    store = Kept()
    both = KeptEvents(*lists([(A, 1), (B, 2), (A, 3)]), 1, 1.0, 100)
    before: list[KeptItem] = [both, Confirm((A, B)), Missed((A,), "unknown"), Misread(), events(2)]
    for item in (*before, both, Confirm((A,))):
        if item is both and store:
            store.forget(A)
        store.add(item)
    only_b = KeptEvents(*lists([(B, 2)]), 1, 1.0, 100)
    nothing = KeptEvents(*lists([]), 1, 1.0, 100)
    left_out = [(only_b, 2), (Confirm((B,)), 0), (Missed((), "unknown"), 0), (Misread(), 0), (nothing, 2)]
    assert [store.take() for _ in range(7)] == [*left_out, (both, 0), (Confirm((A,)), 0)]
    assert (bool(store), store.count) == (False, 0)
    store.add(events(1))
    assert store.take() == (events(1), 0)


def test_a_flood_of_what_could_not_be_read_is_one_item_between_others() -> None:
    store, first, last = Kept(), events(1), events(1)
    for item in (Misread(), first, Misread(), Misread(), last):
        store.add(item)
    assert [store.take()[0] for _ in range(3)] == [first, Misread(), last]
    assert not store


@pytest.mark.parametrize(("bound", "value"), [("EVENTS", 5), ("BYTES", 500)])
def test_it_is_full_beyond_its_bound_and_until_some_of_it_is_taken(
    bound: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, bound, value)
    store = Kept()
    for _ in range(5):
        store.add(events(1))
    assert not store.is_full
    store.add(Confirm((A,)))
    assert not store.is_full
    store.add(events(1))
    assert store.is_full
    store.take()
    assert not store.is_full
