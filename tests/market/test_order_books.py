"""A followed book between the dispatcher that fills its stream and the threads that look at it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from actors.events import Gap, Lifecycle, LifecycleState, Marker, Topic
from actors.market.order_books import FollowedBook
from actors.protocol.prices import BookUpdate
from actors.rules.order_book import FIRST, BookView, Level
from actors.rules.stream_buffer import Origin
from tests.test_stream import end, make

TOPIC = Topic("o2", "trades", "A")
WHOLE = BookUpdate([(10, 1)], [(11, 1)], whole=True, sequence=1)
NEXT = BookUpdate([(10, 2)], [(11, 2)], sequence=2)
NOTHING = BookUpdate([], [])
GAP = Gap(TOPIC, "sequence", None, 1, 2, 1)


def word(state: LifecycleState, reason: str = "") -> Lifecycle:
    return Lifecycle("o2", state, 1, 1, reason, 1)


class Desk:
    """A book that is followed, and the inlet of its stream."""

    def __init__(self) -> None:
        stream, self.inlet = make("drop_oldest", deltas=True)
        self.heard = threading.Semaphore(0)
        self.book = FollowedBook(TOPIC, stream, self._read)
        self.thread = threading.Thread(target=self.book.follow, daemon=True)
        self.thread.start()

    def _read(self, update: BookUpdate) -> BookUpdate:
        self.heard.release()
        return update

    def put(self, *items: BookUpdate | Marker, epoch: int = 1) -> BookView:
        """What is seen once all of them were heard."""
        for item in (*items, NOTHING):
            if isinstance(item, BookUpdate):
                self.inlet.put([(TOPIC, item)], Origin(1_000, epoch, 1))
            else:
                self.inlet.mark(item)
        for item in (*items, NOTHING):
            assert not isinstance(item, BookUpdate) or self.heard.acquire(timeout=10)
        return self.book.view()  # whatever was heard is done: the thread held the lock meanwhile

    def end(self) -> None:
        end(self.book.stream, "the test is over", quiet=True)
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.end()


def test_a_gap_empties_the_book_until_a_whole_one_comes(desk: Desk) -> None:
    assert desk.put().reason == FIRST
    assert desk.put(WHOLE).bids == ((10, 1),)
    view = desk.put(GAP, NEXT)
    assert (view.state, view.reason, view.bids, view.asks) == (
        "syncing",
        "a gap in its events (sequence)",
        (),
        (),
    )
    assert desk.put(WHOLE, NEXT).bids == ((10, 2),)


@pytest.mark.parametrize("state", ["connecting", "disconnected", "reconnecting", "failed", "paused"])
def test_a_line_that_is_down_empties_the_book(state: LifecycleState, desk: Desk) -> None:
    assert desk.put(WHOLE).synced
    assert desk.put(word(state)).reason == f"o2 is {state}"
    assert desk.put(word(state, "cancelled")).reason == f"o2 is {state}: cancelled"


@pytest.mark.parametrize("state", ["connected", "restored"])
def test_a_line_that_is_up_makes_no_book_and_costs_none(state: LifecycleState, desk: Desk) -> None:
    assert desk.put(word(state)).reason == FIRST
    assert desk.put(word("connecting")).reason == "o2 is connecting"
    assert desk.put(word(state)).reason == FIRST  # the line is no reason any more
    assert desk.put(WHOLE, word(state)).synced


def test_a_view_is_made_once_for_each_depth_and_update(desk: Desk) -> None:
    desk.put(WHOLE)
    book = desk.book
    view, top = book.view(), book.view(1)
    assert (book.view(), book.view(1)) == (view, top)
    assert book.view() is view
    assert book.view(1) is top
    assert desk.put(NEXT) != view


def test_no_reader_sees_an_update_that_is_half_done(desk: Desk) -> None:
    desk.put(WHOLE)
    half, go = threading.Event(), threading.Event()

    def asks() -> Iterator[Level]:  # the bids are in by now
        half.set()
        assert go.wait(10)
        yield (11, 2)

    desk.inlet.put([(TOPIC, BookUpdate([(10, 2)], asks()))], Origin(1_000, 1, 1))
    assert half.wait(10)
    views: list[BookView] = []
    reader = threading.Thread(target=lambda: views.append(desk.book.view()))
    reader.start()
    reader.join(0.05)  # time to see what it must not
    go.set()
    reader.join(10)
    assert [(view.bids, view.asks) for view in views] == [(((10, 2),), ((11, 2),))]


def test_who_waits_is_woken_by_the_book_and_by_its_end(desk: Desk) -> None:
    waiting = threading.Thread(target=desk.book.wait, args=(60.0,))
    waiting.start()
    desk.put(WHOLE)
    waiting.join(10)
    assert not waiting.is_alive()

    desk.put(GAP)
    waiting = threading.Thread(target=desk.book.wait, args=(60.0,))
    waiting.start()
    desk.end()
    waiting.join(10)
    assert not waiting.is_alive()
    assert desk.book.ended == desk.book.view().reason == "the test is over"


def test_a_stream_that_was_cut_is_not_trusted_before_it_says_so(desk: Desk) -> None:
    desk.put(WHOLE)
    with desk.book._changed:  # the thread does not get on
        for _ in range(desk.book.stream.capacity + 2):  # one of them it has in hand
            desk.inlet.put([(TOPIC, NEXT)], Origin(1_000, 1, 1))
        assert desk.book.stream.is_cut
        assert desk.book.view().reason == "a gap in its events (overflow)"
