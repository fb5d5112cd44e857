"""An account at ProjectX: its orders, its positions, its half-turns, its balance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from actors.simulators.base.history import BoundedDict
from actors.simulators.projectx.instruments import Listing
from actors.simulators.projectx.payloads import CHANGED, NEW, Action, Row

# ProjectX, "OrderStatus", "OrderType", "OrderSide" and "PositionType".
OPEN, FILLED, CANCELLED, PENDING, SUSPENDED = 1, 2, 3, 6, 8
LIMIT, MARKET = 1, 2
BID, ASK = 0, 1
LONG, SHORT = 1, 2

_REMEMBERED = 10_000  # orders, and half-turns
_FEES = Decimal("1.40")  # money, a contract and half-turn

Numbers = Iterator[int]


class Account:
    """Rows are what the hub and the pages tell; they change with what happens."""

    def __init__(self, id: int, name: str, *, numbers: Numbers, now: Callable[[], str]) -> None:
        self.id = id
        self.row: Row = {"id": id, "name": name, "balance": Decimal("50000.00")}
        self.row |= dict.fromkeys(("canTrade", "isVisible", "simulated"), True)
        self.orders: dict[int, Row] = BoundedDict(_REMEMBERED)
        self.positions: dict[str, Row] = {}  # by contract
        self.fills: deque[Row] = deque(maxlen=_REMEMBERED)
        self._numbers = numbers
        self._now = now

    @property
    def open_orders(self) -> list[Row]:
        """Open ones and pending ones: suspended children of brackets are in no list of open orders."""
        return [row for row in self.orders.values() if row["status"] in (OPEN, PENDING)]

    def change(self, over: Mapping[str, Any]) -> Action:
        self.row |= over
        return CHANGED, dict(self.row)

    def order(self, listing: Listing, over: Mapping[str, Any]) -> Action:
        """A new order or, where `over` has the id of one, what has become of it."""
        known = self.orders.get(over.get("id", 0))
        if known is not None:
            known |= {"updateTimestamp": self._now(), **over}
            return CHANGED, dict(known)
        new = self._new(listing, over.get("id"))
        about = {"symbolId": listing.symbol, "updateTimestamp": new["creationTimestamp"], "customTag": None}
        terms = {"type": LIMIT, "side": BID, "size": 1, "limitPrice": listing.last, "stopPrice": None}
        progress = {"status": OPEN, "fillVolume": 0, "filledPrice": None}
        row = {**new, **about, **terms, **progress, **over}
        self.orders[row["id"]] = row
        return NEW, dict(row)

    def position(self, listing: Listing, over: Mapping[str, Any]) -> Action:
        """A position as it is to be. With `size=0` it is told once more, and then gone."""
        known = self.positions.get(listing.id)
        usual = {"type": LONG, "size": 1, "averagePrice": listing.last}
        new = self._new(listing, known["id"] if known else None)
        row = {**new, **usual, **(known or {}), **over}
        if row["size"]:
            self.positions[listing.id] = row
        else:
            self.positions.pop(listing.id, None)
        return (NEW if known is None else CHANGED), dict(row)

    def half_turn(self, listing: Listing, over: Mapping[str, Any]) -> Action:
        """One fill, which opens unless `over` says what it made."""
        terms = {"orderId": 0, "side": BID, "size": 1, "price": listing.last, "voided": False}
        money = {"profitAndLoss": None, "fees": _FEES * over.get("size", 1)}
        row = {**self._new(listing), **terms, **money, **over}
        self.fills.append(row)
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
        over = {"id": order["id"], "fillVolume": done, "filledPrice": price, "status": status}
        told = self.order(listing, over)
        before = self.positions.get(listing.id)
        change = size if order["side"] == BID else -size
        gain = _gain(listing, before, change, price)
        turn = {"price": price, "profitAndLoss": gain, "side": order["side"], "size": size}
        half_turn = self.half_turn(listing, {**turn, "orderId": order["id"]})
        position = self.position(listing, _after(before, change, price))
        balance = self.row["balance"] + (gain or 0) - half_turn[1]["fees"]
        return told, half_turn, position, self.change({"balance": balance})


Filled = tuple[Action, Action, Action, Action]  # order, half-turn, position, account


def _signed(position: Row | None) -> int:
    if position is None:
        return 0
    size: int = position["size"]
    return size if position["type"] == LONG else -size


def _gain(listing: Listing, before: Row | None, change: int, price: Decimal) -> Decimal | None:
    """Money made by what of a fill closes; None where nothing does."""
    held = _signed(before)
    if before is None or held * change >= 0:
        return None
    closed = min(abs(held), abs(change)) * (1 if held > 0 else -1)
    ticks = (price - Decimal(str(before["averagePrice"]))) / listing.terms.tick
    return (ticks * listing.terms.tick_value * closed).quantize(Decimal("0.01"))


def _after(before: Row | None, change: int, price: Decimal) -> Row:
    """A position after a fill."""
    held = _signed(before)
    now = held + change
    kind = LONG if now > 0 or (now == 0 and held > 0) else SHORT
    if before is None or held * now <= 0:
        average = price if now else before["averagePrice"] if before else price
    elif abs(now) > abs(held):
        paid = Decimal(str(before["averagePrice"])) * abs(held) + price * abs(change)
        average = (paid / abs(now)).quantize(Decimal("0.000001"))
    else:
        average = before["averagePrice"]
    return {"type": kind, "size": abs(now), "averagePrice": average}
