"""A program on project-x-py 1, the synchronous one: what each call gives goes to stdout as JSON lines.

It runs in the SDK's own virtualenv, so it knows nothing of Linewarden.
"""
# mypy: ignore-errors

import dataclasses
import json
import logging
import sys

from project_x_py import ProjectX
from project_x_py.models import ProjectXConfig
from project_x_py.order_manager import OrderManager
from project_x_py.position_manager import PositionManager

CONTRACT = "CON.F.US.EP.Z26"
BUY, SELL = 0, 1


def plain(told):
    if dataclasses.is_dataclass(told):
        return dataclasses.asdict(told)
    if hasattr(told, "to_dicts"):  # bars, in a frame
        return told.to_dicts()
    return [plain(each) for each in told] if isinstance(told, list) else told


def say(stream, **what):
    sys.stdout.write(json.dumps({"stream": stream, **what}, default=str) + "\n")
    sys.stdout.flush()


def tell(stream, call, *args, **named):
    """What a call gives, or how it fails."""
    try:
        told = call(*args, **named)
    except Exception as error:
        say(stream, error=f"{type(error).__name__}: {error}")
        return None
    say(stream, told=plain(told))
    return told


def main(base):
    config = ProjectXConfig(api_url=f"{base}/api", requests_per_minute=60_000)  # else it waits a second each
    client = ProjectX("trader", "hush", config=config)
    orders, positions = OrderManager(client), PositionManager(client)
    tell("account", client.get_account_info)
    tell("accounts", client.list_accounts)
    tell("instrument", client.get_instrument, "ES")
    placed = tell("limit", orders.place_limit_order, CONTRACT, BUY, 3, 6790.25)
    tell("open", orders.search_open_orders)
    tell("modified", orders.modify_order, placed.orderId, limit_price=6789.5, size=2)
    tell("changed", orders.get_order_by_id, placed.orderId)
    tell("cancelled", orders.cancel_order, placed.orderId)
    tell("cancelled again", orders.cancel_order, placed.orderId)
    tell("market", orders.place_market_order, CONTRACT, BUY, 3)
    tell("stop", orders.place_stop_order, CONTRACT, SELL, 3, 6780.0)
    tell("trail", orders.place_trailing_stop_order, CONTRACT, SELL, 1, 6700.0)
    tell("wrong", orders.place_stop_order, CONTRACT, SELL, 1, 6900.0)
    tell("position", positions.get_all_positions)
    tell("part", positions.partially_close_position, CONTRACT, 1)
    tell("all", orders.cancel_all_orders)
    tell("bracket", orders.place_bracket_order, CONTRACT, BUY, 1, 6790.0, 6780.0, 6820.0)
    tell("tagged", orders.search_open_orders)
    tell("closed", positions.close_position_direct, CONTRACT)
    tell("left", client.search_open_positions)
    tell("bars", client.get_data, "ES", days=1, interval=5)
    tell("trades", client.search_trades)


logging.disable(logging.CRITICAL)
main(*sys.argv[1:])
