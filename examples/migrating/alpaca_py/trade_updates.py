"""What becomes of an account's orders: alpaca-py's TradingStream.

    python examples/migrating/alpaca_py/trade_updates.py [CONFIG]

Orders are placed with alpaca-py's TradingClient as before: Linewarden sends none to Alpaca.
"""

from __future__ import annotations

import sys

import actors
from actors.simulators import SimulatedAlpaca
from actors.venues import alpaca


def main() -> None:
    if len(sys.argv) > 1:
        listen(sys.argv[1])
    else:
        simulated()


def simulated() -> None:
    """Plays the orders of another program."""
    with SimulatedAlpaca(rate=0) as venue:
        # alpaca-py: TradingStream(key, secret, paper=True)
        account = {"venue": "alpaca", "stream": "account", "url": venue.url, "key": "K", "secret": "S"}
        with actors.start({"feeds": {"account": account}}) as runtime:
            updates = runtime.subscribe("account", alpaca.TRADE_UPDATES, wait=10)
            order = venue.trade_update("new", {"symbol": "SPY", "qty": "3", "side": "buy"})["order"]
            venue.trade_update("partial_fill", {"id": order["id"]}, qty="1", price="500.10")
            venue.trade_update("fill", {"id": order["id"]}, qty="2", price="500.20")
            show(updates, 3)


def listen(config: str) -> None:
    with actors.start(config) as runtime:
        show(runtime.subscribe("account", alpaca.TRADE_UPDATES, wait=10), None)


def show(updates: actors.Stream[alpaca.TradeUpdate], most: int | None) -> None:
    """alpaca-py says nothing of an interruption, in which updates are lost; here it is in the stream."""
    seen = 0
    for item in updates.with_markers():
        match item:
            case actors.Gap():
                print("interrupted: ask TradingClient for the orders now")
            case alpaca.TradeUpdate(event=event, order=order, qty=qty, price=price):
                print(event, order.symbol, order.side, qty, price)
                seen += 1
        if seen == most:
            return


if __name__ == "__main__":
    main()
