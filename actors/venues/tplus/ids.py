"""Ids in one form: an asset's, a user's."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

USER_DIGITS = 64  # an Ed25519 public key
ADDRESS_DIGITS = 64  # shorter ones, such as Ethereum's of 40, are filled up with zeros at their end
LONGEST = 256  # characters: longer texts are no ids, and are not kept
KEPT = 4_096
WRITTEN_SO: set[str] = set()  # assets that `asset_id` has found written in our form: a look costs no call

_ON_CHAIN = re.compile(
    rf"(?:0x)?((?:[0-9a-f]{{2}}){{1,{ADDRESS_DIGITS // 2}}})@(?:0x)?([0-9a-f]{{18}}|[0-9a-f]{{16}})"
)
_USER = re.compile(rf"(?:0x)?([0-9a-f]{{{USER_DIGITS}}})")


def asset_id(text: str) -> str | None:
    """An asset as we and the wire write it; None: it is none.

    That is its index in the registry (`200`), or `<address>@<chain>` in lower case without `0x`: 64
    hexadecimal digits, and the 18 of a chain's id (16 at older servers). A shorter address is filled up as
    tpluspy does (`tplus/model/chain_address.py`).
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


def asset_text(given: object) -> str | None:
    """An asset in another form that tpluspy takes, as text that `asset_id` reads; None: it is none.

    That is its `AssetIdentifier` or `ChainAddress` (whose text is their `root`), `{"Index": 200}`, or
    `{"Address": …}` with a text or with bytes.
    """
    if isinstance(root := getattr(given, "root", None), str):
        return root
    match given:
        case {"Index": int(index)} if type(index) is int:
            return str(index) if index.bit_length() <= 64 else None
        case {"Address": str(text)}:
            return text
        case {"Address": {"address": list() | bytes() as address, "chain": list() | bytes() as chain}}:
            return _of_bytes(address, chain)
    return None


def _of_bytes(address: list[Any] | bytes, chain: list[Any] | bytes) -> str | None:
    try:
        return f"{bytes(address).hex()}@{bytes(chain).hex()}"
    except (TypeError, ValueError):
        return None


def user_id(text: str) -> str | None:
    """A public key in lower case without `0x`; None: it is none."""
    found = _USER.fullmatch(text.strip().lower())
    return found[1] if found else None
