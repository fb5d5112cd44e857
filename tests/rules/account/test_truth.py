"""Any interleaving of events, lists, losses and restarts ends in the venue's truth."""

from __future__ import annotations

from collections.abc import Set
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.protocol.accounts import AccountOrder, Fill, Listed, Side
from actors.rules.account.flat import NO_LEGS
from actors.rules.account.keeper import AccountKeeper
from actors.rules.account.snapshot import Read, Snapshot
from actors.rules.account.view import AccountEvent
from tests.rules.account.model import ACCOUNT, CONTRACTS, LISTS, Venue
from tests.support.examples import examples

CHOICE = st.integers(min_value=0, max_value=10**6)  # an index, by its remainder
NONE: Set[str] = frozenset()
LONGEST = 600.0  # seconds of rest


class Look:
    """A look on its way: each list is made at some moment after it was asked for."""

    def __init__(self, asked: float) -> None:
        self.asked = asked
        self.made: dict[str, float] = {}


class Accounts(RuleBasedStateMachine):
    """The venue, its stream, looks that overlap with everything, and the keeper that is told of them."""

    def __init__(self) -> None:
        super().__init__()
        self.venue = Venue()
        self.look: Look | None = None
        self.has_foreign = self.has_lag = False
        self.intents: set[str] = set()
        self.samples: list[tuple[float, bool]] = []  # of each whole snapshot: asked when, and was it flat
        self.tags = 0
        self.start()

    def start(self) -> None:
        self.keeper = AccountKeeper("feed", ACCOUNT, since_ns=0, now=self.venue.now)
        self.told_fills: dict[int, bool] = {}
        self.newest: dict[int, int] = {}

    # ── the venue ──

    def _orders(self) -> list[AccountOrder]:
        return [row for row in self.venue.truth.working() if row.state in ("working", "pending")]

    @initialize(is_settled=st.booleans())
    def begin(self, is_settled: bool) -> None:
        if is_settled:
            self.connect()
            self.look_twice()

    @rule(
        contract=st.sampled_from(list(CONTRACTS)),
        side=st.sampled_from(("buy", "sell")),
        size=st.integers(min_value=1, max_value=3),
        legs=st.booleans(),
        foreign=st.booleans(),
    )
    def place(self, contract: str, side: Side, size: int, legs: bool, foreign: bool) -> None:
        self.tags += 1
        tag = f"t{self.tags}"
        if foreign:
            self.has_foreign = True
        else:
            self.keeper.expect(tag, self.venue.now)
        self.venue.place(contract, side, size, tag=tag, legs=legs)

    @precondition(lambda self: self._orders())
    @rule(choice=CHOICE, size=st.integers(min_value=1, max_value=3), price=st.integers(95, 105))
    def fill(self, choice: int, size: int, price: int) -> None:
        order = self._orders()[choice % len(self._orders())]
        left = (order.size or 0) - (order.filled or 0)
        self.venue.fill(order.id, min(size, left), price)

    @precondition(lambda self: self.venue.truth.working())
    @rule(choice=CHOICE)
    def cancel(self, choice: int) -> None:
        orders = self.venue.truth.working()
        self.venue.cancel(orders[choice % len(orders)].id)

    @precondition(lambda self: self._orders())
    @rule(choice=CHOICE, price=st.integers(90, 110))
    def modify(self, choice: int, price: int) -> None:
        self.venue.modify(self._orders()[choice % len(self._orders())].id, price)

    @precondition(lambda self: any(not row.voided for row in self.venue.truth.fills.values()))
    @rule(choice=CHOICE)
    def void(self, choice: int) -> None:
        self.has_foreign = True  # it opens a position without an order
        fills = [row.id for row in self.venue.truth.fills.values() if not row.voided]
        self.venue.void(fills[choice % len(fills)])

    # ── the stream ──

    @precondition(lambda self: self.venue.stream)
    @rule()
    def deliver_all(self) -> None:
        while self.venue.stream:
            self.deliver(6)

    @precondition(lambda self: self.venue.stream)
    @rule(number=st.integers(min_value=1, max_value=6))
    def deliver(self, number: int) -> None:
        for _ in range(min(number, len(self.venue.stream))):
            self._told(self.keeper.event(self.venue.take(), self.venue.now, self.venue.now_ns))

    @precondition(lambda self: self.venue.stream)
    @rule(choice=CHOICE)
    def drop(self, choice: int) -> None:
        self.venue.drop(choice % len(self.venue.stream))

    @rule(what=st.sampled_from(("lose", "lose", "lose", "resync", "restart")))
    def disturb(self, what: str) -> None:
        getattr(self, f"_{what}")()

    def _lose(self) -> None:
        self.venue.go_down()
        self.keeper.interrupted("the line is down", self.venue.now)

    @precondition(lambda self: not self.venue.is_up)
    @rule()
    def connect(self) -> None:
        self.venue.is_up = True
        self.keeper.subscribed(self.venue.now)

    def _restart(self) -> None:
        """Another process: it knows nothing, and its intents are on disk."""
        self.venue.go_down()
        self.look = None
        self.start()
        self.has_foreign = True  # expectations were in memory

    def _resync(self) -> None:
        self.keeper.resync(self.venue.now)
        self.newest.clear()

    @rule(seconds=st.sampled_from((0.1, 0.5, 1.0, 2.0, 5.0, 16.0, 61.0)))
    def wait(self, seconds: float) -> None:
        """The line comes back by itself."""
        self.venue.now += seconds
        if not self.venue.is_up:
            self.connect()

    # ── looks ──

    @precondition(lambda self: self.look is None)
    @rule()
    def ask(self) -> None:
        self.look = Look(self.venue.now)

    @precondition(lambda self: self.look is not None)
    @rule(name=st.sampled_from(LISTS))
    def make(self, name: str) -> None:
        assert self.look is not None
        self.look.made.setdefault(name, self.venue.now)

    @precondition(lambda self: self.look is not None)
    @rule(
        lost=st.sets(st.sampled_from(LISTS), max_size=2),
        cut=st.sets(st.sampled_from(LISTS), max_size=1),
        lag=st.sampled_from((0.0, 0.0, 0.0, 1.0, 10.0)),
        is_faulty=st.booleans(),
    )
    def answer(self, lost: set[str], cut: set[str], lag: float, is_faulty: bool) -> None:
        assert self.look is not None
        faulty = (lost, cut, lag) if is_faulty else (set(), set(), 0.0)
        self._answer(self.look, *faulty)
        self.look = None

    @rule()
    def look_twice(self) -> None:
        """As far apart as two must be, with all events delivered."""
        self.deliver_all()
        for _ in range(2):
            self.venue.now += 2.0
            self._answer(Look(self.venue.now))

    @rule(
        seconds=st.sampled_from((1.0, 3.0, 17.0, 25.0, 25.0, 70.0)),
        lag=st.sampled_from((0.0, 0.0, 0.0, 0.0, 3.0, 40.0)),
    )
    def audit(self, seconds: float, lag: float) -> None:
        """A user waits for evidence, and the owner looks whenever a look is due."""
        self.wait(0.0)
        self.keeper.confirm(self.venue.now)
        end = self.venue.now + seconds
        while (wait := self.keeper.next_look_in(self.venue.now)) < end - self.venue.now:
            self.venue.now += max(0.001, wait)
            self._answer(Look(self.venue.now), lag=lag)
        self.venue.now = end

    def _answer(self, look: Look, lost: Set[str] = NONE, cut: Set[str] = NONE, lag: float = 0.0) -> None:
        self.has_lag |= lag > 0
        reads: dict[str, Any] = {}
        moments = {name: look.made.get(name, self.venue.now) - lag for name in LISTS}
        for name, moment in moments.items():
            answer = None if name in lost else self.venue.listed(name, moment)
            if name in cut and isinstance(answer, Listed):
                answer = Listed(answer.rows[: len(answer.rows) // 2], False)
            reads[name] = Read(look.asked, answer, "no answer")
        snapshot = Snapshot(since_ns=0, **reads)
        single = {each: self.venue.single(each) for each in self.keeper.unlisted(snapshot)}
        snapshot = Snapshot(since_ns=0, single=single, **reads)
        if not snapshot.lacks:
            shown = self.venue.at(moments["orders"]), self.venue.at(moments["positions"])
            self.samples.append((look.asked, not shown[0].working() and not shown[1].positions))
        self._told(self.keeper.looked(snapshot, self.venue.now, self.venue.now_ns))
        if self.keeper.take_rotation():
            self.venue.go_down()
            self.keeper.interrupted("rotated", self.venue.now)

    # ── what must hold at any time ──

    def _told(self, events: Any) -> None:
        for event in events:
            assert isinstance(event, AccountEvent)
            row = event.row
            if isinstance(row, Fill):
                assert self.told_fills.get(row.id) is not row.voided, f"{row} was told twice"
                self.told_fills[row.id] = row.voided
            if isinstance(row, AccountOrder):
                assert row.updated_ns is not None
                assert row.updated_ns >= self.newest.get(row.id, 0), f"{row} is older than what it replaces"
                self.newest[row.id] = row.updated_ns

    @invariant()
    def flat_is_true(self) -> None:
        flat = self.keeper.flat(self.venue.now, intents=(), max_age=330.0)
        if flat:
            assert [is_flat for _, is_flat in sorted(self.samples)[-2:]] == [True, True]
            if not self.has_foreign and not self.has_lag:
                assert self.venue.truth.is_flat()

    @invariant()
    def realised_is_the_sum_of_the_fills(self) -> None:
        view = self._view()
        if view.realised is not None:
            made = [(row.profit or 0) - (row.fees or 0) for row in view.fills]
            assert view.realised == sum(made, Decimal(0))

    def _view(self) -> Any:
        return self.keeper.view(self.venue.now, self.venue.now_ns, intents=())

    # ── and in the end ──

    def teardown(self) -> None:
        """The venue rests, the line is up, and audits go on."""
        if not self.venue.is_up:
            self.connect()
        self.deliver_all()
        if self.look is not None:
            self._answer(self.look)
        end = self.venue.now + LONGEST
        while self.venue.now < end:
            if not self.venue.is_up:
                self.connect()
            self.venue.now += max(0.001, self.keeper.next_look_in(self.venue.now))
            self._answer(Look(self.venue.now))
        self._is_the_truth()

    def _is_the_truth(self) -> None:
        view, truth = self._view(), self.venue.truth
        assert view.state == "synced", view
        assert not view.unproved, view.unproved
        assert {each.contract: each.net for each in view.positions} == {
            contract: row.net for contract, row in truth.positions.items()
        }
        assert {each.row for each in view.positions} == set(truth.positions.values())
        orders = {row for each in view.orders for row in (each.order, *each.legs)}
        assert orders == set(truth.working())
        assert set(view.fills) == {row for row in truth.fills.values() if not row.voided}
        assert view.balance.balance == truth.balance
        assert view.realised == truth.realised()
        assert view.flat.answer == ("yes" if truth.is_flat() else "no"), view.flat


class AccountsWithoutLegs(Accounts):
    """The venue lists no suspended orders: one that the stream lost is not known until its entry fills."""

    def __init__(self) -> None:
        super().__init__()
        self.venue.has_suspended = False

    def _is_the_truth(self) -> None:
        view, truth = self._view(), self.venue.truth
        assert view.state == "synced", view
        assert view.unproved == (NO_LEGS,), view.unproved
        assert {each.row for each in view.positions} == set(truth.positions.values())
        orders = {row for each in view.orders for row in (each.order, *each.legs)}
        assert all(row in orders or row.state == "suspended" for row in truth.working())
        assert all(row in truth.working() for row in orders if row.state != "suspended")
        assert set(view.fills) == {row for row in truth.fills.values() if not row.voided}
        assert view.balance.balance == truth.balance
        assert view.realised == truth.realised()
        assert view.flat.answer == ("no" if orders or truth.positions else "unknown"), view.flat


TestAccounts = Accounts.TestCase
TestAccountsWithoutLegs = AccountsWithoutLegs.TestCase
TestAccounts.settings = settings(stateful_step_count=50, deadline=None, max_examples=examples(100))
TestAccountsWithoutLegs.settings = settings(stateful_step_count=50, deadline=None, max_examples=examples(50))
