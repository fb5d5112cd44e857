"""A full blast: how many messages a second each peer can take, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.peers import Peer
from benchmarks.report import Table
from benchmarks.run import Run, take_turns
from benchmarks.server import Plan, sending

OURS = "linewarden"


def measure(shape: str, peers: Sequence[Peer], rounds: int, messages: int | None = None) -> Table:
    plans = {peer.name: Plan(messages or peer.messages) for peer in peers}
    runs: dict[str, list[Run]] = {}
    table = Table(
        f"{shape}: as fast as it goes",
        (
            "",
            "messages/s",
            "slowest",
            "fastest",
            "to linewarden",
            "µs CPU/message",
            "delivered",
            "silently lost",
        ),
    )
    with sending(shape) as sender:
        for peer, told in take_turns(sender, peers, shape, plans, rounds):
            if isinstance(told, Run):
                runs.setdefault(peer.name, []).append(told)
            else:
                table.notes.append(f"- not here: {told}")
    table.rows = [_row(name, done, runs) for name, done in runs.items()]
    return table


def _row(name: str, done: Sequence[Run], runs: Mapping[str, Sequence[Run]]) -> Sequence[str]:
    rates = [each.rate for each in done]
    ours = [each.rate for each in runs.get(OURS, ())]
    ratios = [rate / our for rate, our in zip(rates, ours, strict=False)]  # of the same round
    return (
        name,
        f"{median(rates):,.0f}",
        f"{min(rates):,.0f}",
        f"{max(rates):,.0f}",
        f"{median(ratios):.2f}" if ratios else "",
        f"{median(each.cpu_us for each in done):.2f}",
        f"{median(each.share for each in done):.2%}",
        f"{max(each.silent for each in done):,}",
    )
