"""The newest quote and trade of a symbol, as Alpaca's REST part tells them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote as escaped

import msgspec
from msgspec import Struct, structs

from actors.protocol import Conversation, HttpAnswer, HttpRequest, Price, Reason, Retryable, status_reason
from actors.venues.alpaca.endpoints import DataStream
from actors.venues.alpaca.errors import KEYS
from actors.venues.alpaca.messages import Quote, Trade

PATHS = {
    "stocks": "/v2/stocks/{what}/latest?symbols={symbol}&feed={place}",
    "options": "/v1beta1/options/{what}/latest?symbols={symbol}&feed={place}",
    "crypto": "/v1beta3/crypto/{place}/latest/{what}?symbols={symbol}",
}
_WORDS = 200  # characters of an error that are told


class LatestAnswer(Struct, frozen=True):
    """Entries bear neither their kind nor their symbol; of no symbol that is known there is none."""

    quotes: dict[str, dict[str, msgspec.Raw] | None] | None = None
    trades: dict[str, dict[str, msgspec.Raw] | None] | None = None


_decode = msgspec.json.Decoder(LatestAnswer).decode
_decode_entry: Callable[[bytes], Quote | Trade] = msgspec.json.Decoder(Quote | Trade).decode


def price_of(event: Any) -> Price | None:
    """What a quote or a trade says; a side at 0 is none."""
    try:
        at: int | None = event.ts_ns
    except ValueError:
        at = None
    if isinstance(event, Quote):
        bid = _side(event.bid_price, event.bid_size)
        ask = _side(event.ask_price, event.ask_size)
        return Price(event.symbol, *bid, *ask, quoted_ns=at, quotes=True)
    if isinstance(event, Trade) and event.price.is_finite() and event.price > 0:
        return Price(event.symbol, last=event.price, last_size=event.size, traded_ns=at)
    return None


def ask_latest(
    base: str, stream: DataStream, symbol: str, headers: tuple[tuple[str, str], ...]
) -> Conversation[Price]:
    """Both, one after the other; a symbol that the venue does not know has no price."""
    price = Price(symbol)
    for what in ("quotes", "trades"):
        path = PATHS[stream.kind].format(what=what, symbol=escaped(symbol, safe=""), place=stream.place)
        answer = yield HttpRequest("GET", base + path, headers)
        if answer.status in {400, 404, 422} and b"symbol" in answer.body.lower():
            return price
        if answer.status != 200:
            return _refusal(answer)
        try:
            price = _with(price, _entry(answer.body, what, symbol))
        except Exception as error:  # whatever came, it is no reason to raise
            text = f"alpaca's latest {what} cannot be read: {str(error)[:_WORDS]}"
            return Retryable(text, "alpaca_latest")
    return price


def _entry(body: bytes, what: str, symbol: str) -> Quote | Trade | None:
    found = _decode(body)
    entry = ((found.quotes if what == "quotes" else found.trades) or {}).get(symbol)
    if entry is None:
        return None
    tag = "q" if what == "quotes" else "t"
    return _decode_entry(msgspec.json.encode({**entry, "T": tag, "S": symbol}))


def _with(price: Price, event: Quote | Trade | None) -> Price:
    said = price_of(event) if event is not None else None
    if said is None:
        return price
    names: tuple[str, ...] = ("last", "last_size", "traded_ns")
    if said.quotes:
        names = ("bid", "bid_size", "ask", "ask_size", "quoted_ns", "quotes")
    return structs.replace(price, **{name: getattr(said, name) for name in names})


def _side(price: Decimal, size: int | Decimal) -> tuple[Decimal | None, int | Decimal | None]:
    return (price, size) if price.is_finite() and price > 0 else (None, None)


def _refusal(answer: HttpAnswer) -> Reason:
    text = f"alpaca's data server answers {answer.status}"
    elsewhere = "Check stream and data_url in this feed's table."
    return status_reason(answer, text, KEYS if answer.status in {401, 403} else elsewhere)
