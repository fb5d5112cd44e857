"""Starts, stops and replaces feeds by name, puts prices of its own, and asks again after each restore.

    python examples/feeds_at_run_time.py

The feeds run against venues simulated inside this process, so it needs no login. A real feed has the table
that stands under `[feeds.NAME]` in a config, with `"${ALPACA_API_KEY}"` for its key.
"""

import threading
from collections.abc import Mapping
from typing import Any

import actors

ALPACA: Mapping[str, Any] = {
    "venue": "alpaca",
    "url": "sim://alpaca?rate=50",
    "key": "any will do",
    "secret": "any will do",
    "subscribe": [{"channel": "quotes", "keys": ["AAPL"]}],
}
O2: Mapping[str, Any] = {"venue": "o2", "url": "sim://o2"}
WAIT = 10.0  # seconds


def main() -> None:
    with actors.start({"feeds": {}}) as runtime:
        start(runtime, "alpaca", ALPACA)
        start(runtime, "o2", O2)

        poll(runtime)
        price = runtime.latest("alpaca", "MSFT")
        print(f"MSFT: {price.last} by {price.source}")

        asked = threading.Event()

        def ask_again(restored: actors.Restored) -> None:
            """On a thread of its own: here a program asks the venue's REST for positions and orders."""
            print(f"{restored.line} is back: {', '.join(map(str, restored.topics))}")
            asked.set()

        following = runtime.on_restored("alpaca", handler=ask_again)
        runtime.simulator("alpaca").drop()  # a pulled cable
        asked.wait(WAIT)
        following.close()

        start(runtime, "alpaca", {**ALPACA, "compression": "deflate"})
        runtime.supervisor.pause("alpaca").get(timeout=WAIT)  # its streams and topics stay
        show(runtime)
        runtime.remove_feed("alpaca")
        show(runtime)


def start(runtime: actors.Runtime, name: str, table: Mapping[str, Any]) -> None:
    """Start a feed, or give the running one of this name another table."""
    for change in runtime.add_feed(name, table).changes:
        print(change.text)
    runtime.wait_live(name, timeout=WAIT)


def poll(runtime: actors.Runtime) -> None:
    """What a poller of yours does with each answer of another vendor."""
    answer = {"symbol": "MSFT", "price": "410.55"}
    runtime.put_price("alpaca", answer["symbol"], last=answer["price"], source="poller", ttl=15.0)


def show(runtime: actors.Runtime) -> None:
    feeds = runtime.status().feeds
    print("status:", ", ".join(f"{name} {'live' if feed.live else 'down'}" for name, feed in feeds.items()))


if __name__ == "__main__":
    main()
