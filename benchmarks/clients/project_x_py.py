"""A program on project-x-py, as its users write one. It runs in the SDK's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import asyncio
import logging

from project_x_py.realtime import ProjectXRealtimeClient

from benchmarks.clients.tally import Tally, wanted


async def main(asked):
    address = asked.address
    tally = Tally(asked.last, asked.timed)

    async def quote(told):
        tally.saw(told["data"]["volume"])

    async def trade(told):
        for each in told["data"]:
            tally.saw(each["volume"])

    realtime = ProjectXRealtimeClient(address["token"], "4242", address["user"], address["market"])
    await realtime.add_callback("quote_update", quote)
    await realtime.add_callback("market_trade", trade)
    await realtime.connect()
    tally.begin()
    await realtime.subscribe_market_data(address["keys"])
    await asyncio.Event().wait()


logging.disable(logging.CRITICAL)
asyncio.run(main(wanted()))
