"""Round trips: a message is sent, comes back, and then the next one is sent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import msgspec

from benchmarks.echo import Echo
from benchmarks.latency import at
from benchmarks.peers import LINEWARDEN, Peer
from benchmarks.report import Table
from benchmarks.run import Run, losses, take_turns
from benchmarks.server import Plan, hosted
from benchmarks.throughput import RAW, ceiling, ratio

SIZES = {"echo-256": 256, "echo-8k": 8 << 10, "echo-100k": 100_000}  # bytes of a message
TRIPS = {"echo-256": 5_000, "echo-8k": 5_000, "echo-100k": 500}
WARM_UP = 10  # one of so many round trips, the first ones, does not count for the percentiles
COLUMNS = ("program", "round trips/s", "ratio", "of ceiling", "p50 µs", "p99 µs", "µs CPU", "sent", "lost")


def measure(shape: str, peers: Sequence[Peer], rounds: int) -> Table:
    there_and_back = [msgspec.structs.replace(peer, client=peer.echo) for peer in peers if peer.echo]
    plans = {peer.name: Plan(TRIPS[shape]) for peer in there_and_back}
    table = Table(f"{shape}: round trips of {SIZES[shape]:,} bytes, medians of {rounds}", COLUMNS)
    runs: dict[str, list[Run]] = {}
    with hosted(Echo, SIZES[shape]) as server:
        for peer, told in take_turns(server, there_and_back, shape, plans, rounds):
            if isinstance(told, Run):
                runs.setdefault(peer.name, []).append(told)
            else:
                table.notes.append(f"- {peer.name}: {told}")
    if fastest := ceiling(peers, runs):
        table.notes.append(f"- Ceiling: {fastest}, the fastest raw loop. {RAW}")
    for name, done in runs.items():
        trips = [durations(each) for each in done]
        table.rows.append(
            (
                name,
                f"{median(each.rate for each in done):,.0f}",
                *(f"{ratio(done, runs[to]):.2f}" if to in runs else "" for to in (LINEWARDEN, fastest)),
                *(f"{median(at(percent, each) for each in trips) / 1_000:,.0f}" for percent in (50.0, 99.0)),
                f"{median(each.cpu_us for each in done):.2f}",
                f"{done[0].sent:,}",
                losses(done)[0],
            )
        )
    return table


def durations(run: Run) -> list[int]:
    """Of the round trips, without the first ones; nanoseconds, the shortest first.

    The next message is sent as soon as one has come back.
    """
    seen = run.told.at_ns
    return sorted(after - before for before, after in pairwise(seen[len(seen) // WARM_UP :]))
