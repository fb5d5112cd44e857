"""A program on o2-sdk, as its users write one: what it hears goes to stdout, a JSON object a line.

It runs in the SDK's own virtualenv, so it knows nothing of Linewarden.
"""
# mypy: ignore-errors

import asyncio
import dataclasses
import json
import sys

from o2_sdk import O2Client
from o2_sdk.config import NetworkConfig
from o2_sdk.models import DepthBook
from o2_sdk.websocket import O2WebSocket


def tell(stream, **what):
    sys.stdout.write(json.dumps({"stream": stream, **what}, default=str) + "\n")
    sys.stdout.flush()


async def depth(updates, stream):
    book = DepthBook()
    async for update in updates:
        book.apply(update)
        tell(stream, snapshot=update.is_snapshot, bids=list(book.bids.items()), asks=list(book.asks.items()))


async def data(updates, stream):
    async for update in updates:
        tell(stream, update=dataclasses.asdict(update))


async def lifecycle(events):
    async for event in events:
        tell("lifecycle", state=event.state.value)


async def main(ws_url, api_base, market, contract):
    config = NetworkConfig(api_base=api_base, ws_url=ws_url, fuel_rpc=api_base, faucet_url=None)
    identities = [{"ContractId": contract}]
    client = O2Client(custom_config=config)
    found = next(each for each in await client.get_markets() if each.market_id == market)
    socket = await O2WebSocket(config).connect()
    await asyncio.gather(
        lifecycle(socket.stream_lifecycle()),
        depth(socket.stream_depth(market), "depth"),
        depth(client.stream_depth(found, 9), "client depth"),
        data(socket.stream_orders(identities), "orders"),
        data(socket.stream_trades(market), "trades"),
        data(socket.stream_balances(identities), "balances"),
        data(socket.stream_nonce(identities), "nonce"),
    )


asyncio.run(main(*sys.argv[1:]))
