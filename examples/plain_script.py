"""Reads trades with a for loop, and shows what happened between them.

    python examples/plain_script.py
    python examples/plain_script.py CONFIG MARKET

Without arguments it reads a market simulated inside this process, whose connection is cut every
second. With them it reads the feed `o2` of a config file: config/demo.toml, or one of your own. It
ends when a trade follows a gap.
"""

import sys
from collections.abc import Mapping
from typing import Any

import actors
from actors.events import Marker
from actors.venues import o2

SIMULATED: Mapping[str, Any] = {
    "defaults": {"restart": {"stable_after": 0.5}},  # seconds; shorter than a life between two cuts
    "feeds": {"o2": {"venue": "o2", "url": "sim://o2?rate=50&fault=drop+every%3D1"}},
}
MARKET = "0xbeef"  # the simulator accepts every id


def read(config: str | Mapping[str, Any], market: str) -> None:
    """Print trades and markers until a trade follows a gap."""
    with actors.start(config, wait=10.0) as runtime:
        trades = runtime.subscribe("o2", o2.TRADES, market, wait=10.0)
        is_behind_a_gap = False
        for item in trades.with_markers():
            print(line_about(item))
            if is_behind_a_gap and isinstance(item, o2.Trade):
                break
            is_behind_a_gap = isinstance(item, actors.Gap)


def line_about(item: o2.Trade | Marker) -> str:
    match item:
        case actors.Gap(reason=reason, missed=missed, since_ns=since, until_ns=until):
            count = "an unknown number of" if missed is None else missed
            return f"-- gap: {count} trades are missing from {(until - since) / 1e9:.2f} s ({reason})"
        case actors.Repaired(count=count, complete=complete):
            return f"-- repaired: {count} trades" + ("" if complete else "; some may be missing still")
        case actors.Lifecycle(line=line, state=state, reason=reason):
            return f"-- {line} is {state}" + (f": {reason}" if reason else "")
        case actors.VenueState(text=text):
            return f"-- the venue is {item.state}" + (f": {text}" if text else "")
        case actors.Stale(text=text):
            return f"-- stale: {text}"
        case actors.Fresh():
            return "-- fresh again"
        case actors.Closed(reason=reason):
            return f"-- the end: {reason}"
    return f"{item.side:<4} {item.quantity:>14,} at {item.price:,}"


if __name__ == "__main__":
    if len(sys.argv) not in {1, 3}:
        sys.exit(__doc__)
    read(*(sys.argv[1:] or (SIMULATED, MARKET)))
