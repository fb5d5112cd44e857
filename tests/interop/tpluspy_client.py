"""A program on tpluspy, as its users write one: what it hears goes to stdout, a JSON object a line.

It runs in the SDK's own virtualenv, so it knows nothing of Linewarden.
"""
# mypy: ignore-errors

import asyncio
import json
import sys

from tplus.client.market_data import MarketDataClient
from tplus.client.orderbook import OrderBookClient
from tplus.model.asset_identifier import AssetIdentifier
from tplus.utils.user import User


def tell(stream, told):
    sys.stdout.write(json.dumps({"stream": stream, "told": told}) + "\n")
    sys.stdout.flush()


def plain(told):
    if isinstance(told, list):
        return [plain(each) for each in told]
    return told.model_dump(mode="json")


async def hear(stream, updates):
    async for update in updates:
        tell(stream, plain(update))
    tell(stream, "over")


async def main(url, seed, asset):
    user = User(bytes.fromhex(seed))
    asset = AssetIdentifier(asset)
    orders = OrderBookClient(base_url=url, default_user=user)
    market = MarketDataClient(base_url=url)
    async with orders, market:
        tell("snapshot", plain(await market.get_orderbook_snapshot(asset)))
        tell("ticker now", plain(await market.get_ticker(asset)))
        tell("tickers now", plain(await market.get_tickers()))
        tell("klines now", plain(await market.get_klines(asset)))
        tell("trades now", plain(await market.get_trades_for_asset(asset)))
        tell("markets now", plain(list(await orders.get_markets())))
        await pages(orders, asset)
        await asyncio.gather(
            hear("depth", market.stream_depth(asset)),
            hear("klines", market.stream_klines(asset)),
            hear("ticker", market.stream_ticker(asset)),
            hear("tickers", market.stream_tickers()),
            hear("trades", market.stream_finalized_trades()),
            hear("orders", orders.stream_orders()),
            hear("user trade events", orders.stream_user_trade_events()),
            hear("user trades", orders.stream_user_finalized_trades()),
            hear("positions", orders.stream_user_positions()),
            hear("activity", orders.stream_user_events()),
            hear("intent", orders.stream_intent()),
        )
        await pages(orders, asset)  # with the token that it has


async def pages(orders, asset):
    tell("orders now", plain((await orders.get_user_orders())[0]))
    tell("orders of the book now", plain(await orders.get_open_orders_for_book(asset)))
    tell("positions now", plain(await orders.get_user_positions()))


asyncio.run(main(*sys.argv[1:]))
