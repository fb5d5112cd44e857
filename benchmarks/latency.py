"""How long a message takes from the sender's clock to the program's loop, at a steady rate."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.peers import WEBSOCKETS, Peer
from benchmarks.report import Table
from benchmarks.run import Run, losses, take_turns
from benchmarks.server import SECOND, Plan, sending

LENGTHS = {500: 4.0, 5_000: 2.5, 50_000: 2.0}  # seconds that each rate is held
WARM_UP = SECOND // 2  # nanoseconds at the beginning that do not count
PERCENTILES = (50.0, 99.0, 99.9)


def measure(shape: str, peers: Sequence[Peer], rates: Sequence[int], rounds: int) -> Table:
    percentiles = [f"p{percent:g}" for percent in PERCENTILES]
    table = Table(
        f"{shape}: latency at a steady rate, medians of {rounds}, µs",
        ("program", "messages/s", *percentiles, "ratio", "delivered", "lost", "accounted for"),
    )
    with sending(shape) as sender:
        for rate in rates:
            plan = Plan(int(rate * LENGTHS.get(rate, 3.0)), rate)
            runs: dict[str, list[Run]] = {}
            for peer, told in take_turns(sender, peers, shape, {peer.name: plan for peer in peers}, rounds):
                if isinstance(told, Run):
                    runs.setdefault(peer.name, []).append(told)
                else:
                    table.notes.append(f"- {peer.name}: {told}")
            sorted_ns = {name: [latencies(each) for each in done] for name, done in runs.items()}
            beside = sorted_ns.get(WEBSOCKETS, [])
            table.rows += [_row(name, rate, done, sorted_ns[name], beside) for name, done in runs.items()]
    return table


def _row(
    name: str, rate: int, done: Sequence[Run], sorted_ns: Sequence[list[int]], beside: Sequence[list[int]]
) -> Sequence[str]:
    ratios = [at(50.0, own) / at(50.0, other) for own, other in zip(sorted_ns, beside, strict=False)]
    return (
        name,
        f"{rate:,}",
        *(f"{median(at(percent, each) for each in sorted_ns) / 1_000:,.0f}" for percent in PERCENTILES),
        f"{median(ratios):.2f}" if ratios else "",
        f"{median(each.share for each in done):.2%}",
        *losses(done),
    )


def latencies(run: Run) -> list[int]:
    """Of the messages that were seen, without the first ones; nanoseconds, the shortest first.

    A whole book that was requested again bears no number of ours, and does not count.
    """
    sent, told = run.times, run.told
    since = sent.begun_ns + WARM_UP
    numbered = zip(told.numbers, told.at_ns, strict=True)
    pairs = ((sent.at_ns[number - 1], seen) for number, seen in numbered if number <= len(sent.at_ns))
    return sorted(seen - at for at, seen in pairs if at >= since)


def at(percent: float, ordered: Sequence[int]) -> int:
    """The nearest rank: the smallest that so many percent do not exceed."""
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]
