"""The streams of o2-sdk's guide: a book, trades and an account at once, and the states of the connection.

    python examples/migrating/o2_sdk/streams.py

The venue is simulated inside this process, and its connection is cut after a while. It ends with the first
trade after that. One loop reads all streams in the order of arrival: no task, queue or event loop.
"""

from beside import MARKET

import actors
from actors.simulators import SimulatedO2
from actors.venues import o2

ACCOUNT = "0x" + "c0de" * 16


def watch(runtime: actors.Runtime, venue: SimulatedO2) -> None:
    depth = runtime.subscribe("o2", o2.DEPTH, MARKET, precision=1, wait=10.0)
    trades = runtime.subscribe("o2", o2.TRADES, MARKET, wait=10.0)
    orders = runtime.subscribe("o2", o2.ORDERS, ACCOUNT, wait=10.0)
    nonces = runtime.subscribe("o2", o2.NONCE, ACCOUNT, wait=10.0)
    lives = runtime.lifecycle("o2")
    kinds: set[str] = set()
    states: list[str] = []
    for item in runtime.merge(depth, trades, orders, nonces, lives, markers=True, timeout=20.0):
        match item:
            case actors.Received(event=actors.Lifecycle(state=state)):
                states.append(state)
                print(f"connection: {state}")
            case actors.Received(event=o2.Trade() as trade) if "restored" in states:
                print(f"trade {trade.trade_id} of {trade.market}")
                return
            case actors.Received(event=event):
                kinds.add(type(event).__name__)
                if "disconnected" not in states and len(kinds) == len(KINDS):
                    print(f"events: {', '.join(sorted(kinds))}")
                    states.append("disconnected")
                    venue.drop()
            case actors.Marked(marker=actors.Gap(topic=topic)):
                print(f"gap of {topic.channel}")


KINDS = (o2.DepthSnapshot, o2.DepthChange, o2.Trade, o2.Order, o2.Nonce)


if __name__ == "__main__":
    with SimulatedO2(rate=50) as simulated:
        feed = {"venue": "o2", "url": simulated.url}
        with actors.start({"feeds": {"o2": feed}}, wait=10.0) as started:
            watch(started, simulated)
