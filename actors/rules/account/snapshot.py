"""What a look at an account over REST brings: its lists, each with the time at which it was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from msgspec import Struct

from actors.protocol.accounts import AccountBalance, AccountOrder, AccountPosition, Fill, Listed

T = TypeVar("T")


class Read(Struct, Generic[T], frozen=True):
    """One read of a look. `asked`: when its first request left, monotonic seconds.

    `answer` None: it failed, and `why` says how. A failed list proves nothing; it is never an empty one.
    """

    asked: float
    answer: T | None = None
    why: str = ""


class Snapshot(Struct, frozen=True, kw_only=True):
    """The reads of one look (`AccountReads`). `since_ns`: from where history and fills were asked for.

    `single`: orders that were asked for by their id, because `AccountKeeper.unlisted` named them.
    """

    since_ns: int
    orders: Read[Listed[AccountOrder]]
    history: Read[Listed[AccountOrder]]
    fills: Read[Listed[Fill]]
    positions: Read[Listed[AccountPosition]]
    balance: Read[AccountBalance]
    single: Mapping[int, Read[AccountOrder]] = {}

    @property
    def first_asked(self) -> float:
        """When the first of its lists was asked for."""
        return min(read.asked for _, read in self._reads())

    @property
    def lacks(self) -> tuple[str, ...]:
        """Why it is not whole, a sentence for each list; empty: it is."""
        return tuple(_lacks(self._reads()))

    def _reads(self) -> tuple[tuple[str, Read[Any]], ...]:
        return (
            ("working orders", self.orders),
            ("order history", self.history),
            ("fills", self.fills),
            ("positions", self.positions),
            ("balance", self.balance),
        )


def _lacks(reads: tuple[tuple[str, Read[Any]], ...]) -> Iterator[str]:
    for name, read in reads:
        if read.answer is None:
            yield f"{name}: {read.why or 'no answer'}"
        elif isinstance(read.answer, Listed) and not read.answer.whole:
            yield f"{name}: the list may be cut"
