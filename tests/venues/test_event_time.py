"""When a venue says that an event happened: what a subscription's lag is judged by."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors.protocol.venue import Venue
from actors.settings import known_venues
from actors.venues import VENUES
from actors.venues.alpaca import messages as alpaca
from actors.venues.declarative.messages import Message
from actors.venues.o2 import messages as o2
from actors.venues.projectx import messages as projectx
from actors.venues.tplus import messages as tplus

AT = "2026-03-02T15:04:05.123Z"
AT_NS = 1_772_463_845_123_000_000
ONE = Decimal(1)
BAR: Any = {"open": ONE, "high": ONE, "low": ONE, "close": ONE, "volume": 1}


def said(venue: type[Venue], event: Any) -> int | None:
    """A venue's reading needs no settings."""
    return venue.event_time_ns(object.__new__(venue), event)


@pytest.mark.parametrize(
    ("venue", "event", "at_ns"),
    [
        ("alpaca", alpaca.Trade(symbol="AAPL", timestamp=AT, price=ONE, size=1), AT_NS),
        ("alpaca", alpaca.Trade(symbol="AAPL", timestamp="noon", price=ONE, size=1), None),
        ("alpaca", alpaca.Bar(symbol="AAPL", timestamp=AT, **BAR), None),  # that is its beginning
        ("alpaca", alpaca.DailyBar(symbol="AAPL", timestamp=AT, **BAR), None),
        ("o2", o2.Trade("0x1", "1", "buy", 1, 1, timestamp_ms=AT_NS // 10**6, seen_ns=1), AT_NS),
        ("o2", o2.Trade("0x1", "1", "buy", 1, 1, seen_ns=AT_NS), AT_NS),
        ("o2", o2.DepthSnapshot("0x1", (), (), seen_ns=AT_NS), AT_NS),
        ("o2", o2.DepthSnapshot("0x1", (), ()), None),
        ("projectx", projectx.Trade(contract_id="EP", timestamp=AT, price=ONE), AT_NS),
        ("projectx", projectx.Trade(contract_id="EP", price=ONE), None),
        ("tplus", tplus.Trade(asset_id="1", trade_id=1, price=ONE, quantity=ONE, timestamp_ns=AT_NS), AT_NS),
        ("tplus", tplus.Quote(price=ONE, size=ONE), None),
    ],
)
def test_a_venue_says_when_an_event_happened(venue: str, event: Any, at_ns: int | None) -> None:
    assert said(VENUES[venue], event) == at_ns


def test_a_table_s_message_has_the_time_that_its_table_says() -> None:
    assert said(known_venues()["kraken"], Message("trades", "A", {}, at_ns=AT_NS)) == AT_NS
