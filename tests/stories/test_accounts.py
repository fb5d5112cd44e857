"""`runtime.account` on a simulated ProjectX: right after losses, after dropped events, and in doubt."""

from __future__ import annotations

import gc
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import (
    AccountBalance,
    AccountOrder,
    AccountPosition,
    AccountView,
    Bracket,
    Fill,
    ForkError,
    LinewardenError,
    Runtime,
    RuntimeStopped,
    StreamClosed,
    SubscribeError,
    Timeout,
)
from actors.events import SubscriptionState
from actors.rules.account.flat import NO_LEGS
from actors.settings import load
from actors.simulators import SimulatedO2
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.followed_account import FollowedAccount
from tests.conftest import Baseline
from tests.support.runtimes import config as o2_config
from tests.test_stream import in_a_child, needs_fork
from tests.trading import halts
from tests.trading.followed import EP, FEED, OTHER, USER, Told, config, followed, place, price
from tests.trading.halts import ACCOUNT, accepted, resting, settled, until

venue, folder = halts.venue, halts.folder

LONG = {"side": 0}
SHORT = {"side": 1}


@pytest.fixture
def runtime(folder: Path, venue: SimulatedProjectX) -> Iterator[Runtime]:
    with actors.start(config(folder, venue), wait=10.0) as runtime:
        yield runtime


def nets(view: AccountView) -> dict[str, int | None]:
    return {each.contract: each.net for each in view.positions}


def reads(venue: SimulatedProjectX) -> int:
    """How many looks there were, of all accounts."""
    return venue.seen.requests["Position/searchOpen"]


@contextmanager
def held(account: FollowedAccount) -> Iterator[None]:
    """Its thread gets no time."""
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(30.0)

    account.put(hold)
    assert begun.wait(10.0)
    try:
        yield
    finally:
        go_on.set()


# ── a view that is right ────────────────────────────────────────────────────────────────────────


def test_it_begins_with_what_the_account_has_already(runtime: Runtime, venue: SimulatedProjectX) -> None:
    filled = place(venue, size=2)
    working = venue.place(ACCOUNT, EP, type=1, side=0, size=1, limit_price=price(venue) - 50)["id"]
    view = runtime.account(FEED, ACCOUNT, wait=10.0)
    assert (view.feed, view.account, view.state, view.reasons) == (FEED, ACCOUNT, "synced", ())
    assert nets(view) == {EP: 2}
    assert [each.order.id for each in view.orders] == [working]
    assert [(each.order, each.size) for each in view.fills] == [(filled, 2)]
    assert view.balance is not None
    assert (view.balance.account, view.balance.balance) == (ACCOUNT, Decimal("49997.20"))
    assert view.realised == Decimal("-2.80")
    assert view.age_s is not None
    assert runtime.account(FEED, ACCOUNT).positions == view.positions


def test_without_a_wait_the_first_answer_comes_at_once_and_says_why_it_is_empty(
    folder: Path, venue: SimulatedProjectX
) -> None:
    venue.refuse(n=1_000)
    with actors.start(config(folder, venue)) as runtime:
        view = runtime.account(FEED, ACCOUNT)
        assert (view.state, view.positions, view.balance, view.age_s) == ("down", (), None, None)
        assert view.reasons
        assert not view.flat
        assert view.net(EP) is None
        with pytest.raises(
            Timeout, match=r"the account projectx/4242 is not synced within 0\.05 s: projectx/user"
        ):
            runtime.account(FEED, ACCOUNT, wait=0.05)


def test_the_view_is_the_same_object_until_something_happens(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    view = runtime.account(FEED, ACCOUNT, wait=10.0)
    again = runtime.account(FEED, ACCOUNT)
    assert again is view or again.at_ns - view.at_ns >= 10**9
    place(venue)
    until(lambda: nets(runtime.account(FEED, ACCOUNT)) == {EP: 1})
    assert nets(view) == {}


def test_an_entry_has_its_legs_under_it_and_a_position_its_profit_at_a_mark(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    px = settled(runtime)
    quotes = runtime.subscribe(FEED, "trades", EP, wait=10.0)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    bracket = Bracket(stop=400, target=400)
    entry = accepted(px.place(ACCOUNT, EP, "buy", 1, limit=price(venue) - 50, bracket=bracket))
    until(lambda: [len(each.legs) for each in runtime.account(FEED, ACCOUNT).orders] == [2])
    (order,) = runtime.account(FEED, ACCOUNT).orders
    assert order.order.id == entry
    assert {leg.state for leg in order.legs} == {"suspended"}
    assert {leg.type for leg in order.legs} == {"stop", "limit"}

    bought = price(venue) - 50
    venue.trade(EP, bought)
    until(lambda: nets(runtime.account(FEED, ACCOUNT)) == {EP: 1})
    venue.trade(EP, bought + 10)
    while quotes.get(timeout=10.0).price != bought + 10:
        pass
    until(lambda: runtime.account(FEED, ACCOUNT).unrealised == 10 * 50)
    (position,) = runtime.account(FEED, ACCOUNT).positions
    assert (position.average_price, position.mark) == (bought, bought + 10)
    assert position.mark_age_s is not None


def test_without_a_price_of_a_stream_a_position_has_no_profit_and_the_venue_is_not_asked(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    place(venue)
    (position,) = runtime.account(FEED, ACCOUNT, wait=10.0).positions
    assert (position.unrealised, position.mark) == (None, None)
    assert position.why
    assert venue.seen.requests["History/retrieveBars"] == 0


def test_accounts_of_a_feed_are_kept_apart(runtime: Runtime, venue: SimulatedProjectX) -> None:
    told, of_other = Told(), Told()
    runtime.on_account(FEED, ACCOUNT, handler=told)
    runtime.on_account(FEED, OTHER, handler=of_other)
    for account in (ACCOUNT, OTHER):
        runtime.account(FEED, account, wait=10.0)
    place(venue, size=2, account=OTHER)
    until(lambda: nets(runtime.account(FEED, OTHER)) == {EP: 2})
    of_other.wait(lambda events: any(isinstance(event.row, AccountBalance) for event in events))
    venue.account(ACCOUNT, balance=Decimal(7))
    told.wait(
        lambda events: any(
            event.row.balance == 7 for event in events if isinstance(event.row, AccountBalance)
        )
    )
    assert nets(runtime.account(FEED, ACCOUNT)) == {}
    assert told.of(AccountOrder) == told.of(Fill) == told.of(AccountPosition) == []
    of_balance = [event.row for event in of_other.of(AccountBalance)]
    assert {row.account for row in of_balance if isinstance(row, AccountBalance)} == {OTHER}
    assert runtime.status().accounts.keys() == {f"{FEED}/{ACCOUNT}", f"{FEED}/{OTHER}"}


def test_its_stream_is_one_for_all_channels(runtime: Runtime, venue: SimulatedProjectX) -> None:
    runtime.account(FEED, ACCOUNT, wait=10.0)
    (shown,) = runtime.status().streams
    assert (shown.feed, shown.channel, shown.topics, shown.policy) == (FEED, "account", 4, "drop_oldest")
    for channel in ("orders", "positions", "user_trades"):
        assert venue.subscribers(channel, ACCOUNT) == 1


# ── what happens is told ────────────────────────────────────────────────────────────────────────


def test_each_change_is_told_once_in_order_with_its_source(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    told = Told()
    stream = runtime.on_account(FEED, ACCOUNT, handler=told)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    order = place(venue, size=2)
    events = told.wait(lambda _: told.of(AccountPosition) and len(told.of(AccountBalance)) == 2)
    assert [event.source for event in events if event.source != "stream"] == ["rest"]  # the balance, at first
    states = [event.row.state for event in told.of(AccountOrder) if isinstance(event.row, AccountOrder)]
    assert states == ["working", "filled"]
    (fill,) = told.of(Fill)
    assert isinstance(fill.row, Fill)
    assert (fill.row.order, fill.row.size, fill.before) == (order, 2, None)
    assert stream.handler_errors == 0


def test_a_handler_may_call_anything_of_the_runtime(runtime: Runtime, venue: SimulatedProjectX) -> None:
    px = settled(runtime)
    seen: list[Any] = []
    done = threading.Event()

    def handler(event: actors.AccountEvent) -> None:
        if isinstance(event.row, AccountPosition) and not done.is_set():
            seen.append(runtime.account(FEED, ACCOUNT, wait=10.0).net(EP))
            seen.append(len(px.positions(ACCOUNT).get(10.0)))
            seen.append(px.close(ACCOUNT, EP).get(10.0))
            done.set()

    runtime.on_account(FEED, ACCOUNT, handler=handler)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    place(venue)
    assert done.wait(10.0)
    assert seen[:2] == [1, 1]
    assert isinstance(seen[2], actors.Accepted)
    until(lambda: nets(runtime.account(FEED, ACCOUNT)) == {})


def test_a_handler_that_raises_is_logged_counted_and_called_again(
    runtime: Runtime, venue: SimulatedProjectX, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()

    def handler(event: actors.AccountEvent) -> None:
        told(event)
        raise SystemExit("on purpose")

    stream = runtime.on_account(FEED, ACCOUNT, handler=handler)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    place(venue)
    told.wait(lambda events: len(events) >= 5)
    until(lambda: stream.handler_errors >= 5)
    assert "The handler of projectx/account/4242 failed" in caplog.text
    with pytest.raises(LinewardenError, match="coroutine function"):
        runtime.on_account(FEED, ACCOUNT, handler=_coroutine)


async def _coroutine(_: object) -> None:
    """What nothing runs."""


def test_a_handler_that_is_closed_is_called_no_more_and_others_go_on(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    first, second = Told(), Told()
    stream = runtime.on_account(FEED, ACCOUNT, handler=first)
    runtime.on_account(FEED, ACCOUNT, handler=second)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    with pytest.raises(LinewardenError, match="no keys"):
        stream.add("x")
    with pytest.raises(LinewardenError, match="no data that could be fresh"):
        stream.fresh()
    stream.close()
    place(venue)
    second.wait(lambda _: second.of(AccountPosition))
    assert first.of(AccountPosition) == []


def test_a_fill_that_is_voided_later_is_told_and_taken_out(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    told = Told()
    runtime.on_account(FEED, ACCOUNT, handler=told)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    place(venue, size=2)
    until(lambda: nets(runtime.account(FEED, ACCOUNT)) == {EP: 2})
    (fill,) = runtime.account(FEED, ACCOUNT).fills
    venue.void(fill.id)
    until(lambda: nets(runtime.account(FEED, ACCOUNT)) == {})
    view = runtime.account(FEED, ACCOUNT)
    assert not view.fills
    assert view.realised == 0
    last = told.wait(lambda _: len(told.of(Fill)) == 2) and told.of(Fill)[-1]
    assert isinstance(last, actors.AccountEvent)
    assert isinstance(last.row, Fill)
    assert (last.row.id, last.row.voided, last.source) == (fill.id, True, "stream")


# ── losses ──────────────────────────────────────────────────────────────────────────────────────


def lose(runtime: Runtime, venue: SimulatedProjectX) -> None:
    """The user hub is down; the pages of the venue are not."""
    runtime.supervisor.pause(USER).get(timeout=5.0)
    until(lambda: runtime.account(FEED, ACCOUNT).state == "down")


def test_a_fill_during_a_loss_is_told_once_as_learned_by_rest(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    told = Told()
    runtime.on_account(FEED, ACCOUNT, handler=told)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    lose(runtime, venue)
    view = runtime.account(FEED, ACCOUNT)
    assert view.reasons == ("projectx/user is paused: paused",)
    assert view.flat.answer == "unknown"
    order = place(venue, size=3)
    runtime.supervisor.resume(USER).get(timeout=5.0)
    view = runtime.account(FEED, ACCOUNT, wait=10.0)
    assert nets(view) == {EP: 3}
    assert [each.order for each in view.fills] == [order]
    events = told.wait(lambda _: told.of(Fill) and told.of(AccountPosition))
    assert {event.source for event in events} == {"rest"}
    assert [event.row.order for event in told.of(Fill) if isinstance(event.row, Fill)] == [order]
    assert runtime.status().accounts[f"{FEED}/{ACCOUNT}"].silent_losses == 0


def test_a_position_that_was_closed_during_a_loss_is_gone_and_not_kept(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    place(venue, size=2)
    assert nets(runtime.account(FEED, ACCOUNT, wait=10.0)) == {EP: 2}
    lose(runtime, venue)
    place(venue, side=1, size=2)
    runtime.supervisor.resume(USER).get(timeout=5.0)
    assert nets(runtime.account(FEED, ACCOUNT, wait=10.0)) == {}


def test_after_a_reset_of_the_line_it_is_right_again(runtime: Runtime, venue: SimulatedProjectX) -> None:
    runtime.account(FEED, ACCOUNT, wait=10.0)
    looks = reads(venue)
    venue.drop()
    place(venue)
    until(lambda: runtime.status().lines()[USER].epoch >= 2)
    until(lambda: nets(runtime.account(FEED, ACCOUNT, wait=10.0)) == {EP: 1})
    assert reads(venue) > looks


def test_an_answer_about_a_connection_that_was_lost_confirms_nothing(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    proved(runtime)
    account = followed(runtime)
    confirmed = {topic: SubscriptionState("confirmed") for topic in account.topics}
    lose(runtime, venue)
    before = account._asked

    def answer(asked: int) -> str:
        done = threading.Event()
        account.put(lambda: account._take_answers(confirmed, asked))
        account.put(done.set)
        assert done.wait(10.0)
        return runtime.account(FEED, ACCOUNT).state

    assert answer(before) == "down"  # the line is
    account.put(account._down.clear)  # as if it was up again, and its topics were not answered yet
    assert answer(before - 1) == "down"
    assert answer(before) != "down"


def test_a_rotation_costs_no_view(runtime: Runtime, venue: SimulatedProjectX) -> None:
    told = Told()
    runtime.on_account(FEED, ACCOUNT, handler=told)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    doubts, looks = followed(runtime).doubts, reads(venue)
    runtime.rotate(USER)
    place(venue)
    told.wait(lambda _: told.of(AccountPosition))
    assert len(told.of(Fill)) == 1
    assert (followed(runtime).doubts, reads(venue)) == (doubts, looks)
    assert runtime.account(FEED, ACCOUNT).synced


@pytest.mark.parametrize("absence", ["null", "missing"])
@pytest.mark.parametrize("page", ["Position/searchOpen", "Order/v2/query", "Trade/search"])
def test_a_list_that_is_absent_is_never_flat(
    runtime: Runtime, venue: SimulatedProjectX, page: str, absence: Any
) -> None:
    venue.list_absent(absence, n=1_000, page=page)
    runtime.account(FEED, ACCOUNT)
    until(lambda: venue.seen.requests[page] >= 2)
    view = runtime.account(FEED, ACCOUNT)
    assert view.state == "syncing"
    assert view.flat.answer == "unknown"
    assert view.net(EP) is None
    assert runtime.flat(FEED, ACCOUNT).answer == "unknown"


def test_an_account_that_the_venue_does_not_have_is_rejected(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    with pytest.raises(SubscribeError, match="9999"):
        runtime.account(FEED, 9999, wait=10.0)
    until(lambda: any("the venue rejects" in reason for reason in runtime.account(FEED, 9999).reasons))
    assert runtime.flat(FEED, 9999).answer == "unknown"


# ── flat ────────────────────────────────────────────────────────────────────────────────────────


def test_flat_takes_two_looks_two_seconds_apart(runtime: Runtime, venue: SimulatedProjectX) -> None:
    runtime.account(FEED, ACCOUNT, wait=10.0)
    found = runtime.flat(FEED, ACCOUNT)
    assert found.answer == "unknown"
    assert any("a second one" in reason for reason in found.reasons)
    found = runtime.flat(FEED, ACCOUNT, wait=20.0)
    assert found
    assert found.answer == "yes"
    assert reads(venue) >= 2
    place(venue)
    until(lambda: runtime.flat(FEED, ACCOUNT).answer == "no")


def test_flat_is_unknown_while_an_event_that_has_come_is_not_taken_over(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    runtime.account(FEED, ACCOUNT, wait=10.0)
    assert runtime.flat(FEED, ACCOUNT, wait=20.0)
    view, account = runtime.account(FEED, ACCOUNT), followed(runtime)
    with held(account):
        place(venue)
        until(lambda: account.stream._inlet.unread > 0)
        for found in (runtime.flat(FEED, ACCOUNT), runtime.account(FEED, ACCOUNT).flat):
            assert found.answer == "unknown"
            assert "events of its channels have come, and are not taken over yet" in found.reasons
        assert runtime.account(FEED, ACCOUNT).unproved
        with pytest.raises(actors.Blind, match="not taken over yet"):
            runtime.require(view)
    until(lambda: runtime.flat(FEED, ACCOUNT).answer == "no")


def test_flat_is_unknown_from_the_moment_at_which_an_order_leaves_until_its_event_comes(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    px = settled(runtime)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    assert runtime.flat(FEED, ACCOUNT, wait=20.0)
    venue.event_dropped("orders", 1)
    with held(followed(runtime)):
        accepted(px.place(ACCOUNT, EP, "buy", 1, limit=price(venue) - 50))
        assert "a mutation is leaving" in runtime.flat(FEED, ACCOUNT).reasons
    until(lambda: any("has not told yet" in why for why in runtime.flat(FEED, ACCOUNT).reasons))


@pytest.mark.parametrize("to_the_end", [False, pytest.param(True, marks=pytest.mark.long)])
def test_flat_is_unknown_when_another_process_has_placed_an_order_of_which_the_stream_tells_nothing(
    runtime: Runtime, folder: Path, venue: SimulatedProjectX, to_the_end: bool
) -> None:
    """Its outcome is known, and the last look was before it."""
    runtime.account(FEED, ACCOUNT, wait=10.0)
    assert runtime.flat(FEED, ACCOUNT, wait=20.0)
    with actors.start(config(folder, venue), wait=10.0) as second:
        px = settled(second)
        venue.event_dropped("orders", 4)
        handle = px.place(ACCOUNT, EP, "buy", 1, limit=price(venue) - 50)
        order = accepted(handle)
        assert runtime.flat(FEED, ACCOUNT).reasons == (
            f"the venue has not told yet what became of {handle.tag}",
        )
        assert not runtime.account(FEED, ACCOUNT).flat
        if not to_the_end:
            return
        until(lambda: not runtime.account(FEED, ACCOUNT).synced, 15.0)  # a look is due after 5 s
        assert runtime.flat(FEED, ACCOUNT).answer == "unknown"
        until(lambda: runtime.flat(FEED, ACCOUNT).answer == "no", 40.0)
    assert [each.order.id for each in runtime.account(FEED, ACCOUNT).orders] == [order]


def test_an_order_that_a_person_says_is_absent_is_waited_for_no_longer(
    runtime: Runtime, folder: Path, venue: SimulatedProjectX
) -> None:
    px = settled(runtime)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    assert runtime.flat(FEED, ACCOUNT, wait=20.0)
    venue.answer_lost(page="Order/place")
    venue.event_dropped("orders", 100)
    handle = px.place(ACCOUNT, EP, "buy", 1, limit=price(venue) - 50)
    assert isinstance(handle.get(10.0), actors.Unknown)
    assert any(handle.tag in why for why in runtime.flat(FEED, ACCOUNT).reasons)
    with closing(sqlite3.connect(folder / "orders.db")) as db:  # as `linewarden orders resolve` does
        db.execute("UPDATE intents SET state = 'resolved' WHERE tag = ?", (handle.tag,))
        db.commit()
    assert not any(handle.tag in why for why in runtime.flat(FEED, ACCOUNT).reasons)


def test_without_an_order_store_flat_is_unknown_and_says_why(venue: SimulatedProjectX) -> None:
    listening = {"venue": "projectx", "url": venue.url, "user_name": "me", "api_key": "a-key-of-the-gateway"}
    with actors.start({"feeds": {FEED: listening}}, wait=10.0) as runtime:
        runtime.account(FEED, ACCOUNT, wait=10.0)
        found = runtime.flat(FEED, ACCOUNT, wait=4.0)
        assert found.answer == "unknown"
        assert any("the config has no [trading] dir" in reason for reason in found.reasons)
        with pytest.raises(actors.Blind, match=r"no \[trading\] dir"):
            runtime.require(runtime.account(FEED, ACCOUNT))


def test_a_close_with_a_sweep_answers_flat_with_evidence_alone(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    px = settled(runtime)
    accepted(px.place(ACCOUNT, EP, "buy", 1, bracket=Bracket(stop=40, target=80)))
    sweep = px.close(ACCOUNT, EP, sweep=True).get(40.0)
    assert sweep.is_complete, sweep
    assert sweep.flat.answer == "yes"
    assert runtime.account(FEED, ACCOUNT).flat


def test_a_close_of_one_contract_is_not_flat_where_another_is_held(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    px = settled(runtime)
    resting(px, venue)
    accepted(px.place(ACCOUNT, EP, "buy", 1))
    sweep = px.close(ACCOUNT, EP, sweep=True).get(40.0)
    assert sweep.is_complete, sweep
    assert sweep.flat.answer == "no", sweep.flat


def test_a_gateway_that_does_not_list_suspended_legs_has_a_view_but_no_proof(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    for page in ("Order/v2/query", "Order/searchById"):
        venue.refuse_page(404, n=1_000_000, page=page)
    px = settled(runtime)
    place(venue, size=2)
    view = runtime.account(FEED, ACCOUNT, wait=10.0)
    assert (view.state, nets(view), view.flat.answer) == ("synced", {EP: 2}, "no")
    entry = accepted(px.place(ACCOUNT, EP, "buy", 1, limit=price(venue) - 50, bracket=Bracket(40, 80)))
    until(lambda: [len(each.legs) for each in runtime.account(FEED, ACCOUNT).orders] == [2])
    assert isinstance(px.cancel(ACCOUNT, entry).get(5.0), actors.Accepted)
    until(lambda: runtime.account(FEED, ACCOUNT).orders == ())
    sweep = px.close(ACCOUNT, EP, sweep=True).get(40.0)
    assert (sweep.flat.answer, sweep.flat.reasons) == ("unknown", (NO_LEGS,))
    view = runtime.account(FEED, ACCOUNT, wait=10.0)
    assert (view.state, nets(view)) == ("synced", {})
    with pytest.raises(actors.Blind, match=NO_LEGS):
        runtime.require(view)
    began = time.monotonic()
    assert runtime.flat(FEED, ACCOUNT, wait=300.0).reasons == (NO_LEGS,)
    assert time.monotonic() - began < 60.0, "it waits for what never comes"


# ── the life of a runtime ───────────────────────────────────────────────────────────────────────


def test_a_forgotten_account_is_followed_again_by_the_next_look(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    ended = threading.Event()
    told: list[Any] = []

    def on_marker(marker: object) -> None:
        told.append(marker)
        ended.set()

    runtime.account(FEED, ACCOUNT, wait=10.0)
    runtime.on_account(FEED, ACCOUNT, handler=Told(), on_marker=on_marker)
    runtime.forget_account(FEED, ACCOUNT)
    assert ended.wait(10.0)
    assert told == [actors.Closed("closed by its reader")]
    until(lambda: venue.subscribers("orders", ACCOUNT) == 0)
    assert runtime.status().accounts == {}
    assert runtime.account(FEED, ACCOUNT, wait=10.0).synced


def test_a_reload_keeps_it_and_one_that_removes_the_feed_ends_it(
    folder: Path, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    runtime.account(FEED, ACCOUNT, wait=10.0)
    before = followed(runtime)
    runtime.reload(config(folder, venue, subscribe=[{"channel": "quotes", "keys": [EP]}]))
    place(venue)
    until(lambda: nets(runtime.account(FEED, ACCOUNT)) == {EP: 1})
    assert followed(runtime) is before
    table = config(folder, venue)
    table["feeds"] = {"o2": {"venue": "o2", "url": "sim://o2?rate=0"}}
    runtime.reload(table)
    until(lambda: before.ended == f"feed {FEED} was removed from the config")
    with pytest.raises(LinewardenError, match="there is no feed 'projectx'"):
        runtime.account(FEED, ACCOUNT)
    assert runtime.status().accounts == {}


def test_a_stop_while_a_look_is_under_way_waits_for_nothing(
    folder: Path, venue: SimulatedProjectX, baseline: Baseline
) -> None:
    venue.answer_late(seconds=30.0, n=5, page="reads")
    runtime = actors.start(config(folder, venue), wait=10.0)
    runtime.on_account(FEED, ACCOUNT, handler=Told())
    runtime.account(FEED, ACCOUNT)
    until(lambda: reads(venue) >= 1)
    assert runtime.stop(5.0) == ()
    with pytest.raises(RuntimeStopped):
        runtime.account(FEED, ACCOUNT)
    venue.stop()
    baseline.check()


def test_a_wait_ends_when_the_account_is_forgotten(folder: Path, venue: SimulatedProjectX) -> None:
    venue.list_absent("null", n=1_000, page="Position/searchOpen")
    with actors.start(config(folder, venue), wait=10.0) as runtime:
        runtime.account(FEED, ACCOUNT)
        failed: list[BaseException] = []

        def wait() -> None:
            try:
                runtime.account(FEED, ACCOUNT, wait=30.0)
            except LinewardenError as error:
                failed.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        until(lambda: reads(venue) >= 1)
        runtime.forget_account(FEED, ACCOUNT)
        waiting.join(10.0)
        assert [type(error) for error in failed] == [StreamClosed]


def test_a_runtime_that_is_forgotten_is_collected_with_its_accounts(
    folder: Path, venue: SimulatedProjectX
) -> None:
    runtime = actors.start(config(folder, venue), wait=10.0)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    settled(runtime)
    reference = weakref.ref(runtime)
    del runtime

    def threads() -> list[str]:
        return [each.name for each in threading.enumerate() if each.name.startswith("account/")]

    def is_gone() -> bool:
        gc.collect()
        return reference() is None and threads() == [] and venue.connections == 0

    venue.wait_for(is_gone, timeout=20.0)


def test_a_handler_keeps_its_runtime(folder: Path, venue: SimulatedProjectX) -> None:
    told = Told()
    runtime = actors.start(config(folder, venue), wait=10.0)
    runtime.on_account(FEED, ACCOUNT, handler=told)
    runtime.account(FEED, ACCOUNT, wait=10.0)
    reference = weakref.ref(runtime)
    del runtime
    gc.collect()
    place(venue)
    told.wait(lambda _: told.of(AccountPosition))
    kept = reference()
    assert kept is not None
    kept.stop()


@needs_fork
def test_in_a_forked_child_each_call_is_refused(runtime: Runtime) -> None:
    runtime.account(FEED, ACCOUNT, wait=10.0)

    def look() -> str:
        failed = []
        for call in (runtime.account, runtime.flat, runtime.resync_account, runtime.forget_account):
            try:
                call(FEED, ACCOUNT)
            except ForkError:
                failed.append(call.__name__)
        return ",".join(failed)

    assert in_a_child(look) == "account,flat,resync_account,forget_account"


def test_accounts_of_the_config_are_followed_from_the_start_and_by_a_reload(
    folder: Path, venue: SimulatedProjectX
) -> None:
    names = {account: f"{FEED}/{account}" for account in (ACCOUNT, OTHER)}

    def are_followed(runtime: Runtime, *accounts: int) -> bool:
        status = runtime.status().accounts
        wanted = {names[each] for each in accounts}
        return status.keys() == wanted and all(each.state == "synced" for each in status.values())

    with actors.start(config(folder, venue, accounts=[ACCOUNT]), wait=10.0) as runtime:
        until(lambda: are_followed(runtime, ACCOUNT))
        before = followed(runtime)
        runtime.reload(config(folder, venue, accounts=[ACCOUNT, OTHER]))
        until(lambda: are_followed(runtime, ACCOUNT, OTHER))
        assert followed(runtime) is before
        plan = runtime.reload(config(folder, venue, accounts=[OTHER]))
        assert [change.text for change in plan.changes] == [
            f"feed {FEED} takes over accounts; sockets stay open"
        ]
        until(lambda: are_followed(runtime, OTHER))


def test_a_venue_without_accounts_has_none_in_its_config() -> None:
    with pytest.raises(actors.ConfigError, match="venue o2 has no accounts that can be followed"):
        load({"feeds": {"o2": {"venue": "o2", "url": "sim://o2", "accounts": [1]}}})
    with pytest.raises(actors.ConfigError, match=r"a list of numbers, such as \[4242, 4243\]"):
        load({"feeds": {FEED: {"venue": "projectx", "url": "sim://projectx", "accounts": ["x"]}}})


# ── permits ─────────────────────────────────────────────────────────────────────────────────────


def proved(runtime: Runtime, account: int = ACCOUNT) -> AccountView:
    """The view, once the evidence for a permit is complete."""
    runtime.account(FEED, account, wait=10.0)
    until(lambda: runtime.account(FEED, account).unproved == (), 20.0)
    return runtime.account(FEED, account)


def test_a_permit_takes_the_evidence_of_flat_also_where_a_position_is_open(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    place(venue)
    view = runtime.account(FEED, ACCOUNT, wait=10.0)
    with pytest.raises(actors.Blind, match="a second one"):
        runtime.require(view)
    permit = runtime.require(proved(runtime))
    assert permit.valid
    assert len(permit.topics) == 4
    place(venue)  # an event is no doubt
    until(lambda: nets(runtime.account(FEED, ACCOUNT)) == {EP: 2})
    until(lambda: permit.valid)


def test_a_permit_ends_for_good_when_the_view_was_in_doubt_meanwhile(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    permit = runtime.require(proved(runtime))
    runtime.resync_account(FEED, ACCOUNT)
    until(lambda: followed(runtime).doubts == 1)
    assert not permit.valid
    proved(runtime)
    assert [reason.cause for reason in permit.reasons] == ["unproved"]
    assert runtime.require(runtime.account(FEED, ACCOUNT)).valid


def test_a_permit_does_not_hold_while_a_mutation_has_no_outcome_and_holds_again_after(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    px = settled(runtime)
    permit = runtime.require(proved(runtime))
    venue.answer_late(seconds=0.5, page="Order/place")
    handle = px.place(ACCOUNT, EP, "buy", 1, limit=price(venue) - 50)
    until(lambda: any(handle.tag in reason.text for reason in permit.reasons))
    assert not permit.valid
    accepted(handle)
    until(lambda: permit.valid)


def test_a_permit_asks_for_the_intents_of_every_process_of_the_folder(
    runtime: Runtime, folder: Path, venue: SimulatedProjectX
) -> None:
    permit = runtime.require(proved(runtime))
    with actors.start(config(folder, venue), wait=10.0) as second:
        px = settled(second)
        venue.answer_lost(page="Order/place")
        outcome = px.place(ACCOUNT, EP, "buy", 1, limit=price(venue) - 50).get(10.0)
        assert isinstance(outcome, actors.Unknown)
        assert [reason.text for reason in permit.reasons if outcome.tag in reason.text]
        assert runtime.flat(FEED, ACCOUNT).answer != "yes"


def test_a_permit_of_an_account_whose_line_was_lost_ends(runtime: Runtime, venue: SimulatedProjectX) -> None:
    permit = runtime.require(proved(runtime))
    lose(runtime, venue)
    runtime.supervisor.resume(USER).get(timeout=5.0)
    proved(runtime)
    assert not permit.valid


def test_max_age_of_a_permit_is_that_of_the_last_look(runtime: Runtime, venue: SimulatedProjectX) -> None:
    view = proved(runtime)
    with pytest.raises(actors.Blind, match=r"the newest snapshot is .* old, and at most 0 s are allowed"):
        runtime.require(view, max_age=0.0)
    assert runtime.require(view, max_age=60.0).valid


def test_an_account_that_is_not_followed_any_more_gives_no_permit(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    view = proved(runtime)
    permit = runtime.require(view)
    runtime.forget_account(FEED, ACCOUNT)
    until(lambda: not permit.valid)
    with pytest.raises(actors.Blind, match="its account is followed no longer"):
        runtime.require(view)


# ── what cannot be followed ──


@pytest.mark.parametrize("account", ["PRAC-V2-4242", "", " 4242", "٤٢٤٢", 42.0, True, -1, 10**18, None])
def test_an_account_is_a_number(runtime: Runtime, account: Any) -> None:
    for call in (runtime.account, runtime.flat, runtime.resync_account, runtime.forget_account):
        with pytest.raises(LinewardenError, match="account is the number of an account") as raised:
            call(FEED, account)
        assert '.account("NAME") finds one' in str(raised.value)
    with pytest.raises(LinewardenError, match="account is the number of an account"):
        runtime.on_account(FEED, account, handler=print)
    assert runtime.status().accounts == {}


def test_an_account_that_the_venue_rejects_says_what_to_do(runtime: Runtime) -> None:
    with pytest.raises(actors.SubscribeError):
        runtime.account(FEED, 31337, wait=10.0)
    until(lambda: runtime.status().accounts[f"{FEED}/31337"].reason.startswith("the venue rejects orders"))
    reason = runtime.status().accounts[f"{FEED}/31337"].reason
    assert reason.count("not found") == 1
    assert reason.endswith("correct `accounts` of the feed, or call forget_account")
    assert runtime.account(FEED, 31337).reasons == (reason,)
    runtime.forget_account(FEED, 31337)
    assert f"{FEED}/31337" not in runtime.status().accounts


def test_a_negative_age_and_a_position_of_a_number_make_no_sense(runtime: Runtime) -> None:
    with pytest.raises(LinewardenError, match="max_age is a number of seconds from 0 up, and -1 is none"):
        runtime.flat(FEED, ACCOUNT, max_age=-1)
    number: Any = 5
    with pytest.raises(LinewardenError, match="net takes a Contract or its full id, and 5 is neither"):
        runtime.account(FEED, ACCOUNT).net(number)


def test_an_account_may_be_given_as_the_text_of_its_number(runtime: Runtime) -> None:
    text = str(ACCOUNT)
    assert runtime.account(FEED, text, wait=10.0) == runtime.account(FEED, ACCOUNT)
    assert runtime.flat(FEED, text).answer == runtime.flat(FEED, ACCOUNT).answer
    assert runtime.status().accounts.keys() == {f"{FEED}/{ACCOUNT}"}
    runtime.ask(FEED).positions(text).get(timeout=10.0)
    runtime.forget_account(FEED, text)
    assert runtime.status().accounts == {}


def test_a_venue_without_accounts_says_so(o2: SimulatedO2) -> None:
    with (
        actors.start(o2_config(o2.url), wait=10.0) as runtime,
        pytest.raises(LinewardenError, match="venue 'o2' has no channels that tell what an account has"),
    ):
        runtime.account("o2", 1)


def test_what_is_not_followed_can_be_forgotten(runtime: Runtime) -> None:
    runtime.forget_account(FEED, ACCOUNT)


def test_after_the_end_every_call_says_so(runtime: Runtime) -> None:
    runtime.stop()
    for call in (runtime.account, runtime.flat, runtime.resync_account, runtime.forget_account):
        with pytest.raises(RuntimeStopped):
            call(FEED, ACCOUNT)
    with pytest.raises(RuntimeStopped):
        runtime.on_account(FEED, ACCOUNT, handler=print)
