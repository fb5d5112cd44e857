"""What a caller without the right `account` is told where the words may be a venue's."""

from __future__ import annotations

import pytest

from actors.errors import StalePriceError
from actors.events import Freshness, Lifecycle, Marker, Stale, Topic, Tried
from actors.market.latest_prices import NOT_ASKED
from actors.rules.order_book import BookView
from actors.service.venue_words import (
    HIDDEN,
    public_book,
    public_freshness,
    public_marker,
    public_stale,
    public_text,
)

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
    shown = public_stale(StalePriceError(f"A: no price (stream: too old; rest: {WORDS})", (of_stream, of_venue)))
    assert str(shown) == f"A: no price (stream: too old; rest: {HIDDEN})"
    assert shown.tried == (of_stream, Tried("rest", None, HIDDEN))
    unasked = StalePriceError("A: no price", (Tried("rest", None, NOT_ASKED),))
    assert public_stale(unasked).tried == unasked.tried
