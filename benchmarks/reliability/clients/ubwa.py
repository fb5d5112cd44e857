"""A program on unicorn-binance-websocket-api, as its users write one, in that library's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import json
import threading

from unicorn_binance_websocket_api.manager import BinanceWebSocketApiManager

from benchmarks.reliability.clients.say import Handler, asked, say

LOOK = 0.5  # seconds


def main(wanted):
    handle = Handler(wanted.raise_at)

    def trade(told):
        found = json.loads(told)
        if "data" in found:
            handle(found["data"]["a"])

    def signal(signal_type=None, **_more):
        if signal_type != "FIRST_RECEIVED_DATA":
            say(told=f"signal {signal_type}")

    manager = BinanceWebSocketApiManager(
        exchange="binance.com",
        websocket_base_uri=wanted.address["url"],
        process_stream_signals=signal,
        disable_colorama=True,
        warn_on_update=False,
    )
    stream = manager.create_stream("aggTrade", wanted.address["keys"], process_stream_data=trade)
    before = "running"
    while True:
        now = str(manager.get_stream_info(stream)["status"]).split(" - ")[0]
        if now != before:
            say(told=f"status {now}")
        before = now
        threading.Event().wait(LOOK)


main(asked())
