"""Programs on o2-sdk that show what its users have to expect: what they see goes to stdout as JSON.

It runs in the SDK's own virtualenv, so it knows nothing of Linewarden.
"""
# mypy: ignore-errors

import asyncio
import json
import logging
import sys

from o2_sdk import DepthBook, DepthChanges
from o2_sdk.config import NetworkConfig
from o2_sdk.websocket import O2WebSocket

BUSY = 3.0  # seconds that a program takes for something else


def tell(stream, **what):
    sys.stdout.write(json.dumps({"stream": stream, **what}, default=str) + "\n")
    sys.stdout.flush()


class Told(logging.Handler):
    def emit(self, record):
        tell("log", text=record.getMessage())


async def overflow(socket, market, alice, bob):
    """A book whose reader is busy for a moment."""
    book, updates = DepthBook(), socket.stream_depth(market)
    book.apply(await anext(updates))
    tell("ready")
    await asyncio.sleep(BUSY)
    reader = asyncio.create_task(anext(updates))
    while (await asyncio.wait([reader], timeout=1.0))[0]:
        book.apply(reader.result())
        reader = asyncio.create_task(anext(updates))
    reader.cancel()
    tell("book", bids=list(book.bids.items()), asks=list(book.asks.items()))


async def leave(socket, market, alice, bob):
    """A loop that is left after the first trade."""
    async for _ in socket.stream_trades(market):
        break
    tell("left")
    async for event in socket.stream_lifecycle():
        tell("lifecycle", state=event.state.value, attempt=event.attempt)


async def accounts(socket, market, alice, bob):
    """Two streams of orders, of two accounts."""

    async def orders(name, account):
        async for update in socket.stream_orders([{"ContractId": account}]):
            tell(name, orders=[order.order_id for order in update.orders])

    await asyncio.gather(orders("alice", alice), orders("bob", bob))


async def errors(socket, market, alice, bob):
    """All that a program can see of what the venue says."""
    logging.getLogger("o2_sdk").addHandler(Told(logging.WARNING))
    tell("ready", change_has_best_ask=hasattr(DepthChanges([], []), "best_ask"))
    async for update in socket.stream_trades(market):
        tell("trades", trades=len(update.trades))


async def main(scenario, ws_url, api_base, *terms):
    config = NetworkConfig(api_base=api_base, ws_url=ws_url, fuel_rpc=api_base, faucet_url=None)
    socket = await O2WebSocket(config).connect()
    await globals()[scenario](socket, *terms)


asyncio.run(main(*sys.argv[1:]))
