"""T15: what is too large, too much, too often or too far from the market is refused, with the numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors.protocol.trading import (
    Accepted,
    AnyMutation,
    Bracket,
    Contract,
    Exposure,
    Modify,
    Refused,
    Unknown,
)
from actors.trading.limits import Facts, Limits, limit_check
from actors.trading.order_store import OrderStore
from actors.trading.records import Begun
from tests.trading.orders import (
    ACCOUNT,
    CANCEL,
    CLOSE,
    CONTRACT,
    HOST,
    MINUTE,
    PART,
    SECOND,
    Wall,
    intent_of,
    place,
)

EP = Contract(id=CONTRACT, name="EPZ26", tick_size=Decimal("0.25"), tick_value=Decimal("12.50"))
FLAT = Exposure(position=0, buys=0, sells=0, orders=0)


class Desk:
    """A store, a clock, and limits."""

    def __init__(self, store: OrderStore, wall: Wall) -> None:
        self.store, self.wall = store, wall

    def ask(
        self, limits: Limits, mutation: AnyMutation, exposure: Exposure | None = FLAT, **facts: Any
    ) -> str | Refused:
        """The tag of what was begun, or its refusal. The exposure is that of ten seconds ago, by default."""
        intent = intent_of(self.store, mutation, now_ns=self.wall())
        asked_ns = facts.pop("asked_ns", self.wall() - 10 * SECOND)
        known = Facts(contract=EP, exposure=exposure, asked_ns=asked_ns, **facts)
        answer = self.store.begin(intent, HOST, limit_check(limits, "px", intent, known))
        if isinstance(answer, Begun):
            return intent.tag
        return answer

    def refused(self, *given: Any, **facts: Any) -> str:
        answer = self.ask(*given, **facts)
        assert isinstance(answer, Refused), answer
        assert answer.code == "limit"
        assert answer.message.endswith(". Nothing was sent.")
        return answer.message.removesuffix(". Nothing was sent.").removeprefix("[feeds.px.limits] ")

    def accepted(self, *given: Any, order: int | None = None, **facts: Any) -> str:
        tag = self.ask(*given, **facts)
        assert isinstance(tag, str), tag
        self.store.finish(Accepted(tag, order))
        return tag


@pytest.fixture
def desk(folder: Any) -> Any:
    OrderStore.make(folder)
    wall = Wall()
    store = OrderStore(folder, now_ns=wall, monotonic=wall.monotonic)
    yield Desk(store, wall)
    store.close()


def test_t15_a_size_above_the_largest_is_refused(desk: Desk) -> None:
    limits = Limits(max_size=2)
    desk.accepted(limits, place(2))
    assert desk.refused(limits, place(3)) == "max_size is 2, and this order has 3 contracts"
    assert desk.refused(limits, Modify(account=ACCOUNT, order=1, size=3)).startswith("max_size is 2")
    desk.accepted(limits, Modify(account=ACCOUNT, order=1, limit_price=Decimal(1)))


def test_t15_what_reduces_risk_breaks_no_limit(desk: Desk) -> None:
    limits = Limits(max_size=1, max_net=1, max_open_orders=1, orders_per_minute=1, price_band=1)
    for _ in range(3):
        for mutation in (CANCEL, CLOSE, PART):
            desk.accepted(limits, mutation, None)


def test_t15_orders_of_the_last_minute_count_whatever_came_of_them(desk: Desk) -> None:
    limits = Limits(orders_per_minute=3)
    begun = [desk.ask(limits, place()) for _ in range(2)]
    desk.store.finish(Refused(str(begun[0]), "2", by_venue=True))
    desk.wall.now_ns += 20 * SECOND
    desk.accepted(limits, Modify(account=ACCOUNT, order=1, size=1))
    answer = desk.ask(limits, place())
    assert isinstance(answer, Refused)
    assert answer.message == (
        "[feeds.px.limits] orders_per_minute is 3, and 3 were begun within the last minute. Nothing was sent."
    )
    assert answer.retry_after == pytest.approx(40.0)
    desk.wall.now_ns += 40 * SECOND
    desk.accepted(limits, place())


@pytest.mark.parametrize(
    ("side", "exposure", "size"),
    [
        ("buy", FLAT, 3),
        ("buy", Exposure(position=2, buys=0, sells=0, orders=0), 1),
        ("buy", Exposure(position=1, buys=1, sells=9, orders=0), 1),
        ("buy", Exposure(position=-3, buys=2, sells=0, orders=0), 4),
        ("sell", FLAT, 3),
        ("sell", Exposure(position=-1, buys=9, sells=1, orders=0), 1),
        ("sell", Exposure(position=3, buys=0, sells=2, orders=0), 4),
    ],
)
def test_t15_position_and_working_orders_of_a_side_count(
    desk: Desk, side: str, exposure: Exposure, size: int
) -> None:
    desk.accepted(Limits(max_net=3), place(size, side), exposure)
    desk.wall.now_ns += MINUTE
    assert f"{side}s come to 4" in desk.refused(Limits(max_net=3), place(size + 1, side), exposure)


def test_t15_orders_whose_outcome_is_not_known_count(desk: Desk) -> None:
    limits = Limits(max_net=2, max_open_orders=5)
    desk.ask(limits, place(2))
    assert desk.refused(limits, place()) == (
        "max_net is 2, and buys come to 3: position 0, working 0, on their way 2, this order 1"
    )
    desk.ask(limits, place(2, "sell"))
    bracket = Bracket(stop=4, target=8)
    assert desk.refused(Limits(max_open_orders=4), place(bracket=bracket)) == (
        "max_open_orders is 4, and it would be 5: working 0, on their way 2, this one 3"
    )


def test_t15_an_accepted_order_counts_until_the_venue_lists_it(desk: Desk) -> None:
    limits = Limits(max_net=1)
    desk.accepted(limits, place())
    assert "on their way 1" in desk.refused(limits, place(), FLAT)
    desk.wall.now_ns += SECOND
    assert "on their way 1" in desk.refused(limits, place(), FLAT, asked_ns=desk.wall())
    desk.wall.now_ns += 2 * SECOND
    desk.accepted(limits, place(), FLAT, asked_ns=desk.wall())  # it was cancelled, says the venue


def test_t15_a_refused_order_does_not_count_as_on_its_way(desk: Desk) -> None:
    tag = desk.ask(Limits(max_net=1), place())
    desk.store.finish(Refused(str(tag), "2", by_venue=True))
    desk.accepted(Limits(max_net=1), place())


def test_t15_without_what_the_account_has_nothing_is_added(desk: Desk) -> None:
    for limits, key in ((Limits(max_net=9), "max_net"), (Limits(max_open_orders=9), "max_open_orders")):
        told = desk.refused(limits, place(), None)
        assert told == f"{key} is 9, and the venue could not be asked what the account has"


@pytest.mark.parametrize(
    ("sizes", "new", "fits"),
    [([2], 1, True), ([2], 2, True), ([1], 2, True), ([1], 3, False), ([3, 1], 3, False), ([3, 1], 2, True)],
)
def test_t15_a_modification_counts_for_what_it_adds(
    desk: Desk, sizes: list[int], new: int, fits: bool
) -> None:
    free = Limits()
    desk.accepted(free, place(sizes[0]), order=8)
    for size in sizes[1:]:
        desk.accepted(free, Modify(account=ACCOUNT, order=8, size=size))
    desk.wall.now_ns += MINUTE
    exposure = Exposure(position=1, buys=sizes[-1], sells=5, orders=1, left={8: sizes[-1]})
    limits = Limits(max_net=1 + sizes[-1] + 1)
    modify = Modify(account=ACCOUNT, order=8, size=new)
    if fits:
        desk.accepted(limits, modify, exposure)
    else:
        assert desk.refused(limits, modify, exposure).startswith("max_net is 3, and buys come to 4")


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ({8: 2}, "position 3, working 2, on their way 0, this order 3"),  # 3 of its 5 are filled
        (
            {8: 1},
            "position 3, working 2, on their way 0, this order 4",
        ),  # another program changed it
        ({9: 5}, "position 3, working 2, on their way 0, this order 5"),  # it is not among those that work
    ],
)
def test_t15_a_modification_counts_from_what_is_left_of_the_order(
    desk: Desk, left: dict[int, int], told: str
) -> None:
    """The venue does not document whether a new size counts what is filled."""
    desk.accepted(Limits(), place(5), order=8)
    desk.wall.now_ns += MINUTE
    exposure = Exposure(position=3, buys=2, sells=0, orders=1, left=left)
    refused = desk.refused(Limits(max_net=5), Modify(account=ACCOUNT, order=8, size=5), exposure)
    assert refused.endswith(told)
    desk.accepted(Limits(max_net=5), Modify(account=ACCOUNT, order=8, limit_price=Decimal(1)), exposure)


def test_t15_a_modification_of_an_order_that_is_not_ours_counts_on_both_sides(desk: Desk) -> None:
    modify = Modify(account=ACCOUNT, order=8, size=2)
    exposure = Exposure(position=0, buys=0, sells=2, orders=1)
    assert "sells come to 4" in desk.refused(Limits(max_net=3), modify, exposure)
    desk.accepted(Limits(max_net=4), modify, exposure)


@pytest.mark.parametrize("price", ["limit_price", "stop_price", "trail_price"])
def test_t15_a_price_far_from_a_fresh_mark_is_refused(desk: Desk, price: str) -> None:
    limits, mark = Limits(price_band=4), Decimal("6800.00")
    none: dict[str, Any] = {"limit_price": None}
    for near in ("6801.00", "6799.00"):
        desk.accepted(limits, place(**none | {price: Decimal(near)}), mark=mark)
    for far in ("6801.25", "6798.75"):
        assert desk.refused(limits, place(**none | {price: Decimal(far)}), mark=mark) == (
            f"price_band is 4, and the price {far} is 5.0 ticks from the market at 6800.00"
        )
    assert desk.refused(limits, place(**none | {price: Decimal("6800.00")})) == (
        "price_band is 4, and there is no fresh price of the market to compare with"
    )
    desk.accepted(limits, place(type="market", limit_price=None))


def test_t15_two_processes_cannot_pass_one_limit_together(desk: Desk, folder: Any) -> None:
    limits = Limits(max_net=1, orders_per_minute=1)
    other = Desk(OrderStore(folder, now_ns=desk.wall, monotonic=desk.wall.monotonic), desk.wall)
    desk.ask(limits, place())
    assert other.refused(Limits(max_net=1), place()).startswith("max_net is 1")
    assert other.refused(Limits(orders_per_minute=1), place()).startswith("orders_per_minute is 1")
    other.store.close()


def test_t15_an_unknown_outcome_is_refused_before_any_limit(desk: Desk) -> None:
    tag = desk.ask(Limits(), place())
    desk.store.finish(Unknown(str(tag), "lost"))
    answer = desk.ask(Limits(max_size=1), place(2))
    assert isinstance(answer, Refused)
    assert answer.code == "unknown"


def test_limits_say_what_they_need() -> None:
    assert not Limits(max_size=1, orders_per_minute=1, price_band=1).needs_exposure
    assert Limits(max_net=1).needs_exposure
    assert Limits(max_open_orders=1).needs_exposure


def test_t15_orders_of_another_contract_are_not_on_their_way_in_this_one(desk: Desk) -> None:
    desk.ask(Limits(), place(5, contract="CON.F.US.NQ.Z26"))
    desk.accepted(Limits(max_net=1), place())
    assert "on their way 2" in desk.refused(Limits(max_open_orders=2), place())


@pytest.mark.parametrize("step", [3_600 * SECOND, -3_600 * SECOND])
def test_t15_a_wall_clock_that_is_set_changes_no_rate(folder: Any, step: int) -> None:
    OrderStore.make(folder)
    wall, up = Wall(), Wall()
    limits = Limits(orders_per_minute=2)
    desks = [Desk(OrderStore(folder, now_ns=wall, monotonic=up.monotonic), wall) for _ in range(2)]
    for desk in desks:
        desk.accepted(limits, place())
        up.now_ns += 20 * SECOND
    wall.now_ns += step
    for desk in desks:
        answer = desk.ask(limits, place())
        assert isinstance(answer, Refused)
        assert answer.retry_after == pytest.approx(20.0, abs=0.01)
    up.now_ns += 21 * SECOND
    desks[0].accepted(limits, place())
    for desk in desks:
        desk.store.close()


def test_t15_orders_of_a_former_boot_count_by_the_wall_clock(folder: Any, monkeypatch: Any) -> None:
    OrderStore.make(folder)
    wall, limits = Wall(), Limits(orders_per_minute=1)
    for boot, passes in (("first", True), ("second", False)):
        monkeypatch.setattr("actors.trading.order_store.boot_id", lambda boot=boot: boot)
        store = OrderStore(folder, now_ns=wall, monotonic=lambda: 5.0)
        assert isinstance(Desk(store, wall).ask(limits, place()), str) == passes
        store.close()
