"""Events that a healthy line does not bring: found by audits, taken over, counted, and trusted no more.

Time is moved by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import actors
from actors import AccountBalance, AccountOrder, AccountPosition, Blind, Fill
from actors.cli.journal_view import journal as journal_table
from actors.cli.status_view import StatusView
from actors.rules.journal import SilentLossEntry
from actors.simulators.projectx import SimulatedProjectX
from actors.status import Status
from actors.trading.order_store import OrderStore
from tests.cli.drawing import drawn
from tests.trading.followed import (
    EP,
    FEED,
    OTHER,
    USER,
    AccountClock,
    Told,
    account_clock,
    followed,
    place,
    price,
)
from tests.trading.halts import ACCOUNT, accepted, settled, until

NAME = f"{FEED}/{ACCOUNT}"
STANDS = 15.0  # seconds until a difference that stays is taken over
LOSSES: list[tuple[Any, int, type]] = [
    ("orders", 2, AccountOrder),
    ("positions", 1, AccountPosition),
    ("user_trades", 1, Fill),
    ("accounts", 1, AccountBalance),
]


@pytest.fixture
def venue() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, snapshots=False, rest_limit=0) as venue:
        yield venue


@pytest.fixture
def clock(tmp_path: Path, venue: SimulatedProjectX) -> Iterator[AccountClock]:
    OrderStore.create(tmp_path / "orders").close()
    with account_clock(tmp_path / "orders", venue) as clock:
        yield clock


def traded(clock: AccountClock, venue: SimulatedProjectX, lost: Any = "", n: int = 0, size: int = 1) -> None:
    """A fill, of which the hub loses these events; what it did not lose has come."""
    told = clock.runtime.status().lines()[USER].counters.decoded
    if lost:
        venue.event_dropped(lost, n)
    place(venue, size=size)
    clock.until(lambda status: status.lines()[USER].counters.decoded == told + 5 - n)
    clock.rest()


def looks(venue: SimulatedProjectX) -> int:
    return venue.seen.requests["Position/searchOpen"]


def journal(clock: AccountClock) -> list[SilentLossEntry]:
    entries = clock.runtime.status().lines()[USER].entries()
    return [entry for entry in entries if isinstance(entry, SilentLossEntry)]


# ── one loss ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("channel", "n", "kind"),
    [pytest.param(*each, id=each[0], marks=[pytest.mark.long] * (each is not LOSSES[0])) for each in LOSSES],
)
def test_an_event_that_was_dropped_is_taken_over_told_and_recorded_once(
    clock: AccountClock, venue: SimulatedProjectX, channel: Any, n: int, kind: type
) -> None:
    told = Told()
    runtime = clock.runtime
    clock.synced()
    runtime.on_account(FEED, ACCOUNT, handler=told)
    permit = runtime.require(clock.view())
    traded(clock, venue, channel, n)
    assert told.of(kind) == []
    clock.advance(60.0)
    assert clock.view().state == "doubted"
    assert not permit.valid
    assert told.of(kind) == []
    clock.advance(STANDS)
    view = clock.view()
    assert (view.state, len(view.silent_losses)) == ("synced", 1)
    (event,) = told.wait(lambda _: told.of(kind)) and told.of(kind)
    assert event.source == "audit"
    assert {each.source for each in told.events if each is not event} == {"stream"}
    assert runtime.status().accounts[NAME].silent_losses == 1
    (entry,) = journal(clock)
    assert (entry.account, entry.epoch, entry.text) == (NAME, 1, view.silent_losses[0].what)
    assert runtime.fresh(FEED, "orders", ACCOUNT)

    clock.advance(2.0)
    clock.advance(600.0)
    view = clock.view()
    assert (view.state, view.unproved) == ("synced", ())
    assert view.net(EP) == 1
    assert (len(view.fills), view.realised) == (1, Decimal("-1.40"))
    assert view.balance is not None
    assert view.balance.balance == Decimal("49998.60")
    assert len(journal(clock)) == 1
    assert not permit.valid
    assert runtime.require(view).valid


def test_a_list_that_lags_behind_the_hub_is_no_loss(clock: AccountClock, venue: SimulatedProjectX) -> None:
    clock.synced()
    venue.rest_lag(seconds=3_600.0)
    traded(clock, venue)
    clock.advance(60.0)
    assert clock.view().net(EP) in (1, None)  # the hub told it later than the list shows
    venue.heal()
    clock.advance(STANDS)
    clock.advance(60.0)
    view = clock.view()
    assert (view.state, view.net(EP), view.silent_losses) == ("synced", 1, ())
    assert journal(clock) == []


# ── when it looks ───────────────────────────────────────────────────────────────────────────────


def test_it_looks_each_minute_with_a_position_and_each_five_minutes_without(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    clock.synced()
    before = looks(venue)
    clock.advance(290.0)
    assert looks(venue) == before
    clock.advance(20.0)
    assert looks(venue) == before + 1
    traded(clock, venue)
    clock.advance(61.0)
    before = looks(venue)
    clock.advance(300.0)
    assert looks(venue) == before + 5


def test_an_order_of_this_process_without_an_event_for_five_seconds_makes_a_look_due_at_once(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    runtime = clock.runtime
    px = settled(runtime)
    clock.synced()
    before = looks(venue)
    venue.event_dropped("orders", 1)
    handle = px.place(ACCOUNT, EP, "buy", 1, limit=price(venue) - 50)
    order = accepted(handle)
    clock.rest()
    assert any(handle.tag in reason for reason in clock.view().unproved)
    clock.advance(4.0)
    assert looks(venue) == before
    clock.advance(2.0)
    assert looks(venue) == before + 1
    clock.advance(STANDS)
    assert [each.order.id for each in clock.view().orders] == [order]


def test_an_order_that_the_hub_tells_of_makes_no_look_due(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    px = settled(clock.runtime)
    clock.synced()
    before = looks(venue)
    handle = px.place(ACCOUNT, EP, "buy", 1, limit=price(venue) - 50)
    accepted(handle)
    until(lambda: len(clock.view().orders) == 1)
    assert isinstance(px.place(ACCOUNT, EP, "buy", 99).get(5.0), actors.Refused)  # by a limit
    venue.refuse_mutation(page="Order/place")
    assert isinstance(px.place(ACCOUNT, EP, "buy", 1).get(5.0), actors.Refused)
    clock.advance(10.0)
    assert looks(venue) == before
    assert clock.view().unproved == ()


def test_status_says_that_looks_fail_while_the_view_is_synced_and_its_age_grows(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    clock.synced()
    assert clock.runtime.status().accounts[NAME].is_well
    venue.refuse_page(500, n=1_000_000, page="Position/searchOpen")
    clock.advance(400.0)
    account = clock.runtime.status().accounts[NAME]
    assert (account.state, account.is_well) == ("synced", False)
    assert account.reason.startswith("the last look was not complete: positions: ")
    assert account.age_s is not None
    assert account.age_s > 390.0
    assert any("the newest snapshot is 4" in why for why in clock.runtime.flat(FEED, ACCOUNT).reasons)
    venue.heal()
    clock.advance(20.0)
    assert clock.runtime.status().accounts[NAME].is_well


def test_looks_of_all_accounts_take_a_quarter_of_the_meter_at_most(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    for account in (ACCOUNT, OTHER):
        clock.runtime.account(FEED, account)
    for _ in range(55):  # seconds of a window of 60, whose quarter is 50 requests
        for account in (ACCOUNT, OTHER):
            clock.runtime.resync_account(FEED, account)
        clock.rest()
        clock.advance(1.0)
    assert 8 <= looks(venue) <= 10


# ── three losses ────────────────────────────────────────────────────────────────────────────────


def lose_three(clock: AccountClock, venue: SimulatedProjectX) -> None:
    """Three fills whose half-turns the hub does not tell; returns when the third is taken over."""
    for number in range(3):
        traded(clock, venue, "user_trades", 1)
        while clock.runtime.status().accounts[NAME].silent_losses == number:
            clock.advance(1.0)


def test_three_silent_losses_within_an_hour_make_the_channels_untrusted_and_replace_the_line(
    clock: AccountClock, venue: SimulatedProjectX, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = clock.runtime
    clock.synced()
    topics = runtime.require(clock.view()).topics
    orders = next(str(topic) for topic in topics if topic.channel == "orders")
    venue.delay_ack(30.0)  # the new connection waits for its subscriptions
    permit = runtime.require((FEED, "orders", ACCOUNT))
    lose_three(clock, venue)
    status = clock.until(lambda status: bool(status.accounts[NAME].untrusted))
    account = status.accounts[NAME]
    assert (account.state, account.silent_losses) == ("untrusted", 3)
    assert account.untrusted == f"its stream lost 3 events of account {ACCOUNT} within an hour"
    found = runtime.fresh(FEED, "orders", ACCOUNT)
    assert (found.state, found.cause, found.text) == ("blind", "silent_loss", account.untrusted)
    assert status.untrusted[orders].cause == "silent_loss"
    with pytest.raises(Blind, match="its stream lost 3 events"):
        runtime.require((FEED, "orders", ACCOUNT))
    assert not permit.valid
    assert not runtime.flat(FEED, ACCOUNT)
    assert "line projectx/user is replaced: its stream lost 3 events" in caplog.text
    assert len(journal(clock)) == 3


def test_trust_returns_when_two_looks_agree_with_the_new_connection(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    runtime = clock.runtime
    clock.synced()
    venue.delay_ack(0.5)
    lose_three(clock, venue)
    until(lambda: not followed(runtime)._is_replacing)
    clock.rest()
    assert runtime.status().lines()[USER].rotations == 1
    assert not runtime.fresh(FEED, "orders", ACCOUNT)
    clock.advance(5.0)
    view = clock.view()
    assert (view.state, view.net(EP), len(view.fills)) == ("synced", 3, 3)
    assert view.unproved == ()
    assert runtime.status().accounts[NAME].untrusted == ""
    assert runtime.fresh(FEED, "orders", ACCOUNT)
    assert runtime.require(view).valid
    assert runtime.status().lines()[USER].counters.restarts == 0  # it was rotated, make before break


def test_a_line_that_cannot_be_rotated_is_connected_again(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    runtime = clock.runtime
    clock.synced()
    venue.refuse(n=1)  # the candidate
    lose_three(clock, venue)
    clock.advance(5.0)
    clock.until(lambda status: status.lines()[USER].epoch >= 3 and status.lines()[USER].state == "live")
    clock.advance(5.0)  # a look may have begun before its thread was told of the new connection
    clock.synced()
    assert runtime.status().accounts[NAME].untrusted == ""


@pytest.mark.long  # its rule has a test of its own
def test_a_stream_that_loses_events_for_good_has_its_line_replaced_three_times_an_hour_at_most(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    runtime = clock.runtime
    clock.synced()

    def lose_until(is_over: Callable[[], bool]) -> None:
        for _ in range(20):
            for _ in range(3):
                traded(clock, venue, "user_trades", 1)
            clock.advance(90.0)
            if is_over():
                return
        raise AssertionError(runtime.status().accounts[NAME])

    def is_withheld() -> bool:
        return "replaced 3 times within an hour" in runtime.status().accounts[NAME].untrusted

    lose_until(is_withheld)
    assert runtime.status().lines()[USER].rotations == 3
    clock.advance(600.0)
    assert runtime.status().lines()[USER].rotations == 3
    found = runtime.fresh(FEED, "orders", ACCOUNT)
    assert (found.state, found.cause) == ("blind", "silent_loss")
    assert "Compare the account with the venue's own screens" in found.text
    assert runtime.flat(FEED, ACCOUNT).answer == "unknown"
    clock.advance(3_600.0)
    clock.until(lambda status: status.lines()[USER].rotations == 4)
    until(lambda: not followed(runtime)._is_replacing)
    clock.rest()
    clock.advance(10.0)
    assert runtime.status().accounts[NAME].untrusted == ""
    assert clock.view().synced


def test_the_other_account_of_the_login_keeps_its_trust(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    runtime = clock.runtime
    clock.synced(OTHER)
    clock.synced()
    venue.delay_ack(30.0)
    lose_three(clock, venue)
    assert not runtime.fresh(FEED, "orders", ACCOUNT)
    assert runtime.fresh(FEED, "orders", OTHER)
    assert runtime.status().accounts[f"{FEED}/{OTHER}"].is_well


# ── how it is shown ─────────────────────────────────────────────────────────────────────────────


def test_the_status_and_the_journal_show_silent_losses(clock: AccountClock, venue: SimulatedProjectX) -> None:
    clock.synced()
    traded(clock, venue, "user_trades", 1)
    clock.advance(60.0)
    clock.advance(STANDS)
    status = clock.runtime.status()
    shown = " ".join(" ".join(drawn(StatusView().render(status, 0.0, 0.0, 160), 160)).split())
    assert f"account {NAME}: synced; looked at" in shown
    assert "1 event lost in silence" in shown
    read = msgspec.json.decode(msgspec.json.encode(status), type=Status)  # as a service tells it
    assert (read.accounts, read.lines()[USER].entries()) == (status.accounts, status.lines()[USER].entries())
    for width in (100, 200):
        table = " ".join(drawn(journal_table({USER: status.lines()[USER].entries()}, width), width))
        assert "lost in silence: projectx/4242: fill" in " ".join(table.split())


def test_an_account_in_doubt_is_shown_with_its_reason(clock: AccountClock, venue: SimulatedProjectX) -> None:
    clock.synced()
    traded(clock, venue, "user_trades", 1)
    clock.advance(60.0)
    status = clock.runtime.status().accounts[NAME]
    assert (status.state, status.is_well) == ("doubted", False)
    assert "was not told by the stream" in status.reason
    assert followed(clock.runtime).doubts == 1


# ── disputes, pauses, blindness ─────────────────────────────────────────────────────────────────


def contradict(clock: AccountClock, venue: SimulatedProjectX) -> None:
    """The hub tells of a change of an order that no list shows, though it is newer than what they show."""
    row = venue.place(ACCOUNT, EP, type=1, side=0, size=1, limit_price=price(venue) - 50)
    told = {**row, "size": 7, "updateTimestamp": "2036-09-21T10:00:00+00:00"}
    venue.tell_user("orders", ACCOUNT, (1, told))
    until(lambda: [each.order.size for each in clock.view().orders] == [7])


def test_what_stream_and_lists_contradict_each_other_about_is_disputed_until_resync(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    runtime = clock.runtime
    clock.synced()
    contradict(clock, venue)
    clock.advance(60.0)
    assert clock.view().state == "doubted"
    clock.advance(60.0)
    view = clock.view()
    assert (view.state, view.flat.answer) == ("disputed", "unknown"), view
    status = runtime.status().accounts[NAME]
    assert status.disputed == view.reasons
    assert not status.is_well
    with pytest.raises(Blind):
        runtime.require(view)
    clock.advance(300.0)
    assert clock.view().state == "disputed"

    runtime.resync_account(FEED, ACCOUNT)
    clock.rest()
    clock.advance(2.0)
    view = clock.view()
    assert (view.state, [each.order.size for each in view.orders]) == ("synced", [1])
    assert runtime.status().accounts[NAME].is_well


def test_after_a_pause_of_the_process_no_permit_holds_until_the_line_is_read_to_its_end(
    clock: AccountClock, venue: SimulatedProjectX, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = clock.runtime
    clock.synced()
    permit = runtime.require(clock.view())
    assert permit.valid
    assert runtime.flat(FEED, ACCOUNT)
    pulse, now = clock.timers.pulse, clock.now
    monkeypatch.setattr(pulse, "beat_at", now - 5.0)  # the machine was asleep, and the timers have not run
    assert [reason.cause for reason in permit.reasons] == ["process_paused"]
    with pytest.raises(Blind, match="paused"):
        runtime.require(clock.view())
    flat = runtime.flat(FEED, ACCOUNT)
    assert (flat.answer, "was paused" in flat.reasons[0]) == ("unknown", True)
    monkeypatch.setattr(pulse, "resumed_at", now)
    monkeypatch.setattr(pulse, "beat_at", now)
    holder = runtime._shared.cells.holder(USER)
    assert holder is not None
    assert not holder.counters.is_read_to_end(now)
    assert not permit.valid
    clock.advance(1.0)
    clock._hear()
    until(lambda: permit.valid)
    assert runtime.flat(FEED, ACCOUNT)
    assert clock.view().flat


def test_events_that_wait_to_be_taken_over_suspend_a_permit(
    clock: AccountClock, venue: SimulatedProjectX
) -> None:
    runtime = clock.runtime
    clock.synced()
    permit, account = runtime.require(clock.view()), followed(runtime)
    with account._changed:  # its thread does not get on meanwhile
        place(venue)
        until(lambda: account.stream._inlet.unread >= 3)
        (reason,) = runtime.flat(FEED, ACCOUNT).reasons
        assert reason == "events of its channels have come, and are not taken over yet"
        assert "queue" in {reason.cause for reason in permit.reasons}
    clock.rest()
    until(lambda: permit.valid)


def test_an_event_that_cannot_be_read_is_made_good_by_the_lists(
    clock: AccountClock, venue: SimulatedProjectX, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = clock.runtime
    clock.synced()
    permit, venue_type = runtime.require(clock.view()), type(runtime._spec_of(FEED).venue)
    with monkeypatch.context() as patch:
        patch.setattr(venue_type, "account_row", lambda *_: 1 // 0)
        place(venue)
        until(lambda: followed(runtime).stream.handler_errors >= 3)
        clock.rest()
    assert not permit.valid
    clock.advance(10.0)
    view = clock.view()
    assert (view.state, view.net(EP), len(view.fills)) == ("synced", 1, 1)


def test_an_account_whose_channels_are_untrusted_for_too_long_is_halted(
    tmp_path: Path, venue: SimulatedProjectX
) -> None:
    OrderStore.create(tmp_path / "orders").close()
    blind: dict[str, Any] = {"on_blind": "halt", "on_blind_after": 4.0}
    with account_clock(tmp_path / "orders", venue, **blind) as clock:
        clock.synced()
        venue.delay_ack(30.0)
        lose_three(clock, venue)
        assert clock.runtime.status().halts == ()
        for _ in range(6):
            clock.advance(1.0)
        until(lambda: len(clock.runtime.status().halts) == 1)
        (halt,) = clock.runtime.status().halts
        assert "its stream lost 3 events" in halt.reason
        assert halt.target.endswith(f"/{ACCOUNT}")
