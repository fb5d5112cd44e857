"""The market behind the simulators stays a market, however long it runs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from actors.simulators.base.random_market import Market, Move, Order, Side, gathered
from tests.support.examples import examples


def a_market(seed: int = 0, price: int = 1_000_000) -> Market:
    return Market("0xaa", price=price, tick=1_000, lot=100, seed=seed, moving=True)


def check(market: Market) -> None:
    assert market.bids
    assert market.asks
    assert min(market.bids) > 0
    assert max(market.bids) < min(market.asks)
    assert all(quantity > 0 for side in (market.bids, market.asks) for quantity in side.values())


@given(seed=some.integers(0, 1 << 32))
@settings(max_examples=examples(20), deadline=None)
def test_it_never_crosses_and_never_empties(seed: int) -> None:
    market = a_market(seed, price=60_000)  # 60 ticks above nothing
    for _ in range(500):
        market.step()
        check(market)


def test_the_price_walks_and_the_book_stays_small() -> None:
    market = a_market()
    prices = set()
    for _ in range(20_000):
        step = market.step()
        if step.trade:
            prices.add(step.trade.price)
    check(market)
    assert len(prices) > 10
    assert len(market.bids) < 100
    assert len(market.asks) < 100


def test_the_same_seed_is_the_same_market() -> None:
    one, two, other = a_market(1), a_market(1), a_market(2)
    told = [[each.step() for _ in range(200)] for each in (one, two, other)]
    assert told[0] == told[1] != told[2]


@given(seed=some.integers(0, 1 << 32), plan=some.lists(some.sampled_from(["buy", "sell", "cancel", "step"])))
@settings(max_examples=examples(50), deadline=None)
def test_orders_of_accounts_are_part_of_the_book(seed: int, plan: list[str]) -> None:
    market = a_market(seed)
    placed: list[Order] = []
    for number, what in enumerate(plan * 5):
        sides: dict[str, Side] = {"buy": "buy", "sell": "sell"}
        if what in sides:
            side = sides[what]
            order = Order(
                id=str(number),
                account="0xc0",
                market=market.id,
                side=side,
                price=market.quote_for(side),
                quantity=150,
            )
            market.place(order)
            placed.append(order)
        elif what == "cancel" and market.orders:
            market.cancel(next(iter(market.orders.values())))
        else:
            market.step()
        check(market)
        for order in market.orders.values():
            levels = market.bids if order.side == "buy" else market.asks
            assert levels[order.price] >= order.remaining > 0
    assert all(order.closed or order.id in market.orders for order in placed)


@given(
    first=some.lists(some.tuples(some.integers(1, 10_000), some.integers(1, 50))),
    second=some.lists(some.tuples(some.integers(1, 10_000), some.integers(-50, 50))),
    precision=some.sampled_from([1, 10, 100, 1000]),
    side=some.sampled_from(["buy", "sell"]),
)
def test_a_sum_of_changes_is_the_change_of_the_sums(
    first: list[Move], second: list[Move], precision: int, side: Side
) -> None:
    together = gathered([*first, *second], precision, side)
    apart = gathered(
        [*gathered(first, precision, side).items(), *gathered(second, precision, side).items()],
        precision,
        side,
    )
    assert together == apart


@pytest.mark.parametrize(("side", "price"), [("buy", 1_990), ("sell", 2_000)])
def test_buys_round_down_and_sells_up(side: Side, price: int) -> None:
    assert gathered([(1_994, 5)], 10, side) == {price: 5}
