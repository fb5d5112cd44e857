"""What a caller without the right `account` is told where the words may be a venue's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from websockets.sync.server import ServerConnection, serve

from actors import start
from actors.errors import StalePriceError
from actors.events import Freshness, Lifecycle, Marker, Stale, Topic, Tried
from actors.market.latest_prices import NOT_ASKED
from actors.rules.order_book import BookView
from actors.service import Service
from actors.service.venue_words import (
    HIDDEN,
    public_book,
    public_freshness,
    public_marker,
    public_stale,
    public_text,
)
from tests.service.conftest import PORT
from tests.service.visitor import BEARER, LOOK, ask, hear, tail, tail_path
from tests.support.runtimes import until

TOPIC = Topic("desk", "quotes", "A")
WORDS = "no margin on 77341"


@pytest.mark.parametrize("code", ["alpaca_402", "close_4001", "http_403", "crashed", "various", "a new code"])
def test_of_a_code_that_may_bring_the_words_of_a_venue_the_text_is_hidden(code: str) -> None:
    assert public_text(code, WORDS) == HIDDEN
    assert public_text(code, "") == ""


def test_a_text_of_linewarden_is_shown() -> None:
    assert public_text("pong_timeout", "no pong within 20 s") == "no pong within 20 s"


def test_a_topic_of_a_line_that_is_down_says_so_without_the_reason() -> None:
    down = Freshness("blind", "not_live", text=f"its line is reconnecting ({WORDS} (again))")
    assert public_freshness(down).text == "its line is reconnecting"
    rejected = Freshness("blind", "rejected", text="the venue rejected it: no such symbol (A)")
    assert public_freshness(rejected) == rejected


@pytest.mark.parametrize("state", ["connecting", "disconnected", "reconnecting", "failed", "paused"])
def test_a_book_of_a_line_that_is_down_says_so_without_the_reason(state: str) -> None:
    assert public_book(BookView(TOPIC, "syncing", f"desk is {state}: {WORDS}")).reason == f"desk is {state}"


@pytest.mark.parametrize("reason", ["", "a gap in its events (disconnect)", "rejected: A is no symbol"])
def test_every_other_reason_of_a_book_is_shown(reason: str) -> None:
    assert public_book(BookView(TOPIC, "syncing", reason)).reason == reason


def test_a_lifecycle_has_no_reason_and_other_markers_are_as_they_are() -> None:
    told = Lifecycle("desk", "disconnected", 1, 0, WORDS, 1)
    stale: Marker = Stale(TOPIC, "max_age", 2.0, "its last event came 2 s ago")
    assert WORDS not in repr(public_marker(told))
    assert public_marker(stale) == stale
    connected = Lifecycle("desk", "connected", 1, 0, "", 1)
    assert public_marker(connected) == connected


def test_of_a_price_that_is_stale_the_words_of_the_venue_are_hidden() -> None:
    of_stream, of_venue = Tried("stream", "quote", "too old", 9.0), Tried("rest", None, WORDS)
    text = f"A: no price (stream: too old; rest: {WORDS})"
    shown = public_stale(StalePriceError(text, (of_stream, of_venue)))
    assert str(shown) == f"A: no price (stream: too old; rest: {HIDDEN})"
    assert shown.tried == (of_stream, Tried("rest", None, HIDDEN))
    unasked = StalePriceError("A: no price", (Tried("rest", None, NOT_ASKED),))
    assert public_stale(unasked).tried == unasked.tried


# ── all routes of a service whose venue says such a thing ──

MARKET = f"0x{7:064x}"
PATHS = (
    "/status",
    "/journal",
    "/journal/o2",
    "/readyz",
    "/readyz?fresh=1",
    "/fresh/o2",
    f"/fresh/o2/trades/{MARKET}",
    "/fresh/o2/trades",
    f"/book/o2/{MARKET}",
    f"/latest/o2/{MARKET}",
)


@contextmanager
def talkative_venue() -> Iterator[str]:
    """Ends each connection with its words. Returns its URL."""

    def end(connection: ServerConnection) -> None:
        connection.close(4001, WORDS)

    with serve(end, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()
        thread.join()


def test_no_route_tells_a_caller_who_may_look_what_a_venue_said() -> None:
    subscribe = [{"channel": "trades", "keys": [MARKET]}, {"channel": "depth", "keys": [MARKET]}]
    with (
        talkative_venue() as url,
        start({"feeds": {"o2": {"venue": "o2", "url": url, "subscribe": subscribe}}}) as runtime,
        Service(runtime, PORT) as service,
        tail(service, tail_path("trades", MARKET, markers=1), additional_headers=LOOK) as trades,
    ):
        until(runtime, lambda status: WORDS in str(msgspec.json.encode(status)))
        while (item := hear(trades)).get("state") not in {"disconnected", "reconnecting"}:
            pass
        assert WORDS not in str(item)
        for path in PATHS:
            assert WORDS not in ask(service, path, **LOOK).raw.decode(), path
        with_right = {path for path in PATHS if WORDS in ask(service, path, **BEARER).raw.decode()}
        assert {"/status", "/journal", "/journal/o2"} <= with_right
