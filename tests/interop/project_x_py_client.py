"""A program on project-x-py, as its users write one: what it hears goes to stdout, a JSON object a line.

It runs in the SDK's own virtualenv, so it knows nothing of Linewarden.
"""
# mypy: ignore-errors

import asyncio
import dataclasses
import json
import logging
import sys

from project_x_py import ProjectX
from project_x_py.models import ProjectXConfig
from project_x_py.realtime import ProjectXRealtimeClient

EVENTS = (
    "account_update",
    "position_update",
    "order_update",
    "trade_execution",
    "quote_update",
    "market_trade",
    "market_depth",
)


def tell(stream, **what):
    sys.stdout.write(json.dumps({"stream": stream, **what}, default=str) + "\n")
    sys.stdout.flush()


def plain(told):
    return dataclasses.asdict(told) if dataclasses.is_dataclass(told) else told


def teller(event):
    async def handle(told):
        tell(event, told=told)

    return handle


async def read_pages(client):
    pages = {
        "accounts": client.list_accounts,
        "instruments": lambda: client.search_instruments("ES"),
        "instrument": lambda: client.get_instrument("ES"),
        "available": client.list_available_contracts,
        "positions": client.search_open_positions,
        "trades": client.search_trades,
    }
    for name, page in pages.items():
        try:
            told = await page()
            tell(name, told=[plain(each) for each in told] if isinstance(told, list) else plain(told))
        except Exception as error:
            tell(name, error=f"{type(error).__name__}: {error}")


async def hear_hubs(token, account, user_hub, market_hub, contract):
    realtime = ProjectXRealtimeClient(token, account, user_hub, market_hub)
    for event in EVENTS:
        await realtime.add_callback(event, teller(event))
    tell("connected", told=await realtime.connect())
    tell("user", told=await realtime.subscribe_user_updates())
    tell("market", told=await realtime.subscribe_market_data([contract]))
    for hub in ("user", "market"):
        task = getattr(realtime, f"{hub}_connection")._run_task
        task.add_done_callback(lambda done, hub=hub: tell(f"{hub} ended", error=repr(done.exception())))
    await asyncio.Event().wait()


async def main(base, user_hub, market_hub, contract, key):
    config = ProjectXConfig(api_url=f"{base}/api", user_hub_url=user_hub, market_hub_url=market_hub)
    async with ProjectX("trader", key, config=config) as client:
        try:
            await client.authenticate()
        except Exception as error:
            tell("login", error=f"{type(error).__name__}: {error}")
            return
        tell("login", told=client.account_info.name)
        await read_pages(client)
        account = str(client.account_info.id)
        await hear_hubs(client.get_session_token(), account, user_hub, market_hub, contract)


logging.disable(logging.CRITICAL)
asyncio.run(main(*sys.argv[1:]))
