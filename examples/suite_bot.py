"""The synchronous bot of project-x-py's migration guide, line by line, as docs/suite.md shows it.

    python examples/suite_bot.py

It trades on a simulator in this process, for a few rounds. Each round it looks at bars and positions, and
buys one contract at the market when `analyze` says so and the account is flat.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import actors
from actors.trading.order_store import OrderStore

ACCOUNT, INSTRUMENT = 4242, "ENQ"


def analyze(bars: Sequence[actors.Bar]) -> bool:
    """Your own: here, whether the last bar closed above the lowest price of an hour."""
    return len(bars) >= 12 and bars[-1].close > min(bar.low for bar in bars[-12:])


def trading_bot(config: Mapping[str, Any], rounds: int, pause: float) -> None:
    with actors.start(config, wait=30) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(timeout=30)  # until it is known what became of orders of a former process

        for _ in range(rounds):
            bars = runtime.bars("projectx", INSTRUMENT, "5min", wait=30)["5min"]
            account = runtime.account("projectx", ACCOUNT, wait=30)
            print(f"{len(bars.finished)} bars, positions: {[each.net for each in account.positions]}")

            signal = analyze(bars.finished)
            if signal and runtime.flat("projectx", ACCOUNT, wait=10):  # by evidence; "unknown" is false
                print("buy:", type(px.place(ACCOUNT, INSTRUMENT, "buy", 1).get(timeout=30)).__name__)

            time.sleep(pause)

        print("closed:", px.close(ACCOUNT, INSTRUMENT, sweep=True).get(timeout=60).is_complete)


def config(folder: Path) -> dict[str, Any]:
    """One feed that may trade, on a simulator with a day of history."""
    feed = {
        "venue": "projectx",
        "url": "sim://projectx?rate=50&acting=false&past=1",
        "user_name": "trader",
        "api_key": "any",
        "trading": True,
        "limits": {"max_size": 1, "orders_per_minute": 10},
    }
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": feed}}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        OrderStore.create(Path(home) / "orders").close()
        trading_bot(config(Path(home) / "orders"), rounds=3, pause=1.0)  # the guide's bot sleeps 60 s
