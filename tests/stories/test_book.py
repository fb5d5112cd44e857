"""`runtime.book` on a venue that moves, drops and loses its place: right, or empty with the reason."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors import (
    BookView,
    ForkError,
    LinewardenError,
    Runtime,
    RuntimeStopped,
    StreamClosed,
    SubscribeError,
    Timeout,
)
from actors.dispatcher import Dispatcher
from actors.market import order_books as books
from actors.market.order_books import FollowedBook
from actors.settings import load
from actors.simulators import SimulatedO2
from actors.status import Status
from actors.venues.o2 import O2
from tests.conftest import Baseline
from tests.stories.test_killed_actors import after, kill
from tests.stories.test_reload import two_feeds
from tests.support.counters import reconciled, settle
from tests.support.depth_book import Levels
from tests.support.runtimes import config, line_of, runtime_on, until
from tests.test_stream import in_a_child, needs_fork


def sides(view: BookView) -> tuple[Levels, Levels]:
    """As `SimulatedO2.book` gives them."""
    bids: Any = dict(view.bids)
    asks: Any = dict(view.asks)
    return bids, asks


def is_right(runtime: Runtime, o2: SimulatedO2, market: str) -> Callable[[Status], bool]:
    """The book is synced and what the venue has."""

    def look(status: Status) -> bool:
        view = runtime.book("o2", market)
        return view.synced and sides(view) == o2.book(market)

    return look


def reads(runtime: Runtime, market: str, state: str) -> Callable[[Status], bool]:
    return lambda _: runtime.book("o2", market).state == state


def followed(runtime: Runtime) -> FollowedBook:
    (only,) = runtime._books._books.values()
    return only


def thread_of(runtime: Runtime) -> threading.Thread:
    """The thread that follows the one book."""
    name = f"book/{followed(runtime).topic}"
    (only,) = [thread for thread in threading.enumerate() if thread.name == name]
    return only


# ── a book that is right ────────────────────────────────────────────────────────────────────────


def test_the_first_call_follows_and_later_ones_read(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    view = runtime.book("o2", market, wait=5.0)
    assert sides(view) == o2.book(market)
    assert [*view.bids] == sorted(view.bids, reverse=True)
    assert [*view.asks] == sorted(view.asks)
    assert (view.feed, view.topic.key, view.epoch, view.crossed) == ("o2", market, 1, False)
    assert view.at_ns is not None
    assert view.received_ns is not None

    o2.steps(300)
    until(runtime, is_right(runtime, o2, market))
    assert runtime.book("o2", market) is runtime.book("o2", market.upper().replace("0X", "0x"))
    assert len(o2.wait_heard("subscribe_depth")) == 1
    settle(runtime)


def test_without_a_wait_the_first_answer_comes_at_once_and_says_why_it_is_empty(
    o2: SimulatedO2, market: str
) -> None:
    o2.refuse(n=1_000)
    with runtime_on(o2, live=False) as runtime:
        view = runtime.book("o2", market)
        assert (view.state, view.bids, view.asks, view.epoch) == ("syncing", (), (), None)
        assert view.reason


def test_a_depth_shows_the_best_levels_alone(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    whole = runtime.book("o2", market, wait=5.0)
    top = runtime.book("o2", market, depth=3)
    assert (top.bids, top.asks) == (whole.bids[:3], whole.asks[:3])
    assert (top.best_bid, top.best_ask, top.spread) == (whole.best_bid, whole.best_ask, whole.spread)
    assert runtime.book("o2", market, depth=1_000) == whole
    with pytest.raises(ValueError, match="a depth of 0 shows no level"):
        runtime.book("o2", market, depth=0)


def test_options_make_a_book_of_their_own(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    fine = runtime.book("o2", market, wait=5.0)
    coarse = runtime.book("o2", market, precision="100000", wait=10.0)
    assert sides(fine) == o2.book(market)
    assert sides(coarse) == o2.book(market, 100_000)
    assert fine.topic != coarse.topic


# ── losses: empty until it is whole again ───────────────────────────────────────────────────────


def test_after_a_drop_it_is_empty_until_a_new_snapshot_and_of_one_epoch(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    before = runtime.book("o2", market, wait=5.0)
    o2.stop()
    until(runtime, reads(runtime, market, "syncing"))
    lost = runtime.book("o2", market)
    assert (lost.bids, lost.asks, lost.sequence, lost.epoch) == ((), (), None, None)
    assert lost.reason.startswith(("o2 is disconnected: ", "o2 is reconnecting"))

    o2.start()
    after_it = runtime.book("o2", market, wait=10.0)
    assert sides(after_it) == o2.book(market)
    assert after_it.epoch is not None
    assert before.epoch is not None
    assert after_it.epoch > before.epoch
    o2.steps(100)
    until(runtime, is_right(runtime, o2, market))
    settle(runtime)


def test_it_waits_for_the_line_to_come_back(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    runtime.book("o2", market, wait=5.0)
    o2.drop()
    until(runtime, lambda status: status.lines()["o2"].epoch == 2)
    view = runtime.book("o2", market, wait=10.0)
    assert (view.state, view.epoch) == ("synced", 2)
    assert sides(view) == o2.book(market)


def test_a_pause_empties_it_and_says_so(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    runtime.book("o2", market, wait=5.0)
    runtime.supervisor.pause("o2").get(timeout=5)
    until(runtime, reads(runtime, market, "syncing"))
    assert runtime.book("o2", market).reason.startswith("o2 is paused")
    with pytest.raises(Timeout, match=r"is not synced within 0\.05 s: o2 is paused.*; line o2 is paused, "):
        runtime.book("o2", market, wait=0.05)
    runtime.supervisor.resume("o2").get(timeout=5)
    assert runtime.book("o2", market, wait=10.0).synced


def test_a_venue_that_lost_its_place_costs_a_snapshot_and_no_line(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    runtime.book("o2", market, wait=5.0)
    o2.resync_required(market)
    o2.wait_heard("subscribe_depth", 2)
    o2.depth_change(market, buys=[(60, 6)])
    until(runtime, is_right(runtime, o2, market))
    assert 60 in sides(runtime.book("o2", market))[0]
    assert [gap.reason for gap in followed(runtime).stream.gaps] == ["unknown"]
    assert line_of(runtime).epoch == 1


@contextmanager
def held(book: FollowedBook) -> Iterator[None]:
    """The thread that follows the book does not get on meanwhile."""
    with book._changed:
        yield


def test_an_overflow_empties_it_at_once_and_it_comes_back_in_the_same_epoch(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "CAPACITY", 10)
    with runtime_on(o2) as runtime:
        assert runtime.book("o2", market, wait=5.0).synced
        with held(followed(runtime)):
            for _ in range(50):
                o2.depth_change(market, buys=[(1_000, 5)])
            until(runtime, lambda status: status.streams[0].dropped > 0)
            view = runtime.book("o2", market)  # the gap itself comes when the book starts again
            assert (view.state, view.reason, view.bids) == ("syncing", "a gap in its events (overflow)", ())
        until(runtime, is_right(runtime, o2, market))
        view = runtime.book("o2", market)
        assert (sides(view)[0][1_000], view.epoch) == (250, 1)
        assert followed(runtime).stream.gaps[0].reason == "overflow"
        assert reconciled(settle(runtime))


def test_a_dispatcher_that_dies_leaves_no_wrong_book(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    runtime.book("o2", market, wait=5.0)
    kill(Dispatcher)
    o2.steps(100)
    until(runtime, after("dispatcher", 1))
    o2.steps(100)
    until(runtime, is_right(runtime, o2, market))


def test_an_event_that_cannot_be_applied_empties_it_until_the_next_snapshot(
    runtime: Runtime, o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.book("o2", market, wait=5.0)
    book = followed(runtime)
    read = book._read

    def misread(event: Any) -> Any:
        raise ZeroDivisionError("on purpose")

    book._read = misread
    for _ in range(3):
        o2.depth_change(market, buys=[(1_000, 5)])
    until(runtime, lambda _: book.stream.handler_errors == 3)
    view = runtime.book("o2", market)
    assert view.reason == "an event could not be applied (ZeroDivisionError: on purpose)"
    assert view.bids == ()
    assert len([record for record in caplog.records if record.name == "actors.market.order_books"]) == 1

    book._read = read
    o2.depth_change(market, buys=[(1_000, 5)])  # no snapshot: it is of no use
    o2.resync_required(market)
    until(runtime, is_right(runtime, o2, market))


# ── consistent, whoever reads and whatever happens ──────────────────────────────────────────────

LOW, HIGH = 10, 10**12  # levels whose quantities, one a side, are the number of the state


def test_every_view_is_one_of_the_states_that_the_venue_had(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    last = 320
    states = {0: o2.book(market)}
    read = {version: threading.Event() for version in range(40, last, 80)}  # where the market waits

    def move() -> None:
        for version in range(1, last + 1):
            walk, amount = 10 * (version % 7 + 2), version * (-1 if version % 3 == 0 else 1)
            buys = [(LOW, 1), (LOW + walk, amount)]
            o2.depth_change(market, buys=buys, sells=[(HIGH, 1), (HIGH - walk, amount)])
            states[version] = o2.book(market)
            if version in read:
                assert read[version].wait(20)
            elif version % 160 == 0:
                o2.resync_required(market)
            elif version % 80 == 0:
                o2.drop()

    runtime.book("o2", market, wait=5.0)
    mover = threading.Thread(target=move)
    mover.start()
    seen: dict[int, BookView] = {}
    at, newest = 1, 0
    while newest < last:
        view = runtime.book("o2", market)
        if not view.synced:
            assert (view.bids, view.asks) == ((), ())
            continue
        version = sides(view)[0].get(LOW, 0)
        assert view.epoch is not None
        assert (view.epoch, version) >= (at, newest)
        at, newest = view.epoch, version
        known = seen.setdefault(version, view)
        assert (view.bids, view.asks) == (known.bids, known.asks)
        if version in read:
            read[version].set()
    mover.join()
    assert {version: sides(view) for version, view in seen.items()} == {
        version: states[version] for version in seen
    }
    assert at == 3  # dropped twice


def test_many_readers_of_a_book_that_is_not_followed_yet_follow_it_once(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    views: list[BookView] = []
    readers = [
        threading.Thread(target=lambda: views.append(runtime.book("o2", market, wait=10.0))) for _ in range(8)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert [sides(view) for view in views] == [o2.book(market)] * 8
    assert len(o2.wait_heard("subscribe_depth")) == 1
    assert len(runtime.status().streams) == 1


# ── what cannot be ──────────────────────────────────────────────────────────────────────────────


def test_a_venue_without_books_names_its_channels(
    runtime: Runtime, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(O2, "book_channel", "")
    with pytest.raises(
        LinewardenError, match=r"^o2: venue 'o2' has no channel that makes an order book; it has: balances, "
    ):
        runtime.book("o2", market)


def test_words_that_are_not_known_are_named(runtime: Runtime, market: str) -> None:
    with pytest.raises(LinewardenError, match="there is no feed 'o3'"):
        runtime.book("o3", market)
    with pytest.raises(LinewardenError, match="depth takes a market id"):
        runtime.book("o2", "no market")
    with pytest.raises(LinewardenError, match=r"a key is text or an integer, and 4\.5 is of type float"):
        runtime.book("o2", 4.5)  # type: ignore[arg-type]
    with pytest.raises(LinewardenError, match="depth has no option 'frequency'"):
        runtime.book("o2", market, frequency="1s")
    with pytest.raises(LinewardenError, match=r"an order book has one key, and '\*' means many"):
        runtime.book("o2", "*")


def test_a_refused_subscription_is_raised_to_who_waits_and_shown_to_who_does_not(
    o2: SimulatedO2, market: str
) -> None:
    o2.reject(market)
    with runtime_on(o2) as runtime:
        with pytest.raises(SubscribeError, match=r"rejected \(.*market not found") as error:
            runtime.book("o2", market, wait=10.0)
        assert [state.state for state in error.value.results.values()] == ["rejected"]
        view = runtime.book("o2", market)
        assert view.state == "syncing"
        assert "market not found" in view.reason
        assert view.reason.startswith("rejected: ")
        runtime.book("o2", o2.markets[1], wait=5.0)  # which harms no other


def test_a_wait_that_is_over_names_what_is_missing(o2: SimulatedO2, market: str) -> None:
    o2.refuse(n=1_000)
    with runtime_on(o2, live=False) as runtime, pytest.raises(Timeout) as error:
        runtime.book("o2", market, wait=0.2)
    said = str(error.value)
    assert f"the book o2/depth/{market}?precision=10 is not synced within 0.2 s: " in said
    assert "; line o2 is " in said
    assert said.endswith(", the subscription desired")


# ── the end ─────────────────────────────────────────────────────────────────────────────────────


def test_a_book_that_is_forgotten_is_given_up_at_the_venue_and_can_be_followed_anew(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    runtime.book("o2", market, wait=5.0)
    thread = thread_of(runtime)
    runtime.forget_book("o2", market)
    runtime.forget_book("o2", market)  # no mistake
    thread.join(10)
    assert not thread.is_alive()
    o2.wait_heard("unsubscribe_depth")
    until(runtime, lambda status: not status.streams)

    o2.steps(50)
    view = runtime.book("o2", market, wait=5.0)
    assert sides(view) == o2.book(market)


def test_who_waits_for_a_book_that_is_forgotten_is_told(o2: SimulatedO2, market: str) -> None:
    o2.refuse(n=1_000)
    with runtime_on(o2, live=False) as runtime:
        told = in_a_thread(lambda: runtime.book("o2", market, wait=30.0))
        until(runtime, lambda status: bool(status.streams))
        runtime.forget_book("o2", market)
        assert isinstance(told(), StreamClosed)


def test_books_end_with_their_runtime(baseline: Baseline, o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        for each in o2.markets:
            runtime.book("o2", each, wait=5.0)
        o2.steps(50)
        assert runtime.stop() == ()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("book/")]
        for call in (runtime.book, runtime.forget_book):
            with pytest.raises(RuntimeStopped):
                call("o2", market)
    o2.stop()
    baseline.check()


def test_a_stop_waits_for_its_books_and_names_one_that_does_not_end(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        runtime.book("o2", market, wait=5.0)
        with held(followed(runtime)):
            assert f"book/o2/depth/{market}?precision=10" in runtime.stop(0.5)


def test_who_waits_for_a_book_of_a_runtime_that_stops_is_told(o2: SimulatedO2, market: str) -> None:
    o2.refuse(n=1_000)
    with runtime_on(o2, live=False) as runtime:
        told = in_a_thread(lambda: runtime.book("o2", market, wait=30.0))
        until(runtime, lambda status: bool(status.streams))
        runtime.stop()
        assert isinstance(told(), RuntimeStopped)


def test_a_book_leaves_with_its_feed_and_comes_back_with_it(o2: SimulatedO2, market: str) -> None:
    with Runtime(load(two_feeds(o2))) as runtime:
        runtime.book("other", market, wait=10.0)
        thread = thread_of(runtime)
        runtime.reload(config(o2.url))
        thread.join(10)
        assert not thread.is_alive()
        with pytest.raises(LinewardenError, match="there is no feed 'other' in the config"):
            runtime.book("other", market)
        runtime.reload(two_feeds(o2))
        assert sides(runtime.book("other", market, wait=10.0)) == o2.book(market)


def forgotten(runtime: Runtime, market: str) -> str:
    runtime.forget_book("o2", market)
    return "forgotten"


def test_a_feed_that_a_reload_reconnects_keeps_its_book(o2: SimulatedO2, market: str) -> None:
    with SimulatedO2(rate=0, seed=7) as elsewhere, runtime_on(o2) as runtime:
        runtime.book("o2", market, wait=5.0)
        runtime.reload(config(elsewhere.url))
        until(runtime, is_right(runtime, elsewhere, market))
        assert runtime.book("o2", market).epoch == 2


def test_a_book_for_which_there_is_no_thread_leaves_nothing_behind(
    runtime: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def no_more(thread: threading.Thread) -> None:
        if thread.name.startswith("book/"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="new thread"):
                runtime.book("o2", market)
    until(runtime, lambda status: not status.streams and not status.lines()["o2"].topics)
    assert runtime.book("o2", market, wait=10).synced
    assert runtime.stop() == ()


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_what_to_do(runtime: Runtime, market: str) -> None:
    runtime.book("o2", market, wait=5.0)
    with held(followed(runtime)):  # the thread is at it while somebody forks
        assert in_a_child(lambda: str(runtime.book("o2", market))) == ForkError.__name__
        assert in_a_child(lambda: forgotten(runtime, market)) == ForkError.__name__


def in_a_thread(call: Callable[[], object]) -> Callable[[], object]:
    """Begins the call; the answer is asked for later, an error is one too."""
    answers: list[object] = []

    def run() -> None:
        try:
            answers.append(call())
        except LinewardenError as error:
            answers.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def answer() -> object:
        thread.join(20)
        return answers[0] if answers else "it hangs"

    return answer
