"""Pages of a venue's list, and the seams of a loss: what they prove, and what they leave open."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from actors.protocol import Backfilled, Loss, RowChain, joined
from actors.protocol import joining as j


class Row(Struct, frozen=True):
    id: int | None
    at: int | None


def identity(row: Row) -> int | None:
    return row.id


def at(row: Row) -> int | None:
    return row.at


def rows(*ids: int) -> list[Row]:
    """The time of each is ten times its id."""
    return [Row(id, 10 * id) for id in ids]


def row(id: int) -> Row:
    return Row(id, 10 * id)


def loss(last: int | None, first: int | None) -> Loss:
    since, until = 10 * (last or 0), 10 * (first or 99)
    return Loss(since, until, None if last is None else row(last), None if first is None else row(first))


def join(listed: Sequence[Row], lost: Loss, why: str = "") -> Backfilled:
    return joined(listed, lost, identity, at, why=why)


def chain(*pages: Sequence[Row]) -> RowChain[Row]:
    made: RowChain[Row] = RowChain(identity, at)
    for page in pages:
        made.add(page)
    return made


# ── seams ──


def test_what_lies_between_both_seams_is_complete() -> None:
    assert join(rows(1, 2, 3, 4, 5), loss(2, 5)) == Backfilled(tuple(rows(3, 4)), complete=True)
    assert join(rows(2, 3), loss(2, 3)) == Backfilled((), complete=True)


@pytest.mark.parametrize(
    ("listed", "lost", "events", "why", "reaches"),
    [
        pytest.param((1, 2, 3), (1, None), (2, 3), j.NO_FIRST, 30, id="nothing after it has come"),
        pytest.param((1,), (1, None), (), j.NO_FIRST, 10, id="nothing is new"),
        pytest.param((1, 2, 3), (1, 5), (2, 3), j.FIRST_MISSING, 30, id="the list lags"),
        pytest.param((2, 3, 5), (1, 5), (2, 3), j.LAST_MISSING, None, id="it begins too late"),
        pytest.param((), (1, 5), (), j.LAST_MISSING, None, id="it is empty"),
        pytest.param((2, 3), (1, None), (2, 3), j.LAST_MISSING, None, id="one seam is missing, one unknown"),
        pytest.param((1, 2, 5), (None, 5), (1, 2), j.NO_LAST, None, id="nothing came before the loss"),
        pytest.param((5, 1), (1, 5), (), j.CROSSED, None, id="the seams are in the other order"),
    ],
)
def test_what_is_open_is_told(
    listed: tuple[int, ...],
    lost: tuple[int | None, int | None],
    events: tuple[int, ...],
    why: str,
    reaches: int | None,
) -> None:
    found = join(rows(*listed), loss(*lost))
    lags = lost[1] is not None and lost[1] not in listed
    told = Backfilled(tuple(rows(*events)), complete=False, why=why, reaches_ns=reaches, lags=lags)
    assert found == told


def test_an_event_with_both_seams_at_one_place_proves_nothing() -> None:
    found = join(rows(1, 2, 3), loss(1, 1))
    assert found == Backfilled((), complete=False, why=j.CROSSED)


def test_a_list_that_is_not_whole_proves_nothing_although_it_has_both_seams() -> None:
    found = join(rows(1, 2, 3), loss(1, 3), "it may be cut")
    assert found == Backfilled(tuple(rows(2)), complete=False, why="it may be cut")


def test_without_a_seam_rows_are_chosen_by_their_time() -> None:
    assert join(rows(1, 2, 3, 4, 6, 7), loss(None, 5)).events == tuple(rows(1, 2, 3, 4))
    assert join(rows(1, 2, 6, 7), Loss(60, 70)).events == tuple(rows(6, 7))
    # A row of the very time of the last event may have been lost.
    assert join([Row(8, 20), row(3)], loss(2, 3)).events == (Row(8, 20),)


def test_an_event_without_an_identity_is_no_seam() -> None:
    lost = Loss(0, 50, Row(None, 10), row(3))
    assert join(rows(1, 2, 3), lost).why == j.LAST_MISSING


# ── pages ──


@pytest.mark.parametrize(
    ("pages", "kept", "why"),
    [
        pytest.param([(1, 2), (2, 3), (3, 4)], (1, 2, 3, 4), "", id="each repeats the newest row"),
        pytest.param([(1, 2, 3), (2, 3, 4)], (1, 2, 3, 4), "", id="they overlap by more"),
        pytest.param([(1, 1, 2), (2, 2, 3)], (1, 2, 3), "", id="rows come twice"),
        pytest.param([(1, 2), (1, 2)], (1, 2), "", id="a page comes twice"),
        pytest.param([(1, 2), (4, 5)], (1, 2), j.APART, id="there is a hole"),
        pytest.param([(1, 2), ()], (1, 2), j.APART, id="a page is empty"),
        pytest.param([(1, 3), (2, 3, 4)], (1, 3), j.CHANGED, id="a row has been put in between"),
        pytest.param([(1, 3, 2, 4)], (1, 3), j.UNORDERED, id="a page is shuffled"),
        pytest.param([(1, 2), (2, 1, 3)], (1, 2, 3), "", id="what is known comes again in any order"),
    ],
)
def test_pages_follow_each_other_or_the_chain_ends(
    pages: list[tuple[int, ...]], kept: tuple[int, ...], why: str
) -> None:
    made = chain(*(rows(*page) for page in pages))
    assert (made.rows, made.why) == (rows(*kept), why)


@pytest.mark.parametrize("odd", [Row(None, 20), Row(2, None)], ids=["no id", "no time"])
def test_a_row_that_cannot_be_placed_ends_the_chain(odd: Row) -> None:
    made = chain([row(1), odd, row(3)], rows(1, 3))
    assert (made.rows, made.why) == (rows(1), j.NAMELESS)


def test_pages_by_consecutive_ids_need_not_overlap() -> None:
    made = chain(rows(1, 2))
    assert made.add(rows(3), joins=False)
    assert (made.rows, made.newest_ns) == (rows(1, 2, 3), 30)
    assert not made.add(rows(3), joins=False)


numbers = st.integers(0, 12)


@given(
    st.lists(st.lists(numbers, max_size=6), max_size=5),
    st.none() | numbers,
    st.none() | numbers,
)
def test_whatever_pages_come_the_events_are_in_order_each_once_and_between_the_seams(
    pages: list[list[int]], last: int | None, first: int | None
) -> None:
    made = chain(*(rows(*page) for page in pages))
    found = join(made.rows, loss(last, first), made.why)
    ids = [event.id for event in found.events]
    assert ids == sorted(set(ids))
    assert last not in ids
    assert first not in ids
    assert found.complete == (not found.why)
    if found.complete:
        assert last is not None
        assert first is not None
        assert set(ids) == {each.id for each in made.rows if last < (each.id or 0) < first}
    if found.reaches_ns is not None:
        assert not found.complete


@given(st.integers(2, 30), st.data())
def test_slices_that_join_make_the_whole_list(count: int, data: st.DataObject) -> None:
    listed = rows(*range(count))
    made: RowChain[Row] = RowChain(identity, at)
    end = 0
    while end < count:
        start = data.draw(st.integers(0, max(0, end - 1)))
        end = data.draw(st.integers(end + 1, count))
        made.add(listed[start:end])
    assert (made.rows, made.why) == (listed, "")
    assert join(made.rows, loss(0, count - 1)) == Backfilled(tuple(listed[1:-1]), complete=True)
