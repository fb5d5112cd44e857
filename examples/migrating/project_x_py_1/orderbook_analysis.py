"""Levels, imbalance and trade flow of a book. It does what 05_orderbook_analysis.py does.

    python examples/migrating/project_x_py_1/orderbook_analysis.py
    python examples/migrating/project_x_py_1/orderbook_analysis.py CONFIG INSTRUMENT SECONDS

Without arguments it reads a market simulated inside this process for 2 s. What the SDK infers (icebergs,
clusters, support and resistance) has no counterpart: `BookView` and the trades are what it infers it from.
"""

import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import actors
from actors.venues import projectx

SIMULATED: Mapping[str, Any] = {
    "feeds": {
        "projectx": {
            "venue": "projectx",
            "url": "sim://projectx?rate=100",
            "user_name": "trader",
            "api_key": "any",
        },
    },
}
KEPT = 10_000  # trades, as in the SDK
WAIT = 30.0  # seconds


def analyse(config: str | Mapping[str, Any], instrument: str, seconds: float) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        contract = runtime.ask("projectx").contract(instrument).get(timeout=WAIT).id
        trades: deque[projectx.Trade] = deque(maxlen=KEPT)  # "recent trades"; a bound is one argument
        runtime.on("projectx", projectx.TRADES, contract, handler=trades.append, wait=WAIT)
        runtime.book("projectx", contract, wait=WAIT)  # the first call begins to follow it
        time.sleep(seconds)

        book = runtime.book("projectx", contract, depth=5)  # both sides of one moment
        if not book.synced:
            print("no book now:", book.reason)  # after a loss, until the next whole one
            return
        for price, volume in reversed(book.asks):
            print(f"ask {price} | {volume}")
        for price, volume in book.bids:
            print(f"bid {price} | {volume}")
        print(f"spread {book.spread}, mid {mid(book)}, imbalance {imbalance(book):+.2f}")
        flow(list(trades))


def mid(book: actors.BookView) -> Decimal | None:
    if book.best_bid is None or book.best_ask is None:
        return None
    return (Decimal(book.best_bid[0]) + Decimal(book.best_ask[0])) / 2


def imbalance(book: actors.BookView) -> float:
    """From -1, asks alone, to +1, bids alone."""
    bids, asks = (float(sum(volume for _, volume in side)) for side in (book.bids, book.asks))
    return (bids - asks) / (bids + asks) if bids + asks else 0.0


def flow(trades: Iterable[projectx.Trade]) -> None:
    """Volume by the side that took it; it is what traded through ProjectX, not at the exchange."""
    bought = sold = worth = Decimal(0)
    for trade in trades:
        if trade.price is None or trade.volume is None:
            continue
        worth += trade.price * trade.volume
        if trade.type is projectx.TradeType.BUY:
            bought += trade.volume
        elif trade.type is projectx.TradeType.SELL:
            sold += trade.volume
    total = bought + sold
    print(f"bought {bought}, sold {sold}, delta {bought - sold:+}")
    print(f"vwap {worth / total:.2f}" if total else "no trades")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        analyse(sys.argv[1], sys.argv[2], float(sys.argv[3]))
    elif len(sys.argv) == 1:
        analyse(SIMULATED, "NQ", 2.0)
    else:
        sys.exit(__doc__)
