"""What stands in for an order store that cannot be opened: a position can be closed without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from msgspec import structs

from actors import log_queue
from actors.protocol.trading import Intent, OrderOutcome, Refused
from actors.supervision.forks import Home
from actors.timers import SystemClock
from actors.trading import halts, intents
from actors.trading.folder import StoreError
from actors.trading.halts import allowed_under_halt
from actors.trading.intents import Entry, Unrecorded
from actors.trading.order_file import random_text
from actors.trading.order_store import OrderStore, answer_for_known, refused_by
from actors.trading.records import Begun, Check, Halt, OpenIntent

log = log_queue.logger("actors.trading.unusable_store")


class UnusableStore:
    """Refuses what adds risk, with the reason. What reduces risk and may be repeated goes out, and is logged.

    It has the methods of `OrderStore` that a program uses. Any thread.
    """

    def __init__(self, error: StoreError, now_ns: Callable[[], int] = SystemClock.wall_ns) -> None:
        self.error = error
        self.id = ""
        self._now_ns = now_ns
        self._home = Home()
        self._unrecorded: dict[str, Unrecorded] = {}
        self._held: list[Halt] = []

    def new_tag(self) -> str:
        """Returns a random tag."""
        self._home.check()
        return f"lw-unrecorded-{random_text(128)}"

    def begin(
        self, intent: Intent, host: str, check: Check, *, protects: bool | None = None
    ) -> Begun | Refused:
        """Answers as `OrderStore.begin` does where the file can be neither read nor written."""
        self._home.check()
        entry = Entry(intent, host, check, protects)
        mutation = intent.mutation
        if known := self._unrecorded.get(intent.tag):
            return answer_for_known(entry, known.entry.digest, known.outcome)
        if not allowed_under_halt(mutation, protects):
            return refused_by(self.halts()[0], entry)
        if not intents.is_repeatable(mutation):
            return Refused(intent.tag, "store", message=f"{self.error} Nothing was sent.")
        self._unrecorded[intent.tag] = Unrecorded(entry)
        kind = f"{entry.kind} of account {mutation.account}"
        log.error("%s The %s is sent without a record, with tag %s", self.error, kind, intent.tag)
        return Begun(recorded=False)

    def finish(self, outcome: OrderOutcome) -> None:
        """Keeps what came of an intent, in memory."""
        self._home.check()
        if outcome.tag in self._unrecorded:
            self._unrecorded[outcome.tag].outcome = outcome

    def outcome(self, tag: str) -> OrderOutcome | None:
        """Returns what came of an intent of this process."""
        known = self._unrecorded.get(tag)
        return None if known is None else known.outcome

    def intent(self, tag: str) -> Intent | None:
        """Returns an intent of this process."""
        known = self._unrecorded.get(tag)
        return None if known is None else known.entry.intent

    def open_intents(self, *, of_ended_processes: bool = False) -> tuple[OpenIntent, ...]:
        """Returns none: what the store holds is not known."""
        return ()

    def lost_tags(self, tags: Iterable[str], host: str, account: int) -> tuple[str, ...]:
        """Returns none: what the store holds is not known."""
        return ()

    def halt(self, host: str = "", account: int | None = None, *, reason: str, by: str) -> Halt:
        """Keeps a halt in memory: `is_written` is False."""
        self._home.check()
        halt = halts.new_halt(host, account, "asked", reason, by, self._now_ns())
        self._held.append(structs.replace(halt, is_written=False))
        return self._held[-1]

    def halts(self) -> tuple[Halt, ...]:
        """Returns one of kind `unreadable` of all, and those of this process."""
        return (halts.unreadable("", None, self.error, self._now_ns()), *self._held)

    def halt_of(self, host: str, account: int) -> Halt | None:
        """Returns the halt of kind `unreadable`."""
        return self.halts()[0]

    def close(self) -> None:
        """Does nothing."""


Store: TypeAlias = OrderStore | UnusableStore


def open_store(folder: Path, *, require_durable: bool = True) -> Store:
    """Opens the store of a folder; logs why, where that fails, and returns what stands in for it."""
    try:
        return OrderStore(folder, require_durable=require_durable)
    except StoreError as error:
        log.error("%s Orders that add risk are refused meanwhile.", error)  # noqa: TRY400 - no defect of ours
        return UnusableStore(error)
