"""What a keeper makes of events, looks and time, one rule a test."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from actors.protocol import FrameLimit
from actors.protocol.accounts import AccountOrder, AccountPosition, Fill, Listed
from actors.rules.account.budget import AuditBudget
from actors.rules.account.flat import NO_LEGS
from actors.rules.account.keeper import AccountKeeper
from actors.rules.account.snapshot import Read
from actors.rules.account.view import AccountEvent
from tests.rules.account.model import ACCOUNT, EP, LISTS, MNQ, Owner


def rows_of(events: list[AccountEvent], kind: type) -> list[object]:
    return [each.row for each in events if isinstance(each.row, kind)]


def due(owner: Owner) -> float:
    return round(owner.keeper.next_look_in(owner.venue.now), 6)


def bought(owner: Owner, size: int = 1) -> AccountOrder:
    """An order that is filled at once, with all its events."""
    order = owner.venue.place(EP.id, "buy", size)
    owner.venue.fill(order.id, size, 100)
    owner.deliver()
    return order


# ── when a look is due ──


def test_a_look_is_due_as_soon_as_the_subscriptions_are_confirmed() -> None:
    owner = Owner(synced=False)
    assert due(owner) == float("inf")
    owner.connect()
    assert due(owner) == 0.0


def test_a_second_look_is_due_two_seconds_after_the_first() -> None:
    owner = Owner(synced=False)
    owner.connect()
    owner.look()
    assert due(owner) == 2.0


def test_a_look_that_an_event_overtakes_is_not_one_of_the_two_that_evidence_needs() -> None:
    owner = Owner()
    bought(owner)
    owner.keeper.confirm(owner.venue.now)
    snapshot = owner.venue.snapshot()
    owner.wait(0.1)
    order = owner.venue.place(EP.id, "sell", 1)
    owner.venue.fill(order.id, 1, 100)
    owner.deliver()
    owner.look(snapshot)
    for _ in range(2):
        owner.wait(due(owner))
        owner.look()
    assert owner.flat().answer == "yes"


def test_a_look_that_comes_too_soon_for_evidence_is_not_the_second_one() -> None:
    owner = Owner()
    bought(owner)
    owner.keeper.expect("tag", owner.venue.now - 4.0)
    owner.keeper.confirm(owner.venue.now)
    owner.look()
    owner.wait(1.0)
    owner.look()  # of the mutation that is not answered
    owner.wait(due(owner))
    owner.look()
    assert not any("is needed" in reason for reason in owner.flat().reasons)


def test_evidence_is_not_looked_for_without_end() -> None:
    owner = Owner()
    owner.keeper.confirm(owner.venue.now)
    looks = 0
    while due(owner) < 30.0:
        owner.wait(due(owner))
        snapshot = owner.venue.snapshot()
        owner.wait(0.1)
        bought(owner)
        owner.look(snapshot)
        looks += 1
    assert looks == 6


def test_an_idle_account_is_audited_each_five_minutes() -> None:
    assert due(Owner()) == 300.0


@pytest.mark.parametrize("what", ["order", "position"])
def test_an_account_with_an_order_or_a_position_is_audited_each_minute(what: str) -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    if what == "position":
        owner.venue.fill(order.id, 1, 100)
    owner.deliver()
    assert due(owner) == 60.0


def test_a_difference_is_asked_again_after_2_and_5_and_15_seconds() -> None:
    owner = Owner()
    owner.venue.place(EP.id, "buy", 1)
    owner.venue.stream.clear()
    owner.wait(300.0)
    owner.look()
    start = owner.venue.now
    asked = []
    while owner.state() == "doubted":
        owner.wait(due(owner))
        owner.look()
        asked.append(owner.venue.now - start)
    assert asked == [2.0, 5.0, 15.0]


def test_a_mutation_without_an_answer_makes_a_look_due_after_5_seconds_and_only_once() -> None:
    owner = Owner()
    owner.keeper.expect("tag", owner.venue.now)
    assert due(owner) == 5.0
    owner.wait(5.0)
    owner.look()
    assert due(owner) > 5.0
    assert "the venue has not told yet what became of tag" in owner.unproved()
    owner.keeper.answered("tag")
    assert owner.unproved() == ()


@pytest.mark.parametrize("by", ["tag", "id", "contract"])
def test_an_event_of_the_order_or_the_contract_is_the_answer_to_a_mutation(by: str) -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1, tag="mine")
    if by == "contract":
        owner.venue.fill(order.id, 1, 100)
    keys: dict[str, str | int] = {"tag": "mine", "id": order.id, "contract": EP.id}
    owner.keeper.expect(keys[by], owner.venue.now)
    owner.deliver()
    owner.wait(5.0)
    assert due(owner) > 0.0
    assert not any("has not told" in reason for reason in owner.unproved())


def test_an_event_that_overtakes_the_word_of_its_mutation_is_the_answer_and_an_older_one_is_not() -> None:
    """Events come by one thread, and the word that an order leaves by another."""
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1, tag="mine")
    left = owner.venue.now
    owner.wait(0.1)
    owner.deliver()
    owner.keeper.expect("mine", left)
    assert not any("has not told" in reason for reason in owner.unproved())
    owner.keeper.expect(order.id, owner.venue.now)  # a change of it, which leaves now
    assert f"the venue has not told yet what became of {order.id}" in owner.unproved()


def test_an_order_whose_event_came_before_the_word_of_it_is_not_waited_for() -> None:
    owner = Owner()
    at = owner.venue.now
    owner.venue.place(EP.id, "buy", 1, tag="mine")
    owner.deliver()
    owner.keeper.expect_order("mine", at)
    assert due(owner) == 60.0
    assert owner.unproved() == ()


def test_an_order_whose_event_was_lost_is_found_5_seconds_after_it_left() -> None:
    owner = Owner()
    owner.keeper.expect("mine", owner.venue.now)
    owner.venue.place(EP.id, "buy", 1, tag="mine")
    owner.venue.stream.clear()
    owner.audit(5.0)
    assert owner.state() == "doubted"
    told = owner.audit(15.0)
    assert [(each.source, type(each.row)) for each in told] == [("audit", AccountOrder)]


def test_a_look_that_fails_is_asked_again_later_and_later() -> None:
    owner = Owner(synced=False)
    owner.connect()
    waits = []
    for _ in range(5):
        owner.look(failed={"fills": "HTTP 500"})
        waits.append(due(owner))
        owner.wait(waits[-1])
    assert waits == [2.0, 5.0, 15.0, 15.0, 15.0]


def test_looks_take_at_most_a_quarter_of_the_meter_and_what_is_late_shows_as_age() -> None:
    owner = Owner(synced=False)
    budget = AuditBudget(FrameLimit(40, 60.0))  # two looks of five requests in a minute
    owner.keeper = AccountKeeper("feed", ACCOUNT, since_ns=0, now=owner.venue.now, budget=budget)
    owner.connect()
    owner.look()
    owner.wait(2.0)
    owner.look()
    owner.keeper.confirm(owner.venue.now)
    assert due(owner) == 58.0
    owner.wait(58.0)
    assert owner.view().age_s == pytest.approx(58.0)


def test_a_view_that_waits_for_the_budget_of_its_looks_says_so() -> None:
    owner = Owner(synced=False)
    budget = AuditBudget(FrameLimit(20, 60.0))  # one look of five requests in a minute
    owner.keeper = AccountKeeper("feed", ACCOUNT, since_ns=0, now=owner.venue.now, budget=budget)
    owner.connect()
    assert not any("share of the meter" in why for why in owner.view().reasons)
    owner.look()
    owner.lose()
    owner.connect()
    assert "share of the meter of requests; the next leaves in 60 s" in owner.view().reasons[-1]


# ── what a look is worth ──


def test_a_snapshot_that_left_before_an_event_never_overrides_it() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 2)
    owner.deliver()
    owner.wait(60.0)
    early = owner.venue.snapshot()
    owner.wait(0.1)
    owner.venue.fill(order.id, 2, 100)
    owner.deliver()
    owner.wait(5.0)
    assert owner.look(early) == []
    assert owner.view().net(EP.id) == 2
    assert owner.view().orders == ()


def test_a_list_that_left_before_the_stream_changed_the_money_of_a_fill_never_overrides_it() -> None:
    owner = Owner()
    bought(owner)
    before = owner.venue.snapshot()
    owner.wait(1.0)
    [fill] = owner.view().fills
    owner.tell(structs.replace(fill, fees=Decimal("2.00")))
    owner.wait(1.0)
    assert owner.look(before) == []
    assert [each.fees for each in owner.view().fills] == [Decimal("2.00")]
    owner.wait(60.0)
    owner.look()
    assert [each.fees for each in owner.view().fills] == [fill.fees]


def test_a_row_of_rest_with_an_older_venue_time_never_overrides_a_newer_one() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 2)
    owner.deliver()
    owner.wait(30.0)
    owner.venue.modify(order.id, 90)
    owner.deliver()
    for _ in range(8):
        owner.wait(3.0)
        owner.look(owner.venue.snapshot(lag=40.0))
    [kept] = owner.view().orders
    assert kept.order.limit_price == Decimal(90)
    assert owner.state() == "disputed"
    owner.wait(41.0)
    owner.prove()
    assert owner.state() == "synced"


def test_lag_of_rest_is_no_silent_loss() -> None:
    owner = Owner()
    order = bought(owner)
    owner.wait(60.0)
    owner.venue.void(next(iter(owner.venue.truth.fills)))
    owner.deliver()
    for _ in range(3):
        owner.wait(3.0)
        owner.look(owner.venue.snapshot(lag=15.0))
    owner.wait(16.0)
    owner.prove()
    assert owner.state() == "synced"
    assert owner.view().silent_losses == ()
    assert owner.view().net(EP.id) == 0
    assert order.id not in [each.order.id for each in owner.view().orders]


def test_a_snapshot_from_before_the_subscription_proves_nothing() -> None:
    owner = Owner(synced=False)
    early = owner.venue.snapshot()
    owner.connect()
    owner.look(early)
    assert owner.state() == "syncing"
    assert due(owner) == 0.0


def test_a_cut_list_takes_nothing_away_and_is_not_enough() -> None:
    owner = Owner()
    bought(owner)
    owner.wait(60.0)
    whole = owner.venue.snapshot()
    owner.look(structs.replace(whole, positions=Read(owner.venue.now, Listed[AccountPosition]((), False))))
    assert owner.view().net(EP.id) == 1
    assert owner.view().age_s != 0.0


def test_an_order_that_a_cut_list_does_not_have_works_on() -> None:
    owner = Owner()
    owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.wait(60.0)
    snapshot = owner.venue.snapshot()
    for name in ("orders", "history"):
        snapshot = structs.replace(snapshot, **{name: Read(owner.venue.now, Listed((), False))})
    assert owner.keeper.unlisted(snapshot) == ()
    assert owner.look(snapshot) == []
    assert [each.order.state for each in owner.view().orders] == ["working"]
    assert owner.keeper.state == "synced"


def test_evidence_that_is_waited_for_takes_a_look_at_once_and_one_after_two_seconds() -> None:
    owner = Owner()
    owner.wait(30.0)
    bought(owner)
    owner.wait(1.0)
    owner.keeper.confirm(owner.venue.now)
    assert due(owner) == 0.0
    owner.look()
    assert due(owner) == 2.0
    owner.wait(2.0)
    owner.look()
    assert due(owner) == 60.0  # of the audit


def test_evidence_that_is_there_and_old_takes_one_look() -> None:
    owner = Owner()
    owner.wait(30.0)
    owner.keeper.confirm(owner.venue.now)
    assert due(owner) == 0.0
    owner.look()
    assert due(owner) == 300.0


def test_an_event_that_comes_before_the_answer_of_rest_is_kept() -> None:
    owner = Owner(synced=False)
    owner.venue.is_up = True
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    assert [each.order.id for each in owner.view().orders] == [order.id]
    owner.connect()
    owner.prove()
    assert [each.order.id for each in owner.view().orders] == [order.id]


# ── silent losses ──


def test_what_stands_is_taken_over_told_as_audit_and_recorded() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.venue.cancel(order.id)
    owner.venue.stream.clear()
    told = owner.audit(61.0)
    assert told == []
    assert owner.state() == "doubted"
    told = owner.audit(15.0)
    [row] = rows_of(told, AccountOrder)
    assert isinstance(row, AccountOrder)
    assert (row.state, told[0].source) == ("cancelled", "audit")
    [loss] = owner.view().silent_losses
    assert loss.what == f"order {order.id} (buy 1 {EP.id}, cancelled)"
    assert loss.at_ns - loss.since_ns >= 15 * 10**9
    owner.audit(5.0)
    assert owner.state() == "synced"
    assert owner.unproved() == ()


def test_an_event_that_was_only_late_is_no_loss() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.venue.cancel(order.id)
    owner.audit(61.0)
    assert owner.state() == "doubted"
    owner.deliver()
    owner.audit(20.0)
    assert owner.state() == "synced"
    assert owner.view().silent_losses == ()


def test_three_silent_losses_in_an_hour_withdraw_trust_until_the_line_is_rotated() -> None:
    owner = Owner()
    for number in range(3):
        assert owner.keeper.take_rotation() == ""
        assert owner.state() == "synced"
        owner.venue.place(EP.id, "buy", 1)
        owner.venue.stream.clear()
        owner.audit(330.0 if number == 0 else 80.0)
    assert owner.state() == "untrusted"
    assert "lost 3 events of account 4242" in owner.keeper.take_rotation()
    assert owner.keeper.take_rotation() == ""
    owner.prove()
    assert owner.state() == "untrusted"
    owner.lose("rotated")
    owner.connect()
    owner.audit(5.0)
    assert owner.state() == "synced"


def test_silent_losses_before_and_after_a_reconnection_count_together_and_once() -> None:
    owner = Owner()
    for number in range(5):
        assert owner.keeper.take_rotation() == ""
        owner.venue.place(EP.id, "buy", 1)
        owner.venue.stream.clear()
        owner.audit(330.0 if number == 0 else 80.0)
        assert (owner.state() == "untrusted") == (number == 2)
        assert bool(owner.keeper.take_rotation()) == (number == 2)
        owner.lose()
        owner.connect()
        owner.prove()


def test_losses_of_more_than_an_hour_ago_count_no_longer() -> None:
    owner = Owner()
    for _ in range(4):
        owner.venue.place(EP.id, "buy", 1)
        owner.venue.stream.clear()
        owner.audit(2_000.0)
    assert owner.state() == "synced"
    assert owner.keeper.take_rotation() == ""


def test_a_difference_that_comes_back_after_it_was_taken_over_is_disputed() -> None:
    owner = Owner()
    owner.venue.place(EP.id, "buy", 1)
    owner.venue.stream.clear()
    owner.audit(316.0)
    [kept] = owner.view().orders
    changed = structs.replace(kept.order, state="cancelled", updated_ns=owner.venue.venue_ns)
    owner.venue.truth.orders[changed.id] = changed
    owner.venue._keep()
    owner.wait(2.0)
    owner.look()
    assert owner.state() == "disputed"
    assert "after REST had been taken over" in owner.view().reasons[0]


def test_fills_that_do_not_make_the_position_are_disputed_and_a_resync_ends_it() -> None:
    owner = Owner()
    owner.venue._position(EP.id, (3, Decimal(100)))  # without a fill, as an exchange's correction
    owner.venue._keep()
    owner.deliver()
    owner.audit(80.0)
    assert owner.state() == "disputed"
    assert "make +0, and its position is +3" in owner.view().reasons[0]
    assert owner.flat().answer == "unknown"
    owner.keeper.resync(owner.venue.now)
    assert owner.state() == "syncing"
    owner.audit(5.0)
    assert owner.state() == "synced"
    assert owner.unproved() == ()


# ── fills and money ──


def test_a_fill_counts_once_however_often_it_is_told() -> None:
    owner = Owner()
    bought(owner)
    [fill] = owner.view().fills
    assert owner.tell(fill) == []
    owner.prove()
    assert owner.view().realised == -Decimal("1.40")


def test_a_fill_that_is_voided_later_is_taken_out() -> None:
    owner = Owner()
    order = bought(owner, 2)
    close = owner.venue.place(EP.id, "sell", 2)
    owner.venue.fill(close.id, 2, 102)
    owner.deliver()
    assert owner.view().realised == Decimal(200) - Decimal("5.60")
    [first, second] = owner.view().fills
    owner.venue.void(second.id)
    [voided] = rows_of(owner.deliver(), Fill)
    assert isinstance(voided, Fill)
    assert voided.voided
    assert owner.view().realised == -Decimal("2.80")
    assert owner.view().fills == (first,)
    assert owner.tell(second) == []  # it is not undone by an older row
    assert order.id == first.order


def test_realised_counts_from_the_session_and_the_fills_before_stay_in_the_position() -> None:
    owner = Owner()
    bought(owner, 2)
    owner.wait(100.0)
    owner.keeper.new_session(owner.venue.venue_ns)
    assert owner.view().realised == 0
    assert owner.view().fills == ()
    close = owner.venue.place(EP.id, "sell", 2)
    owner.venue.fill(close.id, 2, 101)
    owner.deliver()
    owner.prove()
    assert owner.state() == "synced"
    assert owner.view().realised == Decimal(100) - Decimal("2.80")
    assert owner.flat()


# ── flat ──


def test_flat_needs_two_snapshots_after_the_last_change() -> None:
    owner = Owner()
    bought(owner)
    close = owner.venue.place(EP.id, "sell", 1)
    owner.venue.fill(close.id, 1, 101)
    owner.deliver()
    assert owner.flat().answer == "unknown"
    owner.wait(3.0)
    owner.look()
    assert owner.flat().answer == "unknown"
    owner.wait(1.9)
    owner.look()
    assert owner.flat().answer == "unknown"
    owner.wait(0.1)
    owner.look()
    assert owner.flat().answer == "yes"


def test_two_snapshots_are_two_seconds_apart_also_where_the_first_one_took_long() -> None:
    """When its requests left while it was under way is not known: they may have waited for the meter."""
    owner = Owner(synced=False)
    owner.connect()
    first = owner.venue.snapshot()
    owner.wait(30.0)
    owner.look(first)
    assert due(owner) == 2.0
    owner.wait(1.9)
    owner.look()
    assert any("a second one" in reason for reason in owner.unproved())
    owner.wait(0.1)
    owner.look()
    assert owner.unproved() == ()


def test_permits_need_no_new_snapshots_after_each_event() -> None:
    owner = Owner()
    bought(owner)
    assert owner.unproved() == ()


def test_flat_is_unknown_once_its_evidence_is_too_old() -> None:
    owner = Owner()
    assert owner.flat(max_age=10.0)
    owner.wait(10.5)
    assert owner.flat(max_age=10.0).answer == "unknown"
    owner.keeper.confirm(owner.venue.now)
    owner.audit(3.0)
    assert owner.flat(max_age=10.0)


def test_flat_is_unknown_while_a_mutation_of_any_process_has_no_outcome() -> None:
    owner = Owner()
    now = owner.venue.now
    assert owner.keeper.flat(now, intents=("lw-1",)).reasons == ("mutation lw-1 has no outcome",)
    assert owner.keeper.flat(now, intents=None).answer == "unknown"
    assert owner.keeper.unproved(now, intents=None) == ("the mutations without outcome cannot be read",)


@pytest.mark.parametrize("state", ["working", "pending", "suspended", "cancelling"])
def test_an_order_that_could_open_a_position_is_not_flat(state: str) -> None:
    owner = Owner()
    owner.tell(AccountOrder(id=1, contract=EP.id, state=state, side="buy", size=1))  # type: ignore[arg-type]
    assert owner.flat().answer == "no"


@pytest.mark.parametrize("name", LISTS)
def test_no_list_may_be_missing_for_a_proof(name: str) -> None:
    owner = Owner(synced=False)
    owner.connect()
    for _ in range(4):
        owner.wait(3.0)
        owner.look(failed={name: "HTTP 500"})
    assert owner.state() == "syncing"
    assert owner.flat().answer == "unknown"
    assert owner.unproved() != ()


def test_where_suspended_legs_are_not_listed_the_view_is_synced_and_flat_is_never_yes() -> None:
    owner = Owner(synced=False)
    owner.venue.has_suspended = False
    owner.connect()
    owner.prove()
    assert owner.state() == "synced"
    assert (owner.flat().answer, owner.flat().reasons) == ("unknown", (NO_LEGS,))
    assert owner.unproved() == (NO_LEGS,)
    entry = owner.venue.place(EP.id, "buy", 1, tag="mine", legs=True)
    owner.deliver()
    assert owner.flat().answer == "no"
    owner.venue.cancel(entry.id)
    owner.deliver()
    owner.audit(600.0)
    assert owner.flat().reasons == (NO_LEGS,)
    owner.venue.has_suspended = True
    owner.prove()
    assert owner.flat()
    assert owner.unproved() == ()


def test_a_suspended_leg_that_is_not_listed_is_no_lost_event_and_its_end_is_taken_from_the_history() -> None:
    owner = Owner(synced=False)
    owner.venue.has_suspended = False
    owner.connect()
    owner.prove()
    entry = owner.venue.place(EP.id, "buy", 1, tag="mine", legs=True)
    owner.deliver()
    owner.wait(60.0)
    assert owner.keeper.unlisted(owner.venue.snapshot()) == ()
    assert owner.audit(120.0) == []
    (shown,) = owner.view().orders
    assert [leg.state for leg in shown.legs] == ["suspended", "suspended"]
    owner.venue.cancel(entry.id)
    owner.venue.stream.clear()
    told = owner.audit(80.0)
    assert [(each.source, getattr(each.row, "state", "")) for each in told] == [("audit", "cancelled")] * 3
    assert owner.view().orders == ()


def test_fills_that_a_position_lacks_make_flat_unknown_at_once() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.venue.fill(order.id, 1, 100)
    for row in [owner.venue.take() for _ in range(len(owner.venue.stream))]:
        if not isinstance(row, AccountPosition):
            owner.tell(row)
    assert owner.view().positions == ()
    assert owner.flat().answer == "unknown"
    assert any("make +1, and its position is +0" in each for each in owner.unproved())


def test_an_event_without_a_contract_asks_for_a_look_at_once() -> None:
    owner = Owner()
    assert owner.tell(AccountPosition(contract="", net=1)) == []
    assert due(owner) == 0.0
    assert owner.flat().answer == "unknown"


def test_a_loss_ends_the_evidence_until_two_new_snapshots_agree() -> None:
    owner = Owner()
    owner.lose()
    assert owner.view().reasons == ("the line is down",)
    assert owner.unproved() != ()
    owner.connect()
    owner.look()
    assert owner.state() == "synced"
    assert owner.unproved() != ()
    owner.audit(3.0)
    assert owner.unproved() == ()


def test_a_position_of_an_older_opening_never_overrides_a_newer_one() -> None:
    owner = Owner()
    owner.tell(AccountPosition(contract=MNQ.id, net=1, created_ns=20))
    assert owner.tell(AccountPosition(contract=MNQ.id, net=-5, created_ns=10)) == []
    assert owner.view().net(MNQ.id) == 1


# ── snapshots that overlap with events ──


def test_a_list_may_lag_two_seconds_behind_an_event_without_a_doubt() -> None:
    owner = Owner()
    owner.wait(10.0)
    bought(owner)
    owner.wait(1.0)
    owner.look(owner.venue.snapshot(lag=1.5))
    assert owner.state() == "synced"
    assert owner.view().net(EP.id) == 1


def test_a_snapshot_from_before_the_last_change_is_none_of_the_two_for_flat() -> None:
    owner = Owner()
    bought(owner)
    close = owner.venue.place(EP.id, "sell", 1)
    owner.venue.fill(close.id, 1, 101)
    early = owner.venue.snapshot()
    owner.wait(0.1)
    owner.deliver()
    owner.look(early)
    owner.wait(2.5)
    owner.look()
    assert owner.flat().answer == "unknown"
    owner.wait(2.5)
    owner.look()
    assert owner.flat().answer == "yes"


def test_a_snapshot_that_left_before_an_event_is_excused_also_after_a_newer_one() -> None:
    owner = Owner()
    early = owner.venue.snapshot()
    owner.wait(0.1)
    bought(owner)
    owner.wait(5.0)
    owner.look()
    assert owner.look(early) == []
    assert owner.state() == "synced"


def test_a_contract_that_is_listed_twice_has_no_position_that_can_be_told() -> None:
    owner = Owner()
    bought(owner)
    owner.wait(60.0)
    whole = owner.venue.snapshot()
    assert whole.positions.answer is not None
    [row] = whole.positions.answer.rows
    twice = Read(owner.venue.now, Listed((row, row), True))
    assert owner.look(structs.replace(whole, positions=twice)) == []
    assert owner.state() == "doubted"
    assert owner.view().positions[0].net == 1


def test_a_snapshot_that_brought_something_new_is_the_first_of_two() -> None:
    owner = Owner(synced=False)
    owner.connect()
    owner.look()
    owner.wait(2.0)
    owner.venue.place(EP.id, "buy", 1)
    owner.venue.stream.clear()
    assert [each.source for each in owner.look()] == ["rest"]
    assert owner.unproved() != ()
    owner.wait(2.0)
    owner.look()
    assert owner.unproved() == ()


def test_a_doubt_ends_the_evidence_also_when_it_is_over() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.wait(60.0)
    owner.venue.cancel(order.id)
    owner.look()
    assert owner.state() == "doubted"
    owner.deliver()
    owner.wait(3.0)
    owner.look()
    assert owner.state() == "synced"
    assert owner.unproved() == ("one snapshot agrees; a second one, at least 2 s later, is needed",)


def test_a_stream_that_tells_of_the_position_meanwhile_begins_the_doubt_again() -> None:
    owner = Owner()
    bought(owner)
    owner.wait(60.0)
    close = owner.venue.place(EP.id, "sell", 1)
    owner.venue.fill(close.id, 1, 101)
    owner.venue.stream.clear()
    owner.look()
    owner.wait(10.0)
    owner.tell(AccountPosition(contract=EP.id, net=1, average_price=Decimal(99)))
    owner.look()
    owner.wait(6.0)
    told = owner.look()
    assert rows_of(told, Fill) != []
    assert rows_of(told, AccountPosition) == []


def test_rest_does_not_answer_a_mutation_before_the_venue_had_its_time() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.wait(60.0)
    owner.keeper.expect(order.id, owner.venue.now)
    owner.wait(1.0)
    owner.look()
    assert f"the venue has not told yet what became of {order.id}" in owner.unproved()
    owner.wait(4.0)
    owner.look()
    assert owner.unproved() == ()


def test_no_permit_is_built_on_a_position_without_a_direction() -> None:
    owner = Owner()
    owner.tell(AccountPosition(contract=EP.id, net=None))
    assert any("direction" in reason for reason in owner.unproved())


def test_a_fill_from_before_the_session_is_no_profit_of_it() -> None:
    owner = Owner()
    owner.keeper.new_session(1_000)
    owner.tell(Fill(id=1, contract=EP.id, side="buy", size=1, profit=Decimal(5), at_ns=999))
    assert owner.view().realised == 0
    owner.tell(Fill(id=2, contract=EP.id, side="buy", size=1, profit=Decimal(5), at_ns=1_000))
    assert owner.view().realised == 5


def test_a_fill_of_the_session_before_that_is_voided_leaves_the_position_and_not_the_profit() -> None:
    owner = Owner()
    bought(owner, 2)
    owner.wait(100.0)
    owner.keeper.new_session(owner.venue.venue_ns)
    owner.venue.void(next(iter(owner.venue.truth.fills)))
    owner.deliver()
    assert owner.unproved() == ()
    assert owner.view().realised == 0
    assert owner.view().net(EP.id) == 0


def test_a_fill_of_an_earlier_session_that_is_voided_today_leaves_no_dispute() -> None:
    """No list shows it: it was in the position from the beginning."""
    owner = Owner(synced=False)
    position = AccountPosition(contract=EP.id, net=2, average_price=Decimal(100))
    owner.venue.truth.positions[EP.id] = position
    owner.venue._keep()
    owner.keeper.new_session(owner.venue.now_ns)
    owner.connect()
    owner.prove()
    before = owner.keeper.since_ns - 1
    owner.tell(Fill(id=7, contract=EP.id, side="buy", size=1, price=Decimal(9), voided=True, at_ns=before))
    assert "make +1" in " ".join(owner.unproved())
    left = structs.replace(position, net=1)
    owner.tell(left)
    owner.venue.truth.positions[EP.id] = left
    owner.venue._keep()
    owner.audit(120.0)
    assert (owner.state(), owner.unproved()) == ("synced", ())
    assert owner.view().realised == 0


def test_an_order_of_an_earlier_session_that_had_ended_and_is_listed_as_working_is_not_passed_over() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.tell(structs.replace(order, state="cancelled", updated_ns=owner.venue.venue_ns))
    owner.keeper.new_session(owner.venue.now_ns + 7_200 * 10**9)  # the venue's clock is ahead
    assert list(owner.keeper._record.rows.orders()) == []
    owner.audit(320.0)
    assert not owner.flat()
    assert [each.order.id for each in owner.view().orders] == [order.id]


def test_an_event_that_waits_while_the_process_is_stopped_is_no_silent_loss() -> None:
    """The first look behind the pause may be answered before the socket is read."""
    owner = Owner()
    bought(owner)
    owner.wait(60.0)
    owner.venue.fill(owner.venue.place(EP.id, "buy", 1).id, 1, 101)
    owner.look()
    assert owner.state() == "doubted"
    owner.wait(20.0)  # stopped
    owner.look()
    assert owner.view().silent_losses == ()
    owner.deliver()
    owner.audit(30.0)
    assert (owner.state(), owner.view().silent_losses) == ("synced", ())


def test_a_difference_stands_soon_where_the_looks_between_have_failed() -> None:
    owner = Owner()
    owner.venue.place(EP.id, "buy", 1)
    owner.venue.stream.clear()
    owner.wait(60.0)
    owner.look()
    owner.wait(20.0)
    owner.look()
    assert owner.view().silent_losses == ()
    assert due(owner) == 2.0
    owner.audit(2.0)
    assert len(owner.view().silent_losses) == 1


def test_a_difference_that_cannot_be_taken_over_is_not_asked_for_again_and_again() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.tell(structs.replace(order, size=7, updated_ns=owner.venue.venue_ns + 10**18))
    owner.audit(120.0)
    assert owner.state() == "disputed"
    assert due(owner) > 2.0


def test_the_close_of_a_position_of_which_the_stream_told_nothing_is_answered_by_its_fills() -> None:
    owner = Owner()
    for side in ("buy", "sell"):
        owner.venue.fill(owner.venue.place(EP.id, side, 1).id, 1, 100)
    owner.keeper.expect(EP.id, owner.venue.now)
    owner.venue.stream.clear()
    owner.audit(400.0)
    assert (owner.state(), owner.unproved()) == ("untrusted", owner.view().reasons)
    owner.lose()
    owner.connect()
    owner.audit(10.0)
    assert (owner.unproved(), owner.flat().answer) == ((), "yes")
