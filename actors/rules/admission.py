"""Which connections the service holds, and which one ends first when the place of one is needed.

A connection first waits for its request, and then for its answer. Neither kind may use up the places of the
other, and callers without a right, with a right, and the owner have places apart: an operator gets an answer
while other connections take every place that they can get. `now` is monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal

from msgspec import Struct

LINGER: Final = 1.0  # seconds in which a client may read a refusal and hang up

# No right, some right, a request to act by a caller who may, the service's own user or root.
Standing = Literal["stranger", "known", "acting", "owner"]


class AdmissionLimits(Struct, frozen=True, kw_only=True):
    """Connections at once. Those without a complete request cost no thread; every other one costs some."""

    waiting: int = 256  # without a complete request
    waiting_per_address: int = 128
    within: float = 5.0  # seconds from the connection to the end of its request's head
    answer_within: float = 10.0  # seconds in which a client has to read its answer
    clients: int = 64  # callers with a right, tails included
    per_client: int = 48  # of these, from one address with one token, or of one user
    strangers: int = 8  # callers without a right that may be answered all the same
    acting: int = 8  # requests to act beyond `clients`, such as beats and halts
    owners: int = 8  # of the owner, beyond these


class WaitingRoom:
    """The connections without a complete request, and those that have been refused and may read why.

    A new connection is always admitted. When its place is needed, the oldest connection of its own address
    ends, or the oldest one of the address that has most. A slow request is overdue by the time of its
    connection, however often it sends a byte. One whose answer is being sent has a seat, and no place here.
    """

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._waiting: dict[str, OrderedDict[int, float]] = {}  # by address: number, and when it is overdue
        self._address: dict[int, str] = {}
        self._refused: OrderedDict[int, float] = OrderedDict()  # and when it is overdue
        self._sending: OrderedDict[int, float] = OrderedDict()  # and when it is overdue

    def __len__(self) -> int:
        return len(self._address) + len(self._refused)

    def arrived(self, number: int, address: str, now: float) -> None:
        """A connection is accepted. Numbers ascend."""
        self._address[number] = address
        self._waiting.setdefault(address, OrderedDict())[number] = now + self._limits.within

    def surplus(self, address: str) -> int | None:
        """The connection that ends before one more of this address is admitted; None: there is a place."""
        if len(self) >= self._limits.waiting:
            if self._refused:
                return next(iter(self._refused))
            return self._oldest(max(self._waiting, key=lambda each: len(self._waiting[each])))
        if len(self._waiting.get(address, ())) >= self._limits.waiting_per_address:
            return self._oldest(address)
        return None

    def oldest(self) -> int | None:
        """The one to end when the machine has no place; None: there is none."""
        if self._refused:
            return next(iter(self._refused))
        return min(self._address, default=None)

    def _oldest(self, address: str) -> int:
        return next(iter(self._waiting[address]))

    def refused(self, number: int, now: float) -> None:
        """It has its answer, and is to hang up."""
        self.left(number)
        self._refused[number] = now + LINGER

    def sending(self, number: int, now: float) -> None:
        """Its answer is there, and leaves as fast as the client reads."""
        self._sending[number] = now + self._limits.answer_within

    def left(self, number: int) -> None:
        """Its request is complete, or it has ended."""
        self._refused.pop(number, None)
        self._sending.pop(number, None)
        address = self._address.pop(number, None)
        if address is not None:
            del self._waiting[address][number]
            if not self._waiting[address]:
                del self._waiting[address]

    def overdue(self, now: float) -> list[int]:
        """Those whose time is over."""
        found: list[int] = []
        for waiting in self._by_due():
            for number, due in waiting.items():
                if due > now:
                    break
                found.append(number)
        return found

    def next_due(self) -> float | None:
        """When the next one is overdue, unless it leaves; None: no connection waits."""
        first = [next(iter(each.values())) for each in self._by_due() if each]
        return min(first, default=None)

    def _by_due(self) -> list[OrderedDict[int, float]]:
        """In each the one that is overdue first comes first."""
        return [self._refused, self._sending, *self._waiting.values()]


class _Taken(Struct):
    client: str
    standing: Standing


class Seats:
    """The connections whose request is being answered, until the answer is sent; and those with a tail."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._taken: dict[int, _Taken] = {}
        self._most = {
            "stranger": limits.strangers,
            "known": limits.clients,
            "acting": limits.clients + limits.acting,
            "owner": limits.clients + limits.acting + limits.owners,
        }

    def request(self, number: int, client: str, standing: Standing) -> str:
        """A request is complete. Returns why there is no place for it; empty: it has one.

        `client`: the address and token, or the user, that it comes from.
        """
        rivals = self._rivals(standing)
        if len(rivals) >= self._most[standing]:
            return f"{len(rivals)} other requests are being answered; try again"
        if standing in {"known", "acting"}:
            own = sum(taken.client == client for taken in rivals)
            if own >= self._limits.per_client:
                return f"this client has {own} connections, as many as it may; end some of them"
        self._taken[number] = _Taken(client, standing)
        return ""

    def _rivals(self, standing: Standing) -> list[_Taken]:
        """Those that take the places which this standing may have."""
        is_stranger = standing == "stranger"
        return [taken for taken in self._taken.values() if (taken.standing == "stranger") == is_stranger]

    def left(self, number: int) -> None:
        """It has its answer, or has ended."""
        self._taken.pop(number, None)
