"""The conversations on real sockets, with a ProjectX that is simulated on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.http_types import HttpFailed
from actors.protocol import (
    Accepted,
    AnyMutation,
    Bracket,
    Call,
    Cancel,
    Close,
    Contract,
    Intent,
    Modify,
    Place,
    Refused,
    Secret,
    Unknown,
)
from actors.simulators.projectx import SimulatedProjectX
from actors.venues.projectx import OrderStatus, ProjectX, ProjectXSettings
from actors.wire.connect import Dial
from actors.wire.http_client import converse

ACCOUNT = 4242
TAG = "lw-store-1"
HOUR = timedelta(hours=1)


class Desk:
    """One feed's requests, carried out one after the other. `es` is the contract that ES names."""

    def __init__(self, px: SimulatedProjectX) -> None:
        venue = ProjectX("projectx", ProjectXSettings(url=px.url))
        self.secret = Secret(px.token())
        self.dial = Dial()
        self.api = venue.trading()
        self.es: Contract = self.ask(self.api.contract("ES"))

    def ask(self, call: Call[Any]) -> Any:
        return converse(call.converse(self.secret), self.dial)

    def send(self, mutation: AnyMutation, tag: str = TAG) -> tuple[Any, Any]:
        """What came of it by its answer, and by what can be found after."""
        intent = Intent(tag=tag, mutation=mutation, begun_ns=time.time_ns())
        told = converse(self.api.send(mutation, tag, self.secret), self.dial)
        return told, self.ask(self.api.find(intent))

    def place(self, tag: str = TAG, **terms: Any) -> tuple[Any, Any]:
        given: dict[str, Any] = {"side": "buy", "size": 1, "type": "market"} | terms
        return self.send(Place(account=ACCOUNT, contract=self.es.id, **given), tag)


@contextmanager
def desk(**settings: Any) -> Iterator[tuple[SimulatedProjectX, Desk]]:
    with SimulatedProjectX(rate=0, **settings) as px:
        yield px, Desk(px)


def test_a_position_is_opened_with_a_bracket_and_closed_and_its_legs_are_orphans() -> None:
    with desk() as (_, d):
        told, found = d.place(size=2, bracket=Bracket(stop=10, target=20))
        assert told == found == Accepted(TAG, told.order_id)
        legs = d.ask(d.api.open_orders(ACCOUNT, d.es.id))
        assert sorted(leg.custom_tag for leg in legs) == [f"{TAG}-SL", f"{TAG}-TP"]
        assert [d.ask(d.api.is_protective(ACCOUNT, leg.id)) for leg in legs] == [True, True]
        exposure = d.ask(d.api.exposure(ACCOUNT, d.es.id))
        assert (exposure.position, exposure.buys, exposure.sells, exposure.orders) == (2, 0, 4, 2)

        told, found = d.send(Close(account=ACCOUNT, contract=d.es.id))
        assert told == found == Accepted(TAG)
        assert d.ask(d.api.positions(ACCOUNT)).required() == ()
        assert [d.ask(d.api.is_protective(ACCOUNT, leg.id)) for leg in legs] == [False, False]
        for leg in legs:
            told, found = d.send(Cancel(account=ACCOUNT, order=leg.id))
            assert (told, found) == (Accepted(TAG), Accepted(TAG, leg.id))
        fills = d.ask(d.api.trades(ACCOUNT, datetime.now(UTC) - HOUR))
        assert [fill.profit_and_loss is None for fill in fills] == [True, False]


def test_a_short_is_closed_by_a_buy() -> None:
    with desk() as (_, d):
        d.place(side="sell", size=2)
        assert d.ask(d.api.positions(ACCOUNT)).rows[0].net == -2
        d.send(Close(account=ACCOUNT, contract=d.es.id, size=1))
        assert d.ask(d.api.positions(ACCOUNT)).rows[0].net == -1
        d.send(Close(account=ACCOUNT, contract=d.es.id))
        assert d.ask(d.api.exposure(ACCOUNT, d.es.id)).position == 0


def test_suspended_legs_are_among_open_orders_and_protect() -> None:
    with desk() as (_, d):
        d.place(type="limit", limit_price=Decimal("6000.00"), bracket=Bracket(stop=10))
        entry, leg = d.ask(d.api.open_orders(ACCOUNT))
        assert leg.status is OrderStatus.SUSPENDED
        assert d.ask(d.api.is_protective(ACCOUNT, leg.id)) is True
        assert d.ask(d.api.is_protective(ACCOUNT, entry.id)) is False


def test_terms_are_changed_and_the_row_tells_it() -> None:
    with desk() as (_, d):
        placed, _found = d.place(type="stop", side="sell", stop_price=Decimal("6000.00"))
        change = Modify(account=ACCOUNT, order=placed.order_id, stop_price=Decimal("5990.25"), size=3)
        assert d.send(change) == (Accepted(TAG), Accepted(TAG, placed.order_id))
        order = d.ask(d.api.order(ACCOUNT, placed.order_id))
        assert (order.stop_price, order.size) == (Decimal("5990.25"), 3)


@pytest.mark.parametrize("ahead", [0.0, 3 * 86_400.0, -3 * 86_400.0])
@pytest.mark.parametrize(
    ("fault", "settings"),
    [
        ("answer_lost", {}),
        ("cut_answer", {}),
        ("pending_code", {}),
        ("pending_code", {"kind": "unknown"}),
        ("garbage_answer", {}),
        ("garbage_answer", {"kind": "disagree"}),
        ("refuse_page", {"status": 503, "effect": True}),
        ("refuse_page", {"status": 429, "effect": True}),
    ],
)
def test_an_order_whose_answer_says_nothing_is_found_by_its_tag(
    fault: str, settings: dict[str, Any], ahead: float
) -> None:
    """Whatever this machine takes for the time."""
    with desk(clock_ahead=ahead) as (px, d):
        getattr(px, fault)(page="Order/place", **settings)
        told, found = d.place()
        assert isinstance(told, Unknown | HttpFailed)
        [order] = d.ask(d.api.orders(ACCOUNT, datetime.now(UTC) - timedelta(days=4)))
        assert found == Accepted(TAG, order.id)


@pytest.mark.parametrize("fault", ["request_lost", "refuse_page"])
def test_an_order_that_was_not_placed_stays_unknown(fault: str) -> None:
    with desk() as (px, d):
        getattr(px, fault)(page="Order/place")
        told, found = d.place()
        assert isinstance(told, Unknown | HttpFailed)
        assert isinstance(found, Unknown)


def test_a_refusal_is_in_the_venues_words_and_may_name_an_order() -> None:
    with desk(position_brackets=(ACCOUNT,)) as (_, d):
        told, found = d.place(bracket=Bracket(stop=10))
        assert isinstance(told, Refused)
        assert "Auto OCO Brackets" in told.message
        assert told.order_id is not None
        assert (found.name, found.order_id) == ("OrderRejected", told.order_id)


def test_a_token_that_is_not_taken_is_a_no() -> None:
    with desk() as (px, d):
        px.expire_tokens()
        told, found = d.place()
        assert (told.code, found.code) == ("http_401", "http_401")


def test_a_list_that_is_absent_is_not_flat() -> None:
    with desk() as (px, d):
        for kind in ("null", "missing"):
            px.list_absent(kind, page="Position/searchOpen")
            assert d.ask(d.api.positions(ACCOUNT)).code == "no_evidence"


@pytest.mark.parametrize("offset", ["rows", "pages"])
def test_many_open_orders_come_in_pages(offset: str) -> None:
    with desk(page_offset_in=offset, rest_limit=0) as (px, d):
        for _ in range(130):
            px.order(ACCOUNT, d.es.id)
        listing = d.ask(d.api.open_orders(ACCOUNT))
        assert (len(listing), listing.whole) == (130, True)


def test_more_orders_of_one_moment_than_a_search_shows_are_not_whole() -> None:
    with desk(list_limit=20, rest_limit=0) as (px, d):
        for _ in range(50):
            px.order(ACCOUNT, d.es.id)
        listing = d.ask(d.api.orders(ACCOUNT, datetime.now(UTC) - HOUR))
        assert listing.whole is False
        assert len(listing) >= 20


def test_bars_come_in_pages_and_in_order() -> None:
    now = datetime.now(UTC)
    with desk(past=0.2, bars_cap=100) as (_, d):
        bars = d.ask(d.api.bars(d.es.id, "minute", start=now - 4 * HOUR, end=now, partial=True))
        starts = [bar.start_ns for bar in bars]
        assert len(starts) > 150
        assert starts == sorted(set(starts))
        assert all(bar.complete for bar in bars[:-1])


def test_contracts_of_the_other_kind_of_data_are_not_found() -> None:
    with desk() as (_, d):
        assert d.ask(d.api.contract("ES", live=True)).name == "NotFound"
        assert d.ask(d.api.contract(d.es.id, live=True)) == d.es
