"""A program on cryptofeed, as its users write one. It runs in the library's own virtualenv.

Two things are not its users': the address, and the list of symbols, which it would ask the exchange for.
"""
# mypy: ignore-errors

from __future__ import annotations

from cryptofeed import FeedHandler
from cryptofeed.connection import WebsocketEndpoint
from cryptofeed.defines import TRADES
from cryptofeed.exchanges import Binance
from cryptofeed.symbols import Symbols

from benchmarks.clients.tally import Tally, wanted


class Loopback(Binance):
    """cryptofeed takes `wss` addresses only; the one of the benchmark has no TLS."""

    def connect(self):
        made = super().connect()
        for connection, *_ in made:
            connection.address = connection.address.replace("wss:", "ws:", 1)
        return made


def main(asked):
    address = asked.address
    tally = Tally(str(asked.last), asked.timed)

    async def trade(told, _receipt_timestamp):
        tally.saw(told.id)

    Loopback.websocket_endpoints = [WebsocketEndpoint(address["url"].rstrip("/").replace("ws:", "wss:", 1))]
    Symbols.set(Binance.id, {"BTC-USDT": address["keys"][0].upper()}, {})
    handler = FeedHandler(config={"log": {"disabled": True}})
    handler.add_feed(Loopback(symbols=["BTC-USDT"], channels=[TRADES], callbacks={TRADES: trade}))
    tally.begin()
    handler.run()


main(wanted())
