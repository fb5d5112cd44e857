"""Prices of a program's own: exact numbers, times that are times, and a bounded memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import LinewardenError
from actors.protocol.prices import Price
from actors.rules import foreign_price
from actors.rules.foreign_price import FeedPrices, GivenPrice, check_source, order_of

NOW, NOW_NS = 1_000.0, 1_700_000_000_000_000_000
SECOND_NS = 10**9


def price(**values: Any) -> Price:
    return GivenPrice(**values).price("AAPL", NOW_NS)


def refusal(**values: Any) -> str:
    with pytest.raises(LinewardenError) as caught:
        price(**values)
    assert str(caught.value).startswith("the price of AAPL ")
    assert str(caught.value).endswith(". Nothing was put")
    return str(caught.value)


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("number", "exact"),
    [
        (Decimal("101.10"), "101.10"),
        (101, "101"),
        ("101.10", "101.10"),
        (0.1, "0.1"),
        (1e-7, "1E-7"),
        ("-37.63", "-37.63"),  # a future has been sold at that
        (10**30, "1000000000000000000000000000000"),
    ],
)
def test_a_number_is_kept_as_it_is_written(number: Any, exact: str) -> None:
    assert str(price(last=number).last) == exact


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9))
def test_text_and_decimals_are_the_same_number(number: Decimal) -> None:
    assert price(bid=number).bid == price(bid=str(number)).bid == number


@pytest.mark.parametrize(
    "wrong",
    [
        True,
        float("nan"),
        float("inf"),
        Decimal("nan"),
        Decimal("-inf"),
        "nan",
        "",
        "1,5",
        "12 USD",
        [1],
        b"1",
    ],
)
def test_what_is_no_number_is_refused(wrong: Any) -> None:
    assert "expected a finite Decimal, int or float, or such a number as text" in refusal(last=wrong)


@pytest.mark.parametrize(
    "huge",
    ["1e999999999", Decimal("1e5000"), 10**6_000, "9" * 5_000],
    ids=["exponent", "Decimal", "int", "text"],
)
def test_a_number_that_costs_memory_wherever_it_is_used_is_refused_in_a_short_sentence(huge: Any) -> None:
    assert len(refusal(last=huge)) < 250


def test_one_price_at_least_is_given_and_a_size_has_its_price() -> None:
    assert "none of bid, ask and last" in refusal()
    assert "none of bid, ask and last" in refusal(bid_size=3)
    assert "has bid_size without bid" in refusal(last=1, bid_size=3)
    assert "has ask_size=-1: expected 0 or more" in refusal(ask=1, ask_size=-1)
    assert price(ask=1, ask_size="0.5").ask_size == Decimal("0.5")


# ── times ───────────────────────────────────────────────────────────────────────────────────────


def test_a_time_is_a_datetime_with_a_zone_or_nanoseconds() -> None:
    at = datetime.fromtimestamp(NOW_NS // SECOND_NS, UTC) - timedelta(microseconds=1)
    elsewhere = at.astimezone(timezone(timedelta(hours=9)))
    assert price(last=1, at=at).traded_ns == price(last=1, at=elsewhere).traded_ns == NOW_NS - 1_000
    assert price(bid=1, at=NOW_NS + 1).quoted_ns == NOW_NS + 1
    assert price(last=1).traded_ns is None


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (datetime(2023, 11, 14), "a time without a zone"),
        (NOW_NS // SECOND_NS, "in nanoseconds since 1970; is it in another unit?"),
        (NOW_NS // 1_000, "in nanoseconds since 1970; is it in another unit?"),
        (datetime(1970, 1, 2, tzinfo=UTC), "before the year 2000"),
        (NOW_NS + 61 * SECOND_NS, "is 61 s in the future"),
        (10**400, "after the year 2262"),
        (NOW_NS / SECOND_NS, "expected a datetime with a zone, or nanoseconds"),
        ("2023-11-14T22:13:20Z", "expected a datetime with a zone, or nanoseconds"),
        (True, "expected a datetime with a zone, or nanoseconds"),
    ],
)
def test_what_is_no_time_or_no_likely_one_is_refused(at: Any, told: str) -> None:
    assert told in refusal(last=1, at=at)


# ── sources ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wrong", ["", " ", "two words", "x" * 65, "tab\t", "line\n", 5, None])
def test_a_source_has_a_short_name(wrong: Any) -> None:
    with pytest.raises(LinewardenError, match="source names where a price comes from"):
        check_source(wrong)
    check_source("vendor.example:eu-1")


@pytest.mark.parametrize("own", ["stream", "rest"])
def test_the_names_of_the_feeds_own_sources_are_taken(own: str) -> None:
    with pytest.raises(LinewardenError, match="a source of the feed itself"):
        check_source(own)


@pytest.mark.parametrize(
    ("listed", "order"),
    [
        ((), ["stream", "a", "b", "rest"]),
        (("b",), ["stream", "b", "a", "rest"]),
        (("b", "stream"), ["b", "stream", "a", "rest"]),
        (("stream", "rest", "b"), ["stream", "rest", "b", "a"]),
        (("rest", "c"), ["stream", "rest", "c", "a", "b"]),
    ],
)
def test_the_order_is_the_users_with_the_stream_first_and_rest_last_by_default(
    listed: tuple[str, ...], order: list[str]
) -> None:
    assert order_of(listed, ["a", "b"]) == order


# ── what is kept ────────────────────────────────────────────────────────────────────────────────


def kept(prices: FeedPrices, source: str = "a", *, max_age: float = 15.0, now: float = NOW) -> dict[str, Any]:
    fields, _ = prices.candidates(source, "AAPL").weigh(max_age, now, NOW_NS)
    return {name: fields[name] for name in ("bid", "ask", "last") if name in fields}


def test_a_trade_leaves_the_quote_and_a_quote_leaves_the_trade() -> None:
    prices = FeedPrices()
    prices.put("a", price(bid=1, ask=2), NOW, None)
    prices.put("a", price(last=3), NOW, None)
    assert kept(prices) == {"bid": 1, "ask": 2, "last": 3}
    prices.put("a", price(bid=4), NOW, None)
    assert kept(prices) == {"bid": 4, "last": 3}  # the other side is empty now


def test_zero_is_no_price_but_an_empty_side() -> None:
    prices = FeedPrices()
    prices.put("a", price(bid=0, ask=2), NOW, None)
    assert kept(prices) == {"ask": 2}


def test_the_later_time_of_the_venue_counts_whichever_is_put_last() -> None:
    prices = FeedPrices()
    prices.put("a", price(last=2, at=NOW_NS), NOW, None)
    prices.put("a", price(last=1, at=NOW_NS - SECOND_NS), NOW, None)
    assert kept(prices) == {"last": 2}
    prices.put("a", price(last=3), NOW, None)  # without a time, the last put counts
    assert kept(prices) == {"last": 3}


def test_what_is_past_its_ttl_neither_counts_nor_keeps_out_another() -> None:
    prices = FeedPrices()
    prices.put("a", price(last=2, at=NOW_NS), NOW, NOW + 1.0)
    assert kept(prices, now=NOW + 0.9) == {"last": 2}
    assert kept(prices, now=NOW + 1.0) == {}
    _, tried = prices.candidates("a", "AAPL").weigh(15.0, NOW + 1.0, NOW_NS)
    assert [(each.part, each.why) for each in tried] == [("quote", "none"), ("trade", "past its ttl")]
    prices.put("a", price(last=1, at=NOW_NS - SECOND_NS), NOW + 1.0, None)
    assert kept(prices, now=NOW + 1.0) == {"last": 1}


def test_a_price_is_as_old_as_its_time_says() -> None:
    prices = FeedPrices()
    prices.put("a", price(last=2, at=NOW_NS - 20 * SECOND_NS), NOW, None)
    assert kept(prices) == {}
    assert kept(prices, max_age=20.0) == {"last": 2}


def test_the_memory_is_bounded_and_the_symbol_that_was_put_longest_ago_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(foreign_price, "LIMIT", 3)
    prices = FeedPrices()
    for symbol in ("AAPL", "B", "C", "AAPL", "D"):
        prices.put("a", GivenPrice(last=1).price(symbol, NOW_NS), NOW, None)
    assert len(prices) == 3
    assert kept(prices) == {"last": 1}
    assert prices.candidates("a", "B").trade is None
    with pytest.raises(LinewardenError, match="a symbol of more than 256 characters"):
        prices.put("a", GivenPrice(last=1).price("X" * 257, NOW_NS), NOW, None)


def test_a_feed_has_a_bounded_number_of_sources() -> None:
    prices = FeedPrices()
    for number in range(8):
        prices.put(f"s{number}", price(last=1), NOW, None)
    with pytest.raises(LinewardenError, match=r"8 sources of prices at most.* There are: s0, s1, "):
        prices.put("s8", price(last=1), NOW, None)
    prices.put("s7", price(last=2), NOW, None)
    assert kept(prices, "s7") == {"last": 2}
