"""What a type checker sees of requests, orders and `gather`. As with `streams.py`, nothing here is run."""
# pyright: strict

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_type

import actors
from actors import Accepted, Asked, Bar, Bracket, OrderHandle, Refused, Runtime, Sweep, SweepHandle, Unknown
from actors.protocol.trading import Contract
from actors.trading.projectx_requests import ProjectXRequests
from actors.venues import projectx
from actors.venues.projectx.rest import Listing


def a_feed_is_asked_by_name(runtime: Runtime) -> None:
    assert_type(runtime.ask("projectx"), ProjectXRequests)


def reads_are_futures_of_their_answers(px: ProjectXRequests, now: datetime) -> None:
    assert_type(px.contract("ENQ"), Asked[Contract])
    assert_type(px.contract("ENQ").get(timeout=5).tick_size, Decimal)
    assert_type(px.accounts().get(), tuple[projectx.Account, ...])
    assert_type(px.positions(4242).get(), Listing[projectx.Position])
    assert_type(px.bars(px.contract("ENQ").get(), "5min", days=1).get(), tuple[Bar, ...])
    for order in px.orders(4242, now - timedelta(days=1)).get():
        assert_type(order, projectx.Order)
    px.bars("ENQ", days="1")  # type: ignore[arg-type]
    px.orders(4242, "yesterday")  # type: ignore[arg-type]
    px.trades(4242, since=None)  # type: ignore[arg-type]
    px.positions(4242.0)  # type: ignore[arg-type]
    px.order(4242, "17")  # type: ignore[arg-type]
    assert px.open_orders(4242).get().rows[0].limit_prise  # type: ignore[attr-defined]
    px.ping().get("5")  # type: ignore[arg-type]


def orders_have_handles(px: ProjectXRequests, contract: Contract) -> None:
    handle = px.place(4242, contract, "buy", 1, limit="24000.25", bracket=Bracket(stop=40, target=80))
    assert_type(handle, OrderHandle)
    assert_type(handle.tag, str)
    assert_type(px.modify(4242, 17, stop=Decimal("24000.25")), OrderHandle)
    assert_type(px.cancel(4242, 17), OrderHandle)
    assert_type(px.settle(handle.tag), OrderHandle)
    px.settle(handle)  # type: ignore[arg-type]
    px.modify(4242, "17", size=1)  # type: ignore[arg-type]
    px.cancel(17)  # type: ignore[call-arg]


def an_order_has_a_side_a_whole_size_and_a_known_price(px: ProjectXRequests, found: Decimal | None) -> None:
    px.place(4242, "ENQ", "BUY", 1)  # type: ignore[arg-type]
    px.place(4242, "ENQ", 0, 1)  # type: ignore[arg-type]
    px.place(4242, "ENQ", "buy", "1")  # type: ignore[arg-type]
    px.place(4242, "ENQ", "buy", 1.0)  # type: ignore[arg-type]
    px.place(4242, "ENQ", "buy")  # type: ignore[call-arg]
    px.place(4242, "ENQ", "buy", 1, "24000")  # type: ignore[call-arg]
    px.place(4242, "ENQ", "buy", 1, limit=None)  # type: ignore[arg-type]
    px.place(4242, "ENQ", "sell", 1, stop=found)  # type: ignore[arg-type]
    px.modify(4242, 17, stop=found)  # type: ignore[arg-type]
    px.place(4242, "ENQ", "buy", 1, join="mid")  # type: ignore[arg-type]
    px.place(4242, "ENQ", "buy", 1, align="yes")  # type: ignore[arg-type]
    px.place(4242, "ENQ", "buy", 1, bracket=(40, 80))  # type: ignore[arg-type]
    px.place(4242, None, "buy", 1)  # type: ignore[arg-type]
    px.place(None, "ENQ", "buy", 1)  # type: ignore[arg-type]
    if found is not None:
        px.place(4242, "ENQ", "sell", 1, stop=found)


def an_outcome_is_one_of_three(handle: OrderHandle) -> int | None:
    assert handle.get().order_id  # type: ignore[union-attr]
    match handle.get(timeout=5):
        case Accepted(order_id=order):
            return order
        case Refused(code=code, retry_after=seconds):
            assert_type((code, seconds), tuple[str, float | None])
            return None
        case Unknown(tag=tag):
            assert_type(tag, str)
            return None


def a_close_with_a_sweep_has_the_handle_of_a_sweep(px: ProjectXRequests, sweep: bool) -> None:
    assert_type(px.close(4242, "ENQ"), OrderHandle)
    assert_type(px.close(4242, "ENQ", 1), OrderHandle)
    assert_type(px.close(4242, "ENQ", sweep=True), SweepHandle)
    assert_type(px.close(4242, "ENQ", sweep=True).get(timeout=30), Sweep)
    assert_type(px.cancel_all(4242).get(), Sweep)
    px.close(4242, "ENQ", 1, sweep=True)  # type: ignore[call-overload]
    px.close(4242)  # type: ignore[call-overload]


def answers_are_gathered_by_key_or_in_order(px: ProjectXRequests) -> None:
    bars = actors.gather({name: px.bars(name, days=1) for name in ("ENQ", "EP")}, timeout=30)
    assert_type(bars, dict[str, tuple[Bar, ...]])
    assert_type(actors.gather([px.positions(1), px.positions(2)]), list[Listing[projectx.Position]])
    some = actors.gather([px.ping()], return_exceptions=True)
    assert_type(some, list[str | actors.LinewardenError])
    actors.gather([px.ping(), px.cancel(4242, 17)])
    actors.gather(px.ping())  # type: ignore[call-overload]
    actors.gather([1])  # type: ignore[arg-type]
    actors.gather([px.ping()], 5)  # type: ignore[call-overload]
