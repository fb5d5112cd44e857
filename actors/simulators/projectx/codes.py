"""ProjectX's numbers: its enumerations, and the codes of its refusals, which differ from page to page."""

from __future__ import annotations

from collections.abc import Mapping

# ProjectX, "OrderStatus", "OrderType", "OrderSide" and "PositionType".
OPEN, FILLED, CANCELLED, REJECTED, PENDING, SUSPENDED = 1, 2, 3, 5, 6, 8
LIMIT, MARKET, STOP_LIMIT, STOP, TRAILING_STOP, JOIN_BID, JOIN_ASK = 1, 2, 3, 4, 5, 6, 7
BID, ASK = 0, 1
UNDEFINED, LONG, SHORT = 0, 1, 2

WORKING = (OPEN, PENDING, SUSPENDED)
TYPE_NAMES = ("Unknown", "Limit", "Market", "StopLimit", "Stop", "TrailingStop", "JoinBid", "JoinAsk")

_PLACE = (
    *("account", "rejected", "funds", "violation", "hours", "pending", "unknown"),
    *("contract", "inactive", "account_rejected"),
)
_MODIFY = ("account", "order", "rejected", "pending", "unknown", "account_rejected", "contract")
_CLOSE = (
    *("account", "position", "contract", "inactive"),
    *("rejected", "pending", "unknown", "account_rejected"),
)
_PARTIAL = (*_CLOSE[:4], "size", *_CLOSE[4:])

# The refusals that each page has, in the order of their codes, which begin at 1.
_REFUSALS: Mapping[str, tuple[str, ...]] = {
    "Contract/searchById": ("contract",),
    "History/retrieveBars": ("contract", "unit", "unit_number", "limit"),
    "Order/place": _PLACE,
    "Order/modify": _MODIFY,
    "Order/cancel": _MODIFY[:-1],
    "Order/search": ("account",),
    "Order/searchOpen": ("account",),
    "Order/searchById": ("order",),
    "Order/v2/query": ("account",),
    "Position/searchOpen": ("account",),
    "Position/closeContract": _CLOSE,
    "Position/partialCloseContract": _PARTIAL,
    "Trade/search": ("account",),
}
CODES: Mapping[str, Mapping[str, int]] = {
    page: {name: code for code, name in enumerate(names, start=1)} for page, names in _REFUSALS.items()
}
_TEXTS = {
    "account": "Account not found.",
    "order": "Order not found.",
    "position": "Position not found.",
    "contract": "Contract not found.",
    "inactive": "Contract is not active.",
    "account_rejected": "Account is not allowed to do this.",
    "pending": "Order is pending.",
    "unknown": "An unknown error occurred.",
    "size": "Invalid close size.",
    "unit": "Invalid unit.",
    "unit_number": "Invalid unit number.",
    "limit": "Invalid limit.",
}

MUTATIONS = frozenset(page for page, names in CODES.items() if "pending" in names)


class VenueRefusal(Exception):  # noqa: N818  (an answer, not an error of ours)
    """A refusal by its name, such as `contract`. `CODES` has its code for each page.

    `order`: the order that was rejected, and exists all the same.
    """

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.text = text or _TEXTS.get(name, "")
        self.order: int | None = None
