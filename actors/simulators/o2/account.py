"""An account at O2: what it holds, its nonce, its orders."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from actors.simulators.base.history import BoundedDict
from actors.simulators.base.random_market import Order
from actors.simulators.o2.instruments import Listing, canonical, worth

Identity = str | Mapping[str, str]  # an id alone is a contract's, as traders' are

_REMEMBERED = 200  # orders


class Holding(Struct):
    free: int
    locked: int = 0


class Account:
    """An identity that a client named: it has some of every asset, and trades."""

    def __init__(self, identity: Mapping[str, str], assets: Iterable[str], seed: object) -> None:
        dice = random.Random(f"{seed}/{next(iter(identity.values()))}")
        self.identity = dict(identity)
        self.nonce = dice.randint(1, 500)
        self.holdings = {asset: Holding(dice.randint(1_000, 9_000) * 10**9) for asset in assets}
        self.orders: dict[str, dict[str, Any]] = BoundedDict(_REMEMBERED)  # as last told, by id

    @property
    def id(self) -> str:
        return canonical(next(iter(self.identity.values())))

    def at_stake(self, found: Listing, order: Order) -> tuple[Holding, int]:
        """What an order locks: of which holding, and how much."""
        if order.side == "sell":
            return self.holdings[found.base.id], order.remaining
        return self.holdings[found.quote.id], worth(found, order.remaining, order.price)

    def settle(self, found: Listing, order: Order, quantity: int) -> None:
        """An order is filled by so much: what it locked is paid."""
        paid = worth(found, quantity, order.price)
        base, quote = self.holdings[found.base.id], self.holdings[found.quote.id]
        if order.side == "buy":
            quote.locked -= paid
            base.free += quantity
        else:
            base.locked -= quantity
            quote.free += paid


def named(identity: Identity) -> Mapping[str, str]:
    """An identity with its kind."""
    return {"ContractId": identity} if isinstance(identity, str) else identity
