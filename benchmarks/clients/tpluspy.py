"""A program on tpluspy, as its users write one. It runs in the SDK's own virtualenv."""
# mypy: ignore-errors

from __future__ import annotations

import asyncio

from tplus.client.market_data import MarketDataClient

from benchmarks.clients.tally import Tally, wanted


async def main(asked):
    tally = Tally(asked.last, asked.timed)
    async with MarketDataClient(base_url=asked.address["http"]) as market:
        tally.begin()
        async for trade in market.stream_finalized_trades():
            tally.saw(trade.trade_id)


asyncio.run(main(wanted()))
