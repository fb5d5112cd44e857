"""What the gateway's numbers mean where an envelope says `success: false`: a table for each endpoint.

Names and numbers are of the gateway's OpenAPI document: the same number has another meaning elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ACCOUNT: Final = {1: "AccountNotFound"}

CODES: Final[Mapping[str, Mapping[int, str]]] = {
    "Auth/logout": {1: "InvalidSession", 2: "UnknownError"},
    "Contract/searchById": {1: "ContractNotFound"},
    "History/retrieveBars": {
        1: "ContractNotFound",
        2: "UnitInvalid",
        3: "UnitNumberInvalid",
        4: "LimitInvalid",
    },
    "Order/place": {
        1: "AccountNotFound",
        2: "OrderRejected",
        3: "InsufficientFunds",
        4: "AccountViolation",
        5: "OutsideTradingHours",
        6: "OrderPending",
        7: "UnknownError",
        8: "ContractNotFound",
        9: "ContractNotActive",
        10: "AccountRejected",
    },
    "Order/modify": {
        1: "AccountNotFound",
        2: "OrderNotFound",
        3: "Rejected",
        4: "Pending",
        5: "UnknownError",
        6: "AccountRejected",
        7: "ContractNotFound",
    },
    "Order/cancel": {
        1: "AccountNotFound",
        2: "OrderNotFound",
        3: "Rejected",
        4: "Pending",
        5: "UnknownError",
        6: "AccountRejected",
    },
    "Order/search": _ACCOUNT,
    "Order/searchOpen": _ACCOUNT,
    "Order/searchById": {1: "OrderNotFound"},
    "Order/v2/query": _ACCOUNT,
    "Position/searchOpen": _ACCOUNT,
    "Position/closeContract": {
        1: "AccountNotFound",
        2: "PositionNotFound",
        3: "ContractNotFound",
        4: "ContractNotActive",
        5: "OrderRejected",
        6: "OrderPending",
        7: "UnknownError",
        8: "AccountRejected",
    },
    "Position/partialCloseContract": {
        1: "AccountNotFound",
        2: "PositionNotFound",
        3: "ContractNotFound",
        4: "ContractNotActive",
        5: "InvalidCloseSize",
        6: "OrderRejected",
        7: "OrderPending",
        8: "UnknownError",
        9: "AccountRejected",
    },
    "Trade/search": _ACCOUNT,
}

# These leave open whether the thing was done. A code that is in no table does as well.
OPEN: Final = frozenset(("OrderPending", "Pending", "UnknownError"))


def name_of(endpoint: str, code: int | None) -> str:
    """Returns the name of the code; empty: the endpoint's table has none."""
    return CODES.get(endpoint, {}).get(code or 0, "")
