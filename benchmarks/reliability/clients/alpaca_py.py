"""A program on alpaca-py, as its users write one. It runs in the SDK's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import threading

from alpaca.data.live import StockDataStream

from benchmarks.reliability.clients.say import Handler, asked, say


def main(wanted):
    address = wanted.address
    handle = Handler(wanted.raise_at)

    async def quote(told):
        handle(told.bid_size)

    stocks = StockDataStream(address["user"], address["secret"], url_override=address["url"])
    stocks.subscribe_quotes(quote, address["keys"][0])
    try:
        stocks.run()
        say(ended="run() returned")
    except Exception as error:
        say(ended=f"{type(error).__name__}: {error}")
    threading.Event().wait()


main(asked())
