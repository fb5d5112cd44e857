"""A manager of streams with a store of prices: start, read with a fallback, look at the status, stop.

    python examples/migrating/alpaca_py/thread_manager.py

The manager ran a thread per provider that wrote each quote and trade into a store for 15 s. Here the runtime
keeps the prices of its subscriptions: there is no store to fill. Another vendor's prices are put beside them.
"""

from __future__ import annotations

import actors
from actors.venues import alpaca

STREAMED = [{"channel": channel, "keys": ["AAPL", "MSFT"]} for channel in ("quotes", "trades")]
ALPACA = {
    "venue": "alpaca",
    "url": "sim://alpaca?rate=50",  # without url, key and secret: Alpaca, by the keys of the environment
    "key": "K",
    "secret": "S",
    "subscribe": STREAMED,
    "price_sources": ["stream", "vendor", "rest"],  # which was "exchange_ws", "ingest", "yfinance"
}
MAX_AGE = 15.0  # seconds: the store's TTL


def main() -> None:
    with actors.start({"feeds": {}}) as runtime:
        # The manager's start(), with a table in place of an exchange and its symbols.
        runtime.add_feed("alpaca", ALPACA)
        runtime.subscribe("alpaca", alpaca.QUOTES, "AAPL").get(timeout=10)  # its first quote
        show(runtime, "AAPL")

        # The store's put_ticker(), for a symbol that is not streamed.
        runtime.put_price("alpaca", "TSLA", last="250.10", source="vendor", ttl=MAX_AGE)
        show(runtime, "TSLA")

        # A symbol that neither streams nor was put: Alpaca's REST is asked, with the same keys.
        show(runtime, "NVDA")

        # A second start(), with other symbols, replaced the stream. Here its connection stays open.
        wanted = [{"channel": "quotes", "keys": ["AAPL", "MSFT", "TSLA"]}]
        for change in runtime.add_feed("alpaca", ALPACA | {"subscribe": wanted}).changes:
            print(change.text)

        # The manager's status().
        runtime.wait_live("alpaca", timeout=10)
        for name, feed in runtime.status().feeds.items():
            for line in feed.lines.values():
                print(name, line.state, line.reason.text if line.reason else "no error")

        runtime.remove_feed("alpaca")  # the manager's stop()
        print("providers:", list(runtime.status().feeds))


def show(runtime: actors.Runtime, symbol: str) -> None:
    """Where the store returned None, `latest` says what it tried."""
    try:
        price = runtime.latest("alpaca", symbol, max_age=MAX_AGE)
        print(f"{symbol}: {price.bid} / {price.ask}, last {price.last}, from {price.source}")
    except actors.StalePriceError as error:
        print(error)


if __name__ == "__main__":
    main()
