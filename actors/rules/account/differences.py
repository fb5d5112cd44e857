"""Compares a snapshot with the rows that are kept.

What the stream told after a list was asked for is not compared, nor what it told within the last 2 s before:
the list may have been made earlier. What it told before a loss is compared. A list that failed or may be cut
shows the rows that are in it, and says nothing of those that are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from msgspec import Struct, structs

from actors.protocol.accounts import AccountOrder, AccountPosition, AccountRow, Fill, Listed
from actors.rules.account.kept import KeptRows
from actors.rules.account.rows import (
    Key,
    Kind,
    completes,
    contradicts_money,
    differs,
    is_older,
    key_of,
    merged,
    words,
)
from actors.rules.account.snapshot import Read, Snapshot

LAG: Final = 2.0  # seconds by which a list may lag behind the stream without being asked again
MICROSECOND: Final = 1_000  # nanoseconds: as exact as the venue takes the beginning of a list

# newer: it can be taken over. older: it cannot, as REST is behind the stream. completes: it tells what the
# stream left open.
Verdict = Literal["newer", "older", "completes"]


class Difference(Struct, frozen=True):
    """A key of which REST says something else. `row`: what to take over; None: nothing could be."""

    key: Key
    verdict: Verdict
    row: AccountRow | None
    text: str


class Compared(Struct):
    """`orders`: all that it shows. `quiet`: rows that it shows as they are kept, or with more details.

    `excused`: keys that were not compared. `judged`: the kinds whose list was whole. `lacks`: why it is not
    enough, also where its lists are whole.
    """

    since: float
    orders: list[AccountOrder]
    found: dict[Key, Difference]
    quiet: list[AccountRow]
    excused: set[Key]
    judged: set[Kind]
    lacks: list[str]


def compare(snapshot: Snapshot, kept: KeptRows, since: float) -> Compared:
    """Returns what a snapshot shows otherwise than the rows that are kept.

    `since`: when the subscription was confirmed, monotonic seconds.
    """
    orders = _orders(snapshot)
    judged, lacks = _judged(snapshot), list(snapshot.lacks)
    result = Compared(since, [row for row, _ in orders], {}, [], set(), judged, lacks)
    for row, asked in (*orders, *_others(snapshot)):
        _compare(row, asked, kept, result)
    _missing_orders(snapshot, kept, result)
    _missing_positions(snapshot, kept, result)
    _missing_fills(snapshot, kept, result)
    return result


def unlisted(snapshot: Snapshot, kept: KeptRows, since: float) -> Iterator[AccountOrder]:
    """Yields the orders that are known to work and are in none of the lists, although these are whole.

    A suspended one is not missing where the venue does not list those.
    """
    listed, history = snapshot.orders, snapshot.history
    if listed.answer is None or not listed.answer.whole:
        return
    seen = {row.id for row in (*listed.answer, *(history.answer or ()))}
    for order in kept.working():
        if order.state == "suspended" and not listed.answer.has_suspended:
            continue
        if order.id not in seen and not is_excused(kept.heard(key_of(order)), listed.asked, since):
            yield order


def nets(snapshot: Snapshot) -> dict[str, int | None] | None:
    """Returns the signed positions that a snapshot shows; None: its list is not whole."""
    answer = snapshot.positions.answer
    return (
        None if answer is None or not answer.whole else {row.contract: row.net for row in _positions(answer)}
    )


def _judged(snapshot: Snapshot) -> set[Kind]:
    reads: dict[Kind, Read[Listed[AccountOrder]] | Read[Listed[Fill]] | Read[Listed[AccountPosition]]] = {
        "order": snapshot.orders,
        "position": snapshot.positions,
        "fill": snapshot.fills,
    }
    judged: set[Kind] = {
        kind for kind, read in reads.items() if read.answer is not None and read.answer.whole
    }
    if {"position", "fill"} <= judged:
        judged.add("sum")
    if snapshot.balance.answer is not None:
        judged.add("balance")
    return judged


def _others(snapshot: Snapshot) -> Iterator[tuple[AccountRow, float]]:
    """All rows but orders, each with the time at which it was asked for."""
    if snapshot.positions.answer is not None:
        for position in _positions(snapshot.positions.answer):
            yield position, snapshot.positions.asked
    for fill in snapshot.fills.answer or ():
        yield fill, snapshot.fills.asked
    if snapshot.balance.answer is not None:
        yield snapshot.balance.answer, snapshot.balance.asked


def _orders(snapshot: Snapshot) -> list[tuple[AccountOrder, float]]:
    """The newest row of each order: it may stand in several lists, which were made at different times."""
    found: dict[int, tuple[AccountOrder, float]] = {}
    lists = [snapshot.orders, snapshot.history]
    rows = [(row, read.asked) for read in lists for row in read.answer or ()]
    rows += [(read.answer, read.asked) for read in snapshot.single.values() if read.answer is not None]
    for row, asked in sorted(rows, key=lambda each: each[1]):
        known = found.get(row.id)
        if known is None or not is_older(row, known[0]):
            found[row.id] = (merged(known[0] if known else None, row), asked)
    return list(found.values())


def _positions(rows: Iterable[AccountPosition]) -> Iterator[AccountPosition]:
    """A contract that is listed twice has no position that can be told."""
    by_contract: dict[str, AccountPosition] = {}
    for row in rows:
        twice = row.contract in by_contract
        by_contract[row.contract] = structs.replace(row, net=None, average_price=None) if twice else row
    return iter(by_contract.values())


def _compare(row: AccountRow, asked: float, kept: KeptRows, result: Compared) -> None:
    key = key_of(row)
    known = kept.get(key)
    if isinstance(row, AccountPosition) and row.net is None:
        result.lacks.append(f"the list of positions tells no direction of {row.contract}")
    if known is None:
        is_new = not kept.is_forgotten(key) or (isinstance(row, AccountOrder) and not row.is_final)
        if is_new and not _is_nothing(row):
            result.found[key] = Difference(key, "newer", row, f"{words(row)} was not told by the stream")
        return
    is_other = differs(row, known) or is_older(row, known) or contradicts_money(row, known)
    if is_other and is_excused(kept.heard(key), asked, result.since):
        result.excused.add(key)
        return
    result.found.update(_difference(key, row, known))
    if key not in result.found and not is_older(row, known):
        result.quiet.append(row)


def _difference(key: Key, row: AccountRow, known: AccountRow) -> dict[Key, Difference]:
    if completes(row, known) and not is_older(row, known):
        text = f"{words(row)} tells what the stream left open"
        return {key: Difference(key, "completes", merged(known, row), text)}
    if not differs(row, known):
        return {}
    if is_older(row, known) or (isinstance(row, AccountPosition) and row.net is None):
        text = f"REST shows {words(row)}, which is older than {words(known)} of the stream"
        return {key: Difference(key, "older", merged(known, row), text)}
    text = f"REST shows {words(row)}, the stream told {words(known)}"
    return {key: Difference(key, "newer", merged(known, row), text)}


def _missing_orders(snapshot: Snapshot, kept: KeptRows, result: Compared) -> None:
    """It is not cancelled: what became of it is not known."""
    for order in unlisted(snapshot, kept, result.since):
        key = key_of(order)
        single = snapshot.single.get(order.id)
        if order.state != "unknown" and (single is None or single.answer is None):
            row = structs.replace(order, state="unknown")
            result.found[key] = Difference(key, "newer", row, f"{words(order)} is in no list of REST")


def _missing_positions(snapshot: Snapshot, kept: KeptRows, result: Compared) -> None:
    listed = nets(snapshot)
    if listed is None:
        return
    for position in kept.positions():
        key = key_of(position)
        if position.contract in listed or position.net == 0:
            continue
        if is_excused(kept.heard(key), snapshot.positions.asked, result.since):
            result.excused.add(key)
            continue
        flat = structs.replace(position, net=0, average_price=None)
        verdict: Verdict = "completes" if position.net is None else "newer"
        result.found[key] = Difference(key, verdict, flat, f"{words(position)} is not listed any more")


def _missing_fills(snapshot: Snapshot, kept: KeptRows, result: Compared) -> None:
    answer = snapshot.fills.answer
    if answer is None or not answer.whole:
        return
    listed = {row.id for row in answer}
    for fill in kept.fills():
        key = key_of(fill)
        in_time = fill.at_ns is not None and fill.at_ns > snapshot.since_ns + MICROSECOND
        if fill.id in listed or fill.voided or not in_time:
            continue
        if is_excused(kept.heard(key), snapshot.fills.asked, result.since):
            result.excused.add(key)
        else:
            result.found[key] = Difference(key, "older", None, f"REST does not list {words(fill)}")


def is_excused(heard: float, asked: float, since: float) -> bool:
    """Returns whether a list that was asked for then may be older than what the stream told at `heard`."""
    return heard >= asked or (heard > asked - LAG and heard >= since)


def _is_nothing(row: AccountRow) -> bool:
    """A position of 0 that was never another one."""
    return isinstance(row, AccountPosition) and row.net == 0
