"""Alpaca's streams: their paths, their channels, and the limits of each plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Kind = Literal["stocks", "test", "crypto", "options", "news", "account"]
Plan = Literal["basic", "plus"]

TRADES_AND_QUOTES = ("trades", "quotes")
_STOCKS = (*TRADES_AND_QUOTES, "bars", "updatedBars", "dailyBars", "statuses", "lulds", "imbalances")
_CRYPTO = (*TRADES_AND_QUOTES, "bars", "updatedBars", "dailyBars", "orderbooks")
FOLLOWING_TRADES = ("corrections", "cancelErrors")  # they come with `trades`, without a request
# Its key is in an acknowledgement only where it is subscribed to: whether newer servers always
# name it is not known.
UNNAMED = "imbalances"


class StreamEndpoint(Struct, frozen=True):
    """One stream, with a connection limit of its own."""

    name: str
    path: str
    kind: Kind
    channels: tuple[str, ...]
    paid: bool = False  # the Basic plan does not include it


_ENDPOINTS = (
    StreamEndpoint("iex", "/v2/iex", "stocks", _STOCKS),
    StreamEndpoint("sip", "/v2/sip", "stocks", _STOCKS, paid=True),
    StreamEndpoint("delayed_sip", "/v2/delayed_sip", "stocks", _STOCKS),
    StreamEndpoint("boats", "/v1beta1/boats", "stocks", _STOCKS, paid=True),
    StreamEndpoint("overnight", "/v1beta1/overnight", "stocks", _STOCKS),
    StreamEndpoint("test", "/v2/test", "test", (*TRADES_AND_QUOTES, "bars")),
    StreamEndpoint("crypto", "/v1beta3/crypto/us", "crypto", _CRYPTO),
    StreamEndpoint("crypto/us-1", "/v1beta3/crypto/us-1", "crypto", _CRYPTO),
    StreamEndpoint("crypto/eu-1", "/v1beta3/crypto/eu-1", "crypto", _CRYPTO),
    StreamEndpoint("news", "/v1beta1/news", "news", ("news",)),
    StreamEndpoint("indicative", "/v1beta1/indicative", "options", TRADES_AND_QUOTES),
    StreamEndpoint("opra", "/v1beta1/opra", "options", TRADES_AND_QUOTES, paid=True),
    StreamEndpoint("account", "/stream", "account", ("trade_updates",)),
)
BY_NAME: Mapping[str, StreamEndpoint] = {each.name: each for each in _ENDPOINTS}
# A bare host is taken for the free stock feed.
BY_PATH: Mapping[str, StreamEndpoint] = {each.path: each for each in _ENDPOINTS} | {"/": BY_NAME["iex"]}

_OCC = re.compile(r"[A-Z0-9]{1,6}\d{6}[CP]\d{8}")
_SPELLINGS: Mapping[str, re.Pattern[str]] = {
    "stocks": re.compile(r"[A-Z][A-Z0-9]*([.\-][A-Z0-9]+)?"),
    "test": re.compile(r"[A-Z][A-Z0-9]*([.\-][A-Z0-9]+)?"),
    "crypto": re.compile(r"[A-Z0-9]+/[A-Z0-9]+"),
    "options": _OCC,
    "news": re.compile(r"[A-Z][A-Z0-9]*([./\-][A-Z0-9]+)?"),
}
TEST_SYMBOL = "FAKEPACA"  # the only one that is ever told of on the test stream


def well_formed(kind: Kind, symbol: str) -> bool:
    """Whether a subscription may name this symbol. Small letters are a mistake."""
    return symbol == "*" or _SPELLINGS[kind].fullmatch(symbol) is not None


def kind_of(symbol: str) -> Kind:
    """What a symbol is, by its looks."""
    if symbol == TEST_SYMBOL:
        return "test"
    if "/" in symbol:
        return "crypto"
    return "options" if _OCC.fullmatch(symbol) else "stocks"


def too_many(kind: Kind, plan: Plan, symbols: int, wanted: Mapping[str, Mapping[str, None]]) -> bool:
    """Whether a plan forbids this many symbols; `symbols` above 0 overrules the plan's own limits."""

    def count(*channels: str) -> float:
        named = [each for channel in channels for each in wanted.get(channel, ())]
        return float("inf") if "*" in named and (symbols or plan == "basic") else len(named)

    if symbols:
        return count(*TRADES_AND_QUOTES, "orderbooks", "news") > symbols
    if kind == "options":
        return count("quotes") > (200 if plan == "basic" else 1000)
    if plan == "plus":
        return False
    return (kind == "stocks" and count(*TRADES_AND_QUOTES) > 30) or count("orderbooks") > 10
