"""The order store: each intent is on the disk before its first byte leaves, its outcome after.

`begin` decides in one transaction whether a mutation may be sent: its tag is new, no halt stands, no outcome
of the account is unknown, its limits are kept. All processes that trade an account share one folder.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import structs

from actors import log_queue
from actors.protocol.trading import (
    Accepted,
    AnyMutation,
    Cancel,
    Intent,
    OrderOutcome,
    Refused,
    Unknown,
    adds_risk,
)
from actors.timers import SystemClock
from actors.trading import halts, intents
from actors.trading.folder import MOUNTS, StoreError
from actors.trading.halts import allowed_under_halt
from actors.trading.intents import Entry, Unrecorded
from actors.trading.order_file import PATIENCE, OrderFile, random_text
from actors.trading.processes import Membership, Uptime, boot_id, forget_ended, is_alive
from actors.trading.records import AccountIntents, Begun, Check, Halt, OpenIntent

log = log_queue.logger("actors.trading.order_store")

LONGEST_TAG: Final = 48
OVERDUE_NS: Final = 120 * 10**9  # an intent without outcome for so long counts as unknown


class OrderStore(OrderFile):
    """The store of one folder, and this process among those that trade from it. Any thread.

    A forked child raises ForkError in each call, and a closed store StoreError. What only reads raises
    sqlite3.Error where the file cannot be read; `begin`, `finish` and the halts answer for that themselves.
    """

    def __init__(
        self,
        folder: Path,
        *,
        now_ns: Callable[[], int] = SystemClock.wall_ns,
        monotonic: Callable[[], float] = SystemClock.monotonic,
        require_durable: bool = True,
        mounts: Path = MOUNTS,
        patience: float = PATIENCE,
    ) -> None:
        """Opens the store. `require_durable` False: with a full disk, what adds risk may leave unrecorded.

        `monotonic`: seconds of the boot-time clock; orders of the last minute are counted by it.

        Raises:
            StoreError: it cannot be used; see `OrderFile`.
        """
        super().__init__(folder, now_ns=now_ns, mounts=mounts, patience=patience)
        self._require_durable = require_durable
        self._monotonic, self._boot = monotonic, boot_id()
        # What could not be written. It is written with the next transaction that can be.
        self._unrecorded: dict[str, Unrecorded] = {}  # by tag
        self._outcomes: dict[str, OrderOutcome] = {}  # of recorded intents, by tag
        self._held: list[Halt] = []
        try:
            self._membership = Membership(folder)
        except OSError as error:
            super().close()
            raise StoreError(f"{folder}: this process cannot be entered there ({error.strerror}).") from None
        self.process = self._membership.process
        with suppress(OSError):
            forget_ended(folder)

    @classmethod
    def create(cls, folder: Path, *, mounts: Path = MOUNTS) -> OrderStore:
        """Makes an empty store and opens it. Raises StoreError: there is one, or it cannot be made there."""
        cls.make(folder, mounts=mounts)
        return cls(folder, mounts=mounts)

    def close(self) -> None:
        """Leaves the folder. Any number of times."""
        if not self._home.is_left:
            self._membership.close()
        super().close()

    # ── tags ──

    def new_tag(self) -> str:
        """Returns a tag that no other order has: `lw-STOREID-` and 128 random bits, 43 characters."""
        self.check()
        return f"lw-{self.id}-{random_text(128)}"

    def tag_mistake(self, tag: str) -> str:
        """Returns why a tag cannot be used; empty: it can."""
        if not tag.isascii() or not tag.isprintable() or not 0 < len(tag) <= LONGEST_TAG:
            return f"a tag has 1 to {LONGEST_TAG} printable ASCII characters"
        if tag.upper().endswith(intents.LEGS):
            return "a tag does not end in -SL or -TP: the venue gives such tags to the legs of brackets"
        if tag.startswith("lw-") and not re.fullmatch(f"lw-{self.id}-[a-z2-7]{{26}}", tag):
            return "a tag of your own does not begin with lw-"
        return ""

    # ── intents ──

    def begin(
        self, intent: Intent, host: str, check: Check, *, protects: bool | None = None
    ) -> Begun | Refused:
        """Writes an intent, if it may be sent. On return it is on the disk.

        `host`: of the venue's REST. `check`: of the limits; it is called inside the transaction, perhaps
        twice, for what adds risk only, and must not wait. `protects`: whether the order that a `Cancel` names
        protects a position, which a halt asks for; None: not known, and a halt refuses it.

        Returns `Begun`. With an outcome, the tag is known and nothing is sent; else send it, once. `recorded`
        False: the disk took nothing, and this mutation may leave all the same, as it reduces risk and may be
        repeated. Returns `Refused` with code `tag`, `terms`, `halted`, `unknown`, `store`, or that of
        `check`.
        """
        self.check()
        if mistake := self.tag_mistake(intent.tag):
            return Refused(intent.tag, "tag", message=f"{mistake}. Nothing was sent.")
        if mistake := intents.mistake(intent.mutation):
            return Refused(
                intent.tag, "terms", message=f"it cannot be recorded ({mistake}). Nothing was sent."
            )
        entry = Entry(intent, host, check, protects, self._up())
        with self._turn:
            if known := self._unrecorded.get(intent.tag):
                return _same(entry, known.entry.digest, known.outcome)
            try:
                return self._begin(entry)
            except sqlite3.Error as error:
                return self._begin_unrecorded(entry, error)

    def finish(self, outcome: OrderOutcome) -> None:
        """Records what came of an intent. On return it is on the disk, or kept and written with the next.

        `Unknown` is replaced by evidence, and no other outcome is. Evidence of an order that was taken to be
        absent is recorded, logged, and halts its account.
        """
        self.check()
        with self._turn:
            if unrecorded := self._unrecorded.get(outcome.tag):
                unrecorded.outcome = outcome
            else:
                self._outcomes[outcome.tag] = outcome
            try:
                with self.writing() as db:
                    self._write_kept(db)
            except sqlite3.Error as error:
                self._tell(f"the outcome of {outcome.tag} cannot be written ({error}); it is kept in memory")
            else:
                self._forget_kept()

    def outcome(self, tag: str) -> OrderOutcome | None:
        """Returns what came of an intent; None: there is no such tag, or no outcome yet."""
        with self._turn:
            if tag in self._unrecorded:
                return self._unrecorded[tag].outcome
            if tag in self._outcomes:
                return self._outcomes[tag]
            with self.reading() as db:
                known = intents.find(db, tag)
        return None if known is None else known.outcome

    def intent(self, tag: str) -> Intent | None:
        """Returns the intent with this tag; None: there is none."""
        with self._turn:
            if tag in self._unrecorded:
                return self._unrecorded[tag].entry.intent
            with self.reading() as db:
                return intents.intent(db, tag)

    def open_intents(self, *, of_ended_processes: bool = False) -> tuple[OpenIntent, ...]:
        """Returns the intents whose outcome is not known, the oldest first: none was recorded, or `Unknown`.

        `of_ended_processes`: of those without any outcome only the ones that no process can send any more.
        These, and the `Unknown` ones, are settled at a start.
        """
        with self.reading() as db:
            found = intents.open_intents(db, self.folder, self.process.token)
        if of_ended_processes:
            found = tuple(each for each in found if each.process_ended or each.outcome is not None)
        return found

    def of_account(self, host: str, account: int, since_ns: int) -> AccountIntents:
        """Returns what any process of the folder has sent for an account: what has no known outcome, and the
        orders since then that were accepted. `since_ns`: wall clock, nanoseconds.
        """
        with self._turn:
            with self.reading() as db:
                tags = [tag for tag, *_ in intents.unsettled(db, host, account)]
                placed = intents.placed(db, host, account, since_ns)
            kept = self._outcomes
            open_tags = [tag for tag in tags if isinstance(kept.get(tag), Unknown | None)]
            unrecorded = [
                tag
                for tag, each in self._unrecorded.items()
                if each.is_of(host, account) and isinstance(each.outcome, Unknown | None)
            ]
        return AccountIntents((*open_tags, *unrecorded), tuple(placed))

    def lost_tags(self, tags: Iterable[str], host: str, account: int) -> tuple[str, ...]:
        """Returns those of an account's tags at the venue that this store gave, and does not know.

        They mean that the store was restored from an older copy. It halts the account, until
        `linewarden orders adopt`. `tags`: of the orders of the last 24 hours; other tags are ignored.
        """
        with self.writing() as db:
            lost = intents.lost(db, tags)
            if not lost:
                return ()
            reason = f"the venue has {len(lost)} orders of this store that it lacks: it is an older copy"
            halt = halts.new_halt(host, account, "restored", reason, "Linewarden", self._now_ns())
            halts.write(db, halt, lost)
        log.error(
            "store.restored", "%s. Look at your orders and positions, then run: linewarden orders adopt", halt
        )
        return lost

    # ── halts ──

    def halt(self, host: str = "", account: int | None = None, *, reason: str, by: str) -> Halt:
        """Halts an account, all accounts of a host, or all. Any number of halts may stand at once.

        From its return on no process of the folder begins an intent that a halt refuses; earlier ones may be
        on their way. One that cannot be written holds in this process: `is_written` is False.
        """
        self.check()
        halt = halts.new_halt(host, account, "asked", reason, by, self._now_ns())
        try:
            with self.writing() as db:
                halts.write(db, halt)
        except sqlite3.Error as error:
            halt = structs.replace(halt, is_written=False)
            self._held.append(halt)
            self._tell(f"{halt}. It cannot be written ({error}), and holds in this process alone")
        return halt

    def halts(self) -> tuple[Halt, ...]:
        """Returns the halts that stand; where they cannot be read, one of kind `unreadable` of all."""
        self.check()
        try:
            with self.reading() as db:
                return (*halts.read(db), *self._held)
        except sqlite3.Error as error:
            return (halts.unreadable("", None, error, self._now_ns()), *self._held)

    def halt_of(self, host: str, account: int) -> Halt | None:
        """Returns a halt that applies to this account now; None: there is none. `begin` asks again itself."""
        return next((each for each in self.halts() if halts.applies(each, host, account)), None)

    # ── in a transaction ──

    def _begin(self, entry: Entry) -> Begun | Refused:
        with self.writing() as db:
            self._write_kept(db)
            answer = self._judged(db, entry)
            entry.is_new = answer is None
            if answer is None:
                intents.write(db, entry, self.process)
        self._forget_kept()
        return answer or Begun()

    def _judged(
        self, db: sqlite3.Connection, entry: Entry, unrecorded: Iterable[Unrecorded] = ()
    ) -> Begun | Refused | None:
        """The known outcome of its tag, or why it is refused: a halt, an unknown outcome, a limit."""
        mutation, account = entry.intent.mutation, entry.intent.mutation.account
        known = None if entry.is_new else intents.find(db, entry.intent.tag)
        if known is not None:
            return _same(entry, known.digest, known.outcome)
        halt = halts.applying(db, entry.host, account) or self._held_halt(entry.host, account)
        if halt is not None and not allowed_under_halt(mutation, entry.protects):
            return _halted(halt, entry)
        if not adds_risk(mutation):
            return None
        kept = [each for each in unrecorded if each.is_of(entry.host, account)]
        view = intents.view(db, entry, self._now_ns(), self._up(), [each.entry for each in kept])
        return self._doubt(db, entry, kept) or entry.check(view)

    def _up(self) -> Uptime:
        return Uptime(self._boot, int(self._monotonic() * 1e9))

    def _held_halt(self, host: str, account: int) -> Halt | None:
        return next((each for each in self._held if halts.applies(each, host, account)), None)

    def _doubt(
        self, db: sqlite3.Connection, entry: Entry, unrecorded: Iterable[Unrecorded]
    ) -> Refused | None:
        """While an outcome of the account is unknown, it adds no risk."""
        account = entry.intent.mutation.account
        unknown = [each.entry.intent.tag for each in unrecorded if isinstance(each.outcome, Unknown)]
        unknown += [
            tag
            for tag, state, process, begun_ns in intents.unsettled(db, entry.host, account)
            if state == "unknown" or self._is_unknown(tag) or self._is_lost(process, begun_ns)
        ]
        if not unknown:
            return None
        message = (
            f"it is not known what came of {unknown[0]}, so account {account} may not add risk. It is "
            "looked for at the venue; if you know that it is not there, run: "
            f"linewarden orders resolve {unknown[0]} --absent --reason TEXT"
        )
        return Refused(entry.intent.tag, "unknown", message=message)

    def _is_unknown(self, tag: str) -> bool:
        """Whether its outcome could not be written, and is `Unknown`."""
        return isinstance(self._outcomes.get(tag), Unknown)

    def _is_lost(self, process: str, begun_ns: int) -> bool:
        """Whether an intent without outcome can get none from its process any more."""
        if abs(self._now_ns() - begun_ns) > OVERDUE_NS:  # or the wall clock was set
            return True
        return process != self.process.token and not is_alive(self.folder, process)

    def _write_kept(self, db: sqlite3.Connection) -> None:
        for each in self._unrecorded.values():
            intents.write(db, each.entry, self.process)
        outcomes = [each.outcome for each in self._unrecorded.values() if each.outcome is not None]
        for outcome in (*outcomes, *self._outcomes.values()):
            self._record(db, outcome)
        for halt in self._held:
            halts.write(db, halt)

    def _forget_kept(self) -> None:
        """What was kept is on the disk."""
        if self._unrecorded or self._held:
            log.warning(
                "store.writable", "%s: can be written again; what was kept in memory is in it now", self.path
            )
        self._unrecorded.clear()
        self._outcomes.clear()
        self._held.clear()

    def _record(self, db: sqlite3.Connection, outcome: OrderOutcome) -> None:
        known = intents.find(db, outcome.tag)
        if known is None:
            if not (isinstance(outcome, Refused) and outcome.code == "store"):
                self._tell(f"there is no intent {outcome.tag}, so its outcome is not recorded")
            return
        intents.record(db, outcome, known.state, self._now_ns())
        if known.state in {"refused", "resolved"} and isinstance(outcome, Accepted):
            reason = f"order {outcome.tag} was taken to be absent, and is at the venue"
            now_ns = self._now_ns()
            halt = halts.new_halt(known.host, known.account, "late", reason, "Linewarden", now_ns)
            halts.write(db, halt)
            text = "%s. Look at your orders and positions, then run: linewarden unhalt %s"
            log.error("order.late", text, halt, halt.id)

    # ── without the disk ──

    def _begin_unrecorded(self, entry: Entry, error: sqlite3.Error) -> Begun | Refused:
        """What reduces risk and may be repeated goes out. What cannot be read counts as halted."""
        mutation, tag = entry.intent.mutation, entry.intent.tag
        if answer := self._judged_without_disk(entry):
            return answer
        if self._require_durable and not intents.is_repeatable(mutation):
            message = f"the order store cannot be written ({error}). Nothing was sent."
            refused = Refused(tag, "store", message=message)
            if entry.is_new:  # an error may come after the intent is on the disk
                self._outcomes[tag] = refused
            return refused
        self._unrecorded[tag] = Unrecorded(entry)
        kind = f"{entry.kind} of account {mutation.account}"
        self._tell(f"cannot be written ({error}): the {kind} is sent without a record, with tag {tag}")
        return Begun(recorded=False)

    def _judged_without_disk(self, entry: Entry) -> Begun | Refused | None:
        try:
            with self.reading() as db:
                return self._judged(db, entry, self._unrecorded.values())
        except sqlite3.Error as error:
            mutation: AnyMutation = entry.intent.mutation
            if not intents.is_repeatable(mutation) and not adds_risk(mutation):
                message = f"the order store cannot be read ({error}): it may have been sent. Nothing was sent"
                return Refused(entry.intent.tag, "store", message=f"{message} now.")
            if allowed_under_halt(mutation, entry.protects):
                return None
            return _halted(halts.unreadable(entry.host, mutation.account, error, self._now_ns()), entry)

    def _tell(self, text: str) -> None:
        log.error("store.failed", "%s: %s", self.path, text)


def _same(entry: Entry, digest: bytes, outcome: OrderOutcome | None) -> Begun | Refused:
    """The answer for a tag that is known."""
    tag = entry.intent.tag
    if digest == entry.digest:
        return Begun(outcome or Unknown(tag, "under way"))
    return Refused(tag, "tag", message="this tag is that of another order. Nothing was sent; use a new tag.")


def _halted(halt: Halt, entry: Entry) -> Refused:
    hint = ""
    if isinstance(entry.intent.mutation, Cancel):
        hint = "; only the cancel of an order that protects no position passes"
    return Refused(entry.intent.tag, "halted", name=halt.id, message=f"{halt}{hint}. Nothing was sent.")
