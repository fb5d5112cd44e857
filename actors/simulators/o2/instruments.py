"""The markets of O2."""

from __future__ import annotations

from hashlib import sha256

from msgspec import Struct, structs

from actors.simulators.base.random_market import Levels, Market, gathered

PAIRS = (("FUEL", 12_000_000, 10_000), ("ETH", 3_000_000_000_000, 100_000_000), ("BTC", 90 * 10**12, 10**9))
PRECISIONS = {str(10**level): 10**level for level in range(1, 19)}


class Asset(Struct, frozen=True):
    symbol: str
    id: str
    decimals: int = 9
    max_precision: int = 9


class Listing(Market):
    """A market of O2: its order book, and the two assets that are traded there."""

    def __init__(self, id: str, number: int, *, seed: int, moving: bool) -> None:
        """`number`: how many there were before it; pairs come in turn."""
        symbol, price, tick = PAIRS[number % len(PAIRS)]
        if number >= len(PAIRS):
            symbol += str(number // len(PAIRS))
        super().__init__(id, price=price, tick=tick, lot=10**7, seed=seed, moving=moving)
        self.contract = make_id("contract", id)
        self.base, self.quote = _asset(symbol), _asset("USDC")

    @property
    def name(self) -> str:
        return f"{self.base.symbol}/{self.quote.symbol}"

    def rename(self, name: str) -> None:
        """The assets keep their ids."""
        base, _, quote = name.partition("/")
        self.base = structs.replace(self.base, symbol=base)
        self.quote = structs.replace(self.quote, symbol=quote)


def _asset(symbol: str) -> Asset:
    return Asset(symbol, make_id("asset", symbol))


def make_id(*parts: object) -> str:
    """32 bytes of hex that are the same for the same parts."""
    return "0x" + sha256("/".join(map(str, parts)).encode()).hexdigest()


def book_of(found: Market, precision: int) -> tuple[Levels, Levels]:
    """A market's bids and asks by a coarser price."""
    return gathered(found.bids.items(), precision, "buy"), gathered(found.asks.items(), precision, "sell")


def worth(found: Listing, quantity: int, price: int) -> int:
    """What a quantity costs, in whole units of the quote."""
    whole: int = abs(quantity) * price // 10**found.base.decimals
    return whole if quantity >= 0 else -whole


_HEX = frozenset("0123456789abcdef")


def canonical(text: str) -> str:
    """An id as it is compared: lower case, with 0x. Anything else stays as it is."""
    low = text.lower()
    bare = low.removeprefix("0x")
    return f"0x{bare}" if bare and _HEX.issuperset(bare) else text
