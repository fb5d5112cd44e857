"""The command: `python -m benchmarks throughput --venue o2 --peers linewarden,websockets`."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks import latency as delay
from benchmarks import throughput as blast
from benchmarks.peers import PEERS, Peer
from benchmarks.report import show
from benchmarks.shapes import SHAPES

app = typer.Typer(no_args_is_help=True, add_completion=False)

Venues = Annotated[str, typer.Option("--venue", help="Of these venues, with commas; all if none is named.")]
Peers = Annotated[str, typer.Option("--peers", help="Of these programs, with commas; all if none is named.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often all take turns; medians are shown.")]
Messages = Annotated[int, typer.Option(min=0, help="Messages of a run; 0: as many as suit each program.")]


@app.callback()
def main() -> None:
    """What Linewarden's receive path costs, beside other people's, in the same run on the same machine."""


def chosen(names: str, shape: str) -> list[Peer]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    return [peer for peer in PEERS if shape in peer.hears and (not wanted or peer.name in wanted)]


@app.command()
def throughput(venue: Venues = "", peers: Peers = "", rounds: Rounds = 5, messages: Messages = 0) -> None:
    """Full blast: messages a second, CPU a message, and the share that was delivered."""
    for shape in [each for each in SHAPES if not venue or each in venue.split(",")]:
        show(blast.measure(shape, chosen(peers, shape), rounds, messages or None))


@app.command()
def latency(
    venue: Venues = "",
    peers: Peers = "",
    rounds: Rounds = 2,
    rate: Annotated[list[int], typer.Option(help="Messages a second.")] = list(delay.LENGTHS),  # noqa: B006
) -> None:
    """Steady rates: how long a message takes from the sender to the program's loop."""
    for shape in [each for each in SHAPES if not venue or each in venue.split(",")]:
        show(delay.measure(shape, chosen(peers, shape), rate, rounds))


if __name__ == "__main__":
    app()
