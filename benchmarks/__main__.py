"""The command: `python -m benchmarks throughput --venue o2 --peers linewarden,websockets`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated

import typer

from benchmarks import (
    against,
    growth,
    idle,
    latency,
    memory,
    orders,
    questions,
    quick,
    recovery,
    requests,
    roundtrip,
    startup,
    throughput,
)
from benchmarks.peers import COMPARED, LINEWARDEN, PEERS, Peer
from benchmarks.reliability import page, run
from benchmarks.report import Table, show, write
from benchmarks.shapes import SHAPES

app = typer.Typer(no_args_is_help=True, add_completion=False)

Venues = Annotated[str, typer.Option("--venue", help="Of these, with commas; all if none is named.")]
Peers = Annotated[str, typer.Option("--peers", help="These programs, with commas; all if none is named.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often each is done; medians are shown.")]
Messages = Annotated[int, typer.Option(min=0, help="Messages of a run; 0: as many as suit each program.")]
Rates = Annotated[str, typer.Option("--rates", help="Messages a second, with commas.")]

# The programs whose figures docs/benchmarks.md quotes.
QUOTED = (
    "linewarden,linewarden.book,o2-sdk,alpaca-py,tpluspy,project-x-py,signalrcore,unicorn-binance,cryptofeed,"
    "websockets,picows,picows.uvloop"
)
QUOTED_LATENCY = "linewarden,linewarden.inline,signalrcore,websockets,picows"
RATES = ",".join(map(str, latency.LENGTHS))


@app.callback()
def main() -> None:
    """What Linewarden's receive path costs, beside other people's, in the same run on the same machine."""


@app.command("throughput")
def show_throughput(
    venue: Venues = "", peers: Peers = "", rounds: Rounds = 5, messages: Messages = 0
) -> None:
    """Full blast: messages a second, CPU a message, and the share that was delivered."""
    for shape in _known(venue, SHAPES) or SHAPES:
        show(throughput.measure(shape, _chosen(peers, shape), rounds, messages or None))


@app.command("latency")
def show_latency(venue: Venues = "", peers: Peers = "", rounds: Rounds = 2, rates: Rates = RATES) -> None:
    """Steady rates: how long a message takes from the sender to the program's loop."""
    for shape in _known(venue, SHAPES) or COMPARED:
        show(latency.measure(shape, _chosen(peers, shape), [int(rate) for rate in rates.split(",")], rounds))


@app.command("roundtrip")
def show_round_trips(peers: Peers = "", rounds: Rounds = 5) -> None:
    """One message at a time, there and back: round trips a second, and how long one takes."""
    for shape in roundtrip.SIZES:
        show(roundtrip.measure(shape, _named(peers), rounds))


@app.command("against")
def show_against(
    commit: Annotated[str, typer.Argument(help="What it is compared with.")],
    shapes: Annotated[
        str, typer.Option("--shapes", help="Of these, with commas; all if none is named.")
    ] = "",
    rounds: Rounds = 7,
    rates: Rates = against.RATES,
    program: Annotated[
        str, typer.Option(help="Which of Linewarden's, such as linewarden.book.")
    ] = LINEWARDEN,
) -> None:
    """Beside a former commit, in alternating rounds: 2 minutes per shape; latency at `rates`, "": none."""
    paced = [int(rate) for rate in rates.split(",") if rate]
    _known(program, [peer.name for peer in PEERS if peer.client == LINEWARDEN])
    with against.tree_of(commit) as root:
        both = against.peers(commit, root, program)
        for shape in _known(shapes, both[0].hears) or both[0].hears:
            show(against.measure(shape, both, rounds, paced))


@app.command("recovery")
def show_recovery(rounds: Rounds = 5) -> None:
    """From a dropped TCP connection to all subscriptions confirmed."""
    show(recovery.measure(recovery.TOPICS, rounds))


@app.command("reliability")
def show_reliability() -> None:
    """Four faults, and what becomes of programs on several libraries: six minutes, and docs/peers.md."""
    began = time.monotonic()
    table = run.measure()
    show(table)
    typer.echo(f"Written to {page.write(table, began)}")


@app.command("growth")
def show_growth(rounds: Rounds = 5) -> None:
    """What more topics, streams and lines cost, in events a second and in memory; and a start."""
    for table in (growth.measure(), memory.measure(), startup.measure(rounds)):
        show(table)


@app.command("questions")
def show_questions(rounds: Rounds = 5) -> None:
    """What `fresh`, `require` and a look at a permit cost: a few seconds."""
    show(questions.measure(rounds))


@app.command("requests")
def show_requests(rounds: Rounds = 5) -> None:
    """Reads of a venue at once and one after another, and the cost of a read and of an order: seconds."""
    show(requests.measure(rounds))


@app.command("orders")
def show_orders(rounds: Rounds = 5) -> None:
    """What it costs to record an order and its outcome, and to count a request: seconds."""
    show(orders.measure(rounds))


@app.command("idle")
def show_idle(rounds: Rounds = 3) -> None:
    """What a service costs while nothing happens, and what those who ask it cost a line: two minutes."""
    show(idle.measure())
    show(idle.measure_beside(rounds))


@app.command("everything")
def show_everything(rounds: Rounds = 5) -> None:
    """All of it, about an hour; a file in benchmarks/results keeps the tables and tells the machine."""
    _show_and_write(_everything(rounds), f"python -m benchmarks everything --rounds {rounds}")


@app.command("aims")
def show_aims(rounds: Rounds = 7) -> None:
    """What docs/benchmarks.md quotes, beside the SDKs, picows and websockets: half an hour, and a file."""
    _show_and_write(_aims(rounds), f"python -m benchmarks aims --rounds {rounds}")


@app.command("quick")
def guard() -> None:
    """The guard for CI, within a minute: exits with 1 if Linewarden is too slow for a raw loop, or loses."""
    found = quick.look()
    for line in found.measured:
        typer.echo(line)
    for line in found.faults:
        typer.echo(line, err=True)
    if found.faults:
        raise typer.Exit(1)


def _show_and_write(measured: Iterator[Table], command: str) -> None:
    began, tables = time.monotonic(), []
    for table in measured:
        show(table)
        tables.append(table)
    typer.echo(f"Written to {write(tables, command, began)}")


def _everything(rounds: int) -> Iterator[Table]:
    for shape in SHAPES:
        yield throughput.measure(shape, _chosen("", shape), rounds)
    for shape in COMPARED:
        peers = [peer for peer in _chosen("", shape) if peer.paced]
        yield latency.measure(shape, peers, list(latency.LENGTHS), (rounds + 1) // 3)
    for shape in roundtrip.SIZES:
        yield roundtrip.measure(shape, PEERS, rounds)
    yield recovery.measure(recovery.TOPICS, rounds)
    yield growth.measure()
    yield memory.measure()
    yield startup.measure(rounds)
    yield questions.measure(rounds)
    yield requests.measure(rounds)
    yield orders.measure(rounds)
    yield idle.measure()
    yield idle.measure_beside(rounds)


def _aims(rounds: int) -> Iterator[Table]:
    for shape in SHAPES:
        if shape != "o2-tls":
            yield throughput.measure(shape, _chosen(QUOTED, shape), rounds)
    for shape in ("o2", "alpaca", "projectx"):
        yield latency.measure(shape, _chosen(QUOTED_LATENCY, shape), [500, 5_000], rounds)
    yield recovery.measure((10_000,), rounds)
    yield growth.measure()
    yield memory.measure()


def _known(names: str, known: Collection[str]) -> Sequence[str]:
    """Raises: BadParameter: there is no such thing."""
    listed = [name.strip() for name in names.split(",") if name.strip()]
    for name in listed:
        if name not in known:
            raise typer.BadParameter(f"there is no {name!r}, but {', '.join(known)}")
    return listed


def _named(names: str) -> Sequence[Peer]:
    every = [peer.name for peer in PEERS]
    wanted = _known(names, every) or every
    return [peer for peer in PEERS if peer.name in wanted]


def _chosen(names: str, shape: str) -> Sequence[Peer]:
    return [peer for peer in _named(names) if shape in peer.hears]


if __name__ == "__main__":
    app()
