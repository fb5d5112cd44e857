"""Positions that follow fills beside a strategy's loop: alpaca-py's notebook "options-gamma-scalping".

    python examples/migrating/alpaca_py/positions_of_fills.py [CONFIG]

There the stream's private `_run_forever`, the orders and the strategy share an event loop, which a notebook
has to patch with `nest_asyncio`. Here the handler has a thread of its own, and the strategy is a plain loop.
"""

from __future__ import annotations

import sys
import threading
from decimal import Decimal

import actors
from actors.simulators import SimulatedAlpaca
from actors.venues import alpaca


class Positions:
    """What each symbol's position is after its last fill."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sizes: dict[str, Decimal] = {}
        self.changed = threading.Event()

    def handle(self, update: alpaca.TradeUpdate) -> None:
        symbol = update.order.symbol
        if update.event in ("fill", "partial_fill") and symbol and update.position_qty is not None:
            with self._lock:
                self._sizes[symbol] = update.position_qty  # signed, and exact: it is no float
            self.changed.set()

    def mark(self, marker: actors.Marker) -> None:
        """Fills may be missing before a `Gap`: read the positions with alpaca-py's TradingClient then."""
        if isinstance(marker, actors.Gap):
            with self._lock:
                self._sizes.clear()

    def size(self, symbol: str) -> Decimal | None:
        """None: it is not known."""
        with self._lock:
            return self._sizes.get(symbol)


def main() -> None:
    if len(sys.argv) > 1:
        with actors.start(sys.argv[1], wait=10) as runtime:
            hedge(runtime, "SPY")
        return
    with SimulatedAlpaca(rate=0) as venue:
        account = {"venue": "alpaca", "stream": "account", "url": venue.url, "key": "K", "secret": "S"}
        with actors.start({"feeds": {"account": account}}, wait=10) as runtime:
            orders = threading.Thread(target=buy, args=(venue,))
            orders.start()
            hedge(runtime, "SPY", target=Decimal(5))
            orders.join()


def hedge(runtime: actors.Runtime, symbol: str, target: Decimal | None = None) -> None:
    """The strategy. At each change of the position it would hedge what is open; at `target` it ends."""
    positions = Positions()
    runtime.on("account", alpaca.TRADE_UPDATES, handler=positions.handle, on_marker=positions.mark, wait=10)
    while True:
        positions.changed.wait()
        positions.changed.clear()
        size = positions.size(symbol)
        print(f"position of {symbol}: {size}")
        if size is not None and size == target:
            return


def buy(venue: SimulatedAlpaca) -> None:
    """Stands for the orders of a TradingClient."""
    venue.wait_for(lambda: venue.subscribers("trade_updates") == 1)
    order = venue.trade_update("new", {"symbol": "SPY", "qty": "5", "side": "buy"})["order"]
    venue.trade_update("fill", {"id": order["id"]}, qty="5", price="500.10", position_qty="5")


if __name__ == "__main__":
    main()
