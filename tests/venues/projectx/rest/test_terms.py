"""What may be sent, and on which tick."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from actors.protocol import Bracket, Cancel, Close, Contract, Modify, Place, Side, nearest_tick
from tests.venues.projectx.rest.gateway import ACCOUNT, API, EP

PRICE = Decimal("6801.25")
TICKS = st.sampled_from(list(map(Decimal, ("0.1", "0.25", "0.015625", "0.0000005", "5"))))
PRICES = st.decimals(min_value=-200_000, max_value=200_000, places=9)
SIDES: Any = st.sampled_from(["buy", "sell"])


def place(**terms: Any) -> Place:
    given: dict[str, Any] = {"side": "buy", "size": 1, "type": "limit", "limit_price": PRICE} | terms
    return Place(account=ACCOUNT, contract=EP.id, **given)


def modify(**terms: Any) -> Modify:
    return Modify(account=ACCOUNT, order=9, **terms)


def prepared(mutation: Any, **more: Any) -> Any:
    return API.prepare(mutation, more.pop("contract", EP), **more)


@pytest.mark.parametrize(
    "mutation",
    [
        place(),
        place(type="market", limit_price=None),
        place(type="stop", limit_price=None, stop_price=PRICE),
        place(type="trailing_stop", limit_price=None, trail_price=PRICE),
        place(type="join_bid", limit_price=None),
        place(type="join_ask", limit_price=None),
        place(bracket=Bracket(stop=10, target=20)),
        place(bracket=Bracket(stop=1)),
        place(limit_price=Decimal("-37.75")),
        modify(size=2),
        modify(limit_price=PRICE),
        Cancel(account=ACCOUNT, order=9),
        Close(account=ACCOUNT, contract=EP.id),
        Close(account=ACCOUNT, contract=EP.id, size=1),
    ],
    ids=str,
)
def test_what_may_be_sent_stays_as_it_is(mutation: Any) -> None:
    assert prepared(mutation) == mutation


@pytest.mark.parametrize(
    ("mutation", "why"),
    [
        (place(limit_price=None), "an order of type limit needs limit_price"),
        (place(type="stop"), "an order of type stop needs stop_price"),
        (place(type="trailing_stop", limit_price=None), "an order of type trailing_stop needs trail_price"),
        (place(type="market"), "an order of type market takes no limit_price"),
        (place(stop_price=PRICE), "an order of type limit takes no stop_price"),
        (place(type="join_bid"), "an order of type join_bid takes no limit_price"),
        (
            place(type="stop_limit"),
            "ProjectX places no orders of type stop_limit; it has market, limit, stop, trailing_stop, "
            "join_bid, join_ask",
        ),
        (place(side="long"), 'the side of an order is "buy" or "sell", not \'long\''),
        (place(size=0), "size is a whole number from 1 on, not 0"),
        (place(size=-2), "size is a whole number from 1 on, not -2"),
        (place(size=1.5), "size is a whole number from 1 on, not 1.5"),
        (place(size=True), "size is a whole number from 1 on, not True"),
        (place(size=None), "size is a whole number from 1 on, not None"),
        (place(bracket=Bracket()), "a bracket has a stop, a target, or both"),
        (
            place(bracket=Bracket(stop=-10)),
            "the bracket's stop, in ticks without a sign, is a whole number from 1 on, not -10",
        ),
        (
            place(bracket=Bracket(stop=10, target=0)),
            "the bracket's target, in ticks without a sign, is a whole number from 1 on, not 0",
        ),
        (place(limit_price=6801.25), "limit_price is a Decimal, not 6801.25"),
        (place(limit_price=Decimal("NaN")), "limit_price NaN is no price"),
        (place(limit_price=Decimal("1e99")), "limit_price 1E+99 is no price"),
        (
            place(limit_price=Decimal("0.00")),
            "limit_price is 0 on its tick, which ProjectX reads as no price",
        ),
        (modify(), "a change of an order names a size or a price"),
        (modify(size=0), "size is a whole number from 1 on, not 0"),
        (Modify(account=ACCOUNT, order=0, size=1), "order is a whole number from 1 on, not 0"),
        # The gateway takes "4242" for a number, and no row of the account equals it: limits would see none.
        (structs.replace(place(), account="4242"), "account is a whole number from 1 on, not '4242'"),
        (structs.replace(modify(size=1), account=True), "account is a whole number from 1 on, not True"),
        (Cancel(account="4242", order=1), "account is a whole number from 1 on, not '4242'"),  # type: ignore[arg-type]
        (Close(account=0, contract=EP.id), "account is a whole number from 1 on, not 0"),
        (Cancel(account=ACCOUNT, order=0), "order is a whole number from 1 on, not 0"),
        (Close(account=ACCOUNT, contract=EP.id, size=0), "size is a whole number from 1 on, not 0"),
    ],
)
def test_what_may_not_be_sent_has_a_sentence(mutation: Any, why: str) -> None:
    assert prepared(mutation) == why


@pytest.mark.parametrize("contract", [None, structs.replace(EP, id="CON.F.US.MES.Z26")])
def test_an_order_needs_its_own_contract(contract: Contract | None) -> None:
    assert "is not resolved: its tick is not known" in prepared(place(), contract=contract)
    assert prepared(modify(size=2), contract=None) == modify(size=2)


def test_a_price_needs_a_tick() -> None:
    why = "the contract of the order is not resolved: its tick is not known"
    assert prepared(modify(limit_price=PRICE), contract=None) == why
    assert "no tick size" in prepared(place(), contract=structs.replace(EP, tick_size=Decimal(0)))


def test_a_price_off_its_tick_is_refused_with_the_two_beside_it() -> None:
    assert prepared(place(limit_price=Decimal("6801.13"))) == (
        "limit_price 6801.13 lies between the ticks 6801.00 and 6801.25 of CON.F.US.EP.Z26; write one of "
        'them, or align="safe"'
    )


def test_a_change_whose_side_is_not_known_cannot_be_told_to_be_safe() -> None:
    assert prepared(modify(limit_price=Decimal("6801.13"))).endswith(" of CON.F.US.EP.Z26; write one of them")


def test_an_alignment_that_does_not_exist_moves_nothing() -> None:
    wrong: Any = "nearest"
    assert prepared(place(limit_price=Decimal("6801.13")), align=wrong) == (
        'align is "refuse" or "safe", not \'nearest\''
    )


@pytest.mark.parametrize(
    ("kind", "name", "side", "aligned"),
    [
        ("limit", "limit_price", "buy", "6801.00"),
        ("limit", "limit_price", "sell", "6801.25"),
        ("stop", "stop_price", "buy", "6801.25"),  # of a short
        ("stop", "stop_price", "sell", "6801.00"),  # of a long
        ("trailing_stop", "trail_price", "buy", "6801.25"),
        ("trailing_stop", "trail_price", "sell", "6801.00"),
    ],
)
def test_safe_moves_to_the_side_that_is_never_worse(kind: str, name: str, side: Side, aligned: str) -> None:
    off = Decimal("6801.13")
    asked = place(type=kind, side=side, limit_price=None)
    placed = prepared(structs.replace(asked, **{name: off}), align="safe")
    assert str(getattr(placed, name)) == aligned
    changed = prepared(modify(**{name: off}), align="safe", side=side)
    assert str(getattr(changed, name)) == aligned


def test_a_change_does_not_know_which_side_is_safe() -> None:
    why = prepared(modify(stop_price=Decimal("6801.13")), align="safe")
    assert why.endswith("; which of them is safe depends on the side of the order")


@given(price=PRICES, tick=TICKS, side=SIDES)
def test_a_limit_is_never_worse_than_asked_and_a_stop_never_earlier(
    price: Decimal, tick: Decimal, side: Side
) -> None:
    contract = structs.replace(EP, tick_size=tick)
    limit = prepared(place(side=side, limit_price=price), contract=contract, align="safe")
    stop = prepared(
        place(side=side, type="stop", limit_price=None, stop_price=price), contract=contract, align="safe"
    )
    assume(isinstance(limit, Place) and isinstance(stop, Place))  # 0 is no price
    assert limit.limit_price % tick == stop.stop_price % tick == 0
    noise, up = tick / 1_000_000, 1 if side == "buy" else -1
    assert -noise <= up * (price - limit.limit_price) < tick
    assert -noise <= up * (stop.stop_price - price) < tick


@given(price=PRICES, tick=TICKS, side=SIDES)
def test_refuse_changes_no_price_by_more_than_noise(price: Decimal, tick: Decimal, side: Side) -> None:
    contract = structs.replace(EP, tick_size=tick)
    placed = prepared(place(side=side, limit_price=price), contract=contract)
    if isinstance(placed, Place):
        assert placed.limit_price is not None
        assert abs(placed.limit_price - price) <= tick / 1_000_000
    else:
        assert nearest_tick(price, tick) in (None, 0)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_what_a_float_left_of_a_price_moves_it_by_no_tick(side: Side) -> None:
    """0.1 * 41204 is 4120.400000000001; project-x-py sends just that."""
    contract = structs.replace(EP, tick_size=Decimal("0.1"))
    for align in ("refuse", "safe"):
        for price in (Decimal(0.1 * 41204), Decimal("4120.400000000001"), Decimal("4120.3999999999996")):
            placed = prepared(place(side=side, limit_price=price), contract=contract, align=align)
            assert str(placed.limit_price) == "4120.4"
