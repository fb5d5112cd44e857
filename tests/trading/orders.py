"""Orders for the tests of the store: one account, one contract."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from actors.protocol.trading import AnyMutation, Cancel, Close, Intent, Modify, Place, Refused
from actors.trading.order_store import OrderStore
from actors.trading.records import Begun, StoreView

HOST = "api.venue.example"
ACCOUNT = 7
CONTRACT = "CON.F.US.EP.Z26"
SECOND = 10**9
MINUTE = 60 * SECOND


def place(size: int = 1, side: Any = "buy", **terms: Any) -> Place:
    given: dict[str, Any] = {"type": "limit", "limit_price": Decimal("6800.25"), "contract": CONTRACT} | terms
    return Place(account=ACCOUNT, side=side, size=size, **given)


MODIFY = Modify(account=ACCOUNT, order=5, limit_price=Decimal("6801.00"))
CANCEL = Cancel(account=ACCOUNT, order=5)
CLOSE = Close(account=ACCOUNT, contract=CONTRACT)
PART = Close(account=ACCOUNT, contract=CONTRACT, size=1)
EVERY: list[AnyMutation] = [place(), MODIFY, CANCEL, CLOSE, PART]


class Wall:
    """A wall clock that stands until it is moved."""

    def __init__(self, now_ns: int | None = None) -> None:
        self.now_ns = time.time_ns() if now_ns is None else now_ns

    def __call__(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        """A boot-time clock that goes with it."""
        return self.now_ns / 1e9


def allow(view: StoreView) -> None:
    """No limits."""


def intent_of(store: OrderStore, mutation: AnyMutation, tag: str = "", now_ns: int | None = None) -> Intent:
    begun_ns = time.time_ns() if now_ns is None else now_ns
    return Intent(tag=tag or store.new_tag(), mutation=mutation, begun_ns=begun_ns)


def begun(store: OrderStore, mutation: AnyMutation, tag: str = "", **more: Any) -> str:
    """The tag of an intent that the store has taken, and that may be sent."""
    intent = intent_of(store, mutation, tag)
    answer = store.begin(intent, HOST, allow, **more)
    assert answer == Begun(), answer
    return intent.tag


def refused(store: OrderStore, mutation: AnyMutation, tag: str = "", **more: Any) -> Refused:
    answer = store.begin(intent_of(store, mutation, tag), HOST, allow, **more)
    assert isinstance(answer, Refused), answer
    return answer
