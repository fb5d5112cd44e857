"""Stocks, crypto, options and news in one program.

    python examples/migrating/alpaca_py/several_streams.py [CONFIG]

alpaca-py has a client for each of them, whose `run()` blocks. Here they are feeds, and one loop reads them.
"""

from __future__ import annotations

import sys
from typing import Any

import actors
from actors.venues import alpaca


def feed(stream: str) -> dict[str, Any]:
    return {"venue": "alpaca", "stream": stream, "url": "sim://alpaca?rate=50", "key": "K", "secret": "S"}


# One feed for each endpoint of Alpaca.
SIMULATED = {
    "feeds": {
        "stocks": feed("iex"),
        "crypto": feed("crypto/us"),
        "options": feed("indicative"),
        "news": feed("news"),
    }
}


def main() -> None:
    config = sys.argv[1] if len(sys.argv) > 1 else SIMULATED
    with actors.start(config, wait=10) as runtime:
        streams = (
            runtime.subscribe("stocks", alpaca.QUOTES, "SPY"),
            runtime.subscribe("crypto", alpaca.QUOTES, "BTC/USD"),
            runtime.subscribe("options", alpaca.QUOTES, "AAPL281215C00200000"),
            runtime.subscribe("news", alpaca.NEWS, "*"),
        )
        missing = {"stocks", "crypto", "options", "news"}
        for received in runtime.merge(*streams):
            feed_of_it = received.topic.feed
            if feed_of_it in missing:
                missing.remove(feed_of_it)
                print(feed_of_it, type(received.event).__name__)
            if not missing:
                break


if __name__ == "__main__":
    main()
