"""A program on o2-sdk, as its users write one. It runs in the SDK's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import asyncio

from o2_sdk.config import NetworkConfig
from o2_sdk.websocket import O2WebSocket

from benchmarks.clients.tally import Tally, wanted


async def main(asked):
    address = asked.address
    config = NetworkConfig(
        api_base=address["http"], ws_url=address["url"], fuel_rpc=address["http"], faucet_url=None
    )
    socket = await O2WebSocket(config).connect()
    tally = Tally(str(asked.last), asked.timed)
    tally.begin()
    async for update in socket.stream_trades(address["keys"][0]):
        for trade in update.trades:
            tally.saw(trade.trade_id)


asyncio.run(main(wanted()))
