"""A program on unicorn-binance-websocket-api, as its users write one, in that library's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import json
import threading

from unicorn_binance_websocket_api.manager import BinanceWebSocketApiManager

from benchmarks.clients.tally import Tally, wanted


def main(asked):
    address = asked.address
    tally = Tally(asked.last, asked.timed)

    def trade(told):
        found = json.loads(told)
        if "data" in found:
            tally.saw(found["data"]["a"])

    manager = BinanceWebSocketApiManager(
        exchange="binance.com",
        websocket_base_uri=address["url"],
        disable_colorama=True,
        warn_on_update=False,
    )
    tally.begin()
    manager.create_stream("aggTrade", address["keys"], process_stream_data=trade)
    threading.Event().wait()


main(wanted())
