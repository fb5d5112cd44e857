"""Defects of project-x-py 1.1.4 that the account view must not have; each test names one."""

from __future__ import annotations

from decimal import Decimal

from msgspec import structs

from actors.protocol.accounts import AccountBalance, AccountOrder, AccountPosition, Listed
from actors.rules.account.kept import MOST_ROWS
from actors.rules.account.snapshot import Read
from actors.rules.account.view import Mark
from tests.rules.account.model import ACCOUNT, EP, MNQ, Owner

# ── of its PositionManager ──


def test_profit_is_in_money_by_the_tick_value_and_not_in_points() -> None:
    """It told 196.5 for two EP at +98.25 points."""
    owner = Owner()
    owner.tell(AccountPosition(contract=EP.id, net=2, average_price=Decimal("6801.75")))
    owner.tell(AccountPosition(contract=MNQ.id, net=-3, average_price=Decimal("24000")))
    view = owner.view({EP.id: Mark(Decimal("6900.00"), 0.5), MNQ.id: Mark(Decimal("24010.25"), 1.5)})
    long, short = view.positions
    assert (long.unrealised, long.mark_age_s) == (Decimal("9825.00"), 0.5)
    assert (short.unrealised, short.mark_age_s) == (Decimal("-61.50"), 1.5)
    assert view.unrealised == Decimal("9763.50")


def test_a_portfolio_that_cannot_be_valued_has_no_profit_instead_of_zeros() -> None:
    """It gave zeros and a note."""
    owner = Owner()
    owner.tell(AccountPosition(contract=EP.id, net=2, average_price=Decimal("6801.75")))
    view = owner.view()
    assert view.unrealised is None
    assert view.positions[0].why == "no price of the contract is known"


def test_a_list_of_positions_that_fails_is_not_flat() -> None:
    """Its errors became an empty list."""
    owner = Owner(synced=False)
    owner.connect()
    for _ in range(3):
        owner.wait(3.0)
        owner.look(failed={"positions": "HTTP 500"})
    assert owner.view().state == "syncing"
    assert owner.view().net(EP.id) is None
    assert owner.flat().answer == "unknown"
    assert any("positions: HTTP 500" in reason for reason in owner.flat().reasons)


def test_a_position_that_was_closed_while_the_line_was_down_is_gone() -> None:
    """Its cache was only added to, so that the stops of a closed position stayed."""
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 2)
    owner.venue.fill(order.id, 2, 100)
    owner.deliver()
    assert owner.view().net(EP.id) == 2
    owner.lose()
    close = owner.venue.place(EP.id, "sell", 2)
    owner.venue.fill(close.id, 2, 101)
    owner.connect()
    told = owner.audit(3.0)
    assert owner.view().net(EP.id) == 0
    closed = [(each.source, each.row.net) for each in told if isinstance(each.row, AccountPosition)]
    assert closed == [("rest", 0)]


def test_a_turn_from_long_2_to_short_2_is_a_change() -> None:
    """It compared sizes without a sign."""
    owner = Owner()
    owner.tell(AccountPosition(contract=EP.id, net=2, average_price=Decimal(100)))
    [event] = owner.tell(AccountPosition(contract=EP.id, net=-2, average_price=Decimal(100)))
    assert isinstance(event.before, AccountPosition)
    assert (event.before.net, owner.view().net(EP.id)) == (2, -2)


def test_a_turn_that_the_stream_did_not_bring_is_found() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 2)
    owner.venue.fill(order.id, 2, 100)
    owner.deliver()
    turn = owner.venue.place(EP.id, "sell", 4)
    owner.venue.fill(turn.id, 4, 101)
    owner.venue.stream.clear()
    told = owner.audit(100.0)
    assert [(each.source, each.row.net) for each in told if isinstance(each.row, AccountPosition)] == [
        ("audit", -2)
    ]


def test_a_position_of_size_0_closes_whatever_its_type_was() -> None:
    owner = Owner()
    owner.tell(AccountPosition(contract=EP.id, net=-2, average_price=Decimal(100)))
    owner.tell(AccountPosition(contract=EP.id, net=0))
    assert owner.view().positions == ()


def test_a_position_without_a_direction_is_unknown_and_not_0() -> None:
    """Another client took an unknown type for short."""
    owner = Owner()
    owner.tell(AccountPosition(contract=EP.id, net=None))
    assert owner.view().net(EP.id) is None
    assert owner.flat().answer == "unknown"


def test_legs_that_a_close_leaves_in_the_book_keep_the_account_from_being_flat() -> None:
    """It closed the position, and its brackets stayed and could open another one."""
    owner = Owner()
    entry = owner.venue.place(EP.id, "buy", 1, legs=True)
    owner.venue.fill(entry.id, 1, 100)
    close = owner.venue.place(EP.id, "sell", 1)
    owner.venue.fill(close.id, 1, 101)
    owner.deliver()
    owner.prove()
    assert owner.view().positions == ()
    assert owner.flat().answer == "no"
    assert len(owner.view().orders) == 2  # on their own: their entry is gone
    assert all(each.legs == () for each in owner.view().orders)


def test_an_account_that_is_not_subscribed_to_needs_no_task_and_is_down() -> None:
    """Its monitoring created an asyncio task in a synchronous program."""
    owner = Owner(synced=False)
    assert owner.view().state == "down"
    assert owner.keeper.next_look_in(owner.venue.now) == float("inf")
    assert owner.flat().answer == "unknown"


# ── of its OrderManager ──


def test_a_list_of_orders_that_fails_does_not_mean_that_there_are_none() -> None:
    owner = Owner()
    owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.wait(61.0)
    owner.look(failed={"orders": "HTTP 500", "history": "HTTP 500"})
    assert len(owner.view().orders) == 1


def test_an_order_that_left_the_open_ones_is_asked_for_by_its_id() -> None:
    """It looked among open orders only, and a filled one was not found."""
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.lose()
    owner.venue.fill(order.id, 1, 100)
    owner.connect()
    owner.wait(3.0)
    snapshot = structs.replace(
        owner.venue.snapshot(), history=Read(owner.venue.now, Listed[AccountOrder]((), True))
    )
    assert owner.keeper.unlisted(snapshot) == (order.id,)
    found = structs.replace(snapshot, single={order.id: owner.venue.single(order.id)})
    told = owner.look(found)
    assert [each.row.state for each in told if isinstance(each.row, AccountOrder)] == ["filled"]


def test_an_order_in_no_list_is_unknown_and_never_cancelled() -> None:
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    del owner.venue.truth.orders[order.id]
    owner.venue._keep()
    owner.lose()
    owner.connect()
    owner.wait(3.0)
    owner.look()
    [kept] = owner.view().orders
    assert kept.order.state == "unknown"
    owner.prove()
    assert owner.flat().answer == "unknown"


def test_orders_that_are_suspended_or_being_cancelled_are_shown() -> None:
    """It threw away events with a status of 7 or 8."""
    owner = Owner()
    entry = owner.venue.place(EP.id, "buy", 1, tag="e", legs=True)
    owner.deliver()
    owner.tell(structs.replace(entry, state="cancelling"))
    [shown] = owner.view().orders
    assert shown.order.state == "cancelling"
    assert [leg.state for leg in shown.legs] == ["suspended", "suspended"]


def test_an_event_of_another_account_is_not_mixed_in() -> None:
    owner = Owner()
    assert owner.tell(AccountBalance(account=ACCOUNT + 1, balance=Decimal(1))) == []
    balance = owner.view().balance
    assert balance is not None
    assert balance.balance == Decimal(50_000)


def test_a_partial_fill_is_told() -> None:
    """Its status stays the same, and it told nothing."""
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 3)
    owner.deliver()
    owner.venue.fill(order.id, 1, 100)
    told = [each.row for each in owner.deliver() if isinstance(each.row, AccountOrder)]
    assert [(row.state, row.filled) for row in told] == [("working", 1)]


def test_what_a_loss_hid_is_told_with_its_source() -> None:
    """It reconciled nothing after a loss."""
    owner = Owner()
    order = owner.venue.place(EP.id, "buy", 1)
    owner.deliver()
    owner.lose()
    owner.venue.fill(order.id, 1, 100)
    owner.connect()
    told = owner.audit(1.0)
    assert [(type(each.row).__name__, each.source) for each in told] == [
        ("AccountOrder", "rest"),
        ("Fill", "rest"),
        ("AccountPosition", "rest"),
        ("AccountBalance", "rest"),
    ]


def test_many_orders_that_work_cost_no_ended_one_its_place() -> None:
    """With each new order, all that worked were looked through for one that had ended."""
    owner = Owner()
    rows = owner.keeper._record.rows
    ended = AccountOrder(id=0, contract=EP.id, state="filled", created_ns=1)
    owner.tell(ended)
    for number in range(1, MOST_ROWS + 10):
        owner.tell(AccountOrder(id=number, contract=EP.id, state="working", created_ns=number))
    assert sum(1 for _ in rows.working()) == MOST_ROWS + 9
    assert rows.get(("order", 0)) == ended


def test_what_is_kept_is_bounded() -> None:
    """Its tracking maps grew for ever."""
    owner = Owner()
    for number in range(1, MOST_ROWS + 2_000):
        owner.tell(AccountOrder(id=number, contract=EP.id, state="cancelled", created_ns=number))
    assert sum(1 for _ in owner.keeper._record.rows.orders()) <= MOST_ROWS
    [old] = owner.tell(AccountOrder(id=10**9, contract=EP.id, state="working", created_ns=1))
    assert old.before is None
    assert owner.tell(AccountOrder(id=1, contract=EP.id, state="cancelled", created_ns=1)) == []
