"""Quotes of one stock: the first program of alpaca-py's guides.

    python examples/migrating/alpaca_py/quotes.py [CONFIG]

Without CONFIG it plays against a simulator. A feed of yours has no `url`, `key` and `secret`: it then
connects to Alpaca, with ALPACA_API_KEY and ALPACA_SECRET_KEY of the environment.
"""

from __future__ import annotations

import sys
from itertools import islice

import actors
from actors.venues import alpaca

SIMULATED = {
    "feeds": {
        "stocks": {
            "venue": "alpaca",
            "stream": "iex",  # alpaca-py: feed=DataFeed.IEX
            "url": "sim://alpaca?rate=50",
            "key": "K",
            "secret": "S",
        }
    }
}


def main() -> None:
    config = sys.argv[1] if len(sys.argv) > 1 else SIMULATED
    with actors.start(config) as runtime:
        quotes = runtime.subscribe("stocks", alpaca.QUOTES, "SPY", wait=10)
        # No coroutine and no `run()`: the loop is yours. `islice` ends the example; without it, it goes on.
        for quote in islice(quotes, 5):
            print(quote.symbol, quote.bid_price, quote.ask_price)


if __name__ == "__main__":
    main()
