"""All venues that are built in at once under faults from a seed, for minutes: `make soak MINUTES=30`.

Ends with 1 and a sentence where a promise broke; the report is written to the file that is named.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import actors
from actors import LinewardenError, Runtime, Stream
from actors.rules.stream_buffer import Policy
from actors.settings import load
from actors.simulators import Simulator
from tests.support.counters import reconciled
from tests.support.runtimes import RESTART, fresh
from tests.support.venue_cases import Soaked, by_venue

POLICIES: tuple[Policy, ...] = ("block", "drop_oldest", "drop_newest", "conflate")
SOAKED: Mapping[str, Soaked] = by_venue("SOAKED")
FEEDS = tuple(SOAKED)
FAULTS = ("drop", "close", "flap", "refuse", "garbage", "mute", "restart", "rotate")
CAPACITY = 20  # events a stream: little enough to overflow
PAUSE = 1.0  # seconds between two faults, on average
RECOVERY = 15.0  # seconds that all lines may take to come back: a login that is lost is given up after 10
REST = 5.0  # seconds within which the counters must reconcile once
THREADS = 0  # more at the end than after the first rest
GROWTH = 1.0  # MiB a minute from the middle of the run on: beyond it, memory leaks
LEEWAY = 16.0  # MiB: what an allocator may keep, however short the run


class Broken(Exception):  # noqa: N818
    """A promise that did not hold."""


class Soak:
    """One runtime, its readers, and what is done to both."""

    def __init__(self, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self.memory: list[tuple[float, float]] = []  # minutes, MiB
        self._random = random.Random(seed)
        self._began = time.monotonic()
        self.runtime = Runtime(load(config(seed)))
        self.streams: list[Stream[Any]] = []

    def read(self) -> None:
        """A stream of each policy on each venue, each with a reader that is slow at times."""
        for feed in FEEDS:
            channel, *keys = SOAKED[feed].topics(self.runtime.simulator(feed))
            for policy in POLICIES:
                stream = self.runtime.subscribe(feed, channel, *keys, policy=policy, capacity=CAPACITY)
                self.streams.append(stream)
                slowness = random.Random(self._random.random())
                threading.Thread(target=read, args=(stream, slowness), daemon=True).start()

    def rest(self) -> None:
        """Everything is live, what moves stands still, and the counters reconcile: in bounded time.

        Raises:
            Broken: they do not.
        """
        venues = [self.runtime.simulator(feed) for feed in FEEDS]
        for venue in venues:
            venue.heal()
        try:
            self.runtime.wait_live(timeout=RECOVERY)
        except LinewardenError as error:
            raise Broken(f"a line is stuck: {error}") from error
        deadline = time.monotonic() + REST
        while not reconciled(status := fresh(self.runtime)):  # between two steps of the markets
            if time.monotonic() > deadline:
                lines = {name: line.counters for name, line in status.lines().items()}
                raise Broken(f"the counters do not reconcile: {lines}, {status.streams}")
        self.memory.append(((time.monotonic() - self._began) / 60, resident()))

    def disturb(self) -> None:
        """One fault, on a venue or from the operator's side."""
        feed = self._random.choice(FEEDS)
        venue: Simulator = self.runtime.simulator(feed)
        what = self._random.choice(
            ("drop", "close", "flap", "refuse", "garbage", "mute", "restart", "rotate")
        )
        self.faults[what] += 1
        match what:
            case "restart":
                self.runtime.supervisor.restart(feed).get(timeout=5)
            case "rotate":
                with contextlib.suppress(LinewardenError):  # a line that is down is not rotated
                    self.runtime.rotate(feed, timeout=3.0)
            case "flap" | "refuse":
                venue.arm(what)
                venue.drop()
            case _:
                venue.arm(what)

    def run(self, minutes: float) -> None:
        """Faults, and every 20 seconds a rest.

        Raises:
            Broken: a promise did not hold.
        """
        end = self._began + minutes * 60
        self.rest()
        threads = threading.active_count()
        while (left := end - time.monotonic()) > 0:
            round_end = time.monotonic() + min(20.0, left)
            while (left := round_end - time.monotonic()) > 0:
                self.disturb()
                time.sleep(min(left, self._random.expovariate(1 / PAUSE)))
            self.rest()
        if (more := threading.active_count() - threads) > THREADS:
            raise Broken(f"{more} threads more than at the beginning")
        if (grown := self.grown()) > LEEWAY + GROWTH * minutes / 2:
            raise Broken(f"memory has grown by {grown:.1f} MiB since the middle of the run")

    def grown(self) -> float:
        """MiB, from the middle of the run to its end."""
        return self.memory[-1][1] - self.memory[len(self.memory) // 2][1]

    def report(self, minutes: float, seed: int, broken: str) -> str:
        counters = [line.counters for line in fresh(self.runtime).lines().values()]
        rows: Mapping[str, object] = {
            "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "command": f"make soak MINUTES={minutes:g} SEED={seed}",
            "verdict": broken or "every promise held",
            "faults": ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items())),
            "events decoded": f"{sum(each.decoded for each in counters):,}",
            "restarts": sum(each.restarts for each in counters),
            "gaps": sum(stream.gap_count for stream in self.streams),
            "events given up by policy": f"{sum(stream.dropped for stream in self.streams):,}",
            "rests with reconciled counters": len(self.memory),
            "memory, first and last rest": " and ".join(f"{self.memory[at][1]:.1f} MiB" for at in (0, -1)),
            "memory, since the middle": f"{self.grown():+.1f} MiB",
            "threads at the end": threading.active_count(),
        }
        table = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
        return f"# Soak\n\nWritten by the command that it names.\n\n| | |\n| --- | --- |\n{table}"


def config(seed: int) -> dict[str, Any]:
    table = {"restart": {**RESTART, "slow_initial": 0.2}, "block_timeout": 0.5}
    url = f"?rate=50&seed={seed}"
    return {
        "feeds": {
            name: {"venue": name, "url": f"sim://{name}{url}", **table, **soaked.keys}
            for name, soaked in SOAKED.items()
        }
    }


def read(stream: Stream[Any], slowness: random.Random) -> None:
    with contextlib.suppress(actors.StreamClosed):
        for _ in stream:
            if slowness.random() < 0.02:
                time.sleep(slowness.uniform(0, 3))


def resident() -> float:
    """MiB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="where to write what came of it")
    asked = parser.parse_args()
    soak = Soak(asked.seed)
    broken = ""
    with soak.runtime:
        try:
            soak.read()
            soak.run(asked.minutes)
        except Broken as error:
            broken = str(error)
        report = soak.report(asked.minutes, asked.seed, broken)
    if asked.report is not None:
        asked.report.write_text(report)
    sys.stdout.write(report)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
