"""What can be told from an order book and its trades: depth, imbalance, impact, delta, profile.

    python examples/migrating/project_x_py/order_book_analysis.py

`runtime.book` keeps the levels; the sums over them are yours. Linewarden looks for no icebergs and no
spoofing: what rests behind a level, and why an order was cancelled, cannot be told from ProjectX'
levels.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import pairwise

from project_x_suite import WAIT, TradingSuite, trading_suite

import actors
from actors.rules.order_book import Level
from actors.venues import projectx

Trades = list[projectx.Trade]


def volume(levels: tuple[Level, ...]) -> Decimal:
    return sum((Decimal(quantity) for _, quantity in levels), Decimal())


def imbalance(book: actors.BookView, depth: int = 5) -> float:
    """From -1 (asks alone) to 1 (bids alone): their `get_market_imbalance`."""
    bids, asks = volume(book.bids[:depth]), volume(book.asks[:depth])
    return float((bids - asks) / (bids + asks)) if bids + asks else 0.0


def liquid_levels(levels: tuple[Level, ...], least: int) -> list[Level]:
    """Their `get_liquidity_levels`."""
    return [(price, quantity) for price, quantity in levels if quantity >= least]


def impact(levels: tuple[Level, ...], size: int) -> Decimal | None:
    """The average price of an order at the market; None: the book is not deep enough."""
    left, cost = Decimal(size), Decimal()
    for price, quantity in levels:
        taken = min(left, Decimal(quantity))
        left, cost = left - taken, cost + taken * Decimal(price)
    return None if left else cost / size


def clusters(levels: tuple[Level, ...], tick: Decimal) -> int:
    """Runs of levels that are side by side: their `detect_order_clusters`, in short."""
    return 1 + sum(abs(Decimal(b) - Decimal(a)) > tick for (a, _), (b, _) in pairwise(levels))


def delta(trades: Trades) -> Decimal:
    """Volume of buyers less volume of sellers: their `get_cumulative_delta`. ProjectX tells the aggressor."""
    sign = {projectx.TradeType.BUY: 1, projectx.TradeType.SELL: -1}
    signed = (sign[each.type] * (each.volume or 0) for each in trades if each.type in sign)
    return sum(map(Decimal, signed), Decimal())


def profile(trades: Trades) -> list[tuple[Decimal, Decimal]]:
    """Prices by their volume, largest first; the first is the point of control."""
    by_price = Counter[Decimal]()
    for trade in trades:
        by_price[trade.price] += int(trade.volume or 0)
    return [(price, Decimal(count)) for price, count in by_price.most_common()]


def look(suite: TradingSuite) -> None:
    nq = suite["NQ"]
    book = nq.book
    if not book.synced:  # between a loss and the next whole book there are no levels, and no old ones
        print("no book now:", book.reason)
        return
    print(f"best {book.best_bid} / {book.best_ask}, spread {book.spread}, crossed {book.crossed}")
    print(f"{len(book.bids)} bids with {volume(book.bids)}, {len(book.asks)} asks with {volume(book.asks)}")
    print(f"imbalance {imbalance(book):+.2f}; large bids: {len(liquid_levels(book.bids, 40))}")
    print(f"buying 50 costs {impact(book.asks, 50)} on average; clusters {clusters(book.asks, nq.ticks(1))}")


def main() -> None:
    with trading_suite("NQ") as suite:
        contract = suite["NQ"].contract.id
        trades: Trades = []
        spreads: list[Decimal] = []
        with suite.runtime.subscribe("projectx", projectx.TRADES, contract, wait=WAIT) as tape:
            look(suite)
            while len(trades) < 20:
                trades += tape.get_many(20, timeout=WAIT)
                if (spread := suite["NQ"].book.spread) is not None:
                    spreads.append(Decimal(spread))
        print(
            f"{len(trades)} trades: delta {delta(trades)}, largest {max(each.volume or 0 for each in trades)}"
        )
        for price, count in profile(trades)[:3]:
            print(f"  {price}: {count}")
        print(f"average spread {sum(spreads) / len(spreads):.2f} of {len(spreads)} looks")
        suite.runtime.forget_book("projectx", contract)


if __name__ == "__main__":
    main()
