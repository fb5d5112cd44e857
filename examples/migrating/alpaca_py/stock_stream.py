"""Quotes and trades of one stock, with one handler for both: alpaca-py's notebook "stocks-trading-basic".

python examples/migrating/alpaca_py/stock_stream.py [CONFIG]
"""

from __future__ import annotations

import sys
from queue import SimpleQueue

import actors
from actors.venues import alpaca

SIMULATED = {
    "feeds": {
        "stocks": {"venue": "alpaca", "url": "sim://alpaca?rate=50", "key": "K", "secret": "S"},
    }
}


def main() -> None:
    config = sys.argv[1] if len(sys.argv) > 1 else SIMULATED
    told: SimpleQueue[str] = SimpleQueue()

    def handle(event: alpaca.Quote | alpaca.Trade) -> None:
        """An ordinary function. Each stream calls it on a thread of its own: a slow one delays no socket."""
        price = event.price if isinstance(event, alpaca.Trade) else event.bid_price
        told.put(f"{type(event).__name__} {event.symbol} {price}")

    with actors.start(config, wait=10) as runtime:
        quotes = runtime.on("stocks", alpaca.QUOTES, "SPY", handler=handle)
        runtime.on("stocks", alpaca.TRADES, "SPY", handler=handle)
        while not (line := told.get(timeout=10)).startswith("Trade"):
            print(line)
        print(line)
        quotes.remove("SPY")  # any thread may do so, also a handler, where alpaca-py blocks for ever
        print("no more quotes")


if __name__ == "__main__":
    main()
