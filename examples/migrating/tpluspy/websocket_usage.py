"""Reads changes of a book and trades at the same time, as tpluspy's websocket_usage.py does.

    python examples/migrating/tpluspy/websocket_usage.py
    python examples/migrating/tpluspy/websocket_usage.py CONFIG ASSET

Without arguments it listens to a simulator in this process, which closes its connections every second, as a
server does when it is deployed. With them it reads the feed `tplus` of a config file, and an asset.
"""

import sys
import threading
from collections.abc import Mapping
from typing import Any

import actors
from actors.stream import Stream
from actors.venues import tplus

SIMULATED: Mapping[str, Any] = {
    "defaults": {"restart": {"initial": 0.1, "stable_after": 0.5}},  # seconds
    "feeds": {"tplus": {"venue": "tplus", "url": "sim://tplus?rate=20&fault=close+every%3D1"}},
}
WAIT = 30.0  # seconds


def listen_depth(depth: Stream[tplus.DepthSnapshot | tplus.DepthChange], most: int) -> None:
    """The snapshot that the changes follow on is there already: it is the first event."""
    for event in depth:
        kind = "snapshot" if isinstance(event, tplus.DepthSnapshot) else "change"
        print(f"[depth] {kind} {event.sequence}: {len(event.asks)} asks, {len(event.bids)} bids")
        if depth.delivered >= most:
            break


def listen_trades(trades: Stream[tplus.Trade], most: int) -> None:
    """With markers: what tpluspy's loop cannot see stands between the trades."""
    for item in trades.with_markers():
        match item:
            case tplus.Trade(trade_id=id, price=price, quantity=quantity):
                print(f"[trades] {id}: {quantity} at {price}")
            case actors.Lifecycle(state=state, line=line):
                print(f"[trades] {line} is {state}")
            case actors.Gap(reason=reason):
                print(f"[trades] events may be missing: {reason}")
        if trades.delivered >= most:
            break


def listen(config: str | Mapping[str, Any], asset: str | int) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        # Each stream is a connection of its own, here and there. Threads read them, not tasks.
        depth = runtime.subscribe("tplus", tplus.DEPTH, asset, wait=WAIT)
        trades = runtime.subscribe("tplus", tplus.TRADES, wait=WAIT)
        threads = [
            threading.Thread(target=listen_depth, args=(depth, 10)),
            threading.Thread(target=listen_trades, args=(trades, 30)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("both listeners have finished")


if __name__ == "__main__":
    if len(sys.argv) not in {1, 3}:
        sys.exit(__doc__)
    listen(*(sys.argv[1:] or (SIMULATED, 200)))
