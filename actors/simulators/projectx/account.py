"""An account at ProjectX: its orders, its positions, its half-turns, its balance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from actors.simulators.base.history import BoundedDict
from actors.simulators.projectx.clock import VenueClock
from actors.simulators.projectx.codes import (
    BID,
    FILLED,
    LIMIT,
    LONG,
    OPEN,
    PENDING,
    REJECTED,
    SHORT,
    UNDEFINED,
    WORKING,
)
from actors.simulators.projectx.instruments import Listing
from actors.simulators.projectx.lag import Table, View
from actors.simulators.projectx.payloads import CHANGED, GONE, NEW, Action, Row

_REMEMBERED = 10_000  # orders, half-turns, and tags
_FEES = Decimal("1.40")  # money, a contract and half-turn

Numbers = Iterator[int]


class Account:
    """Rows are what the hub and the pages tell; they change with what happens.

    `changed` is told of each row that has changed: which table, its key, and the row; None: it is gone.
    """

    def __init__(self, id: int, name: str, *, numbers: Numbers, clock: VenueClock) -> None:
        self.id = id
        self.row: Row = {"id": id, "name": name, "balance": Decimal("50000.00")}
        self.row |= dict.fromkeys(("canTrade", "isVisible", "simulated"), True)
        self.orders: dict[int, Row] = BoundedDict(_REMEMBERED)
        self.positions: dict[str, Row] = {}  # by contract
        self.fills: deque[Row] = deque(maxlen=_REMEMBERED)
        self.tags: dict[str, int] = BoundedDict(_REMEMBERED)  # the first order of each
        self.legs: dict[int, dict[int, int]] = BoundedDict(_REMEMBERED)  # of an entry: signed ticks by leg
        self.flip_renews_id = False
        self.commission = Decimal(0)  # money, a contract and half-turn; 0: rows do not have it
        self.changed: Callable[[Table, Any, Row | None], None] = _unheard
        self._numbers = numbers
        self._now = clock.stamp

    def view(self) -> View:
        """All rows, as they are now."""
        fills = {row["id"]: row for row in self.fills}
        return View(self.row, dict(self.orders), dict(self.positions), fills)

    def working(self, contract: str = "") -> list[Row]:
        """The orders that are not final, suspended ones too; of a contract or of all."""
        rows = [row for row in self.orders.values() if row["status"] in WORKING]
        return [row for row in rows if contract in ("", row["contractId"])]

    @property
    def open_orders(self) -> list[Row]:
        """Open ones and pending ones: suspended children of brackets are in no list of open orders."""
        return [row for row in self.orders.values() if row["status"] in (OPEN, PENDING)]

    def change(self, over: Mapping[str, Any]) -> Action:
        self.row |= over
        self.changed("accounts", self.id, self.row)
        return CHANGED, dict(self.row)

    def order(self, listing: Listing, over: Mapping[str, Any]) -> Action:
        """A new order or, where `over` has the id of one, what has become of it."""
        known = self.orders.get(over.get("id", 0))
        if known is not None:
            known |= {"updateTimestamp": self._now(), **over}
            self.changed("orders", known["id"], known)
            return CHANGED, dict(known)
        new = self._new(listing, over.get("id"))
        about = {"symbolId": listing.symbol, "updateTimestamp": new["creationTimestamp"], "customTag": None}
        terms = {"type": LIMIT, "side": BID, "size": 1, "limitPrice": listing.last, "stopPrice": None}
        trail = {"trailDistance": None, "trailPrice": None}
        family = {"parentOrderId": None, "linkedOrderId": None}
        progress = {"status": OPEN, "fillVolume": 0, "filledPrice": None}
        row = {**new, **about, **terms, **trail, **family, **progress, **over}
        self.orders[row["id"]] = row
        if row["customTag"] and row["status"] != REJECTED:
            self.tags.setdefault(row["customTag"], row["id"])
        self.changed("orders", row["id"], row)
        return NEW, dict(row)

    def position(self, listing: Listing, over: Mapping[str, Any]) -> Action:
        """A position as it is to be. With `size=0` it is told once more, and then gone."""
        known = self.positions.get(listing.id)
        usual = {"type": LONG, "size": 1, "averagePrice": listing.last}
        new = self._new(listing, known["id"] if known else None)
        row = {**new, **usual, **(known or {}), **over}
        if not row["size"]:
            self.positions.pop(listing.id, None)
            self.changed("positions", listing.id, None)
            return GONE, {**row, "type": UNDEFINED}
        if known and self.flip_renews_id and known["type"] != row["type"]:
            row["id"] = next(self._numbers)
        self.positions[listing.id] = row
        self.changed("positions", listing.id, row)
        return (NEW if known is None else CHANGED), dict(row)

    def half_turn(self, listing: Listing, over: Mapping[str, Any]) -> Action:
        """One fill, which opens unless `over` says what it made."""
        terms = {"orderId": 0, "side": BID, "size": 1, "price": listing.last, "voided": False}
        size = over.get("size", 1)
        money: Row = {"profitAndLoss": None, "fees": _FEES * size}
        if self.commission:
            money["commissions"] = self.commission * size
        row = {**self._new(listing), **terms, **money, **over}
        self.fills.append(row)
        self.changed("trades", row["id"], row)
        return NEW, dict(row)

    def _new(self, listing: Listing, id: int | None = None) -> Row:
        """The fields of every row; the id is the next one, unless it is given."""
        about = {"accountId": self.id, "contractId": listing.id}
        return {"id": id or next(self._numbers), **about, "creationTimestamp": self._now()}

    # what a fill makes of it all

    def fill(self, listing: Listing, order: Row, size: int, price: Decimal) -> Filled:
        """An order is filled in part or whole: order, half-turn, position and balance change."""
        done = order["fillVolume"] + size
        status = FILLED if done >= order["size"] else OPEN
        average = _average(order["filledPrice"], order["fillVolume"], price, size)
        over = {"id": order["id"], "fillVolume": done, "filledPrice": average, "status": status}
        told = self.order(listing, over)
        before = self.positions.get(listing.id)
        change = size if order["side"] == BID else -size
        gain = _gain(listing, before, change, price)
        turn = {"price": price, "profitAndLoss": gain, "side": order["side"], "size": size}
        half_turn = self.half_turn(listing, {**turn, "orderId": order["id"]})
        position = self.position(listing, _after(before, change, price))
        balance = self.row["balance"] + _made_by(half_turn[1])
        return told, half_turn, position, self.change({"balance": balance})

    def void(self, listing: Listing, half_turn: Row) -> tuple[Action, Action, Action]:
        """A fill is taken back: half-turn, position and balance are as if it had never been.

        The orders stay as they are. The position is made again of the fills that are left.
        """
        half_turn["voided"] = True
        self.changed("trades", half_turn["id"], half_turn)
        balance = self.row["balance"] - _made_by(half_turn)
        position = self.position(listing, self._refilled(listing))
        return (CHANGED, dict(half_turn)), position, self.change({"balance": balance})

    def _refilled(self, listing: Listing) -> Row:
        """The position that the fills which were not taken back make."""
        made: Row | None = None
        for row in self.fills:
            if row["contractId"] == listing.id and not row["voided"]:
                after = _after(made, row["size"] if row["side"] == BID else -row["size"], row["price"])
                made = after if after["size"] else None
        return made or {"size": 0}


Filled = tuple[Action, Action, Action, Action]  # order, half-turn, position, account


def _unheard(table: Table, key: Any, row: Row | None) -> None:
    """The default of `changed`."""


def _made_by(half_turn: Row) -> Decimal:
    """Money that a half-turn made, below 0 where it cost some."""
    costs: Decimal = half_turn["fees"] + half_turn.get("commissions", Decimal(0))
    return (half_turn["profitAndLoss"] or Decimal(0)) - costs


def signed(position: Row | None) -> int:
    """The size of a position, below 0 where it is short."""
    if position is None:
        return 0
    size: int = position["size"]
    return size if position["type"] == LONG else -size


def _gain(listing: Listing, before: Row | None, change: int, price: Decimal) -> Decimal | None:
    """Money made by what of a fill closes; None where nothing does."""
    held = signed(before)
    if before is None or held * change >= 0:
        return None
    closed = min(abs(held), abs(change)) * (1 if held > 0 else -1)
    ticks = (price - Decimal(str(before["averagePrice"]))) / listing.terms.tick
    return (ticks * listing.terms.tick_value * closed).quantize(Decimal("0.01"))


def _after(before: Row | None, change: int, price: Decimal) -> Row:
    """A position after a fill."""
    held = signed(before)
    now = held + change
    kind = LONG if now > 0 else SHORT if now < 0 else UNDEFINED
    if before is None or held * now <= 0:
        average = price if now else before["averagePrice"] if before else price
    elif abs(now) > abs(held):
        average = _average(before["averagePrice"], abs(held), price, abs(change))
    else:
        average = before["averagePrice"]
    return {"type": kind, "size": abs(now), "averagePrice": average}


def _average(one: Decimal | None, so_many: int, other: Decimal, more: int) -> Decimal:
    """The price of two lots, on average."""
    if not so_many or one is None:
        return other
    paid = Decimal(str(one)) * so_many + other * more
    return (paid / (so_many + more)).quantize(Decimal("0.000001"))
