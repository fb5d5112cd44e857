"""What a caller of the service may do."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

from actors.rules.admission import Standing
from actors.settings.schema import Right

__all__ = ["EVERY", "OWNER", "STRANGER", "Caller", "Needed", "Right", "with_implied"]

Needed: TypeAlias = Right | Literal["nothing", "owner"]  # what a request needs

EVERY: Final[frozenset[Right]] = frozenset(get_args(Right))


class Caller(Struct, frozen=True):
    """The sender of a request, as its connection and its token prove.

    `look`: market data, status, health. `account`: also orders, positions and raw frames. `act`: restart,
    pause, halt and the like. An owner is the service's own user, or root, on the Unix socket: an owner alone
    may end a halt, and resolve or adopt orders.
    """

    rights: frozenset[Right] = frozenset()
    is_owner: bool = False
    is_local_user: bool = False  # at the Unix socket; else its token counts
    name: str = "unknown"  # for the log, such as "uid 1000" or "127.0.0.1"

    def may(self, needed: Needed) -> bool:
        return needed == "nothing" or (self.is_owner if needed == "owner" else needed in self.rights)

    def standing(self, needed: Needed) -> Standing:
        """By which places are kept apart, for a request that needs this."""
        if self.is_owner:
            return "owner"
        if needed == "act" and self.may(needed):
            return "acting"
        return "known" if self.rights else "stranger"

    @property
    def client(self) -> str:
        """By which limits are counted: an address with a token, or a user."""
        return f"{self.name} {'+'.join(sorted(self.rights))}"


STRANGER: Final = Caller()
OWNER: Final = Caller(EVERY, is_owner=True, is_local_user=True, name="owner")


def with_implied(rights: frozenset[Right]) -> frozenset[Right]:
    """`account` and `act` imply `look`; `act` does not imply `account`."""
    return rights | {"look"} if rights else rights
