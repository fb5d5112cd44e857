"""Logs in as a stored user and prints what happens to the account, as `tplus stream orders` and README.md do.

    python examples/migrating/tpluspy/account_streams.py
    python examples/migrating/tpluspy/account_streams.py CONFIG

Without arguments it listens to a simulator in this process. With a config file it reads its feed `tplus`,
whose login may be the key file of a user of tpluspy: keystore = "~/.tplus/users/alice", with the password in
TPLUS_PASSWORD.
"""

import sys
from collections.abc import Mapping
from typing import Any

import actors
from actors.venues import tplus

SIMULATED: Mapping[str, Any] = {
    "feeds": {"tplus": {"venue": "tplus", "url": "sim://tplus?rate=50", "private_key": "07" * 32}},
}
WAIT = 30.0  # seconds
MOST = 8  # events, which is for a demonstration


def print_account(config: str | Mapping[str, Any]) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        streams = (
            runtime.subscribe("tplus", tplus.ORDERS, wait=WAIT),
            runtime.subscribe("tplus", tplus.USER_TRADES, wait=WAIT),
            runtime.subscribe("tplus", tplus.POSITIONS, wait=WAIT),
            runtime.subscribe("tplus", tplus.ACCOUNT_EVENTS, wait=WAIT),
        )
        print("logged in, and four streams are open")  # with one login for all of them
        for number, received in enumerate(runtime.merge(*streams, timeout=WAIT), 1):
            match received.event:
                case tplus.Created(user_order=order):
                    print(f"order {order.order_id}: {order.side} of {order.base_asset}")
                case tplus.Removed(order_id=id, reason=reason):
                    print(f"order {id}: {reason}")
                case tplus.UserTrade() as fill:
                    print(f"fill {fill.trade_id}: {fill.quantity} at {fill.price}, {fill.status}")
                case tplus.PositionUpdate(positions=positions):
                    print("positions:", ", ".join(f"{each.side} {each.size}" for each in positions) or "none")
                case event:
                    print(type(event).__name__)
            if number == MOST:
                break


if __name__ == "__main__":
    if len(sys.argv) not in {1, 2}:
        sys.exit(__doc__)
    print_account(*(sys.argv[1:] or (SIMULATED,)))
