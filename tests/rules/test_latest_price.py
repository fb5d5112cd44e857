"""The newest prices of a symbol: what is kept, what counts as fresh, and in virtual time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from actors.errors import LinewardenError
from actors.events import Option, Topic
from actors.http_types import Endpoint
from actors.protocol import Opening
from actors.protocol.prices import Price
from actors.protocol.session import Session
from actors.protocol.venue import Channel, Venue, VenueSettings
from actors.rules.latest_price import LIMIT, NEWEST, Candidates, Prices, in_words, symbol_of
from tests.support.batches import lists

NOW, NOW_NS = 1_000.0, 1_700_000_000_000_000_000


class Quote(Struct, frozen=True):
    symbol: str
    bid: float | None = None
    ask: float | None = None
    at_ns: int | None = None


class Print(Struct, frozen=True):
    symbol: str
    price: float | None
    at_ns: int | None = None


class Board(Venue):
    """A venue that is all prices: `all` has quotes and trades in one channel."""

    name: ClassVar[str] = "board"
    about: ClassVar[str] = "for tests"
    channels: ClassVar[Mapping[str, Channel]] = {
        name: Channel(name, Any, name, key="symbol") for name in ("news", "quotes", "trades", "all")
    }
    price_channels: ClassVar[frozenset[str]] = frozenset({"quotes", "trades", "all"})

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        return Topic(self.feed, channel, key.strip().upper())

    def endpoint(self, opening: Opening) -> Endpoint:
        raise NotImplementedError

    def session(self, opening: Opening) -> Session:
        raise NotImplementedError

    def price(self, event: Any) -> Price | None:
        match event:
            case Quote():
                return Price(event.symbol, bid=event.bid, ask=event.ask, quoted_ns=event.at_ns, quotes=True)
            case Print():
                assert event.price is not None
                return Price(event.symbol, last=event.price, traded_ns=event.at_ns)
        return None


BOARD = Board("b", VenueSettings())


class Untold(Struct, frozen=True):
    """An event that has no `symbol` of its own."""

    asset_id: str
    price: float


class Telling(Board):
    """Knows the symbols of other events."""

    def symbol(self, event: Any) -> str | None:
        return event.asset_id if isinstance(event, Untold) else None


TELLING = Telling("b", VenueSettings())


def topic(channel: str, key: str = "A") -> Topic:
    return Topic("b", channel, key)


class Desk:
    """Hears events as a connection does, and weighs what is kept of a symbol."""

    def __init__(self, venue: Venue = BOARD) -> None:
        self.prices = Prices(venue)
        self.venue = venue

    def receive(self, where: Topic, event: Any, at: float = NOW) -> None:
        self.prices.keep([where], [event], {where}, at)

    def weigh(self, symbol: str = "A", *, max_age: float = 15.0, now: float = NOW) -> dict[str, Any]:
        return self.judge(symbol, max_age, now)[0]

    def judge(self, symbol: str, max_age: float = 15.0, now: float = NOW) -> tuple[dict[str, Any], str]:
        candidates = Candidates("stream")
        candidates.read(self.prices.kept(symbol), self.venue)
        fields, tried = candidates.weigh(max_age, now, NOW_NS + round((now - NOW) * 1e9))
        return fields, in_words(tried)


@pytest.fixture
def desk() -> Desk:
    return Desk()


# ── the former system's defects ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("quotes", "trades"), [("quotes", "trades"), ("all", "all")])
def test_a_trade_does_not_wipe_the_quote_nor_a_quote_the_trade(desk: Desk, quotes: str, trades: str) -> None:
    desk.receive(topic(quotes), Quote("A", bid=9.0, ask=11.0), NOW - 2)
    desk.receive(topic(trades), Print("A", 10.5), NOW - 1)
    fields = desk.weigh()
    assert (fields["bid"], fields["ask"], fields["last"]) == (9.0, 11.0, 10.5)
    for _ in range(3 * NEWEST):
        desk.receive(topic(quotes), Quote("A", bid=8.0, ask=12.0))
    fields = desk.weigh()
    assert (fields["bid"], fields["last"]) == (8.0, 10.5)  # and no mid in place of the trade


@pytest.mark.parametrize("nobody", [None, 0, 0.0, float("nan")])
def test_a_one_sided_quote_makes_no_price_of_half(desk: Desk, nobody: float | None) -> None:
    desk.receive(topic("quotes"), Quote("A", bid=nobody, ask=11.0))
    fields = desk.weigh()
    assert fields == {"ask": 11.0, "ask_size": None, "quote_age": 0.0, "quote_venue_age": None}


def test_a_side_that_is_gone_does_not_come_back_from_an_older_quote(desk: Desk) -> None:
    desk.receive(topic("quotes"), Quote("A", bid=9.0, ask=11.0), NOW - 1)
    desk.receive(topic("quotes"), Quote("A"), NOW)
    fields, words = desk.judge("A")
    assert fields == {}
    assert words == "stream: quote without a price (0.0 s), trade none"


def test_the_venues_time_counts_and_not_the_moment_of_its_arrival_alone(desk: Desk) -> None:
    desk.receive(topic("trades"), Print("A", 10.0, NOW_NS - 60_000_000_000), NOW)
    fields, words = desk.judge("A")
    assert fields == {}
    assert words == "stream: quote none, trade too old (60.0 s)"
    assert desk.weigh(max_age=60.0)["trade_venue_age"] == 60.0


def test_a_price_that_was_received_long_ago_is_old_whatever_the_venues_clock_says(desk: Desk) -> None:
    desk.receive(topic("trades"), Print("A", 10.0, NOW_NS + 3_600_000_000_000), NOW - 20)
    assert desk.judge("A")[1].endswith("trade too old (20.0 s)")
    fields = desk.weigh(max_age=20.0)
    assert (fields["trade_age"], fields["trade_venue_age"]) == (20.0, -3_600.0)


def test_a_null_field_does_not_hide_the_events_beside_it(desk: Desk) -> None:
    desk.receive(topic("quotes"), Quote("A", bid=9.0))
    desk.receive(topic("trades"), Print("A", 10.0))
    desk.receive(topic("trades"), Print("A", None))
    desk.receive(topic("trades"), Print("A", None))
    fields, words = desk.judge("A")
    assert (fields["bid"], fields["last"]) == (9.0, 10.0)
    assert words == "stream: a Print could not be read (AssertionError)"


def test_what_has_expired_says_so_and_how_old_it_is(desk: Desk) -> None:
    desk.receive(topic("quotes"), Quote("A", bid=9.0), NOW - 15.0)
    assert desk.weigh()["bid"] == 9.0
    fields, words = desk.judge("A", now=NOW + 0.25)
    assert fields == {}
    assert words == "stream: quote too old (15.2 s), trade none"


def test_former_symbols_are_bounded_and_those_longest_without_an_event_go() -> None:
    desk = Desk()
    desk.prices = prices = Prices(BOARD, limit=16)
    for number in range(16):
        desk.receive(topic("quotes", f"S{number}"), "q", float(number))
        prices.forget(topic("quotes", f"S{number}"))
    desk.receive(topic("trades", "S0"), "t", 99.0)  # the oldest, and just heard of
    prices.forget(topic("trades", "S0"))
    desk.receive(topic("quotes", "NEW"), "q", 100.0)
    assert len(prices) == 17  # and one that is wanted
    prices.forget(topic("quotes", "NEW"))
    desk.receive(topic("quotes", "NEWER"), "q", 100.0)
    assert len(prices) == 17
    assert [number for number in range(16) if not list(prices.kept(f"S{number}"))] == [1]
    assert sorted(prices.kept("S0")) == [("q", 0.0), ("t", 99.0)]
    desk.receive(topic("quotes", "S1"), "back", 101.0)  # it is wanted again
    desk.receive(topic("quotes", "S5"), "goes on", 102.0)
    assert list(prices.kept("S1")) == [("back", 101.0)]
    assert list(prices.kept("S5")) == [("q", 5.0), ("goes on", 102.0)]


def test_the_symbols_of_a_topic_for_all_of_them_are_bounded() -> None:
    desk = Desk()
    desk.prices = prices = Prices(BOARD, limit=16)
    desk.receive(topic("quotes", "A"), Quote("A", bid=1.0), NOW - 1_000)
    for number in range(1_000):
        desk.receive(topic("trades", "*"), Print(f"T{number}", 1.0), NOW + number)
        assert len(prices) <= 16 + 1  # and one for each wanted topic of one symbol
    assert list(prices.kept("A"))  # the oldest, and wanted
    assert list(prices.kept("T999"))
    assert not list(prices.kept("T0"))


def test_no_price_of_a_wanted_topic_goes_however_many_there_are() -> None:
    desk = Desk()
    topics = [topic("quotes", f"S{number}") for number in range(LIMIT + 1_000)]
    pairs: list[tuple[Topic, Any]] = [(each, Quote(each.key, bid=1.0)) for each in topics for _ in range(2)]
    desk.prices.keep(*lists(pairs), set(topics), NOW)
    desk.receive(topic("trades", "*"), Print("T", 1.0))
    assert all("bid" in desk.weigh(each.key) for each in topics)
    assert "last" in desk.weigh("T")


class Told(Struct, frozen=True):
    """What a channel may declare that has events of several kinds."""

    symbol: str


class Bid(Told, frozen=True):
    bid: float


class Last(Told, frozen=True):
    last: float


class OneChannel(Board):
    channels: ClassVar[Mapping[str, Channel]] = {"quotes": Channel("quotes", Told, "both", key="symbol")}

    def price(self, event: Any) -> Price | None:
        if isinstance(event, Bid):
            return Price(event.symbol, bid=event.bid, quotes=True)
        return Price(event.symbol, last=event.last)


def test_no_kind_of_event_pushes_out_another_where_a_channel_names_what_they_share() -> None:
    desk = Desk(OneChannel("b", VenueSettings()))
    where = topic("quotes")
    batch: list[tuple[Topic, Any]] = [(where, Last("A", 1.0)), *[(where, Bid("A", 2.0))] * 2 * NEWEST]
    desk.prices.keep(*lists(batch), {where}, NOW)
    for _ in range(2 * NEWEST):
        desk.receive(where, Bid("A", 3.0))
    fields = desk.weigh()
    assert (fields["bid"], fields["last"]) == (3.0, 1.0)


def test_what_is_wanted_of_a_former_epoch_is_wanted_in_its_copy() -> None:
    desk = Desk()
    desk.prices = Prices(BOARD, limit=16)
    wanted = [topic("quotes", f"S{number}") for number in range(100)]
    for each in wanted:
        desk.receive(each, Quote(each.key, bid=1.0))
    desk.prices.forget(wanted.pop())
    desk.prices = desk.prices.copy()
    for number in range(100):
        desk.receive(topic("trades", "*"), Print(f"T{number}", 1.0), NOW + 1)
    assert all("bid" in desk.weigh(each.key) for each in wanted)
    assert len(desk.prices) <= 16 + len(wanted) + 1
    assert desk.weigh("S99") == {}


@given(st.lists(st.tuples(st.sampled_from(["A", "B"]), st.sampled_from([Quote, Print])), max_size=30))
def test_a_batch_keeps_what_its_events_one_by_one_would(heard: list[tuple[str, Any]]) -> None:
    pairs: list[tuple[Topic, Any]] = [
        (topic("quotes", key), kind(key, float(number))) for number, (key, kind) in enumerate(heard)
    ]
    whole, single = Desk(), Desk()
    whole.prices.keep(*lists(pairs), {each for each, _ in pairs}, NOW)
    for pair in pairs:
        single.prices.keep(*lists([pair]), {pair[0]}, NOW)
    for key in ("A", "B"):
        kept = list(single.prices.kept(key))
        assert sorted(map(str, whole.prices.kept(key))) == sorted(map(str, kept))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["quotes", "trades"]),
            st.sampled_from(["", "*", "A"]),
            st.sampled_from(["A", "B", "C"]),
            st.sampled_from([Quote, Print, Untold]),
        ),
        max_size=40,
    )
)
def test_a_batch_of_all_symbols_keeps_what_its_events_one_by_one_would(
    heard: list[tuple[str, str, str, type[Any]]],
) -> None:
    pairs: list[tuple[Topic, Any]] = [
        (topic(channel, key), kind(symbol, float(number)))
        for number, (channel, key, symbol, kind) in enumerate(heard)
    ]
    whole, single = Desk(TELLING), Desk(TELLING)
    for at in range(0, len(pairs), 20):
        batch = pairs[at : at + 20]
        whole.prices.keep(*lists(batch), {each for each, _ in batch}, NOW + at)
        for pair in batch:
            single.prices.keep(*lists([pair]), {pair[0]}, NOW + at)
    for symbol in "ABC":
        kept = list(single.prices.kept(symbol))
        assert sorted(map(str, whole.prices.kept(symbol))) == sorted(map(str, kept))


@given(st.lists(st.sampled_from("ABCD"), min_size=1, max_size=30), st.integers(1, 4))
def test_in_a_batch_too_the_symbol_longest_without_an_event_goes(symbols: list[str], size: int) -> None:
    whole, single = Desk(), Desk()
    whole.prices, single.prices = Prices(BOARD, limit=4), Prices(BOARD, limit=4)
    where = topic("trades", "*")
    pairs: list[tuple[Topic, Any]] = [(where, Print(symbol, 1.0)) for symbol in symbols]
    for at in range(0, len(pairs), size):
        whole.prices.keep(*lists(pairs[at : at + size]), {where}, NOW)
    for pair in pairs:
        single.prices.keep(*lists([pair]), {where}, NOW)
    for new in "VWXYZ":
        for desk in (whole, single):
            desk.receive(where, Print(new, 1.0))
        left = [[symbol for symbol in "ABCD" if list(desk.prices.kept(symbol))] for desk in (whole, single)]
        assert left[0] == left[1]


def test_a_symbol_of_a_batch_is_not_driven_out_by_another_of_it() -> None:
    desk = Desk()
    desk.prices = Prices(BOARD, limit=2)
    where = topic("trades", "*")
    desk.receive(where, Print("OLD", 1.0))
    desk.receive(where, Print("OTHER", 2.0))
    batch: list[tuple[Topic, Any]] = [(where, Print("OLD", 3.0)), (where, Print("NEW", 4.0))]
    desk.prices.keep(*lists([*batch, (where, Print("OLD", 5.0))]), {where}, NOW + 1)
    assert [event.price for event, _ in desk.prices.kept("OLD")] == [1.0, 3.0, 5.0]
    assert [event.price for event, _ in desk.prices.kept("NEW")] == [4.0]
    assert not list(desk.prices.kept("OTHER"))


def test_events_without_a_symbol_do_not_hide_those_beside_them(desk: Desk) -> None:
    where = topic("trades", "*")
    odd = [Print("", 1.0), Print([], 1.0), Print(5, 1.0), {"no": "symbol"}, None]  # type: ignore[arg-type]
    batch: list[tuple[Topic, Any]] = [(where, each) for each in (*odd, Print("A", 7.0), *odd)]
    desk.prices.keep(*lists(batch), {where}, NOW)
    assert len(desk.prices) == 1
    assert desk.weigh()["last"] == 7.0


# ── which is the newest ─────────────────────────────────────────────────────────────────────────


def test_a_late_event_does_not_take_the_place_of_a_newer_one(desk: Desk) -> None:
    desk.receive(topic("trades"), Print("A", 10.0, NOW_NS - 1_000), NOW - 1)
    desk.receive(topic("trades"), Print("A", 9.0, NOW_NS - 2_000), NOW)  # overtaken in its own channel
    desk.receive(topic("all"), Print("A", 8.0, NOW_NS - 3_000), NOW)  # and in another
    assert desk.weigh()["last"] == 10.0


def test_without_a_venues_time_the_last_one_received_is_the_newest(desk: Desk) -> None:
    desk.receive(topic("trades"), Print("A", 10.0, NOW_NS), NOW - 2)
    desk.receive(topic("trades"), Print("A", 9.0), NOW - 1)
    assert desk.weigh()["last"] == 9.0
    desk.receive(topic("trades"), Print("A", 8.0), NOW - 1)  # in one read with it, behind it
    assert desk.weigh()["last"] == 8.0


@given(st.permutations(list(range(NEWEST))))
def test_in_whatever_order_they_come_the_newest_by_the_venues_time_is_told(order: list[int]) -> None:
    desk = Desk()
    for arrival, number in enumerate(order):
        desk.receive(topic("trades"), Print("A", float(number + 1), NOW_NS + number), NOW + arrival)
    assert desk.weigh(now=NOW + NEWEST)["last"] == float(NEWEST)


def test_the_symbol_is_the_topics_or_where_it_has_none_the_events(desk: Desk) -> None:
    desk.receive(topic("quotes", "*"), Quote("A", bid=1.0))
    desk.receive(topic("quotes", ""), Quote("B", bid=2.0))
    desk.receive(topic("quotes", "C"), Quote("spelled otherwise", bid=3.0))
    desk.receive(topic("quotes", "*"), {"no": "symbol"})
    assert [desk.weigh(symbol).get("bid") for symbol in "ABCD"] == [1.0, 2.0, 3.0, None]
    assert len(desk.prices) == 3


def test_an_event_without_a_symbol_of_its_own_is_whose_the_venue_says() -> None:
    class Asset(Struct, frozen=True):
        asset_id: str
        price: float | None

    class Exchange(Board):
        def price(self, event: Any) -> Price | None:
            assert event.price is not None
            return Price(event.asset_id, last=event.price)

    desk = Desk(Exchange("b", VenueSettings()))
    desk.receive(topic("trades", ""), Asset("A", 5.0))
    desk.receive(topic("trades", ""), Asset("A", None))  # it cannot be read, and harms nobody
    assert desk.weigh()["last"] == 5.0


def test_other_channels_tell_no_prices(desk: Desk) -> None:
    desk.receive(topic("news"), Quote("A", bid=1.0))
    assert desk.weigh() == {}
    assert len(desk.prices) == 0


def test_what_is_not_wanted_any_more_is_still_known_until_it_is_old(desk: Desk) -> None:
    desk.receive(topic("quotes"), Quote("A", bid=1.0))
    desk.prices.forget(topic("quotes"))
    assert desk.prices._topics == {}
    assert desk.weigh()["bid"] == 1.0


def test_another_venue_under_the_same_name_does_not_go_on_with_them(desk: Desk) -> None:
    class Other(Board):
        pass

    assert desk.prices.are_of(Board("b", VenueSettings()))  # only the config's other tables have changed
    assert not desk.prices.are_of(Board("b", VenueSettings(url="wss://sandbox.example")))
    assert not desk.prices.are_of(Other("b", VenueSettings()))


def test_a_copy_is_written_to_by_another_line_alone(desk: Desk) -> None:
    """A former connection of the line may still write to the original."""
    desk.receive(topic("quotes"), Quote("A", bid=1.0))
    desk.receive(topic("trades"), Print("A", 1.5))
    copy = Desk()
    copy.prices = desk.prices.copy()
    desk.receive(topic("quotes"), Quote("A", bid=2.0), NOW + 1)
    desk.receive(topic("quotes", "B"), Quote("B", bid=2.0), NOW + 1)
    copy.receive(topic("trades"), Print("A", 3.0), NOW + 1)
    fields = copy.weigh(now=NOW + 1)
    assert (fields["bid"], fields["last"]) == (1.0, 3.0)
    assert copy.weigh("B", now=NOW + 1) == {}
    fields = desk.weigh(now=NOW + 1)
    assert (fields["bid"], fields["last"]) == (2.0, 1.5)


def test_what_several_lines_tell_of_a_symbol_is_joined(desk: Desk) -> None:
    """Its quotes lie on one line and its trades on another."""
    other = Desk()
    desk.receive(topic("quotes"), Quote("A", bid=9.0), NOW - 1)
    other.receive(topic("trades"), Print("A", 10.0), NOW - 2)
    other.receive(topic("all"), Quote("A", bid=8.0), NOW - 2)
    candidates = Candidates("stream")
    for each in (desk, other):
        candidates.read(each.prices.kept("A"), BOARD)
    fields, _ = candidates.weigh(15.0, NOW, NOW_NS)
    assert (fields["bid"], fields["last"]) == (9.0, 10.0)


def test_no_age_is_fresh_enough_for_a_limit_that_is_no_number(desk: Desk) -> None:
    desk.receive(topic("quotes"), Quote("A", bid=1.0))
    assert desk.weigh(max_age=float("nan")) == {}
    assert desk.weigh(max_age=0.0)["bid"] == 1.0


def test_one_thread_writes_while_others_read(desk: Desk) -> None:
    done = threading.Event()

    def write() -> None:
        for number in range(30_000):
            desk.receive(topic("quotes", f"S{number % 50}"), Quote("", bid=float(number + 1)), NOW)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = [0.0]
    while not done.is_set():
        seen.append(desk.weigh("S7").get("bid", 0.0))
    writer.join()
    assert seen == sorted(seen)


# ── keys ────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_is_brought_into_the_venues_form() -> None:
    assert symbol_of(BOARD, " a ") == "A"


def test_a_channel_without_keys_is_not_asked_how_a_key_is_spelled() -> None:
    class Tape(Board):
        channels: ClassVar[Mapping[str, Channel]] = {
            "trades": Channel("trades", Any, "all of them"),
            "quotes": Channel("quotes", Any, "one by one", key="symbol"),
        }

        def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
            assert channel == "quotes"
            return super().topic(channel, key, options)

    assert symbol_of(Tape("b", VenueSettings()), "a") == "A"


def test_a_price_is_of_one_symbol() -> None:
    for key in ("*", "", " "):
        with pytest.raises(LinewardenError, match="a price has one symbol"):
            symbol_of(BOARD, key)


def test_a_venue_whose_channels_tell_no_prices_says_so() -> None:
    class Silent(Board):
        price_channels: ClassVar[frozenset[str]] = frozenset()

    with pytest.raises(LinewardenError, match="b: none of its channels has prices"):
        symbol_of(Silent("b", VenueSettings()), "A")
