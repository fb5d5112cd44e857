"""Takes back what can open a position, under a halt: cancel by cancel, until the venue shows none left.

A look reads the orders of an account and what each is for. What can open a position is cancelled, each time
with an intent of its own, and its final row is read. It ends when two whole looks in a row find nothing to
do, or at its bounds. What protects a position stays, unless `every` was asked for.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Struct

from actors import log_queue
from actors.errors import LinewardenError
from actors.protocol.rest import Call, Lane
from actors.protocol.trading import (
    AccountLook,
    Cancel,
    FinalRow,
    OrderOutcome,
    Refused,
    TradingApi,
    Unknown,
    WorkingOrder,
)
from actors.trading.order_handle import OrderHandle
from actors.trading.records import Halt, OpenIntent

log = log_queue.logger("actors.trading.halt_sweep")

PAUSE: Final = 2.0  # seconds between two looks: lists may lag behind
WITHIN: Final = 60.0  # seconds for all of it
MOST_CANCELS: Final = 5  # of one order
MOST_LOOKS: Final = 60
FINAL_LOOKS: Final = 4  # for the final row of an order that was cancelled
FINAL_PAUSE: Final = 0.25  # seconds between them
PASSING: Final = frozenset({"meter", "resources"})  # of refusals that are no try: nothing was sent
ANSWER: Final = 10.0  # seconds for a read, its waiting included

Place: TypeAlias = tuple[str, int]  # a feed and an account


class Reading(Protocol):
    """The future of a read."""

    def get(self, timeout: float | None = None) -> Any: ...


class Asks(Protocol):
    """The requests of one feed."""

    @property
    def api(self) -> TradingApi: ...

    def read(self, call: Call[Any], timeout: float | None = None, *, lane: Lane = "read") -> Reading: ...
    def mutate(self, mutation: Cancel, *, protects: bool | None = None) -> OrderHandle: ...


class CancelReport(Struct, frozen=True):
    """One cancel, which is an intent of its own. `final`: the order's row after it; None: it is not known."""

    feed: str
    account: int
    order: int
    text: str  # what the order was
    outcome: OrderOutcome
    final: FinalRow | None = None

    def __str__(self) -> str:
        about = f"{self.feed}/{self.account}: cancel of order {self.order} ({self.text})"
        match self.outcome:
            case Refused(message=why, by_venue=False):
                return f"{about}: not sent: {why}"
            case Refused(message=why) | Unknown(why=why):
                outcome = f"{type(self.outcome).__name__.lower()}: {why}"
            case _:
                outcome = "accepted"
        return f"{about}: {outcome}; {_row(self.final)}"


class HaltReport(Struct, frozen=True):
    """What came of a halt. `is_clear`: two whole looks show no order that can open a position.

    `left`: what is left or not known, in sentences; `kept`: orders that stay, as they protect a position.
    """

    halt: Halt
    cancels: tuple[CancelReport, ...] = ()
    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    is_clear: bool = False


class Progress:
    """What is known of a sweep so far. Its thread writes; any thread reads."""

    def __init__(self) -> None:
        self.cancels: tuple[CancelReport, ...] = ()
        self.kept: tuple[str, ...] = ()
        self.left: tuple[str, ...] = ("it has not been looked yet",)
        self.is_clear = False


class Sweep:
    """The cancels of one halt. One thread.

    `accounts`: of each feed; None: all that its login may trade. `open_intents`: of the store. `monotonic`:
    seconds; `wait`: pauses, and returns True if it is to end now.
    """

    def __init__(
        self,
        feeds: Mapping[str, Asks],
        account: int | None,
        open_intents: Callable[[], Iterable[OpenIntent]],
        *,
        every: bool = False,
        monotonic: Callable[[], float],
        wait: Callable[[float], bool] | None = None,
        within: float = WITHIN,
        pause: float | None = None,
    ) -> None:
        self._feeds, self._account, self._open_intents = feeds, account, open_intents
        self._every, self._monotonic = every, monotonic
        self._pause = PAUSE if pause is None else pause
        self._wait = threading.Event().wait if wait is None else wait
        self._until = monotonic() + within
        self._places: dict[str, tuple[int, ...]] = {}  # accounts by feed, once they are known
        self._tries: Counter[tuple[Place, int]] = Counter()
        self._unprotecting: set[tuple[Place, int]] = set()  # may protect, and did not at the last look
        self.progress = Progress()

    def run(self) -> None:
        """Returns at its end; `progress` then says what is left."""
        if not self._feeds:
            self.progress.left = ("no feed of this config trades there, so nothing was looked at",)
            return
        quiet = 0
        for _ in range(MOST_LOOKS):
            quiet = quiet + 1 if self._round() else 0
            if quiet == 2:
                break
            if self._monotonic() + self._pause > self._until or self._wait(self._pause):
                break
        self.progress.is_clear = quiet == 2
        if quiet < 2 and not self.progress.left:
            self.progress.left = ("it was not looked twice whether nothing is left; its time is over",)

    # ── one look at each account, and what follows from it ──

    def _round(self) -> bool:
        """Returns whether nothing was to be done, and nothing is unknown."""
        round = _Round()
        try:
            due = self._look_and_cancel(round)
        except (LinewardenError, sqlite3.Error) as error:  # the runtime has ended, or its store is gone
            due = []
            round.left.append(f"it cannot be found out what is left: {error}")
        self.progress.kept, self.progress.left = tuple(round.kept), tuple(round.left)
        return not due and not round.left and not round.unprotecting

    def _look_and_cancel(self, round: _Round) -> list[tuple[Place, WorkingOrder]]:
        """Returns what was to be cancelled."""
        places = self._known_places(round)
        asked = [(place, self._read(place, self._api(place).working(place[1]))) for place in places]
        due = [pair for place, reading in asked for pair in self._due(place, reading, round)]
        self._unprotecting = round.unprotecting
        self._cancel(due)
        self._note_open_intents(places, round)
        return due

    def _known_places(self, round: _Round) -> list[Place]:
        for feed, asks in self._feeds.items():
            if self._account is not None and len(self._feeds) == 1:
                self._places[feed] = (self._account,)
            elif feed not in self._places:
                try:
                    self._places[feed] = asks.read(asks.api.account_ids(), ANSWER, lane="flatten").get()
                except LinewardenError as error:
                    round.left.append(f"{feed}: its accounts are not known: {error}")
        places = [(feed, account) for feed, accounts in self._places.items() for account in accounts]
        if self._account is None:
            return places
        places = [place for place in places if place[1] == self._account]  # several logins at one venue
        if not places:
            round.left.append(f"no login of this config has account {self._account}")
        return places

    def _due(self, place: Place, reading: Reading, round: _Round) -> list[tuple[Place, WorkingOrder]]:
        """The orders of an account that are to be cancelled now."""
        name = _name(place)
        try:
            look: AccountLook = reading.get()
        except LinewardenError as error:
            round.left.append(f"{name}: its orders are not known: {error}")
            return []
        if look.why:
            round.left.append(f"{name}: {look.why}")
        return [(place, order) for order in look.orders if self._is_due(place, order, round)]

    def _is_due(self, place: Place, order: WorkingOrder, round: _Round) -> bool:
        key, words = (place, order.id), f"{_name(place)}: order {order.id} ({order.text})"
        if order.protects and not self._every:
            round.kept.append(f"{words} protects a position, or waits for an entry")
            if order.excess:
                round.left.append(f"{words} could open {order.excess} more than it protects")
            return False
        if order.protects is None and not self._every:
            round.left.append(f"{words} works, and it is not known whether it protects a position")
            return False
        if order.may_protect and not self._every and key not in self._unprotecting:
            round.unprotecting.add(key)  # a list of positions may lag behind: the next look decides
            return False
        if self._tries[key] >= MOST_CANCELS:
            round.left.append(f"{words} works still, after {MOST_CANCELS} cancels")
            return False
        return True

    def _note_open_intents(self, places: Iterable[Place], round: _Round) -> None:
        accounts = {(self._feeds[feed].api.host, account) for feed, account in places}
        for each in self._open_intents():
            mutation = each.intent.mutation
            if (each.host, mutation.account) in accounts and not isinstance(mutation, Cancel):
                process = f"process {each.pid}{', which has ended,' if each.process_ended else ''}"
                kind = type(mutation).__name__.lower()
                text = f"{each.host}/{mutation.account}: what came of {each.intent.tag} ({kind}) of {process}"
                round.left.append(f"{text} is not known")

    # ── cancels ──

    def _cancel(self, due: Iterable[tuple[Place, WorkingOrder]]) -> None:
        """All at once; each report is there when the order's final row is."""
        begun = []
        for place, order in due:
            cancel = Cancel(account=place[1], order=order.id)
            begun.append((place, order, self._feeds[place[0]].mutate(cancel, protects=False)))
        outcomes = [(place, order, handle.get()) for place, order, handle in begun]
        for place, order, outcome in outcomes:
            is_sent = not isinstance(outcome, Refused) or outcome.by_venue
            self._tries[place, order.id] += is_sent or getattr(outcome, "code", "") not in PASSING
            final = self._final_row(place, order.id) if is_sent else None
            report = CancelReport(*place, order.id, order.text, outcome, final)
            self.progress.cancels += (report,)
            log.warning("halt.cancel", "%s", report)

    def _final_row(self, place: Place, order: int) -> FinalRow | None:
        """The order's row, once it is final, or as it is after a moment."""
        row: FinalRow | None = None
        for _ in range(FINAL_LOOKS):
            try:
                row = self._read(place, self._api(place).final_row(place[1], order)).get()
            except LinewardenError:
                return row
            if row.is_final or self._wait(FINAL_PAUSE):
                break
        return row

    def _api(self, place: Place) -> TradingApi:
        return self._feeds[place[0]].api

    def _read(self, place: Place, call: Call[Any]) -> Reading:
        return self._feeds[place[0]].read(call, ANSWER, lane="flatten")


class _Round:
    """What one round finds."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.left: list[str] = []
        self.unprotecting: set[tuple[Place, int]] = set()


def _name(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _row(row: FinalRow | None) -> str:
    if row is None:
        return "what became of it is not known"
    filled = "of which nothing is known to be filled" if row.filled is None else f"{row.filled} filled"
    size = "" if row.size is None or row.filled is None else f" of {row.size}"
    return f"it is {row.state}, {filled}{size}"
