"""What the market hub pushes, as it nearly always comes: a contract, and a thing or a list of things.

Whatever comes otherwise (in an envelope, with nulls in between, with something odd in it) is none of these,
and is taken apart piece by piece: see `normalise`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.json import Decoder

from actors.venues.projectx.messages import HUGE, TINY, Depth, Trade, check_number

MOST: Final = 10_000  # numbers that are kept
LONGEST: Final = 20  # characters of one of them


class Decimals(dict[str, Decimal]):
    """Decimals by their texts, all of them in bounds. Most prices of a market come again, and are shared."""

    def __missing__(self, text: str) -> Decimal:
        number = Decimal(text)
        if not TINY <= number < HUGE:
            check_number(number)
        if len(text) <= LONGEST:
            if len(self) >= MOST:
                self.clear()
            self[text] = number
        return number


class PushedQuote(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """A `SparseQuote` whose numbers were not looked at: an integer is none that is a decimal."""

    symbol: str | UnsetType | None = UNSET
    symbol_name: str | UnsetType | None = UNSET
    last_price: Any = UNSET
    best_bid: Any = UNSET
    best_ask: Any = UNSET
    change: Any = UNSET
    change_percent: Any = UNSET
    open: Any = UNSET
    high: Any = UNSET
    low: Any = UNSET
    volume: Any = UNSET
    last_updated: str | UnsetType | None = UNSET
    timestamp: str | UnsetType | None = UNSET


NOTHING: Final = PushedQuote()


class MarketPush(Struct, frozen=True, gc=False, kw_only=True, tag_field="target"):
    """An invocation that is read in one go with its arguments, and wants no answer."""

    type: Literal[1]
    invocation_id: None = field(default=None, name="invocationId")


class QuotePush(MarketPush, frozen=True, gc=False, kw_only=True, tag="GatewayQuote"):
    arguments: tuple[str, PushedQuote | list[PushedQuote]]


class TradePush(MarketPush, frozen=True, gc=False, kw_only=True, tag="GatewayTrade"):
    arguments: tuple[str, Trade | list[Trade]]


class DepthPush(MarketPush, frozen=True, gc=False, kw_only=True, tag="GatewayDepth"):
    arguments: tuple[str, Depth | list[Depth]]


decode = Decoder(QuotePush | TradePush | DepthPush, float_hook=Decimals().__getitem__).decode
