"""Which orders and half-turns a list shows: of a time, the open ones, or by a filter and in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from actors.simulators.projectx.codes import OPEN, PENDING, SUSPENDED
from actors.simulators.projectx.forms import Filter, Query, Span, stamp
from actors.simulators.projectx.lag import View
from actors.simulators.projectx.payloads import Row

Offset = Literal["rows", "pages"]
Missing = Literal["null", "absent", "zero"]

_MOST = 1_000  # rows of a page of v2/query
_SORTED_BY: tuple[Callable[[Row], Any], ...] = (
    lambda row: (row["creationTimestamp"], row["id"]),
    lambda row: row["id"],
)


# Clients saw each of three forms for what an order does not have.
_ZEROS: Mapping[str, object] = {
    **dict.fromkeys(("limitPrice", "stopPrice", "filledPrice", "trailPrice"), 0.0),
    **dict.fromkeys(("trailDistance", "parentOrderId", "linkedOrderId"), 0),
    "customTag": "",
}


def shown(row: Row, missing: Missing) -> Row:
    """An order, with what it does not have in one of the forms."""
    if missing == "null":
        return row
    given = {key: value for key, value in row.items() if value is not None}
    return given if missing == "absent" else {**row, **_ZEROS, **given}


def between(rows: Iterable[Row], asked: Span, limit: int) -> list[Row]:
    """The rows of a time, oldest first; the newest `limit` of them, where that is not 0."""
    start = stamp(asked.start_timestamp) if asked.start_timestamp else ""
    end = stamp(asked.end_timestamp) if asked.end_timestamp else "9999"
    found = [row for row in rows if start <= row["creationTimestamp"] <= end]
    return found[-limit:]


def searched(view: View, asked: Span, limit: int) -> list[Row]:
    """Orders of a time. Suspended children of brackets are in no such list."""
    return between((row for row in view.orders.values() if row["status"] != SUSPENDED), asked, limit)


def open_orders(view: View) -> list[Row]:
    """Open orders and pending ones, without suspended ones."""
    return [row for row in view.orders.values() if row["status"] in (OPEN, PENDING)]


def queried(rows: Iterable[Row], asked: Query, offset: Offset) -> tuple[list[Row], int | None]:
    """A page of what a filter finds, and how much it finds. Raises ValueError: that is no page."""
    if not 1 <= asked.page_size <= _MOST or asked.page_offset < 0:
        raise ValueError(f"pageSize is 1 to {_MOST}, and pageOffset 0 or more")
    if asked.sort_by not in (0, 1) or asked.sort_direction not in (0, 1):
        raise ValueError("sortBy and sortDirection are 0 or 1")
    found = sorted((row for row in rows if _fits(row, asked.filter)), key=_SORTED_BY[asked.sort_by])
    if asked.sort_direction:
        found.reverse()
    start = asked.page_offset * (asked.page_size if offset == "pages" else 1)
    return found[start : start + asked.page_size], len(found) if asked.include_total_count else None


def _fits(row: Row, asked: Filter) -> bool:
    created = row["creationTimestamp"]
    return (
        (not asked.statuses or row["status"] in asked.statuses)
        and asked.contract_id in (None, row["contractId"])
        and (asked.created_after is None or created >= stamp(asked.created_after))
        and (asked.created_before is None or created <= stamp(asked.created_before))
    )
