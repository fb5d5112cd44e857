"""Ids in one form: an asset's, a user's."""

from __future__ import annotations

import re
from functools import lru_cache

USER_DIGITS = 64  # an Ed25519 public key
ADDRESS_DIGITS = 64
EVM_DIGITS = 40  # shorter ones are filled up with zeros at their end, as tplus' registry has them
LONGEST = 256  # characters: longer texts are no ids, and are not kept
KEPT = 4_096
WRITTEN_SO: set[str] = set()  # assets that `asset_id` has found written in our form: a look costs no call

_ON_CHAIN = re.compile(
    rf"(?:0x)?([0-9a-f]{{{ADDRESS_DIGITS}}}|[0-9a-f]{{{EVM_DIGITS}}})@(?:0x)?([0-9a-f]{{18}}|[0-9a-f]{{16}})"
)
_USER = re.compile(rf"(?:0x)?([0-9a-f]{{{USER_DIGITS}}})")


def asset_id(text: str) -> str | None:
    """An asset as we and the wire write it; None: it is none.

    That is its index in the registry (`200`), or `<address>@<chain>` in lower case without `0x`: 64
    hexadecimal digits, and the 18 of a chain's id (16 at older servers).
    """
    id = _asset_id(text) if len(text) <= LONGEST else None
    if id == text:
        if len(WRITTEN_SO) >= KEPT:
            WRITTEN_SO.clear()
        WRITTEN_SO.add(text)
    return id


@lru_cache(maxsize=KEPT)  # nearly every event names one
def _asset_id(text: str) -> str | None:
    text = text.strip().lower()
    if text.isascii() and text.isdecimal():
        return text.lstrip("0") or "0"
    found = _ON_CHAIN.fullmatch(text)
    return f"{found[1].ljust(ADDRESS_DIGITS, '0')}@{found[2]}" if found else None


def user_id(text: str) -> str | None:
    """A public key in lower case without `0x`; None: it is none."""
    found = _USER.fullmatch(text.strip().lower())
    return found[1] if found else None
