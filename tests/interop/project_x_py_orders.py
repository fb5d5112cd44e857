"""Orders with project-x-py 4: what each call gives goes to stdout, a JSON object a line.

It runs in the SDK's own virtualenv, so it knows nothing of Linewarden.
"""
# mypy: ignore-errors

import asyncio
import dataclasses
import json
import logging
import sys

from project_x_py import EventBus, ProjectX
from project_x_py.models import ProjectXConfig
from project_x_py.order_manager import OrderManager
from project_x_py.position_manager import PositionManager
from project_x_py.realtime import ProjectXRealtimeClient

CONTRACT = "CON.F.US.EP.Z26"
BUY, SELL, LIMIT = 0, 1, 1


def plain(told):
    if dataclasses.is_dataclass(told):
        return dataclasses.asdict(told)
    if hasattr(told, "to_dicts"):  # bars, in a frame
        return told.to_dicts()
    return [plain(each) for each in told] if isinstance(told, list) else told


def say(stream, **what):
    sys.stdout.write(json.dumps({"stream": stream, **what}, default=str) + "\n")
    sys.stdout.flush()


async def tell(stream, asked):
    """What a call gives, or how it fails."""
    try:
        told = await asked
    except Exception as error:
        say(stream, error=f"{type(error).__name__}: {error}")
        return None
    say(stream, told=plain(told))
    return told


async def main(base, user_hub, market_hub):
    config = ProjectXConfig(api_url=f"{base}/api", user_hub_url=user_hub, market_hub_url=market_hub)
    async with ProjectX("trader", "hush", config=config) as client:
        await client.authenticate()
        events = EventBus()
        orders, positions = OrderManager(client, events), PositionManager(client, events)
        account = str(client.account_info.id)
        hubs = ProjectXRealtimeClient(client.get_session_token(), account, user_hub, market_hub)
        await tell("hubs", orders.initialize(hubs))
        placed = await tell("limit", orders.place_limit_order(CONTRACT, BUY, 3, 6790.25))
        await tell("open", orders.search_open_orders())
        await tell("modified", orders.modify_order(placed.orderId, limit_price=6789.5, size=2))
        await tell("changed", orders.search_open_orders())
        await tell("cancelled", orders.cancel_order(placed.orderId))
        await tell("market", orders.place_market_order(CONTRACT, BUY, 3))
        await tell("stop", orders.place_stop_order(CONTRACT, SELL, 3, 6780.0))
        await tell("trail", orders.place_trailing_stop_order(CONTRACT, SELL, 1, 6700.0))
        await tell("join", orders.place_join_bid_order(CONTRACT, 1))
        await tell("position", positions.get_all_positions())
        await tell("part", positions.partially_close_position(CONTRACT, 1))
        await tell("all", orders.cancel_all_orders())
        signed = {
            "stop_loss_bracket": {"ticks": -40, "type": 4},
            "take_profit_bracket": {"ticks": 60, "type": 1},
        }
        await tell("native", orders.place_order(CONTRACT, LIMIT, BUY, 1, 6790.0, **signed))
        await tell("suspended", orders.query_orders(statuses=[8]))
        await tell("bracket", orders.place_bracket_order(CONTRACT, BUY, 1, 6805.0, 6780.0, 6820.0))
        await tell("closed", positions.close_position_direct(CONTRACT))
        await tell("left", positions.get_all_positions())
        await tell("history", orders.search_orders())
        await tell("query", orders.query_orders(statuses=[1, 6, 7, 8]))
        await tell("bars", client.get_bars("ES", days=1, interval=5))
        await tell("trades", client.search_trades())


logging.disable(logging.CRITICAL)
asyncio.run(main(*sys.argv[1:]))
