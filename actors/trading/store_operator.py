"""The order store in the hands of a person: what ends a halt or a doubt, which no program does by itself."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, structs

from actors.protocol.trading import Cancel, Refused
from actors.trading import halts, intents
from actors.trading.folder import StoreError
from actors.trading.order_file import OrderFile, open_file, storable
from actors.trading.processes import TradingProcess, is_alive, living
from actors.trading.records import LONGEST_DEADLINE, Halt, OpenIntent

LAST_BYTE_NS: Final = int(LONGEST_DEADLINE * 1e9)  # after the beginning of an intent
RESOLVABLE_NS: Final = 300 * 10**9  # after its last possible byte
OTHER: Final = "ended"  # the process of intents from another store: none of this host


class OrderRow(Struct, frozen=True):
    """One intent, for people. Times: wall-clock nanoseconds."""

    tag: str
    host: str
    account: int
    kind: str
    contract: str | None
    side: str | None
    size: int | None
    order_id: int | None
    state: str
    pid: int
    begun_ns: int
    finished_ns: int | None


def _of_order(mutation: bytes, row: OrderRow) -> OrderRow:
    """A cancel names the order that it takes back; the venue's answer does not."""
    if row.kind != "cancel" or row.order_id is not None:
        return row
    return structs.replace(row, order_id=msgspec.json.decode(mutation, type=Cancel).order)


class StoreOperator(OrderFile):
    """The open store of a folder, without being one of the processes that trade. Any thread.

    Every call raises sqlite3.Error where the file cannot be read or written; then nothing has changed.
    """

    # ── looking ──

    def orders(self, newest: int) -> tuple[OrderRow, ...]:
        """Returns the newest intents, the oldest of them first."""
        columns = ", ".join(OrderRow.__struct_fields__)
        query = f"SELECT mutation, {columns} FROM intents ORDER BY begun_ns DESC LIMIT ?"
        with self.reading() as db:
            rows = db.execute(query, (newest,)).fetchall()
        return tuple(_of_order(mutation, OrderRow(*row)) for mutation, *row in reversed(rows))

    def open_intents(self) -> tuple[OpenIntent, ...]:
        """Returns the intents whose outcome is not known, the oldest first."""
        with self.reading() as db:
            return intents.open_intents(db, self.folder)

    def hosts(self) -> set[str]:
        """Returns the hosts that orders went to."""
        with self.reading() as db:
            return {str(host) for (host,) in db.execute("SELECT DISTINCT host FROM intents")}

    def halts(self) -> tuple[Halt, ...]:
        """Returns the halts that stand."""
        with self.reading() as db:
            return halts.read(db)

    def processes(self) -> tuple[TradingProcess, ...]:
        """Returns the processes that trade from this folder now. Raises OSError."""
        return living(self.folder)

    # ── halts ──

    def halt(
        self, host: str = "", account: int | None = None, *, reason: str, by: str
    ) -> tuple[Halt, tuple[OpenIntent, ...]]:
        """Writes a halt. Returns it, and the intents of its target that have no outcome.

        Raises:
            StoreError: it is written, and the intents cannot be read.
        """
        halt = halts.new_halt(host, account, "asked", reason, by, self._now_ns())
        with self.writing() as db:
            halts.write(db, halt)
        try:
            found = self.open_intents()
        except sqlite3.Error as error:
            text = f"{halt}. What was on its way before cannot be read ({error}): look at the venue."
            raise StoreError(text) from None
        mine = [each for each in found if halts.applies(halt, each.host, each.intent.mutation.account)]
        return halt, tuple(each for each in mine if each.outcome is None)

    def unhalt(self, id: str, *, by: str) -> Halt:
        """Ends a halt and returns it. Raises StoreError: there is none with this id, or `adopt` ends it."""
        with self.writing() as db:
            halt = next((each for each in halts.read(db) if each.id == id), None)
            if halt is None:
                known = ", ".join(each.id for each in halts.read(db)) or "none"
                raise StoreError(f"there is no halt {id}; those that stand: {known}.")
            if halt.kind == "restored":
                raise StoreError(f"{halt}. It ends with: linewarden orders adopt")
            self._end(db, halt, by)
        return halt

    def adopt(self, *, by: str) -> tuple[str, ...]:
        """Takes the orders over that an older copy of the store lacks, and ends the halts for them.

        Returns their tags.
        """
        with self.writing() as db:
            found = [halt for halt in halts.read(db) if halt.kind == "restored"]
            tags = {tag: halt for halt in found for tag in halts.tags(db, halt)}
            for tag, halt in tags.items():
                intents.adopt(db, tag, halt.host, halt.account or 0, self._now_ns())
            for halt in found:
                self._end(db, halt, by)
        return tuple(tags)

    def _end(self, db: sqlite3.Connection, halt: Halt, by: str) -> None:
        query = "UPDATE halts SET ended_ns = ?, ended_by = ? WHERE id = ?"
        db.execute(query, (self._now_ns(), by, halt.id))

    # ── doubts ──

    def resolve(self, tag: str, *, reason: str, by: str) -> None:
        """Records that an order is not at the venue: a person has looked.

        Raises:
            StoreError: its outcome is known, or its process may still send it, or it is too early: the venue
                may show an order some time after its last byte. The message says from when on.
        """
        with self.writing() as db:
            row = db.execute(
                "SELECT state, begun_ns, finished_ns, process, pid FROM intents WHERE tag = ?", (tag,)
            ).fetchone()
            if row is None:
                raise StoreError(f"there is no order with tag {tag} in {self.path}.")
            state, begun_ns, finished_ns, process, pid = row
            if state not in {"open", "unknown"}:
                raise StoreError(f"what came of {tag} is known: it is {state}.")
            if state == "open" and is_alive(self.folder, process):
                raise StoreError(f"process {pid} is at work on {tag}. End it first, or wait for its answer.")
            wait = (finished_ns or begun_ns + LAST_BYTE_NS) + RESOLVABLE_NS - self._now_ns()
            if wait > 0:
                text = "its last byte may have left less than 5 minutes ago"
                raise StoreError(f"{tag}: {text}. Look at the venue again in {wait // 10**9 + 1} s.")
            message = storable(f"not at the venue, says {by}: {reason}")
            outcome = Refused(tag, "absent", message=message)
            query = "UPDATE intents SET state = 'resolved', outcome = ?, finished_ns = ? WHERE tag = ?"
            db.execute(query, (msgspec.json.encode(outcome), self._now_ns(), tag))

    def import_from(self, file: Path) -> int:
        """Takes over the intents and halts of another host's store, of which `file` is a copy.

        An outcome is added to an intent that lacks it here. Returns how many intents were new.

        Raises:
            StoreError: the file is no order store that can be read, or it is this one.
        """
        if file.exists() and file.samefile(self.path):
            raise StoreError(f"{file}: this is the order store itself.")
        if not file.is_file():
            raise StoreError(f"{file}: there is no such file. Nothing was imported.")
        try:
            other = open_file(file)
        except StoreError as error:
            why, _, _ = str(error).partition(". ")
            advice = "Nothing was imported; give a copy of the other host's orders.db."
            raise StoreError(f"{why}. {advice}") from None
        try:
            with self.writing() as db:
                halts.take_over(other, db)
                return intents.take_over(other, db, OTHER)
        finally:
            other.close()
