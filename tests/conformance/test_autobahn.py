"""Autobahn's cases against a whole runtime: each life of a line is one of them, and echoes what it hears."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

import actors
from benchmarks.installs import NotHereError, packages_with

HERE = Path(__file__).parent
CASES = os.environ.get("CASES", "*").split(",")  # patterns, as the suite takes them
SHARES = 2  # the suite uses one core, and takes more of it than we do
PATIENCE = 600.0  # seconds until the next verdict; the suite gives its longest cases 480

# Of these the suite tells what was done and not whether it is right, for RFC 6455 does not say it: what
# becomes of a large message that is being echoed when the close frame comes; close codes from 5000 on.
UNJUDGED = ("7.1.6", "7.13.1", "7.13.2")
# Other verdicts than OK, by case, each with its reason. There are none.
KNOWN: Mapping[str, str] = {}

Verdict = dict[str, Any]


class FuzzingServer:
    """One share of the cases, in a process of its own."""

    def __init__(self, share: int) -> None:
        try:
            python, packages = packages_with("2.7", HERE / "requirements.txt")
        except NotHereError as error:
            pytest.skip(str(error))
        arguments = [str(packages), json.dumps(CASES), str(share), str(SHARES)]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        self._process = subprocess.Popen(
            [python, HERE / "fuzzing_server.py", *arguments],
            stdout=subprocess.PIPE,
            stderr=self._said,
            stdin=subprocess.DEVNULL,
        )
        self.told: queue.SimpleQueue[Verdict | None] = queue.SimpleQueue()  # None: it has ended
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._said.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as told:
            for line in told:
                self.told.put(json.loads(line))
        self.told.put(None)

    def hear(self) -> Verdict:
        try:
            if (told := self.told.get(timeout=PATIENCE)) is not None:
                return told
        except queue.Empty:
            pass
        self._said.seek(0)
        pytest.fail(f"the suite fell silent; it said: {self._said.read()[-2_000:].decode()}")


def config(ports: list[int]) -> dict[str, Any]:
    """A feed for each server. Nothing is between two cases, and nothing is said but what is heard."""
    feed = {
        "venue": "tests.conformance.venue:Suite",
        "compression": "deflate",
        "send_buffer": 2**26,  # bytes: the suite's largest message is 16 MiB, and our default less
        "restart": {"initial": 0.001, "maximum": 0.002, "max_restarts": 1_000_000},
        "heartbeat": {"ping_interval": 0.0},
    }
    return {
        "feeds": {f"suite-{port}": feed | {"url": f"ws://127.0.0.1:{port}"} for port in ports},
    }


def verdicts() -> Iterator[Verdict]:
    with ExitStack() as stack:
        servers = [stack.enter_context(FuzzingServer(share)) for share in range(SHARES)]
        hellos = [server.hear() for server in servers]
        with actors.start(config([hello["port"] for hello in hellos])):
            for server, hello in zip(servers, hellos, strict=True):
                for _ in hello["cases"]:
                    yield server.hear()


def group(case: str) -> int:
    return int(case.partition(".")[0])


def table(told: list[Verdict]) -> Iterator[str]:
    yield f"{'group':>7} {'cases':>7}   verdicts of behaviour, and of the close"
    for number in sorted({group(each["id"]) for each in told}):
        mine = [each for each in told if group(each["id"]) == number]
        counts = [Counter(each[key] for each in mine) for key in ("behavior", "behaviorClose")]
        words = ["; ".join(f"{count} {verdict}" for verdict, count in each.items()) for each in counts]
        yield f"{number:>6}. {len(mine):>7}   {words[0]} / {words[1]}"


@pytest.mark.timeout(3_600)
def test_every_case_is_passed_and_ends_with_the_right_code(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    told = list(verdicts())
    with capsys.disabled():
        sys.stdout.writelines(f"\n{line}" for line in (*table(told), ""))
    bad = {
        each["id"]: f"{each['behavior']}, {each['behaviorClose']}: {each['result']} {each['resultClose']}"
        for each in told
        if (each["behavior"], each["behaviorClose"]) != ("OK", "OK") and each["id"] not in UNJUDGED
    }
    assert bad == dict(KNOWN)
    assert not [record for record in caplog.records if record.exc_info]
