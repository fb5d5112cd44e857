"""Positions that follow fills beside a strategy's loop: alpaca-py's notebook "options-gamma-scalping".

    python examples/migrating/alpaca_py/positions_of_fills.py

There the stream's private `_run_forever`, the orders and the strategy share an event loop, which a notebook
has to patch with `nest_asyncio`. Here handlers have threads of their own, and the strategy is a plain loop.
"""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import closing
from decimal import Decimal

import actors
from actors.simulators import SimulatedAlpaca
from actors.venues import alpaca


class Positions:
    """What each symbol's position is: by the fills, and after a loss by what REST says."""

    def __init__(self, venue: SimulatedAlpaca) -> None:
        self._venue = venue
        self._lock = threading.Lock()
        self._sizes: dict[str, Decimal] = {}
        self._since: dict[str, Decimal] = {}  # of fills that came while REST was asked
        self.changed = threading.Event()

    def handle(self, update: alpaca.TradeUpdate) -> None:
        symbol = update.order.symbol
        if update.event in ("fill", "partial_fill") and symbol and update.position_qty is not None:
            with self._lock:
                size = update.position_qty  # signed, and exact: it is no float
                self._sizes[symbol] = self._since[symbol] = size
            self.changed.set()

    def read_again(self, restored: actors.Restored) -> None:
        """Alpaca does not repeat the fills of an interruption, and alpaca-py does not tell of it."""
        print(f"{restored.line} was interrupted: {restored.reason}")
        with self._lock:
            self._since = {}
        sizes = self._positions()
        with self._lock:
            self._sizes = sizes | self._since
        self.changed.set()

    def _positions(self) -> dict[str, Decimal]:
        """Stands for alpaca-py's `TradingClient.get_all_positions()`, which you keep."""
        keys = {"APCA-API-KEY-ID": "K", "APCA-API-SECRET-KEY": "S"}
        with closing(http.client.HTTPConnection("127.0.0.1", self._venue.port, timeout=10)) as client:
            client.request("GET", "/v2/positions", headers=keys)
            rows = json.load(client.getresponse())
        return {row["symbol"]: Decimal(row["qty"]) for row in rows}

    def size(self, symbol: str) -> Decimal | None:
        """None: it is not known."""
        with self._lock:
            return self._sizes.get(symbol)


def main() -> None:
    with SimulatedAlpaca(rate=0) as venue:
        account = {"venue": "alpaca", "stream": "account", "url": venue.url, "key": "K", "secret": "S"}
        with actors.start({"feeds": {"account": account}}, wait=10) as runtime:
            positions = Positions(venue)
            runtime.on("account", alpaca.TRADE_UPDATES, handler=positions.handle, wait=10)
            runtime.on_restored("account", handler=positions.read_again)
            venue.trade_update("fill", {"symbol": "SPY", "qty": "5", "side": "buy"}, qty="5", price="500.10")
            hedge(positions, "SPY", Decimal(5))
            # A fill that the stream lacks: the venue sends nothing, and then the connection is cut.
            venue.mute()
            venue.trade_update("fill", {"symbol": "SPY", "qty": "3", "side": "buy"}, qty="3", price="500.20")
            venue.heal()
            venue.drop()
            hedge(positions, "SPY", Decimal(8))


def hedge(positions: Positions, symbol: str, target: Decimal) -> None:
    """The strategy: at each change of the position it would hedge what is open. Here it ends at `target`."""
    while True:
        positions.changed.wait()
        positions.changed.clear()
        size = positions.size(symbol)
        print(f"position of {symbol}: {size}")
        if size == target:
            return


if __name__ == "__main__":
    main()
