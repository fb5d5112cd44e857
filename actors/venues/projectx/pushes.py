"""What the market hub pushes, as it nearly always comes: a contract, and a thing or a list of things.

Whatever comes otherwise (in an envelope, with nulls in between, with something odd in it) is none of these,
and is taken apart piece by piece: see `normalise`.
"""

from __future__ import annotations

from typing import ClassVar

from actors.protocol.signalr import Push
from actors.venues.projectx.messages import Depth, SparseQuote, Trade

NOTHING = SparseQuote()


class QuotePush(Push, frozen=True, gc=False, kw_only=True, tag="GatewayQuote"):
    channel: ClassVar = "quotes"
    arguments: tuple[str, SparseQuote | list[SparseQuote]]

    def __post_init__(self) -> None:
        told = self.arguments[1]
        if NOTHING in (told if isinstance(told, list) else (told,)):
            raise ValueError("it says nothing, and may be an envelope")


class TradePush(Push, frozen=True, gc=False, kw_only=True, tag="GatewayTrade"):
    channel: ClassVar = "trades"
    arguments: tuple[str, Trade | list[Trade]]


class DepthPush(Push, frozen=True, gc=False, kw_only=True, tag="GatewayDepth"):
    channel: ClassVar = "depth"
    arguments: tuple[str, Depth | list[Depth]]


MarketPush = QuotePush | TradePush | DepthPush
