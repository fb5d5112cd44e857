"""Quotes, bars and the state of the connection as they come; waiting for the next bar.

    python examples/migrating/project_x_py/realtime_data.py

Their `suite.on(EventType.NEW_BAR, …)`, `QUOTE_UPDATE` and `CONNECTED` are handlers here, each on a
thread of its own, and `suite.wait_for(EventType.NEW_BAR)` is a queue.
"""

from __future__ import annotations

from queue import SimpleQueue

from project_x_suite import WAIT, trading_suite

import actors
from actors.venues import projectx


def main() -> None:
    with trading_suite("NQ", "ES") as suite:
        runtime, contracts = suite.runtime, [each.contract.id for each in suite.instruments.values()]
        finished = SimpleQueue[actors.BarEvent]()
        quotes: list[projectx.Quote] = []

        def lost(marker: actors.Marker) -> None:
            if isinstance(marker, actors.Gap):
                print(f"something is missing: {marker.reason}")

        listening = runtime.on("projectx", projectx.QUOTES, contracts, handler=quotes.append, on_marker=lost)
        bars = [
            runtime.on_bar("projectx", each.contract, "1s", handler=finished.put)
            for each in suite.instruments.values()
        ]
        for life in runtime.lifecycle().take(
            0
        ):  # `CONNECTED`, `DISCONNECTED`, `RECONNECTING`: the present state
            print(f"{life.line} is {life.state}")

        for _ in range(2):
            event = finished.get(timeout=WAIT)  # their `wait_for`
            bar = event.bar
            print(f"{event.key} {event.timeframe}: {bar.open} {bar.high} {bar.low} {bar.close}, {bar.volume}")

        quote = quotes[-1]
        print(f"{len(quotes)} quotes; the newest: {quote.best_bid} / {quote.best_ask}")
        for name, instrument in suite.instruments.items():
            print(f"{name}: {instrument.price}; 1min bars: {len(instrument.bars['1min'].finished)}")

        status = runtime.status()
        line = status.lines()["projectx/market"]
        print(f"health {line.health.score}, decoded {line.counters.decoded > 0}, lag {line.lag}")
        for stream in status.streams:  # what each holds, and what it has given up
            print(f"  {stream.feed} {stream.channel}: {stream.queued} queued, {stream.dropped} dropped")
        for each in bars:
            each.close()
        listening.close()


if __name__ == "__main__":
    main()
