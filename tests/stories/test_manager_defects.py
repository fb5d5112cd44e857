"""What the managers of project-x-py 1.1, the synchronous one, get wrong: told with the runtime.

What a conversation shows by itself is in tests/venues/projectx/rest/test_defects.py, what rules show in
tests/rules/account/test_defects.py and tests/rules/bars/test_defects.py, what the streams show in
tests/stories/test_projectx_defects.py, and bars in tests/stories/test_bar_defects.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import actors
from actors import (
    AccountView,
    Runtime,
    gather,
)
from actors.settings import load
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.login import ROOM
from actors.trading.projectx_requests import ProjectXRequests
from actors.venues import projectx
from tests.support.virtual_time import VirtualTimers
from tests.trading import halts
from tests.trading.halts import ACCOUNT, accepted, config, far_below, settled, until

venue, folder, runtime, px = halts.venue, halts.folder, halts.runtime, halts.px
EP, ENQ = "CON.F.US.EP.Z26", "CON.F.US.ENQ.Z26"


# ── the client ──


def test_orders_and_closes_go_over_connections_that_are_kept(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    """There, each of them made a connection of its own, with a TLS handshake."""
    before = venue.accepted
    for _ in range(10):
        accepted(px.place(ACCOUNT, "ENQ", "buy", 1))
        assert isinstance(px.close(ACCOUNT, "ENQ").get(5.0), actors.Accepted)
    assert venue.accepted - before <= ROOM["flatten"]  # what a login keeps


def test_threads_whose_token_is_refused_log_in_once(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    """There, token and throttle were not guarded against threads."""
    px.positions(ACCOUNT).get(5.0)
    before = venue.logins
    venue.expire_tokens()
    together, read = threading.Barrier(8), list[Any]()

    def ask() -> None:
        together.wait(10.0)
        read.append(px.positions(ACCOUNT).get(20.0).rows)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert read == [()] * 8
    assert venue.logins == before + 1


def test_a_token_is_used_for_as_long_as_it_says(venue: SimulatedProjectX) -> None:
    """There, a token was taken to live 45 minutes, and a login followed."""
    timers = VirtualTimers()
    table = {"venue": "projectx", "url": venue.url, "user_name": "me", "api_key": "a-key-of-the-gateway"}
    settings = load({"runtime": {"watchdog_timeout": 0.0}, "feeds": {"projectx": table}})
    with Runtime(settings, timers=timers) as runtime:
        px = runtime.ask("projectx")
        for _ in range(4):
            assert px.ping().get(5.0) == "pong"
            assert px.positions(ACCOUNT).get(5.0).rows == ()
            timers.advance(3_600.0)
    assert (venue.logins, venue.renewals) == (1, 0)


def test_an_order_names_a_product_and_leaves_with_its_contract(
    folder: Path,
) -> None:
    """There, order calls did not resolve names, though the guide places its orders so."""
    listed = ["CON.F.US.GCE.Z26", "CON.F.US.MGC.Z26"]
    with (
        SimulatedProjectX(rate=0, contracts=listed) as venue,
        actors.start(config(folder, venue)) as runtime,
    ):
        accepted(settled(runtime).place(ACCOUNT, "MGC", "buy", 1))
        assert [each.contract for each in venue.seen.placed] == ["CON.F.US.MGC.Z26"]


# ── the order manager ──


def test_a_partial_fill_is_told_by_the_stream_of_orders(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    """There, an order whose status stayed the same told nothing."""
    orders = runtime.subscribe("projectx", projectx.ORDERS, ACCOUNT, wait=10.0)
    venue.partial_fill(1)
    id = accepted(px.place(ACCOUNT, "ENQ", "buy", 3))
    told = next(each for each in orders if each.id == id and each.fill_volume)
    assert (told.fill_volume, told.size) == (1, 3)
    assert told.status is not None
    assert not told.status.is_final


def test_orders_that_could_not_be_read_are_not_taken_for_cancelled_ones(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    """There, an error was an empty list, and cancel_all_orders had nothing to do."""
    id = accepted(px.place(ACCOUNT, "ENQ", "buy", 1, limit=far_below(px, venue)))
    venue.list_absent(n=100)
    swept = px.cancel_all(ACCOUNT).get(30.0)
    venue.heal()
    assert (swept.is_complete, swept.steps) == (False, ())
    assert swept.why
    assert [each.id for each in px.open_orders(ACCOUNT).get(5.0).rows] == [id]


# ── the position manager, and what the order manager tracked: the account view ──


def view_of(runtime: Runtime, wanted: Callable[[AccountView], object]) -> AccountView:
    """The view, once it is synced and so."""
    found: list[AccountView] = []

    def looked() -> bool:
        found[:] = [runtime.account("projectx", ACCOUNT)]
        return found[0].synced and bool(wanted(found[0]))

    until(looked, 30.0)
    return found[0]


def test_profit_is_money_and_a_number(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    """There, 98.25 points of two EP were 196.50, and of all positions a dict, which is not below -1000."""
    trades = runtime.subscribe("projectx", projectx.TRADES, EP, wait=10.0)
    runtime.account("projectx", ACCOUNT, wait=20.0)
    accepted(px.place(ACCOUNT, EP, "buy", 2))
    (position,) = view_of(runtime, lambda view: view.positions).positions
    entry = position.average_price
    assert entry is not None
    venue.trade(EP, entry + Decimal("98.25"))
    assert trades.get(timeout=10)
    view = view_of(runtime, lambda view: view.unrealised == 9_825)
    assert [(each.net, each.unrealised) for each in view.positions] == [(2, Decimal("9825.00"))]
    venue.trade(EP, entry - 20)
    assert view_of(runtime, lambda view: (view.unrealised or 0) < -1000).unrealised == -2_000


def test_an_account_whose_hub_is_away_is_not_flat_and_raises_nothing(
    folder: Path, venue: SimulatedProjectX
) -> None:
    """There, monitoring without a hub raised RuntimeError, and lists that failed were empty: flat."""
    venue.refuse(n=0, only_hub="user")
    with actors.start(config(folder, venue)) as runtime:
        view = runtime.account("projectx", ACCOUNT)
        assert (view.synced, view.flat.answer) == (False, "unknown")
        assert view.reasons


# ── the suite ──


def test_a_suite_is_connected_when_it_is_there_and_costs_no_second_for_each_subscription(
    folder: Path, venue: SimulatedProjectX
) -> None:
    """There, it took four seconds and was neither connected nor loaded; each subscription cost one more."""
    account = [{"channel": name, "keys": [ACCOUNT]} for name in ("orders", "positions", "account_trades")]
    market = [{"channel": name, "keys": [ENQ]} for name in ("quotes", "trades", "depth")]
    began = time.monotonic()
    with actors.start(config(folder, venue, subscribe=account + market), wait=20.0) as runtime:
        took = time.monotonic() - began
        states = {
            each.topic: each.state.state for line in runtime.status().lines().values() for each in line.topics
        }
        assert set(states.values()) == {"confirmed"}
        assert len(states) == 6
        px = runtime.ask("projectx")
        gather([px.positions(ACCOUNT), px.open_orders(ACCOUNT), px.contract("ENQ")], timeout=20.0)
    assert took < 6.0
