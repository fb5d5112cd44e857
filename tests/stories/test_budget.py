"""One budget for all that a connection sends: a venue that counts is never given a reason to end it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import msgspec
import pytest

import actors
from actors import Gap, LinewardenError, Runtime
from actors.simulators.faulty_proxy import FaultyProxy
from tests.support.runtimes import HEARTBEAT, RESTART, line_of, until
from tests.support.strict_venue import StrictVenue, strict_venue


def started(url: str, venue: str = "binance", **feed: object) -> Runtime:
    table = {"venue": venue, "url": url, "restart": RESTART, "heartbeat": HEARTBEAT, **feed}
    return actors.start({"feeds": {"feed": table}})


def states(runtime: Runtime) -> Counter[str]:
    return Counter(topic.state.state for topic in line_of(runtime, "feed").topics)


def answered(runtime: Runtime, **wanted: int) -> None:
    until(runtime, lambda _: states(runtime) == wanted, 60.0)


def never_kicked(venue: StrictVenue, runtime: Runtime) -> None:
    assert venue.kicked == 0, (venue.most, venue.frames)
    assert line_of(runtime, "feed").epoch == 1


@pytest.mark.parametrize(
    "round_trip",
    [pytest.param(0.001, marks=pytest.mark.long), 0.03, pytest.param(0.25, marks=pytest.mark.long)],
)
def test_a_bad_symbol_is_searched_for_within_the_budget(round_trip: float) -> None:
    with strict_venue("5/s") as venue, FaultyProxy(venue.url) as proxy:
        proxy.delay(round_trip / 2)
        with started(proxy.url) as runtime:
            symbols = [f"S{number}USDT" for number in range(19)]
            _stream = runtime.subscribe("feed", "trades", *symbols[:10], "BTC/USDT", *symbols[10:])
            answered(runtime, confirmed=19, rejected=1)
            never_kicked(venue, runtime)


def test_streams_that_are_closed_one_by_one_share_frames_and_wait_for_none() -> None:
    with strict_venue("5/s") as venue, started(venue.url) as runtime:
        streams = [runtime.subscribe("feed", "trades", f"S{number}USDT") for number in range(30)]
        answered(runtime, confirmed=30)
        for stream in streams:
            stream.close()
        _left = runtime.subscribe("feed", "trades", "LASTUSDT")
        answered(runtime, confirmed=1)
        assert venue.frames["UNSUBSCRIBE"] <= 5
        never_kicked(venue, runtime)


@pytest.mark.long
def test_one_stream_of_many_topics_is_closed_within_the_budget() -> None:
    with strict_venue("5/s") as venue, started(venue.url) as runtime:
        stream = runtime.subscribe("feed", "trades", *(f"S{number}USDT" for number in range(600)))
        answered(runtime, confirmed=600)
        stream.close()
        _left = runtime.subscribe("feed", "trades", "LASTUSDT")
        answered(runtime, confirmed=1)
        assert venue.frames["UNSUBSCRIBE"] == 6
        never_kicked(venue, runtime)


@pytest.mark.long
def test_sixty_holes_of_one_read_share_frames() -> None:
    with strict_venue("3/s", "480/h") as venue, started(venue.url, "okx", heartbeat={}) as runtime:
        keys = [f"C{number}-USDT" for number in range(60)]
        books = runtime.subscribe("feed", "depth", *keys)
        answered(runtime, confirmed=60)
        asked = venue.frames["subscribe"]
        torn = b"".join(_frame(venue.book(key, "update", 7, 8)) for key in keys)
        venue.send_frame(torn)
        venue.wait_for(lambda: venue.frames["subscribe"] == asked + 6, timeout=60.0)
        answered(runtime, confirmed=60)
        assert venue.frames["unsubscribe"] == 6
        never_kicked(venue, runtime)
        runtime.stop()
        gaps = [each for each in books.with_markers() if isinstance(each, Gap) and each.reason == "sequence"]
        assert len(gaps) == 60


def test_what_is_answered_before_the_last_frame_of_a_request_has_left_counts() -> None:
    with strict_venue("5/s") as venue, started(venue.url, "kraken", send_rate={"frames": ["5/s"]}) as runtime:
        _stream = runtime.subscribe("feed", "trades", *(f"S{number}/USD" for number in range(10)))
        answered(runtime, confirmed=10)
        assert venue.frames == {"subscribe": 10}
        never_kicked(venue, runtime)


def test_messages_of_a_program_wait_for_their_turn() -> None:
    with strict_venue("5/s") as venue, started(venue.url) as runtime, ThreadPoolExecutor(10) as pool:
        runtime.wait_live("feed", timeout=10.0)
        message = {"method": "LIST_SUBSCRIPTIONS", "params": [], "id": 7}
        sent = [pool.submit(runtime.send, "feed", message) for _ in range(10)]
        for each in sent:
            each.result(timeout=30.0)
        venue.wait_for(lambda: venue.frames["LIST_SUBSCRIPTIONS"] == 10)
        never_kicked(venue, runtime)


def test_a_program_that_sends_all_the_time_holds_no_subscription_up() -> None:
    with strict_venue("5/s") as venue, started(venue.url) as runtime, ThreadPoolExecutor(4) as pool:
        runtime.wait_live("feed", timeout=10.0)
        message = {"method": "LIST_SUBSCRIPTIONS", "params": [], "id": 7}
        done = Event()

        def send_all_the_time() -> None:
            while not done.is_set():
                runtime.send("feed", message)

        sending = [pool.submit(send_all_the_time) for _ in range(4)]
        venue.wait_for(lambda: venue.frames["LIST_SUBSCRIPTIONS"] > 4)
        try:
            stream = runtime.subscribe("feed", "trades", "AUSDT", wait=4.0)
            stream.close()
            venue.wait_for(lambda: venue.frames["UNSUBSCRIBE"] == 1)
        finally:
            done.set()
        for each in sending:
            each.result(timeout=10.0)
        never_kicked(venue, runtime)


def test_a_message_whose_sender_has_given_it_up_is_not_sent() -> None:
    with strict_venue("100/s") as venue, started(venue.url, send_rate={"frames": ["1/h"]}) as runtime:
        runtime.wait_live("feed", timeout=10.0)
        message = {"method": "LIST_SUBSCRIPTIONS", "params": [], "id": 7}
        runtime.send("feed", message)
        with pytest.raises(actors.Timeout):
            runtime.send("feed", message)
        runtime.reload({"feeds": {"feed": unlimited(venue)}})
        _stream = runtime.subscribe("feed", "trades", "AUSDT", wait=10.0)  # the budget is open now
        assert venue.frames["LIST_SUBSCRIPTIONS"] == 1


def unlimited(venue: StrictVenue) -> dict[str, object]:
    keys = {"venue": "binance", "url": venue.url, "restart": RESTART, "heartbeat": HEARTBEAT}
    return {**keys, "send_rate": {"frames": []}}


def test_a_message_that_waits_is_answered_when_the_connection_is_lost() -> None:
    with strict_venue("100/s") as venue, started(venue.url, send_rate={"frames": ["1/h"]}) as runtime:
        runtime.wait_live("feed", timeout=10.0)
        message = {"method": "LIST_SUBSCRIPTIONS", "params": [], "id": 7}
        runtime.send("feed", message)
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(runtime.send, "feed", message)
            until(runtime, lambda _: line_of(runtime, "feed").epoch > 1 or venue.drop() is None)
            with pytest.raises(LinewardenError, match=r"nothing was sent: "):
                sent.result(timeout=10.0)


def test_quick_heartbeats_hold_no_subscription_up() -> None:
    quick = {"ping_interval": 0.1, "pong_timeout": 5.0}
    with (
        strict_venue("3/s") as venue,
        started(venue.url, send_rate={"frames": ["3/s"]}, heartbeat=quick) as runtime,
    ):
        runtime.wait_live("feed", timeout=10.0)
        venue.wait_for(lambda: venue.pings >= 4)
        _stream = runtime.subscribe("feed", "trades", "AUSDT", wait=8.0)
        never_kicked(venue, runtime)


def test_a_pong_waits_for_no_frame_of_a_longer_limit() -> None:
    limits = {"frames": ["3/s", "3/h"]}
    with (
        strict_venue("3/s", "3/h") as venue,
        started(venue.url, send_rate=limits, heartbeat={"ping_interval": 0.0}) as runtime,
    ):
        _up = [runtime.subscribe("feed", "trades", key, wait=10.0) for key in ("AUSDT", "BUSDT")]
        _waits = runtime.subscribe("feed", "trades", "CUSDT")  # for an hour
        answered(runtime, confirmed=2, desired=1)
        for number in range(1, 6):
            venue.send_frame(bytes([0x89, 1, number]))
            venue.wait_for(partial(_has_pongs, venue, number), timeout=10.0)
        never_kicked(venue, runtime)


def _has_pongs(venue: StrictVenue, number: int) -> bool:
    return venue.pongs == number


def _frame(message: object) -> bytes:
    payload = msgspec.json.encode(message)
    assert 125 < len(payload) < 65_536
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
