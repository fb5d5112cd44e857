"""Trades, minute bars and the order book of a pair: alpaca-py's CryptoDataStream.

python examples/migrating/alpaca_py/crypto_stream.py [CONFIG]
"""

from __future__ import annotations

import sys

import actors
from actors.venues import alpaca

SIMULATED = {
    "feeds": {
        "crypto": {
            "venue": "alpaca",
            "stream": "crypto/us",  # alpaca-py: feed=CryptoFeed.US
            "url": "sim://alpaca?rate=50",
            "key": "K",
            "secret": "S",
        }
    }
}
PAIR = "BTC/USD"


def main() -> None:
    config = sys.argv[1] if len(sys.argv) > 1 else SIMULATED
    with actors.start(config) as runtime:
        trades = runtime.subscribe("crypto", alpaca.TRADES, PAIR, wait=10)
        trade = trades.get(timeout=10)
        print("trade", trade.symbol, trade.price, trade.size)
        # alpaca-py hands out the changes of a book; `runtime.book` follows them, and is empty after a loss
        # until the book is whole again.
        book = runtime.book("crypto", PAIR, depth=3, wait=10)
        print("book", book.best_bid, book.best_ask, book.spread)


if __name__ == "__main__":
    main()
