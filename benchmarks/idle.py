"""What a service costs while nothing happens, and what those who ask for its status cost a line."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

import actors
from actors.service.server import Service
from actors.settings.schema import ServiceSettings
from actors.simulators import SimulatedO2
from benchmarks.alone import FailedAloneError, alone_within
from benchmarks.askers import Asked, ask
from benchmarks.clients.feeds import subscription
from benchmarks.latency import at
from benchmarks.report import Table
from benchmarks.server import SECOND, Plan, hosted, sending

LINES, TOPICS = 200, 25
PROGRAMS = (0, 1, 60)  # that ask once a second
WATCHED = 12.0  # seconds that a processor's time is counted
LIVE = 60.0  # seconds until everything is live
RATE = 5_000  # events a second of the stream beside
PHASE = 6.0  # seconds with or without those who ask
BOUND = 240.0  # seconds for all phases


class QuietVenue:
    """A venue that confirms what is wanted, and says nothing else."""

    def __init__(self) -> None:
        self._venue = SimulatedO2(rate=0.0)
        self._venue.start()

    def url(self) -> str:
        return self._venue.url


def idle_keys() -> Iterator[tuple[str, Sequence[str]]]:
    """The feeds, of a line each, and their topics, which no other has."""
    for line in range(LINES):
        yield f"f{line:03}", [f"{line * TOPICS + topic + 1:#066x}" for topic in range(TOPICS)]


# ── the command ─────────────────────────────────────────────────────────────────────────────────


def measure() -> Table:
    table = Table(
        f"`linewarden run`, idle: {LINES} lines with {TOPICS} topics each, for {WATCHED:g} s",
        ("programs that ask once a second", "% of a core", "answers", "declined", "median ms", "slowest ms"),
    )
    with hosted(QuietVenue) as venue, running(venue.url()) as (process, url):
        for programs in PROGRAMS:
            table.add((f"{programs}",), partial(_idle, process, url, programs))
        table.notes.append(f"- `linewarden status` of it takes {_status_command(url):.2f} s of a processor")
    return table


@contextmanager
def running(venue: str) -> Iterator[tuple[int, str]]:
    """`linewarden run` in a process of its own: its number, and the address of its service."""
    with tempfile.TemporaryDirectory() as folder:
        config, told = Path(folder, "idle.toml"), Path(folder, "log")
        feeds = (
            f'[feeds.{name}]\nvenue = "o2"\nurl = "{venue}"\n'
            f'subscribe = [{{ channel = "trades", keys = {keys} }}]\n'
            for name, keys in idle_keys()
        )
        config.write_text("".join([f'[service]\nsocket = "{folder}/idle.sock"\n', *feeds]))
        command = [sys.executable, "-m", "actors", "run", str(config)]
        with told.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                yield process.pid, _live(told)
            finally:
                process.terminate()


def _live(log: Path) -> str:
    deadline = time.monotonic() + LIVE
    while time.monotonic() < deadline:
        _, found, rest = log.read_text().partition("Answers at ")
        if found and "\n" in rest:
            url = rest.split("\n")[0].strip()
            if msgspec.json.decode(ask(url)[1])["state"] == "live":
                return url
        time.sleep(0.2)
    raise FailedAloneError(f"linewarden run was not live within {LIVE:g} s: {log.read_text()[-500:]}")


def _idle(process: int, url: str, programs: int) -> Sequence[str]:
    time.sleep(2.0)
    with _asking(url, programs, WATCHED) as asking:
        begun, before = time.monotonic(), _seconds_of(process)
        time.sleep(WATCHED)
        share = (_seconds_of(process) - before) / (time.monotonic() - begun)
    told = asking[0]
    answers = (f"{told.answered:,}", f"{told.declined + told.failed:,}")
    return (f"{share * 100:.1f}", *answers, f"{told.median_s * 1e3:,.0f}", f"{told.slowest_s * 1e3:,.0f}")


def _seconds_of(process: int) -> float:
    """Of a processor, that it has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status_command(url: str) -> float:
    command = [sys.executable, "-m", "actors", "status", "--url", url]
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=False, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(taken)


@contextmanager
def _asking(url: str, programs: int, seconds: float) -> Iterator[list[Asked]]:
    """They ask meanwhile, from another process; what became of it is there at the end."""
    told: list[Asked] = []
    if not programs:
        yield told
        told.append(Asked(0, 0, 0, 0.0, 0.0))
        return
    command = [sys.executable, "-m", "benchmarks.askers", url, str(programs), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as asking:
        yield told
        told.append(msgspec.json.decode(asking.communicate()[0], type=Asked))


# ── a line beside ───────────────────────────────────────────────────────────────────────────────


BESIDE = ("no program", "60 programs that ask another process", "60 programs that ask the service")
AS_LARGE = 3_700_000  # bytes of an answer, as of the status


class OtherProcess:
    """Answers as many bytes as the service, which cost the machine as much and the runtime nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._run, daemon=True).start()

    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _run(self) -> None:
        answer = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(AS_LARGE)
        while True:
            with self._listener.accept()[0] as sock, suppress(OSError):
                sock.recv(4_096)
                sock.sendall(answer)


class Phase(Struct, frozen=True):
    """`beside`: one of `BESIDE`; monotonic nanoseconds; `share`: of a core, that the process took."""

    beside: str
    since_ns: int
    until_ns: int
    share: float


class Heard(Struct, frozen=True):
    numbers: list[int]
    at_ns: list[int]
    phases: list[Phase]


def measure_beside(rounds: int) -> Table:
    table = Table(
        f"A stream of {RATE:,} events per second in a process with {LINES} × {TOPICS} idle topics,"
        f" and programs that ask once a second; medians of {rounds}",
        ("beside", "events/s", "p50 µs", "p99 µs", "% of a core"),
    )
    with hosted(QuietVenue) as quiet, hosted(OtherProcess) as other, sending("o2") as sender:
        count = int(RATE * (PHASE + 2.0) * len(BESIDE) * rounds)
        asked = (quiet.url(), other.url())
        heard = alone_within(BOUND, hear, sender.listen(Plan(count, RATE)), *asked, rounds)
        sent = sender.sent().at_ns
    for beside in BESIDE:
        phases = [_phase(heard, sent, each) for each in heard.phases if each.beside == beside]
        rates, p50, p99, shares = map(median, zip(*phases, strict=True))
        table.rows.append((beside, f"{rates:,.0f}", f"{p50:,.0f}", f"{p99:,.0f}", f"{shares * 100:.0f}"))
    return table


def _phase(heard: Heard, sent: Sequence[int], phase: Phase) -> tuple[float, float, float, float]:
    """Events a second; the median and the 99th percentile of their ages, in microseconds; its share."""
    seen = [
        seen_ns - sent[number - 1]
        for number, seen_ns in zip(heard.numbers, heard.at_ns, strict=True)
        if phase.since_ns <= seen_ns < phase.until_ns
    ]
    seconds, ordered = (phase.until_ns - phase.since_ns) / SECOND, sorted(seen)
    return len(seen) / seconds, at(50.0, ordered) / 1e3, at(99.0, ordered) / 1e3, phase.share


def hear(address: Mapping[str, Any], idle: str, other: str, rounds: int) -> Heard:
    """In a process of its own: what a program reads while its service is asked, and while it is not."""
    wants = subscription(address)
    numbers: list[int] = []
    at_ns: list[int] = []
    feeds: dict[str, Any] = {
        name: {"venue": "o2", "url": idle, "subscribe": [{"channel": "trades", "keys": keys}]}
        for name, keys in idle_keys()
    }
    with actors.start({"feeds": feeds | {"bench": wants.feed}}, wait=LIVE) as runtime:
        stream = runtime.subscribe("bench", wants.channel, *address["keys"], capacity=100_000, wait=LIVE)
        mark = wants.mark()

        def read() -> None:
            for event in stream:
                at_ns.append(time.monotonic_ns())
                numbers.append(int(mark(event)))

        with (
            tempfile.TemporaryDirectory() as folder,
            Service(runtime, ServiceSettings(socket=f"{folder}/idle.sock")) as service,
        ):
            threading.Thread(target=read, daemon=True).start()
            time.sleep(1.0)
            asked = dict(zip(BESIDE, ("", other, service.url), strict=True))
            phases = [_heard(beside, url) for _ in range(rounds) for beside, url in asked.items()]
    return Heard(numbers[: len(at_ns)], at_ns[: len(numbers)], phases)


def _heard(beside: str, url: str) -> Phase:
    with _asking(url, PROGRAMS[-1] if url else 0, PHASE + 1.0):
        time.sleep(1.0)  # until they have begun
        since_ns, took = time.monotonic_ns(), time.process_time()
        time.sleep(PHASE)
        until_ns, took = time.monotonic_ns(), time.process_time() - took
    return Phase(beside, since_ns, until_ns, took / PHASE)
