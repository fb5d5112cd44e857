"""The markets of O2."""

from __future__ import annotations

from actors.simulators.base.random_market import Asset, Levels, Market, gathered, make_id

PAIRS = (("FUEL", 12_000_000, 10_000), ("ETH", 3_000_000_000_000, 100_000_000), ("BTC", 90 * 10**12, 10**9))
PRECISIONS = {str(10**level): 10**level for level in range(1, 19)}

_DECIMALS = 9


def listed(id: str, number: int, *, seed: int, moving: bool) -> Market:
    """The market of this id, the `number`th there is: pairs come in turn."""
    symbol, price, tick = PAIRS[number % len(PAIRS)]
    if number >= len(PAIRS):
        symbol += str(number // len(PAIRS))
    base, quote = (Asset(each, make_id("asset", each), _DECIMALS) for each in (symbol, "USDC"))
    return Market(id, base, quote, price=price, tick=tick, lot=10**7, seed=seed, moving=moving)


def book_of(found: Market, precision: int) -> tuple[Levels, Levels]:
    """A market's bids and asks by a coarser price."""
    return gathered(found.bids.items(), precision, "buy"), gathered(found.asks.items(), precision, "sell")


def worth(found: Market, quantity: int, price: int) -> int:
    """What a quantity costs, in whole units of the quote."""
    whole: int = abs(quantity) * price // 10**found.base.decimals
    return whole if quantity >= 0 else -whole


def canonical(text: str) -> str:
    """An id as it is compared: lower case, with 0x. Anything else stays as it is."""
    low = text.lower()
    bare = low.removeprefix("0x")
    return f"0x{bare}" if bare and set(bare) <= set("0123456789abcdef") else text
