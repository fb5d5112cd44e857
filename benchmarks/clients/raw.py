"""What a program without an SDK says to each venue, and how it reads its messages: typed, by msgspec."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

Address = Mapping[str, str]
Message = bytes | memoryview


class Dialogue(Struct):
    """One venue. `marks` reads a message, and answers the numbers that its events bear."""

    url: str
    says: list[str]  # all at once, when it is connected
    passed_over: int  # messages before the first with data
    last: Callable[[int], Any]  # a number as its events bear it
    marks: Callable[[Message], list[Any]]


# ── O2 ──────────────────────────────────────────────────────────────────────────────────────────


class O2Trade(Struct, gc=False):
    trade_id: str
    side: Literal["buy", "sell"]
    total: int
    quantity: int
    price: int
    timestamp: int


class O2Trades(Struct, gc=False, tag_field="action", tag="subscribe_trades"):
    market_id: str
    trades: list[O2Trade]
    onchain_timestamp: int
    seen_timestamp: int


def o2(address: Address) -> Dialogue:
    decode = msgspec.json.Decoder(O2Trades, strict=False).decode

    def marks(message: Message) -> list[str]:
        return [trade.trade_id for trade in decode(message).trades]

    asks = {"action": "subscribe_trades", "market_id": address["key"]}
    return Dialogue(address["url"], [json.dumps(asks)], 0, str, marks)


DIALOGUES: Mapping[str, Callable[[Address], Dialogue]] = {"o2": o2}
