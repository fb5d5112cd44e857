"""Alpaca's endpoints: where each is, what it offers and what a symbol looks like there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

Name = Literal[
    "iex",
    "sip",
    "delayed_sip",
    "boats",
    "overnight",
    "test",
    "crypto",
    "crypto/us",
    "crypto/us-1",
    "crypto/eu-1",
    "news",
    "indicative",
    "opra",
    "account",
]
Kind = Literal["stocks", "crypto", "options", "news", "account"]

TEST_SYMBOL = "FAKEPACA"  # the only one of the test stream: others are acknowledged, and silent

# A channel of ours and its name on the wire, where they differ.
WIRE: Mapping[str, str] = {
    "updated_bars": "updatedBars",
    "daily_bars": "dailyBars",
    "cancel_errors": "cancelErrors",
}
# They cannot be subscribed to: they come with the trades of a symbol.
FOLLOWERS: Mapping[str, str] = {"corrections": "trades", "cancel_errors": "trades"}

_BASIC = ("trades", "quotes", "bars")
_STOCKS = (
    *_BASIC,
    "updated_bars",
    "daily_bars",
    "statuses",
    "lulds",
    "imbalances",
    "corrections",
    "cancel_errors",
)
_CRYPTO = (*_BASIC, "updated_bars", "daily_bars", "orderbooks", "pricing")


class DataStream(Struct, frozen=True):
    """One endpoint; `place` is what its REST twin calls it: a feed, or a location.

    `history`: what the pages of its history call it; empty: it has none that can be joined with the stream.
    `delay`: seconds by which its events are late, by their own time.
    """

    kind: Kind
    path: str
    channels: tuple[str, ...]
    place: str = ""  # empty: no prices can be asked for over REST
    history: str = ""
    delay: int = 0


STREAMS: Mapping[str, DataStream] = {
    "iex": DataStream("stocks", "/v2/iex", _STOCKS, "iex", "iex"),
    "sip": DataStream("stocks", "/v2/sip", _STOCKS, "sip", "sip"),
    "delayed_sip": DataStream("stocks", "/v2/delayed_sip", _STOCKS, "delayed_sip", "sip", 900),
    "boats": DataStream("stocks", "/v1beta1/boats", _STOCKS, "boats", "boats"),
    "overnight": DataStream("stocks", "/v1beta1/overnight", _STOCKS, "overnight"),
    "test": DataStream("stocks", "/v2/test", _BASIC),
    "crypto": DataStream("crypto", "/v1beta3/crypto/us", _CRYPTO, "us", "us"),
    "crypto/us": DataStream("crypto", "/v1beta3/crypto/us", _CRYPTO, "us", "us"),
    "crypto/us-1": DataStream("crypto", "/v1beta3/crypto/us-1", _CRYPTO, "us-1", "us-1"),
    "crypto/eu-1": DataStream("crypto", "/v1beta3/crypto/eu-1", _CRYPTO, "eu-1", "eu-1"),
    "news": DataStream("news", "/v1beta1/news", ("news",)),
    "indicative": DataStream("options", "/v1beta1/indicative", ("trades", "quotes"), "indicative"),
    "opra": DataStream("options", "/v1beta1/opra", ("trades", "quotes"), "opra"),
    "account": DataStream("account", "/stream", ("trade_updates",)),
}

_PART = r"[A-Z0-9]+"
_SYMBOLS: Mapping[Kind, tuple[re.Pattern[str], str]] = {
    "stocks": (re.compile(rf"{_PART}(?:[./-]{_PART})*"), "a symbol such as AAPL"),
    "crypto": (re.compile(rf"{_PART}(?:[/-]{_PART})+"), "a pair such as BTC/USD"),
    "options": (re.compile(r"[A-Z0-9]{1,6}\d{6}[CP]\d{8}"), "a contract such as AAPL261218C00200000"),
    "news": (re.compile(rf"{_PART}(?:[./-]{_PART})*"), "a symbol such as AAPL"),
}
_LONGEST = 32  # characters of a symbol


def stream_of(url: str) -> str | None:
    """The stream that this URL's path says; None: its path says nothing, or there is none."""
    path = path_of(url)
    return next((name for name, stream in STREAMS.items() if path.endswith(stream.path)), None)


def path_of(url: str) -> str:
    """The path of a URL without the slash at its end; empty: there is none, or it is no URL."""
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""


def symbol(kind: Kind, text: str) -> str | None:
    """A symbol as Alpaca spells it, `*` for all of them; None: there is no such symbol."""
    text = text.strip().upper()
    if text == "*":
        return text
    return text if len(text) <= _LONGEST and _SYMBOLS[kind][0].fullmatch(text) else None


def example(kind: Kind) -> str:
    """What a symbol looks like, for people."""
    return _SYMBOLS[kind][1]
