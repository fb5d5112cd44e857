"""Rows for data frames: floats or exact numbers, and times with their zone."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from msgspec import Struct

from actors import (
    Bar,
    BarEvent,
    BookView,
    Closed,
    Fill,
    FrameView,
    Gap,
    Lifecycle,
    LinewardenError,
    Marked,
    Received,
    Repaired,
    Runtime,
    Topic,
    VenueState,
    records,
)
from actors.display.records import LARGEST, MOST_COLUMNS
from actors.events import Scope
from actors.protocol.accounts import AccountOrder
from actors.rules.account.view import AccountEvent
from actors.rules.bars.view import BarsView
from actors.secret import Secret
from actors.venues.alpaca import messages as alpaca
from actors.venues.declarative.messages import Message
from actors.venues.o2 import messages as o2
from actors.venues.projectx import messages as projectx
from actors.venues.tplus import messages as tplus
from tests.rules.bars.venue import MINUTE, NOON

ONE = Decimal(1)
BARS = (
    Bar(
        NOON,
        NOON + MINUTE,
        Decimal("6800.25"),
        Decimal(6801),
        Decimal("6799.75"),
        Decimal("6800.50"),
        Decimal(12),
        3,
    ),
    Bar(NOON + MINUTE, NOON + 2 * MINUTE, ONE, ONE, ONE, ONE, Decimal("0.1"), exact=False, complete=False),
)


def test_rows_have_floats_and_aware_times() -> None:
    first, second = records(BARS)
    assert first == {
        "start": datetime(2026, 11, 30, 12, tzinfo=UTC),
        "end": datetime(2026, 11, 30, 12, 1, tzinfo=UTC),
        "open": 6800.25,
        "high": 6801.0,
        "low": 6799.75,
        "close": 6800.5,
        "volume": 12.0,
        "trades": 3,
        "exact": True,
        "complete": True,
    }
    assert (second["trades"], second["exact"], second["complete"]) == (None, False, False)
    assert isinstance(first["volume"], float)


def test_the_view_of_a_timeframe_gives_its_finished_bars_and_one_of_several_is_refused() -> None:
    frame = FrameView("1min", BARS, BARS[0], synced=True)
    assert records(frame) == records(BARS)
    several: Any = BarsView("px", "EP", {"1min": frame})
    with pytest.raises(LinewardenError, match="takes bars of one timeframe"):
        records(several)


def test_views_are_shown_in_one_short_line_and_name_what_they_have() -> None:
    frame = FrameView("1min", BARS, BARS[0], synced=False, reason="no answer")
    assert repr(frame) == "<FrameView 1min: 2 bars and one that forms; no answer>"
    view = BarsView("px", "EP", {"1min": frame})
    assert repr(view) == "<BarsView px/EP: 1min 2 bars; 1min: no answer>"
    with pytest.raises(KeyError, match="5min was not asked for; this view has 1min"):
        view["5min"]


def test_exact_rows_have_the_numbers_as_they_are() -> None:
    assert records(BARS, exact=True)[1]["volume"] == Decimal("0.1")
    assert isinstance(records(BARS, exact=True)[0]["open"], Decimal)
    assert records(()) == []


# ── events of streams ───────────────────────────────────────────────────────────────────────────

TOPIC = Topic("o2", "trades", "0x1", (("precision", "10"),))
AT = 1_796_040_000_123_456_789  # wall clock, nanoseconds
TRADE = o2.Trade("0x1", "5", "buy", 100, 7, timestamp_ms=AT // 10**6)
NOON_AND_MORE = datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC)
GAP = Gap(TOPIC, "disconnect", None, NOON, AT, 3)


def test_an_event_is_a_row_of_its_fields_and_its_type() -> None:
    (row,) = records([TRADE])
    assert row == {
        "event_type": "Trade",
        "market": "0x1",
        "trade_id": "5",
        "side": "buy",
        "price": 100,
        "quantity": 7,
        "total": None,
        "timestamp": NOON_AND_MORE.replace(microsecond=123000),
        "maker": "",
        "taker": "",
        "onchain": None,
        "seen": None,
    }


def test_what_was_received_has_its_topic_and_time_in_front() -> None:
    (row,) = records([Received(TOPIC, AT, 3, TRADE, "rest")])
    assert list(row.items())[:9] == [
        ("event_type", "Trade"),
        ("feed", "o2"),
        ("channel", "trades"),
        ("key", "0x1"),
        ("options", "precision=10"),
        ("received", NOON_AND_MORE),
        ("epoch", 3),
        ("source", "rest"),
        ("market", "0x1"),
    ]


def test_a_field_that_is_named_as_one_of_those_is_told_apart() -> None:
    (row,) = records([Received(TOPIC, AT, 3, Message("t", "k", {"p": "1"}))])
    assert (row["channel"], row["event.channel"], row["event.key"]) == ("trades", "t", "k")


def test_exact_rows_have_the_nanoseconds_of_each_time_too() -> None:
    (row,) = records([Received(TOPIC, AT, 3, TRADE)], exact=True)
    assert (row["received"], row["received_ns"]) == (NOON_AND_MORE, AT)
    assert row["timestamp_ns"] == AT // 10**6 * 10**6
    assert records([BARS[0]], exact=True)[0]["start_ns"] == NOON


def test_markers_stand_among_events_in_the_same_columns() -> None:
    lifecycle = Lifecycle("o2", "restored", 4, 1, "", AT)
    rows = records(
        [Received(TOPIC, AT, 3, TRADE), GAP, Repaired(GAP, 2, complete=True), lifecycle, Closed("over")]
    )
    assert len({tuple(row) for row in rows}) == 1
    assert [row["event_type"] for row in rows] == ["Trade", "Gap", "Repaired", "Lifecycle", "Closed"]
    assert [row["key"] for row in rows] == ["0x1"] * 3 + [None] * 2
    assert [row["epoch"] for row in rows] == [3, 3, None, 4, None]
    assert (rows[1]["since"], rows[1]["until"], rows[1]["reason"]) == (
        datetime(2026, 11, 30, 12, tzinfo=UTC),
        NOON_AND_MORE,
        "disconnect",
    )
    assert (rows[2]["gap.topic"], rows[2]["count"]) == ("o2/trades/0x1?precision=10", 2)
    assert records([VenueState(Scope("trades"), "halted")])[0]["scope.channel"] == "trades"


def test_a_marker_of_merged_streams_has_the_stream_that_it_stands_in(runtime: Runtime, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    (row,) = records([Marked(trades, Closed("over"))])
    assert row == {"event_type": "Closed", "feed": "o2", "channel": "trades", "reason": "over"}
    with pytest.raises(LinewardenError, match=r"give it stream\.get_many"):
        records(trades)


def test_structs_in_structs_are_columns_also_where_they_are_missing() -> None:
    quote = tplus.Quote(Decimal("1.5"), Decimal(3))
    ticker = {"asset_id": "200", "volume_24h": Decimal(1), "timestamp_ns": AT}
    without, bid = records([tplus.Ticker(**ticker), tplus.Ticker(**ticker, best_bid=quote)])  # type: ignore[arg-type]
    assert (without["best_bid.price"], bid["best_bid.price"], bid["best_bid.size"]) == (None, 1.5, 3.0)
    assert list(without) == list(bid)
    assert list(records([tplus.Ticker(**ticker)])[0]) == list(bid)  # type: ignore[arg-type]


def test_one_of_several_structs_tells_which_it_is() -> None:
    details = tplus.Limit(limit_price=5, quantity=6, time_in_force=tplus.GTC())
    (row,) = records([tplus.Order(order_id="1", base_asset="200", side="Buy", details=details)])
    assert (row["details.kind"], row["details.limit_price"], row["details.time_in_force.kind"]) == (
        "Limit",
        5,
        "GTC",
    )


def test_levels_stay_in_one_cell_and_those_of_a_book_are_rows() -> None:
    (row,) = records([o2.DepthChange("0x1", (o2.Level(5, 6),), ())])
    assert (row["bids"], row["asks"]) == ([{"price": 5, "quantity": 6}], [])
    book = BookView(
        TOPIC, "synced", "", ((Decimal("99.5"), 2), (Decimal(99), 1)), ((101, 3),), received_ns=AT
    )
    rows = records(book)
    assert [(row["side"], row["level"], row["price"], row["quantity"]) for row in rows] == [
        ("bid", 1, 99.5, 2),
        ("bid", 2, 99.0, 1),
        ("ask", 1, 101.0, 3),
    ]
    assert rows[0]["received"] == NOON_AND_MORE
    assert records([book, book]) == rows * 2
    assert records(BookView(TOPIC, "syncing", "no snapshot")) == []


def test_times_that_venues_write_as_text_are_times() -> None:
    quote = alpaca.Trade(symbol="AAPL", timestamp="2026-11-30T12:00:00.123456789Z", price=Decimal(1), size=2)
    depth = projectx.Depth(
        type=projectx.DomType(77), price=Decimal(1), timestamp="2026-11-30T12:00:00.123456"
    )
    odd = projectx.Depth(type=projectx.DomType.ASK, price=Decimal(1), timestamp="yesterday")
    assert [row["timestamp"] for row in records([quote, depth, odd])] == [NOON_AND_MORE, NOON_AND_MORE, None]
    assert records([quote], exact=True)[0]["timestamp_ns"] == AT
    assert (
        records([o2.Order("1", "0xa", "0x1", "open", "buy", "Spot", 1, 0, 1, 0, timestamp=2**62 + 10)])[0][
            "timestamp"
        ]
        == 2**62 + 10
    )  # of a clock of its own, and no time of ours


def test_enums_are_names_and_numbers_of_a_column_are_of_one_type() -> None:
    depth = projectx.Depth(type=projectx.DomType(77), price=Decimal(1), volume=Decimal(3))
    assert (records([depth])[0]["type"], records([depth])[0]["volume"]) == ("unknown(77)", 3.0)
    whole = alpaca.Trade(symbol="A", timestamp="", price=Decimal(1), size=2, id=5)
    part = alpaca.Trade(symbol="A", timestamp="", price=Decimal(1), size=Decimal("2.5"), id="x")
    assert [row["size"] for row in records([whole, part])] == [2.0, 2.5]
    assert [row["size"] for row in records([whole, part], exact=True)] == [Decimal(2), Decimal("2.5")]
    assert [row["id"] for row in records([whole, part])] == ["5", "x"]
    assert [
        row["conditions"]
        for row in records(
            [whole, alpaca.Trade(symbol="A", timestamp="", price=Decimal(1), size=2, conditions="c")]
        )
    ] == [[], ["c"]]


@pytest.mark.parametrize(("exact", "kind"), [(False, float), (True, Decimal)], ids=["floats", "exact"])
def test_a_field_that_may_be_a_decimal_has_one_type_also_where_all_are_integers(
    exact: bool, kind: type
) -> None:
    """So the frames of two batches have the same types."""
    whole = alpaca.Trade(symbol="A", timestamp="", price=Decimal(1), size=2)
    assert type(records([whole], exact=exact)[0]["size"]) is kind


def test_truth_values_beside_integers_are_integers() -> None:
    told = [row["anything"] for row in records([Odd(None, True), Odd(None, 2), Odd(None, None)])]
    assert [(type(each), each) for each in told] == [(int, 1), (int, 2), (type(None), None)]


@pytest.mark.parametrize(("exact", "kind"), [(False, float), (True, Decimal)], ids=["floats", "exact"])
def test_integers_that_no_column_of_integers_holds_are_of_the_kind_of_decimals(
    exact: bool, kind: type
) -> None:
    rows = records([o2.Level(1, LARGEST), o2.Level(2, 10**400)], exact=exact)
    assert {type(row["quantity"]) for row in rows} == {kind}
    assert {type(row["price"]) for row in rows} == {int}


def test_bars_fills_and_orders_of_handlers_are_rows_too() -> None:
    (told,) = records([BarEvent("px", "EP", "1min", BARS[0], "finished")])
    assert (told["bar.open"], told["bar.start"]) == (6800.25, datetime(2026, 11, 30, 12, tzinfo=UTC))
    fill, order = (
        Fill(id=1, contract="EP", price=Decimal("1.5"), at_ns=AT),
        AccountOrder(id=2, contract="EP", state="filled"),
    )
    first, second = records([fill, order])
    assert (first["event_type"], first["price"], first["at"]) == ("Fill", 1.5, NOON_AND_MORE)
    assert (second["event_type"], second["price"], second["state"]) == ("AccountOrder", None, "filled")
    change, new = records([AccountEvent(order, "stream", AT, order), AccountEvent(fill, "rest", AT)])
    assert (change["row.state"], change["before.state"], new["row.id"]) == ("filled", "filled", 1)
    assert records([BARS[0], TRADE])[0]["event_type"] == "Bar"


class Colour(Enum):
    RED = 1


class Odd(Struct, frozen=True):
    """What a venue of one's own might send."""

    at_ns: Any
    anything: Any


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (Colour.RED, "RED"),
        (Secret("k3y"), "…"),
        ({1}, [1]),
        (1j, "1j"),
        (b"raw", b"raw"),
        ([[Decimal("0.5")]], [[0.5]]),
    ],
    ids=["enum", "secret", "set", "other", "bytes", "lists"],
)
def test_any_value_becomes_a_cell(value: Any, cell: Any) -> None:
    assert records([Odd(None, value)]) == [{"event_type": "Odd", "at": None, "anything": cell}]


@pytest.mark.parametrize("at", [2**70, -(2**70), "now", 1.5, True], ids=str)
def test_what_is_no_time_is_missing(at: Any) -> None:
    assert records([Odd(at, 1)])[0]["at"] in {None, datetime(1970, 1, 1, tzinfo=UTC)}


def test_json_of_a_venue_is_read_one_level_deep_and_hostile_json_has_an_end() -> None:
    deep: Any = []
    for _ in range(sys.getrecursionlimit() * 2):
        deep = [deep]
    data = {"p": "1.5", "q": {"x": [Decimal("0.5")]}, "deep": deep}
    (row,) = records([Message("t", "k", data)])
    assert (row["data.p"], row["data.q"]) == ("1.5", {"x": [0.5]})
    assert len(json.dumps(row["data.deep"])) < 100
    many = [Message("t", "k", {f"{number}": 1}) for number in range(MOST_COLUMNS + 1)]
    with pytest.raises(LinewardenError, match=r"1,006 different fields.* make rows of the fields"):
        records(many)


@pytest.mark.parametrize(
    "one", [TRADE, "text", {"a": 1}, None, 5], ids=["event", "text", "mapping", "none", "number"]
)
def test_what_is_no_list_of_events_is_refused(one: Any) -> None:
    with pytest.raises(LinewardenError, match="records takes a list of events, and this is") as refused:
        records(one)
    assert ("records([event])" in str(refused.value)) == isinstance(one, Struct | dict)
    assert records([{"a": Decimal(1)}, 5]) == [
        {"event_type": "dict", "a": 1.0, "value": None},
        {"event_type": "int", "a": None, "value": 5},
    ]
