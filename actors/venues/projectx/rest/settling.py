"""What came of a mutation whose answer is not known. Only what is there is evidence; absence is none.

A place is known by its tag: an order of this tag, account, contract, side, type and size, created within 24
hours of the intent by the venue's clock. Its tag is the only thing that the gateway keeps of it. Modify and
cancel are settled by the order's row, a close by the position and the fills since. What these leave open
stays `Unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from actors.protocol import (
    Accepted,
    Cancel,
    Close,
    Intent,
    Modify,
    OrderOutcome,
    Place,
    Refused,
    Steps,
    Unknown,
)
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest import account as lists
from actors.venues.projectx.rest.asking import Asking
from actors.venues.projectx.rest.holdings import net_of
from actors.venues.projectx.rest.mutations import SIDES, TYPES
from actors.venues.projectx.rest.times import DAY, SECOND

WINDOW: Final = DAY  # to both sides of the intent


def settled(asking: Asking, intent: Intent) -> Steps[OrderOutcome]:
    """Returns what the venue has evidence of."""
    match intent.mutation:
        case Place() as place:
            return (yield from _place(asking, intent, place))
        case Modify() as modify:
            return (yield from _modify(asking, intent.tag, modify))
        case Cancel() as cancel:
            return (yield from _cancel(asking, intent.tag, cancel))
        case Close() as close:
            return (yield from _close(asking, intent, close))


# ── a place, by its tag ──


def _place(asking: Asking, intent: Intent, place: Place) -> Steps[OrderOutcome]:
    """Open orders first, then all of the window: an order that was filled meanwhile is in the second."""
    working = yield from lists.open_orders(asking, place.account)
    begun = asking.clock.earliest(intent.begun_ns)
    begun = intent.begun_ns if begun is None else begun
    history = yield from lists.orders(asking, place.account, begun - WINDOW, begun + WINDOW)
    bearing = {row.id: row for row in (*working, *history) if row.custom_tag == intent.tag}
    if bearing:
        return _by_tag(intent.tag, place, begun, list(bearing.values()))
    if not (working.whole and history.whole):
        return Unknown(intent.tag, "no order with this tag is in the venue's lists, which may be cut")
    return Unknown(intent.tag, "the venue has no order with this tag so far, which proves nothing")


def _by_tag(tag: str, place: Place, begun: int, bearing: list[m.Order]) -> OrderOutcome:
    """A tag is unique in the account; the gateway keeps a record of orders that it rejects, too."""
    taken = [row for row in bearing if row.status != m.OrderStatus.REJECTED]
    if len(taken) > 1:
        named = ", ".join(str(row.id) for row in taken)
        return Unknown(tag, f"the venue has several orders with this tag: {named}. Look at them at once")
    row = (taken or bearing)[0]
    if differing := ", ".join(_differences(row, place, begun)):
        return Unknown(tag, f"order {row.id} has this tag, and another {differing} than was asked for")
    if taken:
        return Accepted(tag, row.id)
    return Refused(
        tag,
        "rejected",
        "OrderRejected",
        "the venue's record of it is rejected",
        by_venue=True,
        order_id=row.id,
    )


def _differences(row: m.Order, place: Place, begun: int) -> Iterator[str]:
    created = row.created_ns
    same = {
        "account": row.account_id == place.account,
        "contract": row.contract_id == place.contract,
        "side": row.side == SIDES[place.side],
        "type": row.type == TYPES[place.type],
        "size": row.size == place.size,
        "day": created is not None and abs(created - begun) <= WINDOW,
    }
    return (name for name, is_same in same.items() if not is_same)


# ── a change and a cancel, by the order's row ──


def _modify(asking: Asking, tag: str, modify: Modify) -> Steps[OrderOutcome]:
    """The row has the terms, or will never have them because it is final; else it may still come.

    `trailPrice` is absolute in a request and a distance in a row, so it cannot be compared.
    """
    row = yield from lists.order(asking, modify.account, modify.order)
    if modify.trail_price is not None:
        return Unknown(tag, f"order {row.id} does not show where its trail was to begin")
    if _has_terms(row, modify):
        return Accepted(tag, row.id)
    if not _is_final(row):
        return Unknown(tag, f"order {row.id} works with other terms so far")
    if row.fill_volume and modify.size is not None:
        return Unknown(tag, f"order {row.id} is {_status(row)} and partly filled: its size proves nothing")
    return Refused(tag, "final", message=f"order {row.id} is {_status(row)}, with other terms", by_venue=True)


def _has_terms(row: m.Order, modify: Modify) -> bool:
    pairs: tuple[tuple[Decimal | int | None, Decimal | int | None], ...] = (
        (modify.size, row.size),
        (modify.limit_price, row.limit_price),
        (modify.stop_price, row.stop_price),
    )
    return all(wanted is None or wanted == shown for wanted, shown in pairs)


def _cancel(asking: Asking, tag: str, cancel: Cancel) -> Steps[OrderOutcome]:
    """Cancelled, also by another; or final in another way, and never to be cancelled."""
    row = yield from lists.order(asking, cancel.account, cancel.order)
    if row.status == m.OrderStatus.CANCELLED:
        return Accepted(tag, row.id)
    if not _is_final(row):
        return Unknown(tag, f"order {row.id} is {_status(row)} so far")
    return Refused(tag, "final", message=f"order {row.id} is {_status(row)}", by_venue=True)


def _is_final(row: m.Order) -> bool:
    return row.status is not None and row.status.is_final


def _status(row: m.Order) -> str:
    return "of unknown status" if row.status is None else row.status.name.lower().replace("_", " ")


# ── a close, by the position and the fills since ──


def _close(asking: Asking, intent: Intent, close: Close) -> Steps[OrderOutcome]:
    positions = (yield from lists.positions(asking, close.account)).required()
    net = net_of(positions, close.contract)
    if close.size is None and net:
        return Unknown(intent.tag, f"the position in {close.contract} is still {net}")
    since = asking.clock.earliest(intent.begun_ns)
    if since is None:
        return Unknown(intent.tag, "the venue's answers have no date, so no fill can be told to be later")
    fills = yield from lists.trades(asking, close.account, since - SECOND, since + WINDOW)
    closing = [each for each in fills if _closes(each, close.contract)]
    if close.size is None:
        return _flat(intent.tag, close, since, closing)
    certain = asking.clock.latest(intent.begun_ns)
    return _partly(intent.tag, close, certain, closing, fills.whole)


def _closes(fill: m.AccountTrade, contract: str) -> bool:
    """A fill that opens has no profit or loss; one that was voided is none."""
    return fill.contract_id == contract and fill.profit_and_loss is not None and not fill.voided


def _flat(tag: str, close: Close, since: int, closing: Iterable[m.AccountTrade]) -> OrderOutcome:
    """It is flat, and fills since then made it so: by this close or before it, nothing is left to do."""
    if any((fill.created_ns or 0) >= since for fill in closing):
        return Accepted(tag)
    return Unknown(tag, f"there is no position in {close.contract}, and no fill since that closed one")


def _partly(
    tag: str, close: Close, certain: int | None, closing: Iterable[m.AccountTrade], whole: bool
) -> OrderOutcome:
    """A close has no tag. It is told by one order alone whose fills since make up just its size."""
    filled: dict[int | None, int] = {}
    first: dict[int | None, int] = {}
    for fill in closing:
        filled[fill.order_id] = filled.get(fill.order_id, 0) + (fill.size or 0)
        first[fill.order_id] = min(first.get(fill.order_id, fill.created_ns or 0), fill.created_ns or 0)
    likely = [order for order, size in filled.items() if size == close.size and order is not None]
    if whole and certain is not None and len(likely) == len(filled) == 1 and first[likely[0]] >= certain:
        return Accepted(tag, likely[0])
    return Unknown(tag, f"fills in {close.contract} since do not tell whether {close.size} were closed by it")
