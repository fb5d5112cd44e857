"""Bars of five timeframes, prices and the state of the line, live. It does what 04_realtime_data.py does.

    python examples/migrating/project_x_py_1/realtime_data.py
    python examples/migrating/project_x_py_1/realtime_data.py CONFIG INSTRUMENT SECONDS

Without arguments it reads a market simulated inside this process for 3 s.
"""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import actors
from actors.venues import projectx

SIMULATED: Mapping[str, Any] = {
    "feeds": {
        "projectx": {
            "venue": "projectx",
            "url": "sim://projectx?rate=50&past=1",
            "user_name": "trader",
            "api_key": "any",
        },
    },
}
TIMEFRAMES = ("1sec", "1min", "5min", "15min", "1hr")
WAIT = 30.0  # seconds


def watch(config: str | Mapping[str, Any], instrument: str, seconds: float) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        contract = runtime.ask("projectx").contract(instrument).get(timeout=WAIT).id
        # Loads the history, subscribes, and keeps all of them true, also after a loss.
        view = runtime.bars("projectx", contract, *TIMEFRAMES, wait=WAIT)
        for name, frame in view.frames.items():
            print(f"{name}: {len(frame.finished)} bars loaded, synced: {frame.synced}")
        analyse(view["1min"].finished[-20:])

        # Each handler has a thread of its own, and may ask the runtime for anything.
        told: Counter[str] = Counter()
        runtime.on_bar("projectx", contract, *TIMEFRAMES, handler=lambda event: told.update([event.kind]))
        runtime.on(
            "projectx",
            projectx.QUOTES,
            contract,
            handler=lambda quote: told.update(quote.changed),
            on_marker=show,
            wait=WAIT,
        )

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1.0)
            try:
                price = runtime.latest("projectx", contract, max_age=5.0)
            except actors.StalePriceError as old:  # with its age, and not as if it were of now
                print("no price:", old)
                continue
            fresh = runtime.fresh("projectx", projectx.QUOTES, contract, max_age=5.0)
            print(f"price {price.last}, bid {price.bid}, ask {price.ask}; fresh: {bool(fresh)}")
        print(f"bars that ended: {told['finished']}; changes of the bid: {told['best_bid']}")

        view = runtime.bars("projectx", contract)  # as they are now; nothing is asked or waited for
        for name in view:
            latest = view[name].forming or view[name].finished[-1]
            print(f"{name}: close {latest.close}, volume {latest.volume}")
        for line, status in runtime.status().lines().items():
            print(f"{line} is {status.state}, health {status.health.score}")


def show(marker: actors.Marker) -> None:
    """What the SDK calls `connection_status`, for this subscription: also a loss, at its place."""
    print(f"-- {marker}")


def analyse(bars: tuple[actors.Bar, ...]) -> None:
    """Plain sums over plain bars; actors.records(bars) gives them to pandas and polars."""
    closes = [bar.close for bar in bars]
    print(f"20 bars: {min(closes)} to {max(closes)}, average {sum(closes) / len(closes):.2f}")
    print(f"volume {sum(bar.volume for bar in bars)}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        watch(sys.argv[1], sys.argv[2], float(sys.argv[3]))
    elif len(sys.argv) == 1:
        watch(SIMULATED, "NQ", 3.0)
    else:
        sys.exit(__doc__)
