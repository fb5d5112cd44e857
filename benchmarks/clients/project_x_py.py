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

    async def handle(told):
        tally.saw(told["data"]["volume"])

    realtime = ProjectXRealtimeClient(address["token"], "4242", address["user"], address["market"])
    await realtime.add_callback("quote_update", handle)
    await realtime.connect()
    tally.begin()
    await realtime.subscribe_market_data([address["key"]])
    await asyncio.Event().wait()


logging.disable(logging.CRITICAL)
asyncio.run(main(wanted()))
