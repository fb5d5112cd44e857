"""Matches orders with the market: an order rests, waits for its trigger, is filled, changed or cancelled.

Everything is told in the order in which it happens: to the subscribers of the account, and to those of the
market whose book an order changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from actors.simulators.base.faults import PendingFaults
from actors.simulators.base.random_market import Order, Step
from actors.simulators.projectx.account import Account, signed
from actors.simulators.projectx.brackets import legs_of, make_legs, opened, siblings_of
from actors.simulators.projectx.codes import (
    ASK,
    BID,
    CANCELLED,
    MARKET,
    OPEN,
    PENDING,
    REJECTED,
    STOP,
    SUSPENDED,
    TRAILING_STOP,
    WORKING,
    VenueRefusal,
)
from actors.simulators.projectx.forms import Change, Placing
from actors.simulators.projectx.instruments import Listing
from actors.simulators.projectx.order_checks import changes_of, check_brackets, rejected, terms_of
from actors.simulators.projectx.payloads import Action, Row
from actors.simulators.projectx.settings import SimulatedProjectXSettings

_TRIGGERED = (STOP, TRAILING_STOP)
_FILL_CHANNELS = ("orders", "user_trades", "positions", "accounts")


class Hubs(Protocol):
    """The simulator, as the matching needs it."""

    settings: SimulatedProjectXSettings
    pending: PendingFaults
    listings: dict[str, Listing]
    accounts: dict[int, Account]

    def tell_account(self, channel: str, account: Account, told: Sequence[Action]) -> Row: ...
    def tell_depth(self, listing: Listing, step: Step) -> None: ...


class Matching:
    """The orders of all accounts of a venue."""

    def __init__(self, hubs: Hubs) -> None:
        self._hubs = hubs
        self._settings = hubs.settings
        self._stops: dict[str, dict[int, Account]] = {}  # working stops and trails, by contract and id

    # what clients ask for

    def place(self, account: Account, listing: Listing, asked: Placing) -> Row:
        """A new order. Raises VenueRefusal, which has the id of the rejected order where there is one."""
        if not account.row["canTrade"]:
            raise VenueRefusal("account_rejected")
        if not listing.active:
            raise VenueRefusal("inactive")
        if self._settings.duplicate_tag == "refused" and asked.custom_tag in account.tags:
            raise rejected("Custom tag is already in use.")
        try:
            terms = terms_of(listing, asked)
            auto_oco = account.id not in self._settings.position_brackets
            check_brackets(asked, auto_oco=auto_oco, least=self._settings.min_bracket_ticks)
        except VenueRefusal as refusal:
            refusal.order = self._reject(account, listing, asked)
            raise
        return self._admit(account, listing, terms, asked)

    def modify(self, account: Account, asked: Change) -> None:
        """A working order has other terms from now on. Raises VenueRefusal."""
        row = self._working(account, asked.order_id)
        listing = self._hubs.listings[row["contractId"]]
        over = changes_of(listing, row, asked)
        self.withdraw(listing, row)
        self._tell_order(account, listing, row, over)
        if row["status"] == OPEN:
            self._enter(account, listing, row)

    def cancel(self, account: Account, order: int) -> None:
        """A working order is taken back. Raises VenueRefusal."""
        row = self._working(account, order)
        if not account.row["simulated"]:
            raise VenueRefusal("account_rejected")
        self._end(account, self._hubs.listings[row["contractId"]], row)

    def close(self, account: Account, listing: Listing, size: int | None = None) -> Row:
        """A market order against a position; its orders stay as they are. Raises VenueRefusal."""
        if not listing.active:
            raise VenueRefusal("inactive")
        held = signed(account.positions.get(listing.id))
        if not held:
            raise VenueRefusal("position")
        if size is not None and not 0 < size <= abs(held):
            raise VenueRefusal("size")
        if not account.row["simulated"]:
            raise VenueRefusal("account_rejected")
        side = ASK if held > 0 else BID
        terms = {"type": MARKET, "side": side, "size": size or abs(held), "limitPrice": None}
        row = self._new(account, listing, terms)
        self._enter(account, listing, row)
        return row

    def _working(self, account: Account, order: int) -> Row:
        row = account.orders.get(order)
        if row is None or row["status"] not in WORKING:
            raise VenueRefusal("order")
        return row

    def _reject(self, account: Account, listing: Listing, asked: Placing) -> int:
        """The record of an order that was refused; the hub gives no reason."""
        terms = {"type": asked.type, "side": asked.side, "size": asked.size, "customTag": asked.custom_tag}
        prices = {"limitPrice": asked.limit_price, "stopPrice": asked.stop_price}
        told = account.order(listing, {**terms, **prices, "status": REJECTED})
        self._hubs.tell_account("orders", account, [told])
        id: int = told[1]["id"]
        return id

    def _admit(self, account: Account, listing: Listing, terms: Row, asked: Placing) -> Row:
        bracket = asked.stop_loss_bracket or asked.take_profit_bracket
        row = self._new(account, listing, terms | {"status": PENDING if bracket else OPEN})
        if bracket:
            for told in make_legs(account, listing, row, asked):
                self._hubs.tell_account("orders", account, [told])
            self._tell_order(account, listing, row, {"status": OPEN})
        self._enter(account, listing, row)
        return row

    # the life of an order

    def _new(self, account: Account, listing: Listing, terms: Row) -> Row:
        told = account.order(listing, terms)
        self._hubs.tell_account("orders", account, [told])
        return account.orders[told[1]["id"]]

    def _tell_order(self, account: Account, listing: Listing, row: Row, over: Row) -> None:
        told = account.order(listing, {"id": row["id"], **over})
        self._hubs.tell_account("orders", account, [told])

    def _enter(self, account: Account, listing: Listing, row: Row) -> None:
        """A working order waits for its trigger, is filled at once, or rests in the book."""
        if row["type"] in _TRIGGERED:
            self._stops.setdefault(listing.id, {})[row["id"]] = account
            return
        at = _crossed(listing, row)
        if at is not None:
            self._fill_some(account, listing, row, at)
        self._rest(account, listing, row)

    def _rest(self, account: Account, listing: Listing, row: Row) -> None:
        """What is left of an order with a limit rests in the book, unless it would cross it."""
        if row["status"] != OPEN or row["limitPrice"] is None or _crossed(listing, row) is not None:
            return
        order = Order(
            id=str(row["id"]),
            account=str(account.id),
            market=listing.id,
            side="buy" if row["side"] == BID else "sell",
            price=listing.ticks(row["limitPrice"]),
            quantity=_left(row),
        )
        self._hubs.tell_depth(listing, listing.market.place(order))

    def withdraw(self, listing: Listing, row: Row) -> bool:
        """Takes an order out of the book, or from under its trigger; whether it was there."""
        armed = self._stops.get(listing.id, {}).pop(row["id"], None)
        resting = listing.market.orders.get(str(row["id"]))
        if resting is not None:
            self._hubs.tell_depth(listing, listing.market.cancel(resting))
        return armed is not None or resting is not None

    def _end(self, account: Account, listing: Listing, row: Row) -> None:
        """An order is cancelled. Its suspended legs go with it, or protect what of it was filled."""
        self.withdraw(listing, row)
        self._tell_order(account, listing, row, {"status": CANCELLED})
        self._release_legs(account, listing, row)

    def _release_legs(self, account: Account, listing: Listing, entry: Row) -> None:
        """An entry is final: its legs open for what was filled, or are cancelled where nothing was."""
        for leg in legs_of(account, entry["id"]):
            if leg["status"] != SUSPENDED:
                continue
            if entry["fillVolume"]:
                self._tell_order(account, listing, leg, opened(account, listing, entry, leg))
                self._enter(account, listing, leg)
            else:
                self._tell_order(account, listing, leg, {"status": CANCELLED})

    # fills

    def fill(self, account: Account, listing: Listing, row: Row, size: int, at: Decimal) -> list[Row]:
        """Fills `size` contracts of an order at this price, and does what follows: legs open, siblings end.

        Returns order, half-turn, position and account as they were told.
        """
        filled = account.fill(listing, row, size, at)
        for channel, told in zip(_FILL_CHANNELS, filled, strict=True):
            self._hubs.tell_account(channel, account, [told])
        if row["status"] not in WORKING:
            self._release_legs(account, listing, row)
            for other in siblings_of(account, row):
                self._end(account, listing, other)
        return [told for _, told in filled]

    def fill_by_hand(self, account: Account, listing: Listing, row: Row, size: int, at: Decimal) -> list[Row]:
        """The same for an order that may rest in the book, or wait for its trigger."""
        waited = self.withdraw(listing, row)
        told = self.fill(account, listing, row, size, at)
        if waited and row["status"] == OPEN:
            self._enter(account, listing, row)
        return told

    def _fill_some(self, account: Account, listing: Listing, row: Row, at: Decimal) -> None:
        """Fills what is left of an order, or the part of it that the fault `partial_fill` gives."""
        most: int = self._hubs.pending.take("partial_fill") or _left(row)
        self.fill(account, listing, row, min(most, _left(row)), at)

    # the market

    def traded(self, listing: Listing, ticks: int, volume: int) -> None:
        """The market has traded: orders at that price are filled up to its volume, worse ones whole."""
        left = volume
        for order in list(listing.market.orders.values()):
            if order.closed:  # by a fill before this one
                continue
            through = order.price > ticks if order.side == "buy" else order.price < ticks
            size = order.remaining if through else min(left, order.remaining) if order.price == ticks else 0
            if size > 0:
                left -= 0 if through else size
                account = self._hubs.accounts[int(order.account)]
                row = account.orders[int(order.id)]
                self.fill_by_hand(account, listing, row, size, listing.price(order.price))
        self.trigger(listing)

    def trigger(self, listing: Listing) -> None:
        """Trails follow the last price, and the stops that it has reached are filled at it."""
        for id, account in list(self._stops.get(listing.id, {}).items()):
            row = account.orders.get(id)
            if row is None or row["status"] != OPEN:
                self._stops[listing.id].pop(id, None)
                continue
            if row["type"] == TRAILING_STOP:
                _follow(listing, row)
            reached = (
                listing.last >= row["stopPrice"] if row["side"] == BID else listing.last <= row["stopPrice"]
            )
            if reached:
                self._stops[listing.id].pop(id, None)
                self._fill_some(account, listing, row, listing.last)


def _left(row: Row) -> int:
    left: int = row["size"] - row["fillVolume"]
    return left


def _follow(listing: Listing, row: Row) -> None:
    """The trigger of a trail comes nearer with the market, and never goes back."""
    distance = row["trailPrice"]
    if row["side"] == BID:
        row["stopPrice"] = min(row["stopPrice"], listing.last + distance)
    else:
        row["stopPrice"] = max(row["stopPrice"], listing.last - distance)


def _crossed(listing: Listing, row: Row) -> Decimal | None:
    """The price at which an order is filled at once; None: it is not."""
    market = listing.market
    best = min(market.asks, default=None) if row["side"] == BID else max(market.bids, default=None)
    if row["type"] == MARKET:
        return listing.last if best is None else listing.price(best)
    if best is None or row["limitPrice"] is None:
        return None
    limit = listing.ticks(row["limitPrice"])
    crossed = limit >= best if row["side"] == BID else limit <= best
    return listing.price(best) if crossed else None
