"""Second looks at a frame that did not decode: they cost more, and are seldom needed."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.venues.o2.messages import decode

_LISTS = ("trades", "orders", "balance")


def pieces(payload: bytes) -> list[tuple[bytes, bytes]]:
    """Each entry of a frame's list as a frame of its own, with the entry itself.

    msgspec refuses a whole list for one odd entry. Empty where that is not what is wrong.

    Raises:
        Exception: it is no JSON object, or more than its entries is wrong.
    """
    whole: dict[str, Any] = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    name = next((name for name in _LISTS if name in whole), None)
    if name is None:
        return []
    entries = msgspec.json.decode(whole[name], type=list[msgspec.Raw])
    decode(msgspec.json.encode({**whole, name: []}))
    return [(msgspec.json.encode({**whole, name: [entry]}), bytes(entry)) for entry in entries]


def with_named_levels(payload: bytes) -> bytes | None:
    """A depth frame of O2's first servers, whose levels are [price, quantity]; None: it is none."""
    whole = msgspec.json.decode(payload)
    found = False
    for box in (whole, *(whole.get(name) for name in ("changes", "orders", "view"))):
        for side in ("buys", "sells") if isinstance(box, dict) else ():
            levels = box.get(side)
            if isinstance(levels, list) and any(isinstance(level, list) for level in levels):
                box[side] = [_named(level) for level in levels]
                found = True
    return msgspec.json.encode(whole) if found else None


def _named(level: Any) -> Any:
    if isinstance(level, list):
        price, quantity = level
        return {"price": price, "quantity": quantity}
    return level
