"""A venue that the tests of the account view move by hand: its truth, its stream, its lists.

Stream events wait until they are delivered, in order, or dropped. A list shows the truth of the moment at
which it is made, or of some seconds before. Time is virtual; the venue's clock is an hour ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any

from msgspec import structs

from actors.protocol.accounts import (
    AccountBalance,
    AccountOrder,
    AccountPosition,
    AccountRow,
    Fill,
    Listed,
    Side,
)
from actors.protocol.ticks import money
from actors.protocol.trading import Contract
from actors.rules.account.keeper import AccountKeeper
from actors.rules.account.snapshot import Read, Snapshot
from actors.rules.account.states import ViewState
from actors.rules.account.view import AccountEvent, AccountView, Flat, Mark

ACCOUNT = 4242
EP = Contract("CON.F.US.EP.Z26", "ESZ6", Decimal("0.25"), Decimal("12.5"), product="EP")
MNQ = Contract("CON.F.US.MNQ.Z26", "MNQZ6", Decimal("0.25"), Decimal("0.5"), product="MNQ")
CONTRACTS = {each.id: each for each in (EP, MNQ)}
AHEAD = 3_600.0  # seconds of the venue's clock
LISTS = ("orders", "history", "fills", "positions", "balance")
FEE = Decimal("1.40")
ZERO = Decimal(0)
NOTHING: Mapping[str, str] = {}


class Truth:
    """What the account really has."""

    def __init__(self) -> None:
        self.orders: dict[int, AccountOrder] = {}
        self.positions: dict[str, AccountPosition] = {}
        self.fills: dict[int, Fill] = {}
        self.balance = Decimal(50_000)

    def working(self) -> list[AccountOrder]:
        return [row for row in self.orders.values() if not row.is_final]

    def is_flat(self) -> bool:
        return not self.working() and not self.positions

    def realised(self) -> Decimal:
        counted = [row for row in self.fills.values() if not row.voided]
        return sum(((row.profit or ZERO) - (row.fees or ZERO) for row in counted), ZERO)


class Venue:
    """`stream`: events that have not been delivered. While it is down, they are lost."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.truth = Truth()
        self.past: list[tuple[float, Truth]] = [(0.0, Truth())]
        self.stream: deque[AccountRow] = deque()
        self.is_up = False
        self.has_suspended = True  # in its lists
        self._ids = iter(range(1, 10**9))

    # ── time ──

    @property
    def now_ns(self) -> int:
        """This machine's wall clock."""
        return round(self.now * 10**9)

    @property
    def venue_ns(self) -> int:
        return round((self.now + AHEAD) * 10**9)

    def at(self, moment: float) -> Truth:
        """The truth of a moment, for lists that lag."""
        return next(truth for at, truth in reversed(self.past) if at <= moment)

    # ── what happens ──

    def place(
        self,
        contract: str,
        side: Side,
        size: int,
        *,
        tag: str = "",
        price: int | None = 100,
        legs: bool = False,
    ) -> AccountOrder:
        """A limit order that works; with legs, two suspended ones."""
        order = self._order(
            contract=contract,
            state="pending" if legs else "working",
            side=side,
            type="limit",
            size=size,
            filled=0,
            limit_price=None if price is None else Decimal(price),
            tag=tag,
        )
        if legs:
            other: Side = "sell" if side == "buy" else "buy"
            for kind, end in (("stop", "-SL"), ("limit", "-TP")):
                self._order(
                    contract=contract,
                    state="suspended",
                    side=other,
                    type=kind,
                    size=size,
                    filled=0,
                    tag=f"{tag}{end}",
                    parent=order.id,
                )
        return order

    def fill(self, order_id: int, size: int, price: int) -> None:
        """Its order, the half-turn, the position and the balance change, and are told in this order."""
        order = self.truth.orders[order_id]
        filled = (order.filled or 0) + size
        is_done = filled >= (order.size or 0)
        state = "filled" if is_done else "working"
        self._change_order(order, state=state, filled=filled, average_price=Decimal(price))
        signed = size if order.side == "buy" else -size
        before = self.truth.positions.get(order.contract)
        profit, after = self._moved(order.contract, before, signed, Decimal(price))
        fill = Fill(
            id=next(self._ids),
            contract=order.contract,
            order=order.id,
            side=order.side,
            size=size,
            price=Decimal(price),
            profit=profit,
            fees=FEE * size,
            at_ns=self.venue_ns,
        )
        self.truth.fills[fill.id] = fill
        self._tell(fill)
        self._position(order.contract, after)
        self._balance((profit or 0) - FEE * size)
        if is_done:
            for leg in self.legs_of(order.id):
                self._change_order(leg, state="working", stop_price=Decimal(price - 5))
        self._keep()

    def cancel(self, order_id: int) -> None:
        order = self.truth.orders[order_id]
        self._change_order(order, state="cancelled")
        for leg in self.legs_of(order_id):
            self._change_order(leg, state="cancelled")
        self._keep()

    def modify(self, order_id: int, price: int) -> None:
        self._change_order(self.truth.orders[order_id], limit_price=Decimal(price))
        self._keep()

    def void(self, fill_id: int) -> None:
        """A half-turn is undone, and its contracts leave the position. Its order stays as it is."""
        fill = self.truth.fills[fill_id]
        voided = structs.replace(fill, voided=True)
        self.truth.fills[fill_id] = voided
        self._tell(voided)
        signed = -(fill.signed or 0)
        _, after = self._moved(
            fill.contract, self.truth.positions.get(fill.contract), signed, fill.price or Decimal(100)
        )
        self._position(fill.contract, after)
        self._balance(FEE * (fill.size or 0) - (fill.profit or 0))
        self._keep()

    def legs_of(self, order_id: int) -> list[AccountOrder]:
        return [row for row in self.truth.working() if row.parent == order_id]

    # ── the stream ──

    def take(self) -> AccountRow:
        return self.stream.popleft()

    def drop(self, index: int) -> AccountRow:
        row = self.stream[index]
        del self.stream[index]
        return row

    def go_down(self) -> None:
        self.is_up = False
        self.stream.clear()

    # ── the lists ──

    def listed(self, name: str, moment: float) -> Any:
        truth = self.at(moment)
        orders = [row for row in truth.orders.values() if self.has_suspended or row.state != "suspended"]
        rows: Any = {
            "orders": [row for row in orders if not row.is_final],
            "history": orders,
            "fills": list(truth.fills.values()),
            "positions": list(truth.positions.values()),
        }
        if name == "balance":
            return AccountBalance(account=ACCOUNT, balance=truth.balance, name="PRAC", can_trade=True)
        return Listed(tuple(rows[name]), True, has_suspended=self.has_suspended or name != "orders")

    def snapshot(self, *, lag: float = 0.0, failed: Mapping[str, str] = NOTHING) -> Snapshot:
        """All lists, asked for and made now. `failed`: lists that did not come, and why."""
        reads: dict[str, Any] = {
            name: Read(self.now, None, failed[name])
            if name in failed
            else Read(self.now, self.listed(name, self.now - lag))
            for name in LISTS
        }
        return Snapshot(since_ns=0, **reads)

    def single(self, order_id: int) -> Read[AccountOrder]:
        found = self.truth.orders.get(order_id)
        return Read(self.now, found, "" if found else "OrderNotFound")

    # ── details ──

    def _order(self, **fields: Any) -> AccountOrder:
        row = AccountOrder(id=next(self._ids), created_ns=self.venue_ns, updated_ns=self.venue_ns, **fields)
        self.truth.orders[row.id] = row
        self._tell(row)
        self._keep()
        return row

    def _change_order(self, order: AccountOrder, **fields: Any) -> None:
        row = structs.replace(order, updated_ns=self.venue_ns, **fields)
        self.truth.orders[row.id] = row
        self._tell(row)

    def _position(self, contract: str, after: tuple[int, Decimal | None]) -> None:
        """One that is closed is told with a net of 0, and is in no list any more."""
        net, average = after
        known = self.truth.positions.pop(contract, None)
        row = AccountPosition(
            contract=contract,
            net=net,
            average_price=average,
            id=known.id if known else next(self._ids),
            created_ns=known.created_ns if known else self.venue_ns,
        )
        if net:
            self.truth.positions[contract] = row
        self._tell(row)

    def _balance(self, change: Decimal) -> None:
        self.truth.balance += change
        self._tell(AccountBalance(account=ACCOUNT, balance=self.truth.balance, name="PRAC", can_trade=True))

    def _moved(
        self, contract: str, before: AccountPosition | None, signed: int, price: Decimal
    ) -> tuple[Decimal | None, tuple[int, Decimal | None]]:
        """The profit of a half-turn, and net and average price after it."""
        net = 0 if before is None or before.net is None else before.net
        average = price if before is None or before.average_price is None else before.average_price
        after = net + signed
        if net * signed >= 0:
            total = average * abs(net) + price * abs(signed)
            return None, (after, (total / abs(after)).quantize(Decimal("1e-9")) if after else None)
        closed = min(abs(net), abs(signed)) * (1 if net > 0 else -1)
        profit = money(CONTRACTS[contract], closed, average, price)
        return profit, (after, None if not after else average if net * after > 0 else price)

    def _tell(self, row: AccountRow) -> None:
        if self.is_up:
            self.stream.append(row)

    def _keep(self) -> None:
        self.past.append((self.now, deepcopy(self.truth)))


class Owner:
    """A keeper, its venue, and what an owner does between them. It keeps the events that were told."""

    def __init__(self, *, synced: bool = True) -> None:
        self.venue = Venue()
        self.keeper = AccountKeeper("projectx", ACCOUNT, since_ns=0, now=self.venue.now)
        self.events: list[AccountEvent] = []
        if synced:
            self.connect()
            self.prove()

    def connect(self) -> None:
        self.wait(0.1)
        self.venue.is_up = True
        self.keeper.subscribed(self.venue.now)

    def lose(self, why: str = "the line is down") -> None:
        self.venue.go_down()
        self.keeper.interrupted(why, self.venue.now)

    def wait(self, seconds: float) -> None:
        self.venue.now += seconds

    def deliver(self) -> list[AccountEvent]:
        """All events of the stream."""
        told: list[AccountEvent] = []
        while self.venue.stream:
            told += self.keeper.event(self.venue.take(), self.venue.now, self.venue.now_ns)
        self.events += told
        return told

    def tell(self, row: AccountRow) -> list[AccountEvent]:
        """One row of the stream, whatever the venue has."""
        return list(self.keeper.event(row, self.venue.now, self.venue.now_ns))

    def look(
        self, snapshot: Snapshot | None = None, *, failed: Mapping[str, str] = NOTHING
    ) -> list[AccountEvent]:
        """A whole look, made now, with the orders that it lacks asked for by their id."""
        if snapshot is None:
            snapshot = self.venue.snapshot(failed=failed)
            single = {each: self.venue.single(each) for each in self.keeper.unlisted(snapshot)}
            snapshot = structs.replace(snapshot, single=single)
        told = list(self.keeper.looked(snapshot, self.venue.now, self.venue.now_ns))
        self.events += told
        return told

    def prove(self) -> None:
        """Two looks, as far apart as two must be."""
        for _ in range(2):
            self.wait(3.0)
            self.look()

    def audit(self, seconds: float) -> list[AccountEvent]:
        """Looks whenever one is due, for so long."""
        told: list[AccountEvent] = []
        end = self.venue.now + seconds
        while (wait := self.keeper.next_look_in(self.venue.now)) <= end - self.venue.now:
            self.wait(wait)
            told += self.look()
        self.venue.now = end
        return told

    def state(self) -> ViewState:
        return self.keeper.state

    def view(self, marks: Mapping[str, Mark] | None = None) -> AccountView:
        return self.keeper.view(self.venue.now, self.venue.now_ns, marks or {}, CONTRACTS, intents=())

    def flat(self, max_age: float = 330.0) -> Flat:
        return self.keeper.flat(self.venue.now, intents=(), max_age=max_age)

    def unproved(self) -> tuple[str, ...]:
        return self.keeper.unproved(self.venue.now, intents=())
