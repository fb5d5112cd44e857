"""Orders at the simulated ProjectX: how they meet the market, and what the hub tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from actors.simulators import SimulatedProjectX
from actors.simulators.projectx.account import Account, signed
from actors.simulators.projectx.codes import VenueRefusal
from actors.simulators.projectx.forms import BracketLeg, Change, Placing
from actors.simulators.projectx.instruments import Listing
from tests.simulators.hub_client import HubClient
from tests.simulators.projectx_client import (
    ALICE,
    BOB,
    ENQ,
    EP,
    LONG_AGO,
    got,
    heard,
    on_hub,
    order,
    placed,
    positions,
    post,
    refusal,
    row,
    working,
)
from tests.support.examples import examples

pytest_plugins = ["actors.testing"]

LIMIT, STOP, TRAIL, JOIN_BID, JOIN_ASK = 1, 4, 5, 6, 7
BUY, SELL = 0, 1
CLOSE = {"accountId": ALICE, "contractId": EP}


@pytest.fixture
def user(simulated_projectx: SimulatedProjectX) -> Iterator[HubClient]:
    with on_hub(simulated_projectx, "user", "accounts", "orders", "positions", "user_trades") as client:
        yield client


@pytest.fixture
def thin() -> Iterator[SimulatedProjectX]:
    """Without a book: orders are filled at the last price, which is 6801.25."""
    with SimulatedProjectX(rate=0, market=False, snapshots=False) as projectx:
        yield projectx


# limits


def test_a_trade_fills_a_resting_order_up_to_its_volume_and_a_worse_price_fills_all_of_it(
    simulated_projectx: SimulatedProjectX,
) -> None:
    id = placed(simulated_projectx, type=LIMIT, size=5, limitPrice=6800.25)
    simulated_projectx.trade(EP, price="6800.50", volume=9)
    assert row(simulated_projectx, id)["fillVolume"] == 0
    simulated_projectx.trade(EP, price="6800.25", volume=2)
    assert (row(simulated_projectx, id)["status"], row(simulated_projectx, id)["fillVolume"]) == (1, 2)
    simulated_projectx.trade(EP, price="6800.00", volume=1)
    assert (row(simulated_projectx, id)["status"], row(simulated_projectx, id)["fillVolume"]) == (2, 5)
    assert positions(simulated_projectx) == [(EP, 1, 5)]


def test_a_limit_that_crosses_is_filled_at_once_at_the_better_price(
    simulated_projectx: SimulatedProjectX,
) -> None:
    id = placed(simulated_projectx, type=LIMIT, size=2, limitPrice=6805)
    assert (row(simulated_projectx, id)["status"], row(simulated_projectx, id)["filledPrice"]) == (
        2,
        Decimal("6801.50"),
    )


def test_an_order_that_is_filled_by_hand_leaves_the_book(simulated_projectx: SimulatedProjectX) -> None:
    before = simulated_projectx.book()
    id = placed(simulated_projectx, type=LIMIT, size=4, limitPrice=6800.25)
    simulated_projectx.fill(id, 3)
    at = Decimal("6800.25")
    assert simulated_projectx.book()[0][at] == before[0][at] + 1
    simulated_projectx.fill(id)
    assert simulated_projectx.book() == before


def test_an_order_joins_the_best_price_of_its_side(simulated_projectx: SimulatedProjectX) -> None:
    bid = placed(simulated_projectx, type=JOIN_BID, side=BUY)
    ask = placed(simulated_projectx, type=JOIN_ASK, side=SELL)
    bids, asks = simulated_projectx.book()
    assert (row(simulated_projectx, bid)["limitPrice"], row(simulated_projectx, ask)["limitPrice"]) == (
        max(bids),
        min(asks),
    )
    assert [each["type"] for each in working(simulated_projectx)] == [JOIN_BID, JOIN_ASK]


def test_another_client_of_the_account_places_an_order(simulated_projectx: SimulatedProjectX) -> None:
    order = simulated_projectx.place(type=LIMIT, size=2, limit_price=Decimal("6800.25"), custom_tag="other")
    assert row(simulated_projectx, order["id"])["customTag"] == "other"
    simulated_projectx.trade(EP, price="6800.00")
    assert positions(simulated_projectx) == [(EP, 1, 2)]
    assert list(simulated_projectx.seen.placed) == []
    with pytest.raises(VenueRefusal):
        simulated_projectx.place(type=STOP, stop_price=Decimal("6700.00"))


# stops and trails


@pytest.mark.parametrize(
    ("side", "stop", "short_of_it"), [(BUY, "6803", "6802.75"), (SELL, "6799", "6799.25")]
)
def test_a_stop_is_filled_at_the_price_that_reaches_it(
    simulated_projectx: SimulatedProjectX, side: int, stop: str, short_of_it: str
) -> None:
    id = placed(simulated_projectx, type=STOP, side=side, size=2, stopPrice=float(stop))
    simulated_projectx.trade(EP, price=short_of_it)
    assert row(simulated_projectx, id)["status"] == 1
    simulated_projectx.trade(EP, price=stop)
    assert (row(simulated_projectx, id)["status"], row(simulated_projectx, id)["filledPrice"]) == (
        2,
        Decimal(stop),
    )
    assert positions(simulated_projectx) == [(EP, 1 + side, 2)]


def test_a_trail_follows_the_market_and_its_rows_have_a_distance(
    simulated_projectx: SimulatedProjectX,
) -> None:
    id = placed(simulated_projectx, type=TRAIL, side=SELL, trailPrice=6799.3)  # fractional ticks are cut
    first = row(simulated_projectx, id)
    assert (first["trailDistance"], first["trailPrice"], first["stopPrice"]) == (-7, Decimal("1.75"), 6799.5)
    simulated_projectx.trade(EP, price="6806.25")
    simulated_projectx.trade(EP, price="6804.75")
    assert (row(simulated_projectx, id)["status"], row(simulated_projectx, id)["stopPrice"]) == (1, 6804.5)
    simulated_projectx.trade(EP, price="6804.50")
    assert row(simulated_projectx, id)["status"] == 2


def test_a_stop_that_was_cancelled_or_moved_is_not_where_it_was(
    simulated_projectx: SimulatedProjectX,
) -> None:
    gone = placed(simulated_projectx, type=STOP, side=SELL, stopPrice=6799)
    moved = placed(simulated_projectx, type=STOP, side=SELL, stopPrice=6799)
    got(simulated_projectx, "Order/cancel", {"accountId": ALICE, "orderId": gone})
    got(simulated_projectx, "Order/modify", {"accountId": ALICE, "orderId": moved, "stopPrice": 6790})
    simulated_projectx.trade(EP, price="6799")
    assert [row(simulated_projectx, each)["status"] for each in (gone, moved)] == [3, 1]
    simulated_projectx.trade(EP, price="6790")
    assert row(simulated_projectx, moved)["status"] == 2


def test_the_market_that_moves_by_itself_reaches_stops() -> None:
    with SimulatedProjectX(rate=0, seed=4, contracts=[EP], accounts=[ALICE]) as projectx:
        ids = [placed(projectx, type=STOP, side=BUY, stopPrice=6801.25 + ticks / 4) for ticks in range(1, 4)]
        for _ in range(200):
            projectx.steps(10)
            if all(row(projectx, id)["status"] == 2 for id in ids):
                return
        raise AssertionError(working(projectx))


@pytest.mark.parametrize("acting", [True, False])
def test_accounts_that_act_by_themselves_leave_the_orders_of_clients_alone(acting: bool) -> None:
    with SimulatedProjectX(rate=0, acting=acting, contracts=[EP], accounts=[ALICE]) as projectx:
        ids = [placed(projectx, type=LIMIT, limitPrice=6700 - number) for number in range(4)]
        projectx.steps(400)
        assert [row(projectx, id)["status"] for id in ids] == [1] * 4
        assert (len(projectx.accounts[ALICE].orders) > 4) == acting
        assert len(projectx.seen.placed) == 4


# what changes an order


def test_a_change_keeps_what_it_does_not_name(simulated_projectx: SimulatedProjectX) -> None:
    id = placed(simulated_projectx, type=LIMIT, size=3, limitPrice=6800.25)
    got(simulated_projectx, "Order/modify", {"accountId": ALICE, "orderId": id, "limitPrice": 6799.5})
    told = row(simulated_projectx, id)
    assert (told["size"], told["limitPrice"]) == (3, 6799.5)
    got(simulated_projectx, "Order/modify", {"accountId": ALICE, "orderId": id, "limitPrice": 6810})
    assert row(simulated_projectx, id)["status"] == 2  # it crosses now


def test_an_order_that_is_partly_filled_is_cancelled_with_what_it_has(
    simulated_projectx: SimulatedProjectX,
) -> None:
    id = placed(simulated_projectx, type=LIMIT, size=3, limitPrice=6800.25)
    simulated_projectx.trade(EP, price="6800.25", volume=1)
    which = {"accountId": ALICE, "orderId": id}
    assert refusal(simulated_projectx, "Order/modify", which | {"size": 1}) == (3, "Invalid order size.")
    got(simulated_projectx, "Order/cancel", which)
    assert (row(simulated_projectx, id)["status"], row(simulated_projectx, id)["fillVolume"]) == (3, 1)
    assert refusal(simulated_projectx, "Order/cancel", which) == (2, "Order not found.")
    assert refusal(simulated_projectx, "Order/modify", which | {"size": 9}) == (2, "Order not found.")


def test_an_order_may_be_filled_in_part_to_order(simulated_projectx: SimulatedProjectX) -> None:
    simulated_projectx.arm("partial_fill size=2")
    id = placed(simulated_projectx, size=5)
    assert (row(simulated_projectx, id)["status"], row(simulated_projectx, id)["fillVolume"]) == (1, 2)
    simulated_projectx.fill(id)
    assert row(simulated_projectx, id)["status"] == 2


def test_the_price_of_an_order_is_the_average_of_its_fills(thin: SimulatedProjectX) -> None:
    thin.partial_fill(size=1)
    id = placed(thin, size=4)
    thin.fill(id, price="6805.25")
    assert row(thin, id)["filledPrice"] == Decimal("6804.25")


# whatever happens

_PRICES = some.integers(-12, 12)  # ticks from the last price
_STEPS = some.one_of(
    some.tuples(
        some.just("place"),
        some.sampled_from([1, 2, 4, 5, 6, 7]),
        some.booleans(),
        some.integers(1, 4),
        _PRICES,
    ),
    some.tuples(some.just("trade"), _PRICES, some.integers(1, 5)),
    some.tuples(some.sampled_from(["cancel", "modify", "close", "fill"]), some.integers(0, 5)),
)


@given(some.lists(_STEPS, min_size=5, max_size=40), some.booleans())
@settings(max_examples=examples(60), deadline=None)
def test_whatever_happens_an_account_is_the_sum_of_its_fills(steps: list[Any], moving: bool) -> None:
    projectx = SimulatedProjectX(rate=0, market=moving)
    account, listing = projectx.accounts[ALICE], projectx.listings[EP]
    for step in steps:
        with suppress(VenueRefusal):
            take(projectx, account, listing, step)
    for each in account.orders.values():
        assert each["fillVolume"] <= each["size"]
        assert (each["status"] == 2) == (each["fillVolume"] == each["size"])
    fills = [each["size"] * (1 if each["side"] == BUY else -1) for each in account.fills]
    assert sum(fills) == signed(account.positions.get(EP))
    working = {each["id"] for each in account.working()}
    assert {int(id) for id in listing.market.orders} <= working
    bids, asks = projectx.book(EP)
    assert not (bids and asks) or max(bids) < min(asks)


def take(projectx: SimulatedProjectX, account: Account, listing: Listing, step: Any) -> None:
    """One step of what may happen."""
    match step:
        case ("place", kind, bracket, size, ticks):
            at = listing.last + ticks * listing.terms.tick
            legs = (BracketLeg(-8, 4), BracketLeg(8, 1)) if bracket else (None, None)
            asked = Placing(ALICE, EP, kind, BUY if ticks % 2 else SELL, size, at, at, at, None, None, *legs)
            projectx.matching.place(account, listing, asked)
        case ("trade", ticks, volume):
            projectx.trade(EP, listing.last + ticks * listing.terms.tick, volume)
        case ("close", _):
            projectx.matching.close(account, listing)
        case (what, which):
            orders = account.working(EP)
            if not orders:
                return
            id = orders[which % len(orders)]["id"]
            if what == "cancel":
                projectx.matching.cancel(account, id)
            elif what == "modify":
                projectx.matching.modify(account, Change(ALICE, id, size=which + 1))
            elif account.orders[id]["status"] == 1:
                projectx.fill(id, 1)


# closing


def test_a_position_is_closed_by_a_market_order_and_told_as_gone() -> None:
    with (
        SimulatedProjectX(rate=0, snapshots=False, user_shape="action") as projectx,
        on_hub(projectx, "user", "orders", "positions", "user_trades") as user,
    ):
        placed(projectx, size=2)
        told = heard(user, 4)
        assert [(name, each["action"]) for name, each in told] == [
            ("Order", 1),
            ("Order", 1),
            ("Trade", 0),
            ("Position", 1),
        ]
        assert got(projectx, "Position/closeContract", CLOSE) == {}
        *_, (_, trade), (_, position) = heard(user, 4)
        assert (trade["data"]["side"], trade["data"]["size"]) == (SELL, 2)
        assert (position["action"], position["data"]["type"], position["data"]["size"]) == (2, 0, 0)
        assert positions(projectx) == []


def test_the_other_codes_of_actions_that_a_client_saw() -> None:
    with (
        SimulatedProjectX(rate=0, user_shape="action", actions="new") as projectx,
        on_hub(projectx, "user", "orders", "positions", "user_trades") as user,
    ):
        placed(projectx)
        assert [each["action"] for _, each in heard(user, 4)] == [0, 1, 0, 0]


def test_a_part_of_a_position_is_closed(simulated_projectx: SimulatedProjectX) -> None:
    placed(simulated_projectx, side=SELL, size=3)
    assert got(simulated_projectx, "Position/partialCloseContract", CLOSE | {"size": 2}) == {}
    assert positions(simulated_projectx) == [(EP, 2, 1)]
    for size in (0, 2):
        assert refusal(simulated_projectx, "Position/partialCloseContract", CLOSE | {"size": size}) == (
            5,
            "Invalid close size.",
        )
    # The usual SDK sends `closeSize`, which is no key.
    assert post(simulated_projectx, "Position/partialCloseContract", CLOSE | {"closeSize": 1})[0] == 400


def test_what_is_no_position_cannot_be_closed(simulated_projectx: SimulatedProjectX) -> None:
    for page, also in (("closeContract", {}), ("partialCloseContract", {"size": 1})):
        for body, code in (
            (CLOSE | {"accountId": 1}, 1),
            (CLOSE, 2),
            (CLOSE | {"contractId": "ES"}, 3),
        ):
            assert refusal(simulated_projectx, f"Position/{page}", body | also)[0] == code


def test_a_fill_beyond_the_position_turns_it_round(thin: SimulatedProjectX) -> None:
    placed(thin, size=2)
    thin.trade(EP, price="6803.25")
    placed(thin, side=SELL, size=5)
    assert positions(thin) == [(EP, 2, 3)]
    (position,) = got(thin, "Position/searchOpen", {"accountId": ALICE})["positions"]
    assert position["averagePrice"] == Decimal("6803.25")
    *_, turn = got(thin, "Trade/search", {"accountId": ALICE, "startTimestamp": LONG_AGO})["trades"]
    assert turn["profitAndLoss"] == Decimal("200.00")  # two contracts, eight ticks of 12.5


@pytest.mark.parametrize("renews", [False, True])
def test_a_position_that_goes_through_zero_may_have_another_id(renews: bool) -> None:
    with SimulatedProjectX(rate=0, market=False, flip_renews_id=renews) as projectx:
        placed(projectx)
        (before,) = got(projectx, "Position/searchOpen", {"accountId": ALICE})["positions"]
        placed(projectx, side=SELL, size=2)
        (after,) = got(projectx, "Position/searchOpen", {"accountId": ALICE})["positions"]
        assert (before["id"] != after["id"]) == renews


def test_a_fill_is_taken_back(thin: SimulatedProjectX) -> None:
    placed(thin, size=2)
    thin.trade(EP, price="6802.25")
    placed(thin, side=SELL, size=1)
    opened, closed = got(thin, "Trade/search", {"accountId": ALICE, "startTimestamp": LONG_AGO})["trades"]
    with on_hub(thin, "user", "user_trades", "positions", "accounts") as user:
        thin.void(closed["id"])
        told = dict(heard(user, 3))
    assert (told["Trade"]["id"], told["Trade"]["voided"], told["Position"]["size"]) == (
        closed["id"],
        True,
        2,
    )
    assert told["Account"]["balance"] == 50_000 - float(opened["fees"])
    with pytest.raises(ValueError, match="no half-turn 1"):
        thin.void(1)


def test_a_commission_is_apart_from_the_fees() -> None:
    with SimulatedProjectX(rate=0, commission=0.37) as projectx:
        placed(projectx, size=2)
        (turn,) = got(projectx, "Trade/search", {"accountId": ALICE, "startTimestamp": LONG_AGO})["trades"]
        assert (turn["fees"], turn["commissions"]) == (Decimal("2.80"), Decimal("0.74"))
        assert accounts(projectx, active=True)[0]["balance"] == 50_000 - Decimal("3.54")


# accounts


def test_a_live_account_refuses_cancels_and_closes() -> None:
    with SimulatedProjectX(rate=0, live_accounts=[ALICE]) as projectx:
        id = placed(projectx, type=LIMIT, limitPrice=6800.25)
        placed(projectx)
        assert refusal(projectx, "Order/cancel", {"accountId": ALICE, "orderId": id})[0] == 6
        assert refusal(projectx, "Position/closeContract", CLOSE)[0] == 8
        assert refusal(projectx, "Position/partialCloseContract", CLOSE | {"size": 1})[0] == 9
        first, second = got(projectx, "Account/search", {"onlyActiveAccounts": True})["accounts"]
        assert (first["simulated"], second["simulated"]) == (False, True)


def test_an_account_that_may_not_trade_places_nothing(simulated_projectx: SimulatedProjectX) -> None:
    simulated_projectx.account(ALICE, canTrade=False)
    assert refusal(simulated_projectx, "Order/place", order())[0] == 10
    assert [each["id"] for each in accounts(simulated_projectx, active=True)] == [BOB]
    assert len(accounts(simulated_projectx, active=False)) == 2


def accounts(projectx: SimulatedProjectX, *, active: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = got(projectx, "Account/search", {"onlyActiveAccounts": active})["accounts"]
    return found


def test_a_contract_that_is_not_active_is_found_by_its_id_alone() -> None:
    old = "CON.F.US.EP.U26"
    with SimulatedProjectX(rate=0, contracts=[EP], inactive=[old]) as projectx:
        found = got(projectx, "Contract/searchById", {"contractId": old})["contract"]
        assert (found["name"], found["activeContract"]) == ("ESU6", False)
        assert [each["id"] for each in contracts(projectx, "ES")] == [EP]
        assert refusal(projectx, "Order/place", order(contractId=old))[0] == 9
        assert refusal(projectx, "Position/closeContract", CLOSE | {"contractId": old})[0] == 4
        assert projectx.contracts == [EP]


def contracts(projectx: SimulatedProjectX, text: str, *, live: bool = False) -> list[dict[str, Any]]:
    asked = {"searchText": text, "live": live}
    found: list[dict[str, Any]] = got(projectx, "Contract/search", asked)["contracts"]
    return found


def test_the_wrong_kind_of_data_has_no_contracts(simulated_projectx: SimulatedProjectX) -> None:
    assert contracts(simulated_projectx, "NQ", live=True) == []
    assert got(simulated_projectx, "Contract/available", {"live": True})["contracts"] == []
    assert [each["id"] for each in contracts(simulated_projectx, "NQ")] == [ENQ]
