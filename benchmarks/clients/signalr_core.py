"""A program on signalrcore, as its users write one. It runs in the library's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import threading

from signalrcore.hub_connection_builder import HubConnectionBuilder

from benchmarks.clients.tally import Tally, wanted


def main(asked):
    address = asked.address
    tally = Tally(asked.last, asked.timed)
    options = {"access_token_factory": lambda: address["token"]}
    hub = HubConnectionBuilder().with_url(address["market"], options=options).build()

    def quote(told):
        tally.saw(told[1]["volume"])

    def trade(told):
        for each in told[1]:
            tally.saw(each["volume"])

    def subscribe():
        tally.begin()
        method = "SubscribeContractQuotes" if asked.shape.endswith("quotes") else "SubscribeContractTrades"
        hub.send(method, address["keys"])

    hub.on("GatewayQuote", quote)
    hub.on("GatewayTrade", trade)

    hub.on_open(subscribe)
    hub.start()
    threading.Event().wait()


main(wanted())
