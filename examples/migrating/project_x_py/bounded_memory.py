"""Memory is bounded from the start: what each part keeps, and what it does when that is full.

    python examples/migrating/project_x_py/bounded_memory.py

Their bounded statistics and dynamic limits shrink buffers while a program runs. Here a stream says how
many events it holds and what it gives up beyond, and each loss stands in the stream as a `Gap`.
"""

from __future__ import annotations

import time

from project_x_suite import WAIT, trading_suite

import actors
from actors.venues import projectx


def main() -> None:
    with trading_suite("NQ") as suite:
        runtime, contract = suite.runtime, suite["NQ"].contract
        small = runtime.subscribe("projectx", projectx.DEPTH, contract.id, policy="drop_oldest", capacity=50)
        newest = runtime.subscribe("projectx", projectx.QUOTES, contract.id, policy="conflate", capacity=50)
        until = time.monotonic() + WAIT
        while not (small.dropped and newest.conflated) and time.monotonic() < until:
            time.sleep(0.05)  # a slow consumer

        print(f"events were given up: {small.dropped > 0}, conflated: {newest.conflated > 0}")
        for item in small.with_markers():
            if isinstance(item, actors.Gap):
                print(f"events that were given up here: {item.missed} ({item.reason})")
                break
        (row,) = [
            each for each in runtime.status().streams if each.capacity == 50 and each.channel == "depth"
        ]
        print("counts agree:", row.received == row.delivered + row.dropped + row.conflated + row.queued)

        view = runtime.bars("projectx", contract, "1min", keep=100, history=100, wait=WAIT)
        print(f"bars that are kept: {len(view['1min'].finished)}")
        small.close()
        newest.close()


if __name__ == "__main__":
    main()
