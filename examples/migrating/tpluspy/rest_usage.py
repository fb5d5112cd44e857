"""Looks at a market and an account, as tpluspy's rest_usage.py does, without placing the orders of that.

    python examples/migrating/tpluspy/rest_usage.py
    python examples/migrating/tpluspy/rest_usage.py CONFIG ASSET

Without arguments it asks a simulator in this process, whose account acts by itself. With them it asks the
feed `tplus` of a config file, which needs a login, for an asset. Linewarden takes no orders for tplus: these,
inventory and decimals of markets stay with tpluspy.
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
MOST = 3  # events of the account


def look(config: str | Mapping[str, Any], asset: str | int) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        # ── the market: get_orderbook_snapshot, get_ticker, get_klines ──
        book = runtime.book("tplus", asset, wait=WAIT)  # is kept from now on: asking again costs nothing
        print(f"book {book.sequence}: {len(book.asks)} asks, {len(book.bids)} bids")
        price = runtime.latest("tplus", asset, timeout=WAIT)  # from a stream, or else from the venue's ticker
        print(f"bid {price.bid}, ask {price.ask}, from {price.source}")
        bars = runtime.bars("tplus", asset, "1min", history=20, wait=WAIT)["1min"]
        print(f"{len(bars.finished)} bars are finished, and {'one' if bars.forming else 'none'} forms")

        # ── the account: tpluspy asks for pages, which are old when they come ──
        account = runtime.merge(
            runtime.subscribe("tplus", tplus.ORDERS, wait=WAIT),
            runtime.subscribe("tplus", tplus.USER_TRADES, wait=WAIT),
            timeout=WAIT,
        )
        for number, received in enumerate(account, 1):
            match received.event:
                case tplus.UserTrade(is_buyer=is_buyer, quantity=quantity, price=at, status=status):
                    print(f"fill: {'bought' if is_buyer else 'sold'} {quantity} at {at}, {status}")
                case event:
                    print(f"order event: {type(event).__name__}")
            if number == MOST:
                break


if __name__ == "__main__":
    if len(sys.argv) not in {1, 3}:
        sys.exit(__doc__)
    look(*(sys.argv[1:] or (SIMULATED, 200)))
