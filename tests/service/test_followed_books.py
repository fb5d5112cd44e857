"""Books that requests follow: a bounded number of them, each until no request asks for it any more."""

from __future__ import annotations

import threading

import pytest

from actors import Runtime
from actors.service import Limits, Service
from actors.service.followed_books import FollowedBooks
from actors.service.opened import Opened
from actors.service.responses import RequestDeclined
from actors.settings.schema import ServiceLimits
from actors.simulators import SimulatedO2
from tests.service.conftest import HERE, within
from tests.service.visitor import ask
from tests.support.runtimes import runtime_on, until
from tests.support.virtual_time import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def books(runtime: Runtime, clock: Clock) -> FollowedBooks:
    """At most two, for a minute; no thread ends them, the test does."""
    books = FollowedBooks(runtime, Opened(runtime, ServiceLimits()), 2, 60.0, monotonic=clock)
    books.stop()
    return books


def look(books: FollowedBooks, runtime: Runtime, key: str) -> None:
    books.view(runtime._books.topic("o2", key, {}), key, 5, None, {})


def followed(runtime: Runtime) -> set[str]:
    return {topic.key for topic, book in runtime._books._books.items() if book.ended is None}


def test_a_book_ends_when_no_request_has_asked_for_it(
    books: FollowedBooks, runtime: Runtime, o2: SimulatedO2, clock: Clock
) -> None:
    one, other, *_ = o2.markets
    look(books, runtime, one)
    look(books, runtime, other)
    clock.now += 40.0
    look(books, runtime, one)
    clock.now += 40.0
    books.end_unread()
    assert followed(runtime) == {one}
    until(runtime, lambda status: len(status.lines()["o2"].topics) == 1)
    clock.now += 40.0
    books.end_unread()
    assert followed(runtime) == set()


def test_no_more_are_followed_than_allowed(
    books: FollowedBooks, runtime: Runtime, o2: SimulatedO2, clock: Clock
) -> None:
    first, second, third, *_ = o2.markets
    look(books, runtime, first)
    look(books, runtime, second)
    with pytest.raises(RequestDeclined, match="requests follow 2 order books already") as declined:
        look(books, runtime, third)
    assert declined.value.answer.status == 503
    assert dict(declined.value.answer.headers) == {"Retry-After": "60"}
    look(books, runtime, second)
    assert followed(runtime) == {first, second}
    clock.now += 60.0
    books.end_unread()
    look(books, runtime, third)
    assert followed(runtime) == {third}


def test_requests_for_other_keys_keep_no_book_of_the_config_from_being_shown(
    o2: SimulatedO2, clock: Clock
) -> None:
    first, second, *others = o2.markets
    subscribe = [{"channel": "depth", "keys": [first], "precision": "10"}]
    with runtime_on(o2, subscribe=subscribe) as runtime:
        books = FollowedBooks(runtime, Opened(runtime, ServiceLimits()), 1, 60.0, monotonic=clock)
        books.stop()
        look(books, runtime, second)
        with pytest.raises(RequestDeclined, match="requests follow 1 order books already"):
            look(books, runtime, others[0])
        look(books, runtime, first)
        assert followed(runtime) == {first, second}
        clock.now += 60.0
        books.end_unread()
        assert followed(runtime) == set()


def test_the_books_of_a_config_are_bounded_too(
    o2: SimulatedO2, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.service.followed_books.CONFIGURED", 1)
    first, second, third, *_ = o2.markets
    subscribe = [{"channel": "depth", "keys": [first, second], "precision": "10"}]
    with runtime_on(o2, subscribe=subscribe) as runtime:
        books = FollowedBooks(runtime, Opened(runtime, ServiceLimits()), 1, 60.0, monotonic=clock)
        books.stop()
        look(books, runtime, first)
        with pytest.raises(RequestDeclined, match="requests follow 1 order books of the config already"):
            look(books, runtime, second)
        look(books, runtime, third)
        assert followed(runtime) == {first, third}


def test_a_book_that_a_request_follows_makes_no_feed_stale_for_others(o2: SimulatedO2) -> None:
    own, other, *_ = o2.markets
    subscribe = [{"channel": "depth", "keys": [own], "precision": "10", "stale_after": 600.0}]
    with runtime_on(o2, subscribe=subscribe) as runtime, Service(runtime, HERE) as service:
        assert ask(service, f"/book/o2/{own}?wait=5").status == 200
        assert ask(service, f"/book/o2/{other}?wait=5").status == 200
        topic = f"o2/depth/{other}?precision=10"
        until(runtime, lambda status: set(status.untrusted) == {topic})
        paths = ("/readyz?fresh=1", "/fresh/o2", "/fresh/o2/depth")
        assert {path: ask(service, path).status for path in paths} == dict.fromkeys(paths, 200)
        assert ask(service, "/status").body["untrusted"] == {}
        assert ask(service, f"/fresh/o2/depth/{other}").body["cause"] == "unwatched"
        with runtime.subscribe("o2", "depth", other, precision="10", wait=10.0):
            until(runtime, lambda _: ask(service, "/fresh/o2").status == 503)
            assert set(ask(service, "/status").body["untrusted"]) == {topic}
            assert ask(service, "/readyz?fresh=1").status == 503


def test_a_book_that_the_runtime_follows_itself_is_shown_and_left_alone(
    books: FollowedBooks, runtime: Runtime, market: str, clock: Clock
) -> None:
    runtime.book("o2", market)
    look(books, runtime, market)
    clock.now += 1_000.0
    books.end_unread()
    books.stop()
    assert followed(runtime) == {market}


def test_a_book_whose_feed_has_gone_ends_quietly(
    books: FollowedBooks, runtime: Runtime, market: str, clock: Clock
) -> None:
    look(books, runtime, market)
    runtime.reload({"feeds": {}})
    clock.now += 60.0
    books.end_unread()
    assert books._readings == {}


def test_the_service_ends_them_by_itself(o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.service.followed_books.PERIOD", 0.02)
    first, second, third, *_ = o2.markets
    with (
        runtime_on(o2) as runtime,
        Service(runtime, within(books=2), limits=Limits(book_linger=0.5)) as service,
    ):
        for market in (first, second):
            assert ask(service, f"/book/o2/{market}").status in {200, 503}
        told = ask(service, f"/book/o2/{third}")
        assert (told.status, told.headers.get("retry-after")) in {(503, "0"), (503, None), (200, None)}
        until(runtime, lambda status: status.streams == ())
        assert ask(service, f"/book/o2/{third}?wait=5").status == 200
        service.stop()
        assert runtime.status().streams == ()
        assert [each for each in threading.enumerate() if each.name == "service/books"] == []
