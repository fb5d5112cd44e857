"""Which streams there are, and how their paths spell assets and users."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal
from urllib.parse import unquote

from msgspec import Struct

Access = Literal["public", "private", "makers"]

_ASSET = re.compile(r"[0-9]+|[0-9a-f]{64}@(?:[0-9a-f]{18}|[0-9a-f]{16})")  # older servers: 16
_USER = re.compile(r"[0-9a-f]{64}")
_PLACES = {"asset": _ASSET, "user": _USER}


class Kind(Struct, frozen=True):
    """A kind of stream: its path, its name in the welcome, and which users may open it."""

    path: str
    channel: str
    access: Access = "public"

    def at(self, about: str = "") -> str:
        """The path of one stream: this asset or user stands at its end, where its kind has one of each."""
        before, place, _ = self.path.partition("{")
        return before + about if place else before


class StreamPath(Struct, frozen=True):
    """One stream, as it was opened. `path` is its one spelling."""

    kind: Kind
    path: str
    asset: str = ""
    user: str = ""


ORDERS = Kind("/orders", "orders", "private")
USER_TRADE_EVENTS = Kind("/trades/user/events/{user}", "user-trades", "private")
USER_TRADES = Kind("/trades/user/{user}", "user-finalized-trades", "private")
POSITIONS = Kind("/positions/ws/{user}", "positions", "private")
ACTIVITY = Kind("/account/events/{user}", "account-events", "private")
STATS = Kind("/account/stats/{user}", "account-stats", "private")
INTENT = Kind("/intent/ws", "intent", "makers")
CONTROL = Kind("/control", "control", "private")
TRADES = Kind("/trades", "finalized-trades")
TRADES_OF = Kind("/trades/{asset}", "trades:[asset={asset}]")
TRADE_EVENTS = Kind("/trades/events", "trades")
TRADE_EVENTS_OF = Kind("/trades/events/{asset}", "trades:[asset={asset}]")
DEPTH = Kind("/marketdepth/diff/{asset}", "marketdepth")
KLINES = Kind("/klines/diff/{asset}", "klines")
TICKER = Kind("/ticker/ws/{asset}", "ticker")
TICKERS = Kind("/tickers/ws", "tickers")

_OF_USERS = (ORDERS, USER_TRADE_EVENTS, USER_TRADES, POSITIONS, ACTIVITY, STATS, INTENT, CONTROL)
KINDS = (*_OF_USERS, TRADES, TRADES_OF, TRADE_EVENTS, TRADE_EVENTS_OF, DEPTH, KLINES, TICKER, TICKERS)


def stream_at(path: str) -> StreamPath | None:
    """The stream at this path; None: there is none."""
    for kind in KINDS:
        found = match(kind.path, path)
        if found is not None:
            asset, user = found.get("asset", ""), found.get("user", "")
            return StreamPath(kind, kind.at(asset or user), asset, user)
    return None


def match(template: str, path: str) -> dict[str, str] | None:
    """What stands in the places of a template such as `/klines/{asset}`; None: another path."""
    found = _pattern(template).fullmatch(unquote(path))
    return {place: text.lower() for place, text in found.groupdict().items()} if found else None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    for place, form in _PLACES.items():
        template = template.replace(f"{{{place}}}", f"(?P<{place}>(?i:{form.pattern}))")
    return re.compile(template)


def canonical_asset(text: str) -> str:
    """An asset as paths and messages have it: an index, or 64 and 18 digits of hex without 0x."""
    address, at, chain = text.strip().lower().partition("@")
    if not at:
        return text.strip()
    return f"{address.removeprefix('0x').ljust(64, '0')}@{chain.removeprefix('0x')}"


def is_asset(text: str) -> bool:
    return _ASSET.fullmatch(text) is not None


def is_user(text: str) -> bool:
    return _USER.fullmatch(text) is not None
