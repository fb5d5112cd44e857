"""Quotes and trades of an option contract: alpaca-py's notebooks about options.

python examples/migrating/alpaca_py/option_stream.py [CONFIG]
"""

from __future__ import annotations

import sys

import actors
from actors.venues import alpaca

SIMULATED = {
    "feeds": {
        "options": {
            "venue": "alpaca",
            "stream": "indicative",  # alpaca-py: feed=OptionsFeed.INDICATIVE
            "url": "sim://alpaca?rate=50",
            "key": "K",
            "secret": "S",
        }
    }
}
CONTRACT = "AAPL281215C00200000"


def main() -> None:
    config = sys.argv[1] if len(sys.argv) > 1 else SIMULATED
    with actors.start(config) as runtime:
        quotes = runtime.subscribe("options", alpaca.QUOTES, CONTRACT, wait=10)
        trades = runtime.subscribe("options", alpaca.TRADES, CONTRACT, wait=10)
        # Both in the order of their arrival, as alpaca-py's one handler got them.
        for received in runtime.merge(quotes, trades):
            print(type(received.event).__name__, received.event.symbol)
            if isinstance(received.event, alpaca.Trade):
                break


if __name__ == "__main__":
    main()
