"""The limits of a feed's orders: what is too large, too much, too often, or too far from the market."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from actors.protocol.trading import AnyMutation, Contract, Exposure, Intent, Modify, Place, Refused
from actors.trading.records import MINUTE_NS, Check, RecordedOrder, StoreView

LAG_NS: Final = 2 * 10**9  # so long after its acceptance an order may be missing in what the venue lists

Count = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number, 1 or more")]
Key = Literal["max_size", "max_net", "max_open_orders", "orders_per_minute", "price_band"]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[feeds.NAME.limits]`. None: no such limit. `trading = true` requires the first and the fourth."""

    max_size: Count | None = None  # contracts of one order
    max_net: Count | None = None  # contracts of one contract on one side: position, working, on their way
    max_open_orders: Count | None = None  # of an account
    orders_per_minute: Count | None = None  # of an account: places and modifications
    price_band: Count | None = None  # ticks from the market

    @property
    def needs_exposure(self) -> bool:
        """Whether `Facts.exposure` must be known."""
        return self.max_net is not None or self.max_open_orders is not None


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of the account and the market before an order is begun.

    `asked_ns`: when the exposure was asked for, wall clock; of several requests, the first. `mark`: a price
    of the market that is fresh; None: there is none.
    """

    contract: Contract | None = None
    exposure: Exposure | None = None
    asked_ns: int = 0
    mark: Decimal | None = None


def limit_check(limits: Limits, feed: str, intent: Intent, facts: Facts) -> Check:
    """Returns the check that `OrderStore.begin` makes inside the transaction of this intent."""

    def check(view: StoreView) -> Refused | None:
        return next(_Order(limits, feed, intent, facts, view).refusals(), None)

    return check


class _Order:
    """One order before its limits."""

    def __init__(self, limits: Limits, feed: str, intent: Intent, facts: Facts, view: StoreView) -> None:
        self._limits, self._feed, self._tag = limits, feed, intent.tag
        self._mutation: AnyMutation = intent.mutation
        self._facts, self._view = facts, view

    def refusals(self) -> Iterator[Refused]:
        """Each limit that it would break. What reduces risk breaks none."""
        limits = self._limits
        if isinstance(self._mutation, Place | Modify):
            if limits.max_size is not None:
                yield from self._size(limits.max_size, self._mutation.size)
            if limits.orders_per_minute is not None:
                yield from self._rate(limits.orders_per_minute)
            if limits.max_net is not None:
                yield from self._net(limits.max_net, self._mutation)
            if limits.max_open_orders is not None and isinstance(self._mutation, Place):
                yield from self._open_orders(limits.max_open_orders, self._mutation)
            if limits.price_band is not None:
                yield from self._prices(limits.price_band, self._mutation)

    def _size(self, most: int, size: int | None) -> Iterator[Refused]:
        if size is not None and size > most:
            yield self._refused("max_size", most, f"this order has {size} contracts")

    def _rate(self, most: int) -> Iterator[Refused]:
        ages = sorted(each.age_ns for each in self._view.orders if each.age_ns < MINUTE_NS)
        if len(ages) >= most:
            wait = (MINUTE_NS - ages[most - 1]) / 1e9
            text = f"{len(ages)} were begun within the last minute"
            yield self._refused("orders_per_minute", most, text, retry_after=max(0.0, wait))

    def _net(self, most: int, mutation: Place | Modify) -> Iterator[Refused]:
        exposure, more = self._facts.exposure, self._more(mutation)
        if not more:
            return
        if exposure is None:
            yield self._unknown("max_net", most)
            return
        side = mutation.side if isinstance(mutation, Place) else self._view.side
        for each in (side,) if side else ("buy", "sell"):
            held = exposure.position if each == "buy" else -exposure.position
            working = exposure.buys if each == "buy" else exposure.sells
            on_their_way = sum(order.size or 0 for order in self._pending(each))
            total = held + working + on_their_way + more
            if total > most:
                parts = f"position {held}, working {working}, on their way {on_their_way}, this order {more}"
                yield self._refused("max_net", most, f"{each}s come to {total}: {parts}")

    def _more(self, mutation: Place | Modify) -> int:
        """The contracts that it adds at most.

        An order may have the smallest size that it was ever given, also by another program. Where it is
        partly filled, it is not known whether a size counts that: all of it is taken for what is to come.
        """
        if isinstance(mutation, Place):
            return mutation.size
        listed = {} if self._facts.exposure is None else self._facts.exposure.left
        left = listed.get(mutation.order, 0)
        return max(0, (mutation.size or 0) - min([left, *self._view.sizes]))

    def _open_orders(self, most: int, mutation: Place) -> Iterator[Refused]:
        if self._facts.exposure is None:
            yield self._unknown("max_open_orders", most)
            return
        bracket = mutation.bracket
        own = 1 if bracket is None else 1 + (bracket.stop is not None) + (bracket.target is not None)
        pending = [order for order in self._view.orders if order.kind == "place" and self._is_pending(order)]
        on_their_way = sum(1 + order.legs for order in pending)
        total = self._facts.exposure.orders + on_their_way + own
        if total > most:
            parts = f"working {self._facts.exposure.orders}, on their way {on_their_way}, this one {own}"
            yield self._refused("max_open_orders", most, f"it would be {total}: {parts}")

    def _prices(self, most: int, mutation: Place | Modify) -> Iterator[Refused]:
        prices = (mutation.limit_price, mutation.stop_price, mutation.trail_price)
        given = [price for price in prices if price is not None]
        contract, mark = self._facts.contract, self._facts.mark
        if given and (contract is None or mark is None):
            yield self._refused("price_band", most, "there is no fresh price of the market to compare with")
        elif contract is not None and mark is not None:
            for price in given:
                ticks = abs(price - mark) / contract.tick_size
                if ticks > most:
                    text = f"the price {price} is {ticks:.1f} ticks from the market at {mark}"
                    yield self._refused("price_band", most, text)

    def _pending(self, side: str) -> Iterator[RecordedOrder]:
        """Orders of the contract that the exposure may lack. A modification may be of either side."""
        contract = None if self._facts.contract is None else self._facts.contract.id
        if isinstance(self._mutation, Place):
            contract = self._mutation.contract
        for order in self._view.orders:
            is_of_it = order.contract in {None, contract} or contract is None
            if is_of_it and order.side in {None, side} and self._is_pending(order):
                yield order

    def _is_pending(self, order: RecordedOrder) -> bool:
        if order.state in {"open", "unknown"}:
            return True
        return order.state == "accepted" and (order.finished_ns or 0) > self._facts.asked_ns - LAG_NS

    def _unknown(self, key: Key, most: int) -> Refused:
        return self._refused(key, most, "the venue could not be asked what the account has")

    def _refused(self, key: Key, most: int, text: str, retry_after: float | None = None) -> Refused:
        message = f"[feeds.{self._feed}.limits] {key} is {most}, and {text}. Nothing was sent."
        return Refused(self._tag, "limit", key, message, retry_after)
