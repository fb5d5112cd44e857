"""All peers at once, each through its trials in turn: a table, a row for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.installs import NotHereError
from benchmarks.reliability import trials
from benchmarks.reliability.market import Market
from benchmarks.reliability.peers import PEERS, Peer
from benchmarks.reliability.program import Program
from benchmarks.report import Table

START = 40.0  # seconds until a program hears its market: they all start at once
UNDER_WAY = 10  # events

Trial = Callable[[Market, Program], str]
TRIALS: Mapping[str, Trial] = {
    "an outage of 4 s, by resets": trials.broken_off,
    "an outage of 4 s, after goodbyes": trials.shut_down,
    "50 drops": trials.drops,
    "a mute feed": trials.mute,
    "a handler that raises": trials.raising,
}


def measure(peers: Sequence[Peer] = PEERS) -> Table:
    table = Table("Side by side", ("program", "venue", *TRIALS), words=2 + len(TRIALS))
    with ThreadPoolExecutor(len(peers)) as pool:
        for peer, cells in zip(peers, pool.map(_cells, peers), strict=True):
            table.rows.append((peer.name, peer.hears.partition("-")[0], *cells))
    return table


def _cells(peer: Peer) -> Sequence[str]:
    try:
        peer.interpreter()
    except (NotHereError, RuntimeError) as error:
        return [f"not here: {str(error).splitlines()[0]}", *[""] * (len(TRIALS) - 1)]
    return [_tried(peer, trial) for trial in TRIALS.values()]


def _tried(peer: Peer, trial: Trial) -> str:
    if trial is trials.raising and not peer.has_handlers:
        return "has no handlers: events come by an iterator, and the loop is the program's"
    raise_at = trials.RAISE_AT if trial is trials.raising else 0
    with (
        Market(peer.market()) as market,
        Program(peer.interpreter(), peer.client, peer.hears, market.shape.address(), raise_at) as program,
    ):
        first = program.wait_heard(0, START)
        if first is None or program.wait_heard(first.what + UNDER_WAY, START) is None:
            words = [str(said.what) for said in program.said if said.what][-1:]
            return f"heard nothing within {START:g} s: {words}"
        return trial(market, program)
