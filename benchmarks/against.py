"""Beside a former commit: the same client program, on that commit's `actors`, in alternating rounds."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.latency import LENGTHS, at, latencies
from benchmarks.peers import LINEWARDEN, PEERS, ROOT, Peer
from benchmarks.report import Table
from benchmarks.run import Run, RunFailedError, losses, take_turns
from benchmarks.server import Plan, Sender, sending
from benchmarks.throughput import ratio

RATES = "500,5000"  # messages per second at which latency is measured
COLUMNS = ("program", "messages/s", "ratio", "µs CPU", "ratio", "lost")

Runs = Mapping[str, Sequence[Run]]


class NoSuchCommitError(Exception):
    """With git's words."""


@contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """A folder with the package `actors` as it was at this commit, and with today's client programs.

    Raises:
        NoSuchCommitError: git does not know it.
    """
    archive = ["git", "-C", str(ROOT), "archive", commit, "actors"]
    packed = subprocess.run(archive, check=False, capture_output=True)
    if packed.returncode != 0:
        raise NoSuchCommitError(f"{commit}: {packed.stderr.decode().strip()}")
    with TemporaryDirectory(prefix="linewarden-") as name:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
            files.extractall(name, filter="data")
        passed_over = shutil.ignore_patterns("results", "__pycache__")
        shutil.copytree(ROOT / "benchmarks", Path(name, "benchmarks"), ignore=passed_over)
        yield Path(name)


def peers(commit: str, root: Path, program: str = LINEWARDEN) -> tuple[Peer, Peer]:
    """This program of Linewarden's on this tree, and on that commit's."""
    ours = next(peer for peer in PEERS if peer.name == program)
    return ours, msgspec.structs.replace(ours, name=commit, root=root)


def measure(shape: str, both: Sequence[Peer], rounds: int, rates: Sequence[int]) -> Table:
    """Without rows if a program did not come to its end: the commit may not know what the shape needs."""
    paced_columns = (f"{what} at {rate:,}/s" for rate in rates for what in ("p50 µs", "µs CPU"))
    table = Table(f"{shape}: beside {both[-1].name}, medians of {rounds} rounds", (*COLUMNS, *paced_columns))
    try:
        with sending(shape) as sender:
            fast = _runs(sender, both, shape, Plan(both[0].messages), rounds)
            paced = [
                _runs(sender, both, shape, Plan(int(rate * LENGTHS.get(rate, 3.0)), rate), (rounds + 1) // 3)
                for rate in rates
            ]
    except RunFailedError as error:
        table.notes.append(f"- {error}")
    else:
        table.rows = [_row(peer.name, fast, paced, both[-1].name) for peer in both]
    return table


def _runs(sender: Sender, both: Sequence[Peer], shape: str, plan: Plan, rounds: int) -> Runs:
    runs: dict[str, list[Run]] = {peer.name: [] for peer in both}
    for peer, told in take_turns(sender, both, shape, dict.fromkeys(runs, plan), max(1, rounds)):
        if isinstance(told, Exception):
            raise RunFailedError(f"{peer.name}: {told}") from told
        runs[peer.name].append(told)
    return runs


def _row(name: str, fast: Runs, paced: Sequence[Runs], to: str) -> Sequence[str]:
    mine, theirs = fast[name], fast[to]
    cpu = median(one.cpu_us / other.cpu_us for one, other in zip(mine, theirs, strict=True))
    cells = [
        name,
        f"{median(each.rate for each in mine):,.0f}",
        f"{ratio(mine, theirs):.2f}",
        f"{median(each.cpu_us for each in mine):.2f}",
        f"{cpu:.2f}",
        losses(mine)[0],
    ]
    for runs in paced:
        cells.append(f"{median(at(50.0, latencies(each)) for each in runs[name]) / 1_000:,.0f}")
        cells.append(f"{median(each.cpu_us for each in runs[name]):.1f}")
    return cells
