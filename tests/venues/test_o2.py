"""What O2 offers: keys and options in one form, mistakes with advice, topics on lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Never, assert_type, get_type_hints

import msgspec
import pytest

from actors.errors import LinewardenError
from actors.events import Topic
from actors.protocol import Opening
from actors.protocol.channel import DepthChannel, TypedChannel
from actors.protocol.placement import Placement
from actors.protocol.prices import Price
from actors.venues import VENUES, o2

VENUE = o2.O2("desk", o2.O2Settings())
ID = "ab" * 32


@pytest.mark.parametrize(
    ("channel", "key", "canonical"),
    [
        ("depth", ID.upper(), "0x" + ID),
        ("trades", "0X" + ID, "0x" + ID),
        ("depth_view", " 0xAA ", "0xaa"),
        ("orders", "0xC0DE", "0xc0de"),
        ("orders", "C0DE", "0xc0de"),
        ("balances", "ContractId:0xC0DE", "0xc0de"),
        ("nonce", "contractid:C0DE", "0xc0de"),
        ("nonce", "Address:C0DE", "Address:0xc0de"),
        ("nonce", "address:0xc0de", "Address:0xc0de"),
    ],
)
def test_spellings_of_a_key_are_one_topic(channel: str, key: str, canonical: str) -> None:
    assert VENUE.topic(channel, key, {}).key == canonical


def test_options_are_texts_and_depth_topics_have_all_of_theirs() -> None:
    assert VENUE.topic("depth", "aa", {}) == VENUE.topic("depth", "aa", {"precision": 10})
    assert VENUE.topic("depth", "aa", {}).options == (("precision", "10"),)
    topic = VENUE.topic("depth_view", "aa", {"precision": 1000})
    assert topic == Topic("desk", "depth_view", "0xaa", (("frequency", "500ms"), ("precision", "1000")))
    assert VENUE.topic("trades", "aa", {}).options == ()


def test_a_topic_made_with_a_typed_name_is_of_plain_strings() -> None:
    topic = VENUE.topic(str(o2.TRADES), "aa", {})
    assert topic == Topic("desk", "trades", "0xaa")
    assert type(topic.channel) is str  # msgspec encodes no subclass of it
    assert all(type(name) is str for name in VENUE.channels)
    msgspec.json.encode(topic)


def test_typed_names_carry_their_events() -> None:
    assert_type(o2.TRADES, TypedChannel[o2.Trade])
    assert_type(o2.DEPTH, DepthChannel[o2.DepthSnapshot | o2.DepthChange, o2.Precision, Never])
    assert {o2.DEPTH, o2.DEPTH_VIEW, o2.TRADES, o2.ORDERS, o2.BALANCES, o2.NONCE} == set(VENUE.channels)
    assert get_type_hints(o2.Level) == {"price": int, "quantity": int}


@pytest.mark.parametrize(
    ("channel", "key", "options", "words"),
    [
        ("dept", "aa", {}, "did you mean 'depth'?"),
        ("depth", "", {}, "takes a market id, 0x…, or name, FUEL/USDC, and was given no key."),
        (
            "depth",
            "FUEL",
            {},
            "given 'FUEL'. An id has at most 64 hexadecimal digits. O2 lists its markets at ",
        ),
        ("depth", "FUEL_USDC", {}, "A name has a slash: FUEL/USDC. O2 lists its markets at /v1/markets."),
        ("trades", "FUEL/", {}, "'FUEL/' is no name"),
        ("trades", "FUEL / USDC", {}, "'FUEL / USDC' is no name"),
        ("trades", "FUEL/" + "C" * 60, {}, " is no name"),
        ("orders", "FUEL/USDC", {}, "orders takes a trade account's contract id"),
        ("depth", "0x" + "a" * 65, {}, "at most 64 hexadecimal digits"),
        ("orders", "Adress:0xaa", {}, "begins with 'Adress'; did you mean 'Address'?"),
        ("orders", "Address:zz", {}, "was given 'Address:zz'."),
        ("orders", "0x", {}, "was given '0x'."),
        ("depth", "aa", {"precison": "10"}, "has no option 'precison'; did you mean 'precision'?"),
        ("trades", "aa", {"precision": "10"}, "no option 'precision'. It takes: none."),
        ("depth", "aa", {"precision": "0"}, "precision of depth is one of 1, 2, 3, "),
        ("depth", "aa", {"precision": 18}, "precision of depth is one of 1, 2, 3, "),
        ("depth", "aa", {"precision": True}, "not 'True'"),
        ("depth_view", "aa", {"frequency": "10ms"}, "one of 100ms, 500ms, 1s, 3s, not '10ms'; did you mean"),
    ],
)
def test_a_mistake_is_told_with_advice(channel: str, key: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(LinewardenError, match=re.escape(words)) as raised:
        VENUE.topic(channel, key, options)
    assert str(raised.value).startswith("desk: ")


def test_the_endpoint_is_the_networks_or_the_one_that_is_given() -> None:
    def url(**settings: Any) -> str:
        return o2.O2("o2", msgspec.convert(settings, o2.O2Settings)).endpoint(Opening("o2")).url

    assert url() == "wss://api.o2.app/v1/ws"
    assert url(network="testnet") == "wss://api.testnet.o2.app/v1/ws"
    assert url(network="devnet") == "wss://api.devnet.o2.app/v1/ws"
    assert url(network="devnet", url="ws://127.0.0.1:1/v1/ws") == "ws://127.0.0.1:1/v1/ws"
    with pytest.raises(msgspec.ValidationError, match="network"):
        url(network="testnett")


def placed(*topics: Topic, at: Mapping[str, Sequence[Topic]] | None = None) -> Placement:
    lines = Placement("desk")
    for line, lying in (at or {}).items():
        for topic in lying:
            lines.add(topic, line, VENUE.bounds(topic))
    for topic in topics:
        found = VENUE.place(topic, lines)
        assert isinstance(found, str)
        lines.add(topic, found, VENUE.bounds(topic))
    return lines


def shown(lines: Placement) -> dict[str, list[Topic]]:
    return {line: list(topics) for line, topics in lines.items()}


def test_another_precision_of_a_market_lies_on_another_line() -> None:
    fine, coarse, coarser = (VENUE.topic("depth", "aa", {"precision": 10**n}) for n in (1, 2, 3))
    view, other = VENUE.topic("depth_view", "aa", {}), VENUE.topic("depth", "bb", {"precision": 100})
    assert shown(placed(fine, coarse, view, other, coarser)) == {
        "desk": [fine, view, other],
        "desk/2": [coarse],
        "desk/3": [coarser],
    }


def test_ten_identities_lie_on_a_line() -> None:
    orders = [VENUE.topic("orders", f"{number:x}", {}) for number in range(23)]
    balances = [VENUE.topic("balances", f"{number:x}", {}) for number in range(3)]
    lines = placed(*orders, *balances)
    assert shown(lines) == {"desk": orders[:10] + balances, "desk/2": orders[10:20], "desk/3": orders[20:]}


def test_a_topic_stays_where_it_is_and_gaps_are_filled() -> None:
    orders = [VENUE.topic("orders", f"{number:x}", {}) for number in range(12)]
    lines = placed(at={"desk/2": orders[:10], "desk": orders[10:11]})
    assert VENUE.place(orders[3], lines) == "desk/2"
    assert VENUE.place(orders[11], lines) == "desk"


def test_o2_is_known_by_its_name() -> None:
    assert VENUES["o2"] is o2.O2
    assert o2.O2.ping_interval <= 30
    assert {name for name, channel in o2.O2.channels.items() if channel.account} == {"orders", "balances"}
    assert {name for name, channel in o2.O2.channels.items() if channel.acknowledged} == {
        "depth",
        "depth_view",
    }


def test_what_a_user_computes_with() -> None:
    balance = o2.Balance("0xaa", "0xf0", 10, 990, 900)
    assert (balance.available, balance.total) == (990, 1000)
    order = o2.Order("0x1", "0xaa", "0xbb", "open", "buy", "Spot", 10, 4, 2, 2)
    assert order.remaining == 6


# ── what events say of prices ───────────────────────────────────────────────────────────────────


def test_a_trade_tells_the_last_price_at_its_own_time() -> None:
    trade = o2.Trade("0xaa", "1", "buy", 7, 5, timestamp_ms=1_790_000_001_222, seen_ns=9)
    assert VENUE.price(trade) == Price("0xaa", last=7, last_size=5, traded_ns=1_790_000_001_222_000_000)
    seen = VENUE.price(msgspec.structs.replace(trade, timestamp_ms=None))
    assert seen is not None
    assert seen.traded_ns == 9


def test_a_picture_of_the_book_tells_its_best_levels() -> None:
    bids, asks = (o2.Level(8, 1), o2.Level(9, 2)), (o2.Level(12, 3), o2.Level(11, 4))
    view = o2.DepthView("0xaa", bids, asks, precision=10, seen_ns=5)
    assert VENUE.price(view) == Price("0xaa", bid=9, bid_size=2, ask=11, ask_size=4, quoted_ns=5, quotes=True)
    empty = VENUE.price(o2.DepthView("0xaa", (), asks, precision=10))
    assert empty == Price("0xaa", ask=11, ask_size=4, quotes=True)


def test_a_book_whose_levels_are_rounded_or_may_be_tells_no_price() -> None:
    levels = (o2.Level(900, 1),)
    assert VENUE.price(o2.DepthView("0xaa", levels, levels, precision=100)) is None
    assert VENUE.price(o2.DepthView("0xaa", levels, levels)) is None
    assert VENUE.price(o2.DepthChange("0xaa", levels, ())) is None


def test_a_picture_of_a_book_is_told_by_its_best_levels_at_any_precision() -> None:
    bids, asks = (o2.Level(99, 5_000_000), o2.Level(98, 1)), (o2.Level(102, 3), o2.Level(101, 70))
    view = o2.DepthView("0xaa", bids, asks, precision=1_000)
    assert VENUE.words(view) == "bid 99 × 5M · ask 101 × 70"
    assert VENUE.words(o2.DepthView("0xaa", (), ())) == "the book is empty"
