"""One run: a peer's program against the server, and what both counted. Runs of several peers take turns."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from benchmarks.installs import NotHereError
from benchmarks.peers import Peer
from benchmarks.server import Plan, Sent, Server

BOUND = 90.0  # seconds that a run may take


class Told(Struct, frozen=True):
    """What a client says at its end: see `clients/tally.py`."""

    count: int
    seen_ns: int
    cpu_s: float
    numbers: list[int]
    at_ns: list[int]
    more: dict[str, Any]


class Run(Struct, frozen=True):
    sent: int
    told: Told
    times: Sent

    @property
    def seconds(self) -> float:
        """From the first message sent to the last one seen."""
        return (self.told.seen_ns - self.times.begun_ns) / 1e9

    @property
    def rate(self) -> float:
        """Messages seen a second."""
        return self.told.count / self.seconds

    @property
    def cpu_us(self) -> float:
        """Processor time a message sent, microseconds, of all the client's threads."""
        return self.told.cpu_s * 1e6 / self.sent

    @property
    def share(self) -> float:
        """Of all that was sent, what was seen."""
        return self.told.count / self.sent

    @property
    def lost(self) -> int:
        return self.sent - self.told.count

    @property
    def accounted(self) -> int:
        """How many of those the program was told that it lost."""
        return int(self.told.more.get("dropped", 0))


def losses(done: Sequence[Run]) -> Sequence[str]:
    """Lost, and how many of them accounted for: in the run that lost most."""
    worst = max(done, key=lambda run: run.lost)
    return f"{worst.lost:,}", f"{worst.accounted:,}"


class RunFailedError(Exception):
    """A client did not come to its end; with its last words."""


def run(server: Server, peer: Peer, shape: str, plan: Plan) -> Run:
    """Raises: RunFailedError, NotHereError."""
    python = peer.interpreter()
    address = server.listen(plan)
    asked = {
        "shape": shape,
        "address": dict(address),
        "last": plan.count,
        "timed": bool(plan.rate),
        "options": dict(peer.options),
    }
    command = [str(python), "-E", "-s", "-m", f"benchmarks.clients.{peer.client}"]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    if ca_file := address.get("ca_file"):
        environment["SSL_CERT_FILE"] = ca_file  # for libraries that trust the system's authorities only
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked),
            cwd=peer.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
        )
        words = done.stderr or done.stdout
    except subprocess.TimeoutExpired:
        words, done = f"it did not end within {BOUND:g} s", None
    try:
        times = server.sent()
        last = done.stdout.rstrip().rpartition("\n")[2] if done else ""
        return Run(plan.count, msgspec.json.decode(last, type=Told), times)
    except (TimeoutError, msgspec.DecodeError) as error:
        raise RunFailedError(f"it failed: {error}; it said: {words[-1_000:]}") from error


def take_turns(
    server: Server, peers: Sequence[Peer], shape: str, plans: Mapping[str, Plan], rounds: int
) -> Iterator[tuple[Peer, Run | Exception]]:
    """A B C, A B C, …: what disturbs the machine for a while disturbs all of them.

    A peer that failed is told once, and left out from then on.
    """
    failed: set[str] = set()
    for _ in range(rounds):
        for peer in peers:
            if peer.name in failed:
                continue
            try:
                yield peer, run(server, peer, shape, plans[peer.name])
            except (RunFailedError, NotHereError, RuntimeError) as error:
                failed.add(peer.name)
                yield peer, error
