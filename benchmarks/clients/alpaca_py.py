"""A program on alpaca-py, as its users write one. It runs in the SDK's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

from alpaca.data.live import StockDataStream

from benchmarks.clients.tally import Tally, wanted


def main(asked):
    address = asked.address
    tally = Tally(asked.last, asked.timed)

    async def handle(quote):
        tally.saw(quote.bid_size)

    stocks = StockDataStream(address["user"], address["secret"], url_override=address["url"])
    stocks.subscribe_quotes(handle, address["keys"][0])
    tally.begin()
    stocks.run()


main(wanted())
