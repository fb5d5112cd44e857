"""An order book held against a plain dict of its levels."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events import Topic
from actors.protocol.prices import BookUpdate, Number
from actors.rules.order_book import FIRST, Book, BookView

TOPIC = Topic("o2", "depth", "0xbeef")

Levels = list[tuple[Number, Number]]


def whole(bids: Levels, asks: Levels, **more: Any) -> BookUpdate:
    return BookUpdate(bids, asks, whole=True, **more)


def synced(bids: Levels, asks: Levels) -> Book:
    book = Book(TOPIC)
    book.apply(whole(bids, asks), 1, 1)
    return book


# ── any history, against a model ────────────────────────────────────────────────────────────────


class Model:
    """What a book has to be: two dicts, or nothing that can be trusted."""

    def __init__(self) -> None:
        self.sides: tuple[dict[Any, Any], dict[Any, Any]] | None = None
        self.epoch = 0

    def apply(self, update: BookUpdate, epoch: int) -> None:
        if update.whole:
            self.sides, self.epoch = ({}, {}), epoch
        if epoch != self.epoch:
            self.sides = None
        if self.sides is not None:
            for levels, changes in zip(self.sides, (update.bids, update.asks), strict=True):
                self.change(levels, changes, relative=update.relative and not update.whole)

    def change(
        self, levels: dict[Any, Any], changes: Iterable[tuple[Number, Number]], *, relative: bool
    ) -> None:
        for price, quantity in changes:
            levels[price] = levels.get(price, 0) + quantity if relative else quantity
            if levels[price] <= 0:
                del levels[price]

    def shown(self, depth: int | None) -> tuple[Levels, Levels] | None:
        if self.sides is None:
            return None
        bids, asks = self.sides
        return sorted(bids.items(), reverse=True)[:depth], sorted(asks.items())[:depth]


prices = st.integers(1, 12)  # few, so that changes meet levels, and sides meet each other
quantities = st.integers(-4, 4) | st.sampled_from([Decimal("0.5"), Decimal("-0.5"), Decimal(0)])
levels = st.lists(st.tuples(prices, quantities), max_size=6, unique_by=lambda level: level[0])
updates = st.builds(
    BookUpdate,
    levels,
    levels,
    whole=st.integers(0, 5).map(lambda number: number == 0),
    relative=st.booleans(),
    sequence=st.none() | st.integers(0, 9),
    at_ns=st.none() | st.integers(0, 9),
)
steps = st.tuples(updates, st.sampled_from([1, 1, 1, 1, 1, 1, 1, 2])) | st.just("a gap")


@given(st.lists(steps, max_size=60), st.none() | st.integers(1, 5))
def test_a_book_is_what_its_updates_make_it(history: list[Any], depth: int | None) -> None:
    book, model = Book(TOPIC), Model()
    for received_ns, step in enumerate(history):
        if isinstance(step, str):
            book.lose(step)
            model.sides = None
        else:
            update, epoch = step
            book.apply(update, received_ns, epoch)
            model.apply(update, epoch)
        view, shown = book.view(depth), model.shown(depth)
        if shown is None:
            assert view == BookView(TOPIC, "syncing", view.reason)
            assert view.reason
        else:
            assert ([*view.bids], [*view.asks]) == shown
            assert (view.state, view.epoch, view.received_ns) == ("synced", model.epoch, received_ns)
            assert (view.sequence, view.at_ns) == (update.sequence, update.at_ns)


# ── what each kind of update means ──────────────────────────────────────────────────────────────


def test_a_change_before_the_first_whole_book_is_passed_over() -> None:
    book = Book(TOPIC)
    book.apply(BookUpdate([(10, 1)], []), 1, 1)
    assert book.view() == BookView(TOPIC, "syncing", FIRST)


def test_absolute_changes_replace_and_zero_removes() -> None:
    book = synced([(10, 1), (9, 2)], [(11, 3)])
    book.apply(BookUpdate([(10, 0), (9, 7), (5, 0)], [(12, 4)]), 2, 1)
    assert book.view().bids == ((9, 7),)
    assert book.view().asks == ((11, 3), (12, 4))


def test_relative_changes_add_and_a_level_at_or_below_zero_is_gone() -> None:
    book = synced([(10, 5), (9, 5)], [(11, 5)])
    book.apply(BookUpdate([(10, -5), (9, 1)], [(11, -6), (12, 2), (13, -1)], relative=True), 2, 1)
    assert book.view().bids == ((9, 6),)
    assert book.view().asks == ((12, 2),)


def test_exact_prices_that_are_spelled_differently_are_one_level() -> None:
    book = synced([(Decimal("1.50"), Decimal("0.1"))], [])
    book.apply(BookUpdate([(Decimal("1.5"), Decimal("0.2"))], [], relative=True), 2, 1)
    assert book.view().bids == ((Decimal("1.5"), Decimal("0.3")),)


def test_a_change_of_another_epoch_ends_the_trust_and_its_whole_book_begins_it_anew() -> None:
    book = synced([(10, 1)], [])
    book.apply(BookUpdate([(9, 1)], []), 2, 2)
    assert book.view().reason == "a change of epoch 2 came to a book of epoch 1"
    assert book.view().bids == ()
    book.apply(whole([(8, 1)], []), 3, 2)
    assert (book.view().bids, book.view().epoch) == (((8, 1),), 2)


def test_an_update_that_cannot_be_read_to_its_end_changes_nothing_of_a_whole_book() -> None:
    book = synced([(10, 1)], [(11, 1)])
    before = book.view()
    broken: Any = [(12, "a word")]
    with pytest.raises(TypeError):
        book.apply(whole([(9, 1)], broken), 2, 1)
    assert book.view() == before


# ── what a view tells ───────────────────────────────────────────────────────────────────────────


def test_a_view_stays_as_it_was_while_its_book_goes_on() -> None:
    book = synced([(10, 1)], [(11, 1)])
    view = book.view()
    book.apply(BookUpdate([(10, 0)], [(11, 0)]), 2, 1)
    assert (view.bids, view.asks) == (((10, 1),), ((11, 1),))


def test_the_best_of_both_sides() -> None:
    view = synced([(9, 1), (10, 2)], [(12, 3), (13, 4)]).view(1)
    assert (view.best_bid, view.best_ask, view.spread, view.crossed) == ((10, 2), (12, 3), 2, False)
    assert (view.bids, view.asks) == (((10, 2),), ((12, 3),))
    assert (view.feed, view.synced) == ("o2", True)


def test_a_side_that_is_empty_has_no_best_and_makes_no_spread() -> None:
    view = synced([(9, 1)], []).view()
    assert (view.best_bid, view.best_ask, view.spread, view.crossed) == ((9, 1), None, None, False)


@pytest.mark.parametrize(("bid", "spread", "crossed"), [(11, 1, False), (12, 0, True), (13, -1, True)])
def test_a_crossed_book_is_shown_as_it_came_and_says_so(bid: int, spread: int, crossed: bool) -> None:
    view = synced([(bid, 1)], [(12, 1)]).view()
    assert (view.best_bid, view.best_ask) == ((bid, 1), (12, 1))
    assert (view.spread, view.crossed) == (spread, crossed)
