"""A full blast: how many messages a second each peer can take, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.peers import LINEWARDEN, Peer
from benchmarks.report import Table
from benchmarks.run import Run, losses, take_turns
from benchmarks.server import Plan, sending

COLUMNS = (
    "program",
    "messages/s",
    "slowest",
    "fastest",
    "ratio",
    "of ceiling",
    "µs CPU",
    "sent",
    "delivered",
    "lost",
    "accounted for",
)

RAW = "The raw loops receive and decode. They check, merge, route and supervise nothing."


def measure(shape: str, peers: Sequence[Peer], rounds: int, messages: int | None = None) -> Table:
    plans = {peer.name: Plan(messages or peer.messages) for peer in peers}
    runs: dict[str, list[Run]] = {}
    table = Table(f"{shape}: as fast as it goes, medians of {rounds}", COLUMNS)
    with sending(shape) as sender:
        for peer, told in take_turns(sender, peers, shape, plans, rounds):
            if isinstance(told, Run):
                runs.setdefault(peer.name, []).append(told)
            else:
                table.notes.append(f"- {peer.name}: {told}")
    for name, done in runs.items():
        if note := done[-1].told.more.get("note"):
            table.notes.append(f"- {name}, last run: {note}.")
    if fastest := ceiling(peers, runs):
        table.notes.append(f"- Ceiling: {fastest}, the fastest raw loop. {RAW}")
    table.rows = [_row(name, done, runs, fastest) for name, done in runs.items()]
    return table


def ceiling(peers: Sequence[Peer], runs: Mapping[str, Sequence[Run]]) -> str:
    """The name of the fastest raw loop; empty: none came to its end."""
    raw = [peer.name for peer in peers if peer.is_raw and peer.name in runs]
    return max(raw, key=lambda name: median(each.rate for each in runs[name]), default="")


def ratio(done: Sequence[Run], to: Sequence[Run]) -> float:
    """The median of what each round says: its two runs met the same machine."""
    return median(mine.rate / other.rate for mine, other in zip(done, to, strict=False))


def _row(name: str, done: Sequence[Run], runs: Mapping[str, Sequence[Run]], fastest: str) -> Sequence[str]:
    rates = [each.rate for each in done]
    return (
        name,
        f"{median(rates):,.0f}",
        f"{min(rates):,.0f}",
        f"{max(rates):,.0f}",
        *(f"{ratio(done, runs[to]):.2f}" if to in runs else "" for to in (LINEWARDEN, fastest)),
        f"{median(each.cpu_us for each in done):.2f}",
        f"{done[0].sent:,}",
        f"{median(each.share for each in done):.2%}",
        *losses(done),
    )
