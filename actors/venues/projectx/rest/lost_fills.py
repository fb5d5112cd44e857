"""The fills of a loss: those between the last one before it and the first one after it, by `Trade/search`.

ProjectX documents neither an order nor numbers without a hole, so a list that may be cut proves nothing, and
whether it lags the hub is not known: both seams must be in it. A row is a fill as it is now. A fill that was
voided during the loss, and happened before the last one that came, is not in its span.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from actors.protocol import Backfilled, Loss, Steps, joined
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest import account as lists
from actors.venues.projectx.rest.asking import Asking
from actors.venues.projectx.rest.times import SECOND

AROUND: Final = SECOND  # whether the ends of a span belong to it is not documented
MAY_BE_CUT: Final = "ProjectX' list of fills has a round length and may be cut"


def backfilled(asking: Asking, account: int, loss: Loss) -> Steps[Backfilled]:
    """Returns the fills of a loss, oldest first; the last one before it once more if it is voided now."""
    since, until = _span(loss)
    listing = yield from lists.trades(asking, account, since, until)
    why = "" if listing.whole else MAY_BE_CUT
    found = joined(listing.rows, loss, _number, _created, why=why)
    changed = [row for row in listing.rows if _is_voided_since(row, loss.last)]
    return structs.replace(found, events=(*changed, *found.events))


def _span(loss: Loss) -> tuple[int, int | None]:
    last, first = _created(loss.last), _created(loss.first)
    since = loss.since_ns if last is None else last
    if first is None:
        return since - AROUND, None
    return min(since, first) - AROUND, max(since, first) + AROUND


def _number(fill: m.AccountTrade) -> int:
    return fill.id


def _created(fill: Any) -> int | None:
    return fill.created_ns if isinstance(fill, m.AccountTrade) else None


def _is_voided_since(row: m.AccountTrade, last: Any) -> bool:
    return isinstance(last, m.AccountTrade) and row.id == last.id and bool(row.voided) and not last.voided
