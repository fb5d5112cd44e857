"""Reads: several at once, within their meters, once more where that may help, and never for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import Accepted, AskFailedError, AskRefusedError, Runtime, RuntimeStopped, Timeout, gather
from actors.errors import LinewardenError
from actors.trading.login import ROOM
from tests.trading.shop import Shop, ShopRequests, asking, nothing, wait_for


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        yield shop


@pytest.fixture
def px(tmp_path: Path, shop: Shop) -> Iterator[ShopRequests]:
    with asking(tmp_path, shop) as (_, px):
        yield px


def pages(shop: Shop, name: str) -> int:
    return sum(path == f"/{name}" for path, _ in shop.requests)


def test_five_reads_are_in_flight_at_once(px: ShopRequests, shop: Shop) -> None:
    together = threading.Barrier(5)

    def before(path: str) -> None:
        if path != "/login":
            together.wait(5.0)  # none is answered before all five have come

    shop.before = before
    reads = {name: px.page(name) for name in "abcde"}
    assert gather(reads, timeout=5.0) == {name: name for name in "abcde"}


def test_a_login_has_eight_connections_and_reads_leave_two_of_them(px: ShopRequests, shop: Shop) -> None:
    px.page("first").get()
    inside, most = 0, 0
    go = threading.Event()
    six = threading.Semaphore(0)

    def before(path: str) -> None:
        nonlocal inside, most
        with shop.lock:
            inside += 1
            most = max(most, inside)
        six.release()
        go.wait(5.0)
        with shop.lock:
            inside -= 1

    shop.before = before
    reads = [px.page(str(number)) for number in range(20)]
    for _ in range(ROOM["read"]):
        assert six.acquire(timeout=5.0)
    placed, cancelled = px.place(), px.cancel()
    for _ in range(2):
        assert six.acquire(timeout=5.0)  # both have left, though the reads have taken all that is theirs
    go.set()
    gather([*reads, placed, cancelled], timeout=10.0)
    assert most == ROOM["flatten"]
    assert shop.connections <= 2 + ROOM["flatten"]  # that of the login, those of the pages


def test_connections_are_kept(px: ShopRequests, shop: Shop) -> None:
    for _ in range(10):
        px.page("a").get()
    assert shop.connections == 2  # the login's own, and one for ten reads


def test_a_read_is_asked_once_more_with_another_token(px: ShopRequests, shop: Shop) -> None:
    px.page("a").get()
    with shop.lock:
        shop.logins += 1  # the token of before is no longer taken
    assert gather([px.page(name) for name in "abcdef"], timeout=5.0) == list("abcdef")
    assert shop.logins == 3  # one login for all of them


def test_a_read_that_is_refused_its_token_twice_fails(px: ShopRequests, shop: Shop) -> None:
    shop.before = lambda path: None if path == "/login" else (401, None)
    with pytest.raises(AskFailedError, match="the token was not taken"):
        px.page("a").get()
    assert pages(shop, "a") == 2


def test_a_read_is_asked_once_more_after_a_lost_connection(px: ShopRequests, shop: Shop) -> None:
    times = iter([True, False])

    def before(path: str) -> None:
        if path == "/a" and next(times):
            raise ConnectionError

    shop.before = before
    assert px.page("a").get(5.0) == "a"
    assert pages(shop, "a") == 2


def test_a_read_whose_connection_is_lost_twice_fails(px: ShopRequests, shop: Shop) -> None:
    def before(path: str) -> None:
        if path == "/a":
            raise ConnectionError

    shop.before = before
    with pytest.raises(AskFailedError) as raised:
        px.page("a").get(5.0)
    assert raised.value.code == "lost"
    assert pages(shop, "a") == 2


def test_a_refusal_is_told_in_the_venues_words(px: ShopRequests, shop: Shop) -> None:
    shop.before = lambda path: (409, "no such page") if path == "/a" else None
    with pytest.raises(AskRefusedError) as raised:
        px.page("a").get()
    assert (raised.value.endpoint, raised.value.code, raised.value.words) == ("a", 3, "no such page")
    assert str(raised.value) == "shop: a was refused (3 NotThatOne: no such page)"


def test_no_word_of_a_venue_shows_the_token(px: ShopRequests, shop: Shop) -> None:
    shop.before = lambda path: (409, "you sent token-1-of-the-shop") if path == "/a" else None
    with pytest.raises(AskRefusedError) as raised:
        px.page("a").get()
    assert raised.value.words == "you sent …"


def test_a_future_that_is_not_waited_for_goes_on(px: ShopRequests, shop: Shop) -> None:
    go = threading.Event()
    shop.before = wait_for(go)
    asked = px.page("a")
    with pytest.raises(Timeout):
        asked.get(timeout=0.05)
    assert not asked.done
    go.set()
    assert asked.get(timeout=5.0) == "a"
    assert asked.done


def test_a_read_has_a_deadline_of_its_own(px: ShopRequests, shop: Shop) -> None:
    go = threading.Event()
    shop.before = wait_for(go)
    asked = px.page("a", timeout=0.2)
    with pytest.raises(LinewardenError, match=r"was not over|did not answer in time"):
        asked.get(timeout=5.0)
    go.set()


def test_reads_wait_for_their_meter_and_do_not_hold_up_those_of_another(px: ShopRequests, shop: Shop) -> None:
    px.page("first").get()
    bars = [px.page("bars", "bars", timeout=20.0) for _ in range(5)]
    gather(bars, timeout=5.0)  # of 5 in 30 s none is left
    waiting = [px.page("bars", "bars", timeout=60.0) for _ in range(10)]
    assert gather([px.page(name) for name in "abcdefgh"], timeout=5.0) == list("abcdefgh")
    assert [each.done for each in waiting] == [False] * 10
    assert pages(shop, "bars") == 5
    too_late = px.page("bars", "bars", timeout=1.0)
    with pytest.raises(AskFailedError, match="may not be asked so often"):
        too_late.get()


def test_a_conversation_of_several_requests_stops_where_its_meter_is_empty(
    px: ShopRequests, shop: Shop
) -> None:
    asked = px.core.read(px.api.pages(*"abcdefg", meter="bars"), 60.0)
    while pages(shop, "e") == 0:
        time.sleep(0.01)
    assert px.page("other").get(5.0) == "other"
    assert (pages(shop, "f"), asked.done) == (0, False)


def test_a_429_closes_the_meter_for_all(px: ShopRequests, shop: Shop) -> None:
    px.page("first").get()
    shop.before = lambda _: (429, None)
    with pytest.raises(AskFailedError, match=r"again in (60\.0|59)"):
        px.page("a").get()
    shop.before = nothing
    with pytest.raises(AskFailedError, match="may not be asked so often"):
        px.page("b", timeout=5.0).get()
    refused = px.place().get()
    assert (refused.code, refused.retry_after > 50.0) == ("meter", True)
    assert pages(shop, "b") == 0
    assert shop.orders == []


def test_feeds_take_turns(tmp_path: Path) -> None:
    with Shop() as one, Shop() as other, asking(tmp_path, one, other) as (runtime, px):
        second = runtime.ask("shop2")
        px.page("first").get()
        second.page("first").get()  # type: ignore[attr-defined]
        go = threading.Event()
        one.before = wait_for(go)
        slow = [px.page(str(number)) for number in range(50)]  # one login: all places of reads are taken
        quick = second.page("quick")  # type: ignore[attr-defined]
        go.set()
        assert quick.get(5.0) == "quick"
        assert sum(each.done for each in slow) < 50
        gather(slow, timeout=10.0)


def test_another_login_is_not_held_up_at_all(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    with Shop() as one, Shop() as other, asking(first, one) as (_, px), asking(second, other) as (_, free):
        go = threading.Event()
        one.before = wait_for(go)
        slow = [px.page(str(number)) for number in range(20)]
        assert free.page("quick").get(5.0) == "quick"
        go.set()
        gather(slow, timeout=10.0)


def test_reads_of_a_runtime_that_ends_fail(tmp_path: Path, shop: Shop) -> None:
    go = threading.Event()
    with asking(tmp_path, shop) as (runtime, px):
        shop.before = wait_for(go)
        reads = [px.page(str(number)) for number in range(20)]
        runtime.stop(0.5)
        for each in reads:
            with pytest.raises(RuntimeStopped):
                each.get(5.0)
        with pytest.raises(RuntimeStopped):
            px.page("later")
        go.set()


def test_a_feed_that_is_not_there_or_has_no_requests_is_refused(tmp_path: Path, shop: Shop) -> None:
    with (
        asking(tmp_path, shop) as (runtime, _),
        pytest.raises(LinewardenError, match="is not in the config"),
    ):
        runtime.ask("nothing")


def test_what_ask_returns_keeps_the_runtime_in_use(tmp_path: Path, shop: Shop) -> None:
    with asking(tmp_path, shop) as (runtime, px):
        assert isinstance(px.core._holder, Runtime)
        assert px.core._holder is runtime


def test_a_read_that_meets_a_429_is_asked_again_after_the_pause_that_it_names(
    px: ShopRequests, shop: Shop
) -> None:
    px.page("first").get()
    shop.before = lambda _: (429, None) if pages(shop, "a") == 1 else None
    shop.retry_after = 0.2
    assert px.page("a").get(5.0) == "a"
    assert pages(shop, "a") == 2


def test_32_threads_keep_to_the_meter_together(px: ShopRequests, shop: Shop) -> None:
    """Of 200 requests in 60 s reads leave 40. A login is one of them."""
    failed: list[AskFailedError] = []

    def ask() -> None:
        for _ in range(10):
            try:
                px.page("a", timeout=30.0).get()
            except AskFailedError as error:
                failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pages(shop, "a") == 160 - shop.logins
    assert len(failed) == 160 + shop.logins
    assert {error.code for error in failed} == {"meter"}
    assert isinstance(px.place().get(5.0), Accepted)  # it has room of its own


def test_reads_that_wait_when_their_meter_is_found_empty_fail_at_once(px: ShopRequests, shop: Shop) -> None:
    gather([px.page("bars", "bars") for _ in range(5)], timeout=5.0)  # of 5 in 30 s none is left
    go = threading.Event()
    shop.before = wait_for(go, "/slow")
    slow = [px.page("slow") for _ in range(ROOM["read"])]  # all places of reads are taken
    late = [px.page("bars", "bars", timeout=10.0) for _ in range(20)]
    started = time.monotonic()
    go.set()
    for each in late:
        with pytest.raises(AskFailedError, match="may not be asked so often"):
            each.get(9.0)
    assert time.monotonic() - started < 5.0
    gather(slow, timeout=5.0)
