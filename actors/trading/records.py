"""What the order store holds, as values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from actors.protocol.trading import Intent, OrderOutcome, Refused, Unknown

LONGEST_DEADLINE: Final = 60.0  # seconds for an order to leave: after its deadline no byte does
MINUTE_NS: Final = 60 * 10**9

State = Literal["open", "accepted", "refused", "unknown", "resolved", "adopted"]  # of an intent
HaltKind = Literal["asked", "late", "restored", "unreadable"]  # what made it


class Begun(Struct, frozen=True):
    """An intent that the store has taken.

    `outcome` None: this call has written it, and the caller sends it. Else the tag was known, and this is its
    outcome: nothing is sent. `recorded` False: it could not be written, and may leave all the same.
    """

    outcome: OrderOutcome | None = None
    recorded: bool = True


class OpenIntent(Struct, frozen=True):
    """An intent whose outcome is not known. `outcome` None: none was recorded. Times: wall clock."""

    intent: Intent
    host: str
    pid: int  # of the process that began it; 0: not known
    process_ended: bool
    outcome: Unknown | None = None
    finished_ns: int | None = None  # when `outcome` was recorded


class AccountIntents(Struct, frozen=True):
    """Intents of an account, of any process of the folder, at one moment.

    `open`: the tags of those without a known outcome. `placed`: recent orders that the venue has accepted,
    each with its tag and the time at which it began; wall clock, nanoseconds.
    """

    open: tuple[str, ...] = ()
    placed: tuple[tuple[str, int], ...] = ()


class Halt(Struct, frozen=True):
    """A halt. `host` empty: of all venues; `account` None: of all accounts there.

    `restored` ends by `linewarden orders adopt` only. `unreadable` stands for a store that cannot be read.
    `is_written` False: it holds in this process, and no other process knows of it.
    """

    id: str
    host: str
    account: int | None
    kind: HaltKind
    reason: str
    by: str  # a user, or Linewarden
    begun_ns: int  # wall clock
    is_written: bool = True

    @property
    def target(self) -> str:
        """What is halted, for people."""
        if not self.host:
            return "all"
        return self.host if self.account is None else f"{self.host}/{self.account}"

    def __str__(self) -> str:
        return f"{self.target} is halted: {self.reason} (halt {self.id}, by {self.by})"


class RecordedOrder(Struct, frozen=True):
    """A `Place` or `Modify` as the limits need it. `finished_ns`: wall clock."""

    tag: str
    kind: Literal["place", "modify"]
    contract: str | None  # of a `Place`
    side: str | None
    size: int | None
    legs: int  # further orders that its bracket makes
    state: State
    age_ns: int  # since its beginning, by the boot-time clock
    finished_ns: int | None


class StoreView(Struct, frozen=True):
    """What the store knows of an account, in the transaction that writes an intent.

    `orders`: each `Place` and `Modify` that began or ended within the last minute, or has no known outcome.
    `sizes`: of the order that is to be modified, each size that it was given; `side`: its side, if known.
    """

    now_ns: int
    orders: tuple[RecordedOrder, ...] = ()
    sizes: tuple[int, ...] = ()
    side: str | None = None


Check = Callable[[StoreView], Refused | None]  # what limits say of an intent, inside its transaction
