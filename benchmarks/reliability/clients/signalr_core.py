"""A program on signalrcore, as its README shows one. It runs in the library's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import threading

from signalrcore.hub_connection_builder import HubConnectionBuilder

from benchmarks.reliability.clients.say import Handler, asked, say

# A try a second, and more of them than an outage of four seconds needs.
RECONNECT = {"type": "interval", "keep_alive_interval": 10, "intervals": [1] * 60}


def main(wanted):
    address = wanted.address
    handle = Handler(wanted.raise_at)
    options = {"access_token_factory": lambda: address["token"]}
    hub = HubConnectionBuilder().with_url(address["market"], options=options)
    hub = hub.with_automatic_reconnect(RECONNECT).build()

    def trade(told):
        for each in told[1]:
            handle(each["volume"])

    def subscribe():
        hub.send("SubscribeContractTrades", address["keys"])

    def again():  # it replays nothing
        say(told="on_reconnect")
        subscribe()

    hub.on("GatewayTrade", trade)
    hub.on_open(subscribe)
    hub.on_reconnect(again)
    hub.on_close(lambda: say(told="on_close"))
    hub.on_error(lambda _told: say(told="on_error"))
    hub.start()
    threading.Event().wait()


main(asked())
