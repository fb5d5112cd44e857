"""The rows of intents in the order store: how one is written and found, and what an outcome does to it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from actors.protocol.trading import (
    Accepted,
    AnyMutation,
    Cancel,
    Close,
    Intent,
    Modify,
    OrderOutcome,
    Place,
    Refused,
    Unknown,
)
from actors.trading.order_file import storable
from actors.trading.processes import TradingProcess, Uptime, is_alive
from actors.trading.records import MINUTE_NS, Check, OpenIntent, RecordedOrder, State, StoreView

LARGEST: Final = 2**63 - 1  # a whole number that a column holds
LEGS: Final = ("-SL", "-TP")  # what the venue adds to an entry's tag for the legs of its bracket
COLUMNS = """tag, host, account, kind, contract, side, size, legs, order_id, digest, mutation, process, pid,
    begun_ns, boot, up_ns"""
AGE = "CASE WHEN boot = ? AND boot != '' THEN ? - up_ns ELSE ? - begun_ns END"
ORDERS = f"tag, kind, contract, side, size, legs, state, {AGE}, finished_ns"  # of a RecordedOrder

# What a new outcome makes of a recorded state. What is not in this table leaves it as it is.
NEXT: Final[dict[tuple[str, type], State]] = {
    ("open", Accepted): "accepted",
    ("open", Refused): "refused",
    ("open", Unknown): "unknown",
    ("unknown", Accepted): "accepted",
    ("unknown", Refused): "refused",
    ("refused", Accepted): "accepted",
    ("resolved", Accepted): "accepted",
}


def _reader(kind: Any) -> Callable[[bytes], Any]:
    """Reads what a row holds. Raises sqlite3.DatabaseError where that is broken."""
    decode = msgspec.json.Decoder(kind).decode

    def read(data: bytes) -> Any:
        try:
            return decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, ArithmeticError, TypeError) as error:
            raise sqlite3.DatabaseError(f"a row is broken ({error})") from None

    return read


_mutation: Callable[[bytes], AnyMutation] = _reader(AnyMutation)
_outcome: Callable[[bytes], OrderOutcome] = _reader(OrderOutcome)
_unknown: Callable[[bytes], Unknown] = _reader(Unknown)


class Entry:
    """An intent on its way into the store."""

    def __init__(self, intent: Intent, host: str, check: Check, protects: bool | None, begun: Uptime) -> None:
        self.intent, self.host, self.check, self.protects = intent, host, check, protects
        self.begun = begun
        self.kind = type(intent.mutation).__name__.lower()
        self.digest = digest(intent.mutation, host)
        self.is_new = False  # its tag was not known in the transaction that was to write it


class Unrecorded:
    """An intent that is in memory only, and its outcome."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.outcome: OrderOutcome | None = None

    def is_of(self, host: str, account: int) -> bool:
        return self.entry.host == host and self.entry.intent.mutation.account == account


class Known(Struct, frozen=True):
    """What the store has of a tag."""

    digest: bytes
    state: State
    host: str
    account: int
    outcome: OrderOutcome | None


def is_repeatable(mutation: AnyMutation) -> bool:
    """Returns whether it may leave unrecorded: doing it twice is doing it once, and it adds no risk."""
    return isinstance(mutation, Cancel) or (isinstance(mutation, Close) and mutation.size is None)


def digest(mutation: AnyMutation, host: str) -> bytes:
    """Returns what is equal for equal mutations, however their prices are written."""
    prices: dict[str, Any] = {
        name: value.normalize()
        for name in mutation.__struct_fields__
        if isinstance(value := getattr(mutation, name), Decimal)
    }
    return hashlib.sha256(msgspec.json.encode((host, structs.replace(mutation, **prices)))).digest()


def mistake(mutation: AnyMutation) -> str:
    """Returns why a mutation cannot be recorded, so that it is read again as it was; empty: it can."""
    try:
        again = _mutation(msgspec.json.encode(mutation))
    except (sqlite3.DatabaseError, UnicodeError) as error:
        return str(error)
    numbers = [value for value in structs.astuple(mutation) if isinstance(value, int)]
    if again != mutation or any(abs(number) > LARGEST for number in numbers):
        return "a number in it is none, or too large"
    return ""


# ── writing ─────────────────────────────────────────────────────────────────────────────────────


def write(db: sqlite3.Connection, entry: Entry, process: TradingProcess) -> None:
    """Writes an intent without outcome; one whose tag is there stays as it is."""
    mutation, order, begun = entry.intent.mutation, _order(entry), entry.begun
    values = (
        *(order.tag, entry.host, mutation.account, entry.kind, order.contract, order.side, order.size),
        *(order.legs, mutation.order if isinstance(mutation, Modify) else None, entry.digest),
        *(msgspec.json.encode(mutation), process.token, process.pid),
        *(entry.intent.begun_ns, begun.boot, begun.ns),
    )
    marks = "?, " * len(values)
    db.execute(f"INSERT OR IGNORE INTO intents ({COLUMNS}, state) VALUES ({marks}'open')", values)


def record(db: sqlite3.Connection, outcome: OrderOutcome, state: State, now_ns: int) -> None:
    """Writes an outcome over a state, if it says more."""
    if new := NEXT.get((state, type(outcome))):
        order_id = None if isinstance(outcome, Unknown) else outcome.order_id
        order_id = None if order_id is None or abs(order_id) > LARGEST else order_id
        db.execute(
            """UPDATE intents SET state = ?, outcome = ?, order_id = coalesce(?, order_id), finished_ns = ?
            WHERE tag = ?""",
            (new, _encoded(outcome), order_id, now_ns, outcome.tag),
        )


def _encoded(outcome: OrderOutcome) -> bytes:
    """Words of elsewhere may be no Unicode."""
    texts = {
        name: storable(value)
        for name in outcome.__struct_fields__
        if isinstance(value := getattr(outcome, name), str)
    }
    return msgspec.json.encode(structs.replace(outcome, **texts))


def _order(entry: Entry, now: Uptime | None = None) -> RecordedOrder:
    mutation = entry.intent.mutation
    bracket = mutation.bracket if isinstance(mutation, Place) else None
    return RecordedOrder(
        tag=entry.intent.tag,
        kind="modify" if isinstance(mutation, Modify) else "place",
        contract=getattr(mutation, "contract", None),
        side=getattr(mutation, "side", None),
        size=getattr(mutation, "size", None),
        legs=0 if bracket is None else (bracket.stop is not None) + (bracket.target is not None),
        state="open",
        age_ns=0 if now is None else now.ns - entry.begun.ns,
        finished_ns=None,
    )


# ── reading ─────────────────────────────────────────────────────────────────────────────────────


def find(db: sqlite3.Connection, tag: str) -> Known | None:
    query = "SELECT digest, state, host, account, outcome FROM intents WHERE tag = ?"
    row = db.execute(query, (tag,)).fetchone()
    if row is None:
        return None
    digest, state, host, account, outcome = row
    return Known(digest, state, host, account, None if outcome is None else _outcome(outcome))


def intent(db: sqlite3.Connection, tag: str) -> Intent | None:
    query = "SELECT mutation, begun_ns FROM intents WHERE tag = ? AND state != 'adopted'"
    row = db.execute(query, (tag,)).fetchone()
    return None if row is None else Intent(tag=tag, mutation=_mutation(row[0]), begun_ns=row[1])


def unsettled(db: sqlite3.Connection, host: str, account: int) -> list[tuple[str, State, str, int]]:
    """Returns tag, state, process and time of each intent of an account that has no known outcome."""
    query = """SELECT tag, state, process, begun_ns FROM intents
        WHERE host = ? AND account = ? AND state IN ('open', 'unknown')"""
    return db.execute(query, (host, account)).fetchall()


def placed(db: sqlite3.Connection, host: str, account: int, since_ns: int) -> list[tuple[str, int]]:
    """Returns tag and time of each order of an account that began since then and was accepted."""
    query = """SELECT tag, begun_ns FROM intents WHERE host = ? AND account = ? AND begun_ns > ?
        AND kind = 'place' AND state = 'accepted' ORDER BY begun_ns"""
    return db.execute(query, (host, account, since_ns)).fetchall()


def open_intents(db: sqlite3.Connection, folder: Path, own: str = "") -> tuple[OpenIntent, ...]:
    """Returns the intents without a known outcome, the oldest first. `own`: the token of this process."""
    query = """SELECT tag, mutation, begun_ns, host, pid, process, outcome, finished_ns FROM intents
        WHERE state IN ('open', 'unknown') ORDER BY begun_ns"""
    return tuple(
        OpenIntent(
            intent=Intent(tag=tag, mutation=_mutation(mutation), begun_ns=begun_ns),
            host=host,
            pid=pid,
            process_ended=process != own and not is_alive(folder, process),
            outcome=None if outcome is None else _unknown(outcome),
            finished_ns=finished_ns,
        )
        for tag, mutation, begun_ns, host, pid, process, outcome, finished_ns in db.execute(query)
    )


def view(
    db: sqlite3.Connection, entry: Entry, now_ns: int, up: Uptime, unrecorded: Iterable[Entry]
) -> StoreView:
    """Returns what the limits need to know. `unrecorded`: intents of the account that are in no row."""
    host, mutation = entry.host, entry.intent.mutation
    query = f"""SELECT {ORDERS} FROM intents WHERE host = ? AND account = ?
        AND kind IN ('place', 'modify')
        AND ({AGE} < ? OR finished_ns > ? OR state IN ('open', 'unknown'))"""
    age, recent = (up.boot, up.ns, now_ns), (MINUTE_NS, now_ns - MINUTE_NS)
    rows = db.execute(query, (*age, host, mutation.account, *age, *recent))
    orders = [RecordedOrder(*row) for row in rows]
    orders += [_order(each, up) for each in unrecorded if each.kind in {"place", "modify"}]
    if not isinstance(mutation, Modify):
        return StoreView(now_ns, tuple(orders))
    query = "SELECT size, side FROM intents WHERE host = ? AND account = ? AND order_id = ?"
    terms = db.execute(query, (host, mutation.account, mutation.order)).fetchall()
    sizes = tuple(size for size, _ in terms if size is not None)
    return StoreView(now_ns, tuple(orders), sizes, next((side for _, side in terms if side), None))


def lost(db: sqlite3.Connection, tags: Iterable[str]) -> tuple[str, ...]:
    """Returns those of the tags that this store gave and does not have; a leg counts as its entry."""
    ours = tuple(f"lw-{row[0]}-" for row in db.execute("SELECT id FROM stores"))
    given = dict.fromkeys(tag[:-3] if tag.endswith(LEGS) else tag for tag in tags if tag.startswith(ours))
    return tuple(tag for tag in given if find(db, tag) is None)


# ── for the operator ────────────────────────────────────────────────────────────────────────────


def adopt(db: sqlite3.Connection, tag: str, host: str, account: int, now_ns: int) -> None:
    """Writes the tag of an order of which nothing else is known."""
    db.execute(
        f"""INSERT OR IGNORE INTO intents ({COLUMNS}, state, finished_ns)
        VALUES (?, ?, ?, 'place', NULL, NULL, NULL, 0, NULL, x'', x'', '', 0, ?, '', 0, 'adopted', ?)""",
        (tag, host, account, now_ns, now_ns),
    )


def take_over(other: sqlite3.Connection, db: sqlite3.Connection, process: str) -> int:
    """Copies the intents of another store, as those of `process`; an outcome completes the one that is here.

    Returns how many are new.
    """
    for (id,) in other.execute("SELECT id FROM stores"):
        db.execute("INSERT OR IGNORE INTO stores (id, is_own) VALUES (?, 0)", (id,))
    columns, count = f"{COLUMNS}, state, outcome, finished_ns", 0
    theirs = columns.replace("process", "?")
    for row in other.execute(f"SELECT {theirs} FROM intents", (process,)):
        marks = ", ".join("?" * len(row))
        added = db.execute(f"INSERT OR IGNORE INTO intents ({columns}) VALUES ({marks})", row).rowcount
        count += added
        if not added and row[-2] is not None and (known := find(db, row[0])):
            record(db, _outcome(row[-2]), known.state, row[-1])
    return count
