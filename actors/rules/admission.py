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

Standing = Literal["stranger", "known", "owner"]  # no right, some right, the service's own user or root


class AdmissionLimits(Struct, frozen=True, kw_only=True):
    """Connections at once. Those without a complete request cost no thread; every other one costs some."""

    waiting: int = 256  # without a complete request
    waiting_per_address: int = 128
    within: float = 5.0  # seconds from the connection to the end of its request's head
    clients: int = 64  # callers with a right, tails included
    per_client: int = 48  # of these, from one address with one token, or of one user
    strangers: int = 8  # callers without a right that may be answered all the same
    owners: int = 8  # of the owner beyond `clients`


class WaitingRoom:
    """The connections without a complete request, and those that have been refused and may read why.

    A new connection is always admitted. When its place is needed, the oldest connection of its own address
    ends, or the oldest one of the address that has most. A slow request is overdue by the time of its
    connection, however often it sends a byte.
    """

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._waiting: dict[str, OrderedDict[int, float]] = {}  # by address: number, and when it is overdue
        self._address: dict[int, str] = {}
        self._refused: OrderedDict[int, float] = OrderedDict()  # and when it is overdue

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

    def left(self, number: int) -> None:
        """Its request is complete, or it has ended."""
        self._refused.pop(number, None)
        address = self._address.pop(number, None)
        if address is not None:
            del self._waiting[address][number]
            if not self._waiting[address]:
                del self._waiting[address]

    def overdue(self, now: float) -> list[int]:
        """Those whose time is over."""
        found = [number for number, due in self._refused.items() if due <= now]
        for waiting in self._waiting.values():
            for number, due in waiting.items():
                if due > now:
                    break
                found.append(number)
        return found

    def next_due(self) -> float | None:
        """When the next one is overdue, unless it leaves; None: no connection waits."""
        first = [next(iter(each.values())) for each in (self._refused, *self._waiting.values()) if each]
        return min(first, default=None)


class Seat(Struct, frozen=True):
    """The connection has a place. `instead_of`: the number of one that has been answered, and ends now."""

    instead_of: int | None = None


class Full(Struct, frozen=True):
    """There is no place; the sentence says why."""

    sentence: str


class _Taken(Struct):
    client: str
    standing: Standing


class Seats:
    """The connections whose request is being answered, or that have a tail.

    One that has been answered keeps its place until the client hangs up or the place is needed.
    """

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._taken: dict[int, _Taken] = {}
        self._answered: dict[int, None] = {}  # the first answered first
        self._most = {
            "stranger": limits.strangers,
            "known": limits.clients,
            "owner": limits.clients + limits.owners,
        }

    def request(self, number: int, client: str, standing: Standing) -> Seat | Full:
        """A request is complete. `client`: the address and token, or the user, that it comes from."""
        rivals = self._rivals(standing)
        instead_of = None
        if len(rivals) >= self._most[standing]:
            instead_of = next((each for each in self._answered if each in rivals), None)
            if instead_of is None:
                return Full(f"{len(rivals)} other requests are being answered; try again")
        elif standing == "known":
            own = {each for each in rivals if self._taken[each].client == client}
            if len(own) >= self._limits.per_client:
                instead_of = next((each for each in self._answered if each in own), None)
                if instead_of is None:
                    return Full(
                        f"this client has {len(own)} connections, as many as it may; end some of them"
                    )
        if instead_of is not None:
            self.left(instead_of)
        self._taken[number] = _Taken(client, standing)
        return Seat(instead_of)

    def _rivals(self, standing: Standing) -> set[int]:
        """Those that take the places which this standing may have."""
        is_stranger = standing == "stranger"
        return {each for each, taken in self._taken.items() if (taken.standing == "stranger") == is_stranger}

    def answered(self, number: int) -> None:
        """Its answer has been sent."""
        if number in self._taken:
            self._answered[number] = None

    def left(self, number: int) -> None:
        """It has ended."""
        self._taken.pop(number, None)
        self._answered.pop(number, None)
