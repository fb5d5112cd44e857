"""ProjectX' venue with a running runtime, on a ProjectX that is simulated on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

import actors
from actors.errors import SubscribeError
from actors.rules.order_book import BookView
from actors.simulators.projectx import SimulatedProjectX
from actors.venues import projectx
from tests.support.runtimes import HEARTBEAT, RESTART, until

C = "CON.F.US.EP.Z26"
SHAPES = [("object", "object"), ("action", "list"), ("list", "nulls"), ("several", "data_list")]


@contextmanager
def runtime_on(px: SimulatedProjectX, *, live: bool = True, **feed: Any) -> Iterator[actors.Runtime]:
    login = {} if "token" in feed else {"user_name": "trader", "api_key": "the-key"}
    table = {"venue": "projectx", "url": px.url, **login, **feed}
    table |= {"restart": RESTART | {"slow_initial": 0.05}, "heartbeat": HEARTBEAT, "connect_timeout": 5.0}
    with actors.start({"feeds": {"projectx": table}}, wait=10.0 if live else None) as runtime:
        yield runtime


@pytest.mark.parametrize(("user_shape", "market_shape"), SHAPES)
def test_one_feed_tells_of_account_and_market_whatever_the_shape(user_shape: Any, market_shape: Any) -> None:
    with (
        SimulatedProjectX(
            rate=0, user_shape=user_shape, quote_shape=market_shape, tape_shape=market_shape
        ) as px,
        runtime_on(px) as runtime,
    ):
        quotes = runtime.subscribe("projectx", projectx.QUOTES, C, wait=10.0)
        trades = runtime.subscribe("projectx", projectx.TRADES, C, wait=10.0)
        orders = runtime.subscribe("projectx", projectx.ORDERS, "4242", wait=10.0)
        fills = runtime.subscribe("projectx", projectx.ACCOUNT_TRADES, "4242", wait=10.0)
        whole = quotes.get(10.0)
        px.quote(C, bestBid=6800.5)
        changed = quotes.get(10.0)
        assert (changed.changed, changed.best_ask) == (("best_bid",), whole.best_ask)
        px.trade(C, volume=3)
        assert trades.get(10.0).volume == 3
        order = px.order(4242, C)
        assert orders.get(10.0).id == order["id"]
        px.fill(order["id"])
        assert orders.get(10.0).status is projectx.OrderStatus.FILLED
        assert fills.get(10.0).order_id == order["id"]
        assert px.logins == 1  # both hubs show one token


@pytest.mark.parametrize("how", [{"skip_negotiation": False}, {"token_in": "header"}])
def test_a_book_is_followed_by_every_way_in(how: dict[str, Any]) -> None:
    with SimulatedProjectX(rate=0, tape_shape="list") as px, runtime_on(px, **how) as runtime:
        first = runtime.book("projectx", C, wait=10.0)
        assert first.best_bid is not None
        assert first.best_bid[0] == max(px.book(C)[0])
        px.depth(C, bids=[(6800, 7)], asks=[(6802, 0)])
        until(runtime, lambda _: is_as(px, runtime.book("projectx", C)))
        px.depth(C, asks=[(6802, 9)], reset=True)
        until(runtime, lambda _: is_as(px, runtime.book("projectx", C)))
        view = runtime.book("projectx", C)
        assert (view.best_bid, view.best_ask) == (None, (6802, 9))


def test_a_book_is_whole_again_after_each_of_many_drops() -> None:
    with SimulatedProjectX(rate=0) as px, runtime_on(px) as runtime:
        runtime.book("projectx", C, wait=10.0)
        for epoch in range(2, 12):
            px.drop()
            until(runtime, lambda told, at=epoch: told.lines()["projectx/market"].epoch >= at)  # type: ignore[misc]
            px.depth(C, bids=[(6800, epoch)])
            until(runtime, lambda _: is_as(px, runtime.book("projectx", C)))


def is_as(px: SimulatedProjectX, view: BookView) -> bool:
    return view.synced and (dict(view.bids), dict(view.asks)) == px.book(C)


def test_a_contract_that_the_hub_refuses_is_told_in_its_words() -> None:
    with SimulatedProjectX(rate=0) as px, runtime_on(px) as runtime:
        with pytest.raises(SubscribeError, match=r"CON\.F\.US\.NO\.Z26 not found"):
            runtime.subscribe("projectx", "quotes", "CON.F.US.NO.Z26", wait=10.0)
        _stream = runtime.subscribe("projectx", "quotes", C, wait=10.0)


def test_a_logout_of_one_hub_leaves_the_other_and_everything_comes_back() -> None:
    with SimulatedProjectX(rate=0) as px, runtime_on(px) as runtime:
        quotes = runtime.subscribe("projectx", projectx.QUOTES, C, wait=10.0)
        quotes.get(10.0)
        px.gateway_logout(only_hub="market")
        status = until(runtime, lambda told: told.lines()["projectx/market"].epoch >= 2)
        assert status.lines()["projectx/user"].epoch == 1
        assert quotes.get(10.0).best_bid is not None
        assert [gap.reason for gap in quotes.gaps] == ["disconnect"]


def test_tokens_that_have_ended_are_turned_away_and_made_anew() -> None:
    with SimulatedProjectX(rate=0) as px, runtime_on(px) as runtime:
        px.expire_tokens(close=True)
        until(
            runtime,
            lambda told: all(each.epoch >= 2 and each.state == "live" for each in told.lines().values()),
        )
        assert px.logins == 2


def test_a_wrong_key_fails_both_lines_with_advice_and_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with (
        SimulatedProjectX(rate=0, keys={"trader": "another-key"}) as px,
        runtime_on(px, live=False) as runtime,
    ):
        status = until(runtime, lambda told: all(each.state == "failed" for each in told.lines().values()))
        for line in status.lines().values():
            assert line.reason is not None
            assert line.reason.code == "projectx_3"
            assert "api_key" in line.reason.advice
        assert "the-key" not in caplog.text + msgspec.json.encode(status).decode()


def test_a_refused_token_is_in_no_text(caplog: pytest.LogCaptureFixture) -> None:
    with SimulatedProjectX(rate=0) as px:
        token = px.token(life=-1).replace(".", ".eyJ", 1)  # nobody can read when it ends
        with runtime_on(px, live=False, token=token) as runtime:
            status = until(
                runtime, lambda told: all(each.state == "failed" for each in told.lines().values())
            )
            assert {each.reason.code for each in status.lines().values() if each.reason} == {"http_401"}
    assert token not in caplog.text + msgspec.json.encode(status).decode()
