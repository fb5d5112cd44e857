"""The forms in which ProjectX was seen to push one and the same thing.

Documented are one argument on the user hub and two on the market hub; clients met all of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Row = dict[str, Any]
Action = tuple[int, Row]  # what has happened to an entity
UserShape = Literal["object", "action", "list", "several"]
MarketShape = Literal["object", "list", "nulls", "data", "data_list"]
ActionCodes = Literal["gone", "new"]

NEW, CHANGED, GONE = 0, 1, 2

# Clients saw two sets of codes in the envelopes; none is documented.
_CODES: Mapping[str, tuple[int, int, int]] = {"gone": (1, 1, 2), "new": (0, 1, 1)}  # of NEW, CHANGED, GONE


def coded(codes: ActionCodes, channel: str, told: Sequence[Action]) -> list[Action]:
    """Entities with the codes of their envelopes: half-turns are always 0 where others are 1 and 2."""
    if codes == "gone" and channel == "user_trades":
        return [(0, row) for _, row in told]
    return [(_CODES[codes][action], row) for action, row in told]


def user_arguments(shape: UserShape, told: Sequence[Action]) -> list[list[object]]:
    """The arguments of each invocation that tells of these entities."""
    wrapped: list[object] = [{"action": action, "data": row} for action, row in told]
    match shape:
        case "object":
            return [[row] for _, row in told]
        case "action":
            return [[each] for each in wrapped]
        case "list":
            return [[wrapped]]
        case "several":
            return [wrapped]


def market_arguments(shape: MarketShape, contract: str, rows: Sequence[Row]) -> list[list[object]]:
    """The arguments of each invocation that tells of these rows."""
    match shape:
        case "object":
            return [[contract, row] for row in rows]
        case "list":
            return [[contract, list(rows)]]
        case "nulls":
            return [[contract, [None, *(each for row in rows for each in (row, None))]]]
        case "data":
            return [[contract, {"data": row}] for row in rows]
        case "data_list":
            return [[contract, {"data": list(rows)}]]
