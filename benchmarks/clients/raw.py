"""What a program without an SDK says to each venue, and how it reads its messages: typed, by msgspec.

The types have the fields that Linewarden's events have, exact numbers among them.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

Address = Mapping[str, Any]
Message = bytes | memoryview


class Dialogue(Struct, frozen=True):
    """One venue. `marks` reads a message, and answers the numbers that its events bear."""

    url: str
    says: Sequence[str]  # all at once, when it is connected
    passed_over: int  # messages before the first with data
    marks: Callable[[Message], list[Any]]
    last: Callable[[int], Any] = int  # a number as its events bear it
    tls: ssl.SSLContext | None = None


# ── O2 ──────────────────────────────────────────────────────────────────────────────────────────


class O2Trade(Struct, frozen=True, gc=False):
    trade_id: str
    side: Literal["buy", "sell"]
    total: int
    quantity: int
    price: int
    timestamp: int


class O2Trades(Struct, frozen=True, gc=False, tag_field="action", tag="subscribe_trades"):
    market_id: str
    trades: list[O2Trade]
    onchain_timestamp: int
    seen_timestamp: int


def o2(address: Address) -> Dialogue:
    decode = msgspec.json.Decoder(O2Trades, strict=False).decode

    def marks(message: Message) -> list[str]:
        return [trade.trade_id for trade in decode(message).trades]

    asks = {"action": "subscribe_trades", "market_id": address["keys"][0]}
    return Dialogue(address["url"], [json.dumps(asks)], 0, marks, str)


def o2_by_tls(address: Address) -> Dialogue:
    context = ssl.create_default_context(cafile=address["ca_file"])
    return msgspec.structs.replace(o2(address), tls=context)


class O2Level(Struct, frozen=True, gc=False):
    price: int
    quantity: int


class O2Levels(Struct, frozen=True, gc=False):
    buys: tuple[O2Level, ...]
    sells: tuple[O2Level, ...]


class O2Depth(Struct, frozen=True, gc=False, kw_only=True, tag_field="action"):
    market_id: str
    onchain_timestamp: int | None = None
    seen_timestamp: int | None = None


class O2Book(O2Depth, frozen=True, gc=False, tag="subscribe_depth"):
    orders: O2Levels


class O2Change(O2Depth, frozen=True, gc=False, tag="subscribe_depth_update"):
    changes: O2Levels


def o2_depth(address: Address) -> Dialogue:
    decode = msgspec.json.Decoder(O2Book | O2Change, strict=False).decode

    def marks(message: Message) -> list[int | None]:
        return [decode(message).seen_timestamp]

    asks = {"action": "subscribe_depth", "market_id": address["keys"][0], "precision": "10"}
    book = 1
    return Dialogue(address["url"], [json.dumps(asks)], book, marks)


# ── Alpaca ──────────────────────────────────────────────────────────────────────────────────────


class AlpacaQuote(Struct, frozen=True, gc=False, tag_field="T", tag="q"):
    symbol: str = field(name="S")
    timestamp: str = field(name="t")
    bid_price: Decimal = field(name="bp")
    bid_size: int | Decimal = field(name="bs")
    ask_price: Decimal = field(name="ap")
    ask_size: int | Decimal = field(name="as")
    bid_exchange: str = field(name="bx", default="")
    ask_exchange: str = field(name="ax", default="")
    conditions: tuple[str, ...] = field(name="c", default=())
    tape: str = field(name="z", default="")


def alpaca(address: Address) -> Dialogue:
    decode = msgspec.json.Decoder(list[AlpacaQuote]).decode

    def marks(message: Message) -> list[int | Decimal]:
        return [each.bid_size for each in decode(message)]

    login = {"action": "auth", "key": address["user"], "secret": address["secret"]}
    asks = {"action": "subscribe", "quotes": [address["keys"][0]]}
    connected_authenticated_subscribed = 3
    return Dialogue(
        address["url"], [json.dumps(login), json.dumps(asks)], connected_authenticated_subscribed, marks
    )


# ── Binance: a venue of a table ─────────────────────────────────────────────────────────────────

# As Linewarden reads the messages of a table: JSON, with numbers that are no integers as decimals.
_any_json = msgspec.json.Decoder(float_hook=Decimal).decode


def binance(address: Address) -> Dialogue:
    def marks(message: Message) -> list[int]:
        return [_any_json(message)["data"]["a"]]

    asks = {"method": "SUBSCRIBE", "params": [f"{key}@aggTrade" for key in address["keys"]], "id": 1}
    confirmation = 1
    return Dialogue(f"{address['url']}stream", [json.dumps(asks)], confirmation, marks)


# ── tplus ───────────────────────────────────────────────────────────────────────────────────────


class TplusTrade(Struct, frozen=True, gc=False):
    asset_id: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    timestamp_ns: int
    order_id: str
    buyer_is_maker: bool
    status: str


def tplus(address: Address) -> Dialogue:
    decode = msgspec.json.Decoder(TplusTrade).decode

    def marks(message: Message) -> list[int]:
        return [decode(message).trade_id]

    welcome = 1
    return Dialogue(address["url"].rstrip("/") + address["path"], [], welcome, marks)


# ── ProjectX: a SignalR hub ─────────────────────────────────────────────────────────────────────

END = "\x1e"  # of a record


class ProjectXQuote(Struct, frozen=True, gc=False, rename="camel"):
    symbol: str
    symbol_name: str
    last_price: Decimal
    best_bid: Decimal
    best_ask: Decimal
    change: Decimal
    change_percent: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    last_updated: str
    timestamp: str


class ProjectXTrade(Struct, frozen=True, gc=False, rename="camel"):
    symbol_id: str
    price: Decimal
    timestamp: str
    type: int
    volume: Decimal


class GatewayQuote(Struct, frozen=True, gc=False, tag=1):
    target: str
    arguments: tuple[str, ProjectXQuote]


class GatewayTrade(Struct, frozen=True, gc=False, tag=1):
    target: str
    arguments: tuple[str, list[ProjectXTrade]]


def projectx_trades(address: Address) -> Dialogue:
    decode = msgspec.json.Decoder(GatewayTrade).decode

    def marks(message: Message) -> list[Decimal]:
        heard = [decode(record) for record in bytes(message).split(b"\x1e") if record]
        return [trade.volume for each in heard for trade in each.arguments[1]]

    return hub(address, "SubscribeContractTrades", marks)


def projectx_quotes(address: Address) -> Dialogue:
    decode = msgspec.json.Decoder(GatewayQuote).decode

    def marks(message: Message) -> list[Decimal]:
        return [decode(record).arguments[1].volume for record in bytes(message).split(b"\x1e") if record]

    return hub(address, "SubscribeContractQuotes", marks)


def hub(address: Address, method: str, marks: Callable[[Message], list[Any]]) -> Dialogue:
    url = address["market"].replace("http", "ws", 1)
    says = (
        {"protocol": "json", "version": 1},
        {"type": 1, "invocationId": "1", "target": method, "arguments": [address["keys"][0]]},
    )
    welcome_and_completion = 2
    return Dialogue(
        f"{url}?access_token={quote(address['token'])}",
        [json.dumps(each) + END for each in says],
        welcome_and_completion,
        marks,
    )


DIALOGUES: Mapping[str, Callable[[Address], Dialogue]] = {
    "o2": o2,
    "o2-tls": o2_by_tls,
    "o2-depth": o2_depth,
    "alpaca": alpaca,
    "binance": binance,
    "tplus": tplus,
    "projectx": projectx_trades,
    "projectx-quotes": projectx_quotes,
}
