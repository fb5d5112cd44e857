"""A program on pysignalr, as its README shows one. It runs in the library's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import asyncio

from pysignalr.client import SignalRClient

from benchmarks.reliability.clients.say import Handler, asked, say


async def main(wanted):
    address = wanted.address
    handle = Handler(wanted.raise_at)
    # Its access_token_factory is asked only once the socket is open: too late for the first upgrade.
    client = SignalRClient(address["market"], headers={"Authorization": f"Bearer {address['token']}"})

    async def trade(told):
        for each in told[1]:
            handle(each["volume"])

    async def opened():
        say(told="on_open")
        await client.send("SubscribeContractTrades", address["keys"])

    async def closed():
        say(told="on_close")

    async def failed(_told):
        say(told="on_error")

    client.on("GatewayTrade", trade)
    client.on_open(opened)
    client.on_close(closed)
    client.on_error(failed)
    try:
        await client.run()
        say(ended="run() returned")
    except Exception as error:
        say(ended=f"{type(error).__name__}: {error}")
    await asyncio.Event().wait()


asyncio.run(main(asked()))
