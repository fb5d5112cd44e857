"""The guard: Linewarden beside a raw loop on `websockets`, in one run on one machine.

What the machine can do cancels out of the ratio, and what disturbs it for a while disturbs both. A floor is
half of what was measured with two cores, so that only a real loss of speed falls below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from benchmarks.peers import LINEWARDEN, PEERS, WEBSOCKETS
from benchmarks.run import Run, take_turns
from benchmarks.server import Plan, sending
from benchmarks.throughput import ratio

FLOORS: Mapping[str, float] = {"o2": 1.0, "projectx": 1.2}  # Linewarden's messages a second to the loop's
PLAN, ROUNDS = Plan(100_000), 3


class Found(Struct, frozen=True):
    """What was measured, and what of it is not as it has to be: sentences."""

    measured: list[str]
    faults: list[str]


def look() -> Found:
    """Raises: RunFailedError: a program did not come to its end."""
    found = Found([], [])
    for shape, floor in FLOORS.items():
        runs = _runs(shape)
        ours = runs[LINEWARDEN]
        reached = ratio(ours, runs[WEBSOCKETS])
        sentence = (
            f"{shape}: {reached:.2f} of the raw loop's messages a second, and at least {floor:g} expected"
        )
        found.measured.append(sentence)
        if reached < floor:
            found.faults.append(sentence)
        found.faults.extend(f"{shape}: {each}" for run in ours for each in lost(run))
    return found


def lost(run: Run) -> Sequence[str]:
    """What is wrong with the books of a run that had to lose nothing."""
    books = run.told.more
    wrong = [f"{books[kind]} {kind}" for kind in ("unrouted", "quarantined", "dropped") if books[kind]]
    if run.told.count != run.sent:
        wrong.append(f"{run.told.count} of {run.sent} messages arrived")
    if books["received"] != books["delivered"] + books["dropped"] + books["queued"]:
        wrong.append(f"the stream's books do not balance: {books}")
    return wrong


def _runs(shape: str) -> Mapping[str, Sequence[Run]]:
    runs: dict[str, list[Run]] = {LINEWARDEN: [], WEBSOCKETS: []}
    peers = [peer for peer in PEERS if peer.name in runs]
    with sending(shape) as sender:
        for peer, told in take_turns(sender, peers, shape, dict.fromkeys(runs, PLAN), ROUNDS):
            if isinstance(told, Exception):
                raise told
            runs[peer.name].append(told)
    return runs
