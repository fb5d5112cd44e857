"""What tplus offers: keys in one form, a line for each topic, addresses, and mistakes with advice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, assert_type

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import LinewardenError
from actors.events import Topic
from actors.http_types import HttpAnswer
from actors.protocol import Opening
from actors.protocol.channel import TypedChannel
from actors.protocol.conversation import Token
from actors.protocol.prices import BookUpdate, Price
from actors.protocol.venue import Refusal
from actors.reasons import Fatal, Slow
from actors.rules.latest_price import symbol_of
from actors.rules.topics import topics_of
from actors.secret import Secret, dec_hook
from actors.venues import VENUES, tplus
from actors.venues.tplus.paths import STREAMS, line_of, topic_of
from tests.venues.test_tplus_login import SEED, USER, conversation

ADDRESS, CHAIN = "ab" * 32, "00000000000000a4b1"


def venue(**settings: Any) -> tplus.Tplus:
    return tplus.Tplus("tplus", msgspec.convert(settings, tplus.TplusSettings, dec_hook=dec_hook))


PUBLIC, DESK = venue(), venue(private_key=SEED)


@pytest.mark.parametrize(
    ("key", "canonical"),
    [
        ("200", "200"),
        (" 0200 ", "200"),
        ("0", "0"),
        (f"0x{ADDRESS}@{CHAIN}", f"{ADDRESS}@{CHAIN}"),
        (f"{ADDRESS.upper()}@0x{CHAIN.upper()}", f"{ADDRESS}@{CHAIN}"),
        (f"{ADDRESS}@{CHAIN[:16]}", f"{ADDRESS}@{CHAIN[:16]}"),
        (f"0x{'Cd' * 20}@{CHAIN}", f"{'cd' * 20}{'00' * 12}@{CHAIN}"),
        (f"{'cd' * 28}@{CHAIN}", f"{'cd' * 28}{'00' * 4}@{CHAIN}"),
        (f"0x{'Cd' * 20}@{42161:018x}", f"{'cd' * 20}{'00' * 12}@{CHAIN}"),
    ],
)
def test_spellings_of_an_asset_are_one_topic(key: str, canonical: str) -> None:
    topic = PUBLIC.topic(str(tplus.DEPTH), key, {})
    assert topic == Topic("tplus", "depth", canonical)
    assert PUBLIC.endpoint(Opening(line_of(topic))).url == f"wss://mds.tplus.cx/marketdepth/diff/{canonical}"


class Identifier:
    """As tpluspy's: a pydantic model of one text, and iterable like each of them."""

    def __init__(self, root: object) -> None:
        self.root = root

    def __iter__(self) -> Iterator[tuple[str, object]]:
        return iter([("root", self.root)])


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (200, "200"),
        (0, "0"),
        (Identifier("200"), "200"),
        (Identifier(f"{ADDRESS}@{CHAIN}"), f"{ADDRESS}@{CHAIN}"),
        ({"Index": 200}, "200"),
        ({"Address": f"0x{ADDRESS}@{CHAIN}"}, f"{ADDRESS}@{CHAIN}"),
        ({"Address": {"address": [0xAB] * 32, "chain": list(bytes.fromhex(CHAIN))}}, f"{ADDRESS}@{CHAIN}"),
        ({"Address": {"address": b"\xab" * 32, "chain": bytes.fromhex(CHAIN)}}, f"{ADDRESS}@{CHAIN}"),
    ],
)
def test_an_asset_is_known_in_each_form_of_the_sdk(given: Any, key: str) -> None:
    depth = PUBLIC.channel(tplus.DEPTH)
    assert topics_of(PUBLIC, depth, (given,), {}) == (Topic("tplus", "depth", key),)
    assert topics_of(PUBLIC, depth, ([given, key],), {}) == (Topic("tplus", "depth", key),)
    assert symbol_of(PUBLIC, given) == key


@pytest.mark.parametrize(
    "given",
    [
        -1,
        True,
        200.0,
        Identifier(200),
        {"Index": "200"},
        {"Index": True},
        {"Index": 2**70},
        {"Address": {"address": [300], "chain": [0]}},
        {"Address": {"address": ["a"], "chain": [0]}},
        {"Address": {"address": b"", "chain": b""}},
        {"Address": 5},
        {},
    ],
)
def test_what_is_no_asset_is_refused_in_a_sentence(given: Any) -> None:
    with pytest.raises(LinewardenError, match=r"^tplus: "):
        topics_of(PUBLIC, PUBLIC.channel(tplus.DEPTH), (given,), {})


@pytest.mark.parametrize(
    ("channel", "key", "options", "words"),
    [
        ("dept", "200", {}, "did you mean 'depth'?"),
        ("depth", "", {}, "takes an asset: its index (200), or address@chain in hexadecimal"),
        ("depth", "BTC", {}, "was given 'BTC'. tplus lists its markets at /markets."),
        ("depth", f"{ADDRESS}@1", {}, "64 digits @ 18 digits"),
        ("depth", "²", {}, "was given '²'"),
        ("depth", "200/../orders", {}, "was given"),
        ("trades", "200", {}, "takes no key, and was given '200'. Did you mean 'market_trades'?"),
        ("depth", "200", {"precision": 1}, "depth has no option 'precision'. It takes: none."),
    ],
)
def test_a_mistake_is_told_with_advice(channel: str, key: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(LinewardenError, match=re.escape(words)) as raised:
        PUBLIC.topic(channel, key, options)
    assert str(raised.value).startswith("tplus: ")


def test_an_accounts_channels_want_a_login_and_no_key() -> None:
    with pytest.raises(LinewardenError, match=r"orders needs a login. Add keystore and keystore_password "):
        PUBLIC.topic("orders", "", {})
    with pytest.raises(LinewardenError, match=r"takes no key.*Whose it is stands in the feed's settings"):
        DESK.topic("orders", USER, {})
    assert DESK.topic("orders", "", {}) == Topic("tplus", "orders")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"private_key": "zz" * 32}, "private_key is no key: an Ed25519 seed is 64 hexadecimal digits"),
        ({"private_key": "ab"}, "64 hexadecimal digits, and this is 2 digits"),
        ({"private_key": "zz" * 32}, "this is text with other characters"),
        ({"private_key": "ab" * 64}, "this is 128 digits; a seed with its public key behind it"),
        ({"private_key": "-----BEGIN X-----"}, "this is a PEM file; openssl pkey -in FILE"),
        ({"user": "alice"}, "user is an account's public key, 64 hexadecimal digits"),
        ({"token": "t"}, "user is missing"),
        ({"token": "t", "private_key": SEED}, "both given"),
        ({"market_url": "ftp://x"}, "market_url is 'ftp://x/…'; expected"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(LinewardenError, match=re.escape(words)) as raised:
        venue(**settings)
    assert "zz" not in str(raised.value)


def test_no_secret_is_shown() -> None:
    shown = repr(venue(private_key=SEED).settings) + repr(venue(user=USER, token="tok-1").settings)
    assert SEED not in shown
    assert "tok-1" not in shown


# ── lines ──


def every_topic(venue: tplus.Tplus) -> list[Topic]:
    return [venue.topic(name, "200" if STREAMS[name].keyed else "", {}) for name in venue.channels]


def test_each_topic_has_a_line_that_leads_back_to_its_path() -> None:
    paths = {line_of(topic): DESK.endpoint(Opening(line_of(topic))).url for topic in every_topic(DESK)}
    oms, mds = "wss://oms.tplus.cx", "wss://mds.tplus.cx"
    assert paths == {
        "tplus/orders": f"{oms}/orders",
        "tplus/user-trades": f"{oms}/trades/user/events/{USER}",
        "tplus/user-finalized-trades": f"{oms}/trades/user/{USER}",
        "tplus/positions": f"{oms}/positions/ws/{USER}",
        "tplus/account-events": f"{oms}/account/events/{USER}",
        "tplus/account-stats": f"{oms}/account/stats/{USER}",
        "tplus/intent": f"{oms}/intent/ws",
        "tplus/trades": f"{mds}/trades",
        "tplus/market-trades-200": f"{mds}/trades/200",
        "tplus/trade-events": f"{mds}/trades/events",
        "tplus/market-trade-events-200": f"{mds}/trades/events/200",
        "tplus/depth-200": f"{mds}/marketdepth/diff/200",
        "tplus/klines-200": f"{mds}/klines/diff/200",
        "tplus/ticker-200": f"{mds}/ticker/ws/200",
        "tplus/tickers": f"{mds}/tickers/ws",
    }
    assert set(STREAMS) == set(DESK.channels)


@given(
    st.sampled_from(sorted(STREAMS)), st.from_regex(r"[0-9]{1,9}|([0-9a-f]{64}@[0-9a-f]{18})", fullmatch=True)
)
def test_a_lines_name_is_its_topic(channel: str, asset: str) -> None:
    topic = DESK.topic(channel, asset if STREAMS[channel].keyed else "", {})
    assert topic_of(line_of(topic)) == topic


@pytest.mark.parametrize(
    "line", ["tplus", "tplus/", "tplus/depth", "tplus/orders-200", "tplus/2", "tplus/-200"]
)
def test_a_line_of_no_feed_is_told(line: str) -> None:
    with pytest.raises(ValueError, match="is no line of tplus"):
        DESK.endpoint(Opening(line))


def test_a_topic_gets_a_line_of_its_own_while_there_is_room() -> None:
    small = venue(max_lines=2)
    first, second, third = (small.topic("depth", str(asset), {}) for asset in (1, 2, 3))
    lines = {"tplus/depth-1": [first]}
    assert small.first_lines() == ()
    assert small.place(second, lines) == "tplus/depth-2"
    lines["tplus/depth-2"] = [second]
    refused = small.place(third, lines)
    assert isinstance(refused, Refusal)
    assert "has its 2 lines" in refused.reason
    assert "max_lines" in refused.reason
    assert small.place(first, lines) == "tplus/depth-1"
    assert small.spread([first, second, third, first]) == lines


# ── addresses ──


@pytest.mark.parametrize(
    ("settings", "oms", "mds"),
    [
        ({}, "wss://oms.tplus.cx", "wss://mds.tplus.cx"),
        ({"network": "development"}, "wss://oms.tplus.dev", "wss://mds.tplus.dev"),
        ({"network": "local"}, "ws://localhost:3032", "ws://localhost:8011"),
        ({"url": "ws://127.0.0.1:9/"}, "ws://127.0.0.1:9", "ws://127.0.0.1:9"),
        ({"url": "wss://a.oms.x:1/gate/way/"}, "wss://a.oms.x:1/gate/way", "wss://a.mds.x:1/gate/way"),
        ({"url": "wss://oms-eu.x"}, "wss://oms-eu.x", "wss://mds-eu.x"),
        ({"url": "wss://rooms.x/oms"}, "wss://rooms.x/oms", "wss://rooms.x/oms"),
        ({"url": "wss://oms.x", "market_url": "https://m.x/p"}, "wss://oms.x", "wss://m.x/p"),
    ],
)
def test_where_the_services_are(settings: dict[str, Any], oms: str, mds: str) -> None:
    it = venue(private_key=SEED, **settings)
    assert it.endpoint(Opening("tplus/orders")).url == f"{oms}/orders"
    assert it.endpoint(Opening("tplus/trades")).url == f"{mds}/trades"
    asked = next(iter(it.latest("200") or ()))
    assert asked.url == mds.replace("ws", "http", 1) + "/ticker/200"
    assert next(it.login(0)).url == oms.replace("ws", "http", 1) + f"/nonce/{USER}"


def test_a_token_is_shown_to_the_order_service_alone() -> None:
    token = Token(Secret("tok-1"))
    assert dict(DESK.endpoint(Opening("tplus/orders", token)).headers) == {
        "Origin": "https://oms.tplus.cx",
        "Authorization": "Bearer tok-1",
        "User-Id": USER,
    }
    assert dict(DESK.endpoint(Opening("tplus/trades", token)).headers) == {"Origin": "https://mds.tplus.cx"}
    assert "tok-1" not in repr(DESK.endpoint(Opening("tplus/orders", token)))
    needing = {
        name
        for name in STREAMS
        if DESK.needs_token(line_of(Topic("tplus", name, "2" if STREAMS[name].keyed else "")))
    }
    accounts = {name for name, channel in DESK.channels.items() if channel.account}
    assert needing == accounts | {"intent"}


# ── what events say ──


def ticker(**more: Any) -> dict[str, Any]:
    return {"asset_id": "200", "volume_24h": "1", "timestamp_ns": 7, **more}


def test_the_newest_price_is_a_tickers() -> None:
    asked = DESK.latest("0200")
    bid = {"price": "9007199254740993.12", "size": "2"}
    body = msgspec.json.encode(ticker(last_price="101.50", best_bid=bid))
    requests, price = conversation(asked, [HttpAnswer(200, body)])
    assert [request.method for request in requests] == ["GET"]
    assert price == Price(
        "200",
        bid=Decimal("9007199254740993.12"),
        bid_size=Decimal(2),
        last=Decimal("101.50"),
        quoted_ns=7,
        traded_ns=7,
        quotes=True,
    )


def test_a_price_that_is_not_to_be_had_is_a_reason() -> None:
    _, reason = conversation(DESK.latest("200"), [HttpAnswer(404, b'{"error":"no such asset"}')])
    assert isinstance(reason, Fatal)
    _, reason = conversation(DESK.latest("200"), [HttpAnswer(429, b"", {"retry-after": "7"})])
    assert reason == Slow("tplus refused the ticker: HTTP 429", "http_429", 7.0, shared=True)
    _, reason = conversation(DESK.latest("200"), [HttpAnswer(200, b"[]")])
    assert getattr(reason, "code", "") == "tplus_ticker"
    with pytest.raises(LinewardenError, match="takes an asset"):
        DESK.latest("BTC")


def test_a_trade_tells_a_price_once_it_is_final() -> None:
    trade = msgspec.convert(
        {"asset_id": f"0x{ADDRESS}@{CHAIN}", "trade_id": 1, "price": "2", "quantity": "3", "timestamp_ns": 9},
        tplus.Trade,
    )
    assert DESK.price(trade) == Price(
        f"{ADDRESS}@{CHAIN}", last=Decimal(2), last_size=Decimal(3), traded_ns=9
    )
    undone = msgspec.structs.replace(trade, status="Rollbacked")
    assert DESK.price(undone) is DESK.price(tplus.Unknown("x")) is None
    assert [DESK.symbol(event) for event in (trade, undone, tplus.Unknown("x"))] == [
        f"{ADDRESS}@{CHAIN}",
        None,
        None,
    ]
    assert DESK.price_channels <= set(DESK.channels)


def test_a_book_is_told_new_quantities() -> None:
    level = tplus.Level(Decimal(1), Decimal(0))
    change = tplus.DepthChange("200", (level,), (), 7)
    assert DESK.book_update(change) == BookUpdate([(Decimal(1), Decimal(0))], [], sequence=7)
    snapshot = tplus.DepthSnapshot("200", (), (level,), 7)
    assert DESK.book_update(snapshot) == BookUpdate([], [(Decimal(1), Decimal(0))], whole=True, sequence=7)
    assert DESK.book_update(tplus.Unknown("x")) is None
    assert DESK.book_channel in DESK.channels


def test_tplus_is_known_by_its_name() -> None:
    assert VENUES["tplus"] is tplus.Tplus
    channels = tplus.Tplus.channels
    assert {name for name, channel in channels.items() if channel.deltas} == {"depth"}
    assert {name for name, channel in channels.items() if channel.acknowledged} == {"depth"}
    assert all(type(name) is str for name in channels)
    assert_type(tplus.TRADES, TypedChannel[tplus.Trade])
    assert_type(tplus.DEPTH, TypedChannel[tplus.DepthSnapshot | tplus.DepthChange])
