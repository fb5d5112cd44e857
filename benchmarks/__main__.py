"""The command: `python -m benchmarks throughput --venue o2 --peers linewarden,websockets`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from benchmarks import growth as growing
from benchmarks import latency as delay
from benchmarks import quick as guard
from benchmarks import recovery as return_
from benchmarks import throughput as blast
from benchmarks.peers import PEERS, Peer
from benchmarks.report import Table, show, write
from benchmarks.shapes import SHAPES

app = typer.Typer(no_args_is_help=True, add_completion=False)

Venues = Annotated[str, typer.Option("--venue", help="Of these, with commas; all if none is named.")]
Peers = Annotated[str, typer.Option("--peers", help="These programs, with commas; all if none is named.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often all take turns; medians are shown.")]
Messages = Annotated[int, typer.Option(min=0, help="Messages of a run; 0: as many as suit each program.")]
Rates = Annotated[list[int], typer.Option("--rate", help="Messages a second; may be given several times.")]
# Where there is an SDK to compare with: its latency is measured, too.
COMPARED = ("o2", "alpaca", "alpaca-msgpack", "tplus", "projectx")
RATES = tuple(delay.LENGTHS)


@app.callback()
def main() -> None:
    """What Linewarden's receive path costs, beside other people's, in the same run on the same machine."""


@app.command()
def throughput(venue: Venues = "", peers: Peers = "", rounds: Rounds = 5, messages: Messages = 0) -> None:
    """Full blast: messages a second, CPU a message, and the share that was delivered."""
    for shape in shapes(venue):
        show(blast.measure(shape, chosen(peers, shape), rounds, messages or None))


@app.command()
def latency(venue: Venues = "", peers: Peers = "", rounds: Rounds = 2, rate: Rates = RATES) -> None:  # type: ignore[assignment]
    """Steady rates: how long a message takes from the sender to the program's loop."""
    for shape in shapes(venue):
        show(delay.measure(shape, chosen(peers, shape), rate, rounds))


@app.command()
def recovery(drops: Annotated[int, typer.Option(min=1)] = 5) -> None:
    """From a dropped TCP connection to all subscriptions confirmed."""
    show(return_.measure(return_.TOPICS, drops))


@app.command()
def growth(rounds: Rounds = 5) -> None:
    """What more topics, streams and lines cost, in events a second and in memory; and a start."""
    for table in growing.measure(rounds):
        show(table)


@app.command()
def everything() -> None:
    """All of it, about 25 minutes; a file in benchmarks/results keeps the tables and tells the machine."""
    began, tables = time.monotonic(), []
    for table in _everything():
        show(table)
        tables.append(table)
    typer.echo(f"Written to {write(tables, 'make bench', began)}")


@app.command()
def quick() -> None:
    """The guard for CI, within a minute: exits with 1 if Linewarden is too slow for a raw loop, or loses."""
    found = guard.look()
    for line in found.measured:
        typer.echo(line)
    for line in found.faults:
        typer.echo(line, err=True)
    if found.faults:
        raise typer.Exit(1)


def _everything() -> Iterator[Table]:
    for shape in SHAPES:
        yield blast.measure(shape, chosen("", shape), 5)
    for shape in SHAPES:
        if shape in COMPARED:
            yield delay.measure(shape, chosen("", shape), RATES, 2)
    yield return_.measure(return_.TOPICS, 5)
    yield from growing.measure(5)


def shapes(venue: str) -> Sequence[str]:
    return [shape for shape in SHAPES if not venue or shape in venue.split(",")]


def chosen(names: str, shape: str) -> Sequence[Peer]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    return [peer for peer in PEERS if shape in peer.hears and (not wanted or peer.name in wanted)]


if __name__ == "__main__":
    app()
