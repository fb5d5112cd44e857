"""Whether an account is flat: yes, no, or unknown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from msgspec import Struct

from actors.protocol.accounts import AccountOrder, AccountPosition
from actors.rules.account.rows import words
from actors.rules.account.view import Flat

NO_LEGS: Final = "the venue does not list suspended orders: the legs of a bracket may be among them"


class Standing(Struct, frozen=True, kw_only=True):
    """What is known of an account at this moment.

    `doubts`: why the view is not synced. `lacks`: what two agreeing snapshots are missing. `sums`: why fills
    and positions do not agree. `waiting`: mutations of this process of which the venue has told nothing yet.
    `intents`: tags of mutations without outcome of any process of the host; None: they cannot be read.
    `has_suspended`: whether the venue lists suspended orders. `untaken`: what has come, and is not in it yet.
    """

    positions: tuple[AccountPosition, ...]
    orders: tuple[AccountOrder, ...]
    doubts: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    waiting: tuple[str | int, ...] = ()
    intents: Collection[str] | None = ()
    has_suspended: bool = True
    untaken: str = ""


def flat(standing: Standing) -> Flat:
    """Returns "yes" only where nothing is missing for it, and "no" only where the view is synced.

    Without a position each order could open one: also a leg, which the gateway leaves in the book when the
    position is closed, and one that is pending or suspended.
    """
    against = (*map(words, _open(standing.positions)), *map(words, _working(standing.orders)))
    if against and not standing.doubts:
        return Flat("no", against)
    missing = unproved(standing)
    return Flat("unknown", missing) if missing else Flat("yes")


def unproved(standing: Standing) -> tuple[str, ...]:
    """Returns why no permit may be built on it; empty: the evidence is enough, flat or not."""
    return tuple(_unproved(standing))


def _unproved(standing: Standing) -> Iterator[str]:
    yield from standing.doubts
    yield from standing.lacks
    yield from standing.sums
    if standing.untaken:
        yield standing.untaken
    if not standing.has_suspended:
        yield NO_LEGS
    for position in standing.positions:
        if position.net is None:
            yield f"the direction of {words(position)} is not known"
    for order in standing.orders:
        if order.state == "unknown":
            yield f"it is not known whether {words(order)} works"
    for key in standing.waiting:
        yield f"the venue has not told yet what became of {key}"
    if standing.intents is None:
        yield "the mutations without outcome cannot be read"
    for tag in sorted(standing.intents or ()):
        yield f"mutation {tag} has no outcome"


def _open(positions: Iterable[AccountPosition]) -> Iterator[AccountPosition]:
    return (row for row in positions if row.net)


def _working(orders: Iterable[AccountOrder]) -> Iterator[AccountOrder]:
    return (row for row in orders if not row.is_final and row.state != "unknown")
