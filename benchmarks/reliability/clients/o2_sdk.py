"""A program on o2-sdk, as its users write one. It runs in the SDK's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import asyncio

from o2_sdk.config import NetworkConfig
from o2_sdk.websocket import O2WebSocket

from benchmarks.reliability.clients.say import Handler, asked, say


async def lifecycle(socket):
    async for event in socket.stream_lifecycle():
        say(told=str(event.state.value))


async def trades(socket, handle, key):
    async for update in socket.stream_trades(key):
        for trade in update.trades:
            handle(trade.trade_id)


async def main(wanted):
    address = wanted.address
    config = NetworkConfig(
        api_base=address["http"], ws_url=address["url"], fuel_rpc=address["http"], faucet_url=None
    )
    socket = await O2WebSocket(config).connect()
    handle = Handler(wanted.raise_at)
    told = asyncio.create_task(lifecycle(socket))
    try:
        await trades(socket, handle, address["keys"][0])
        say(ended="the iterator ended")
    except Exception as error:
        say(ended=f"{type(error).__name__}: {error}")
    told.cancel()
    await asyncio.Event().wait()


asyncio.run(main(asked()))
