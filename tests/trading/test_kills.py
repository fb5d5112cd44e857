"""T3 to T6: whenever a process is killed, each intent is absent or whole, and none left unrecorded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from actors.protocol.trading import Accepted
from actors.trading.order_file import NAME
from actors.trading.order_store import OrderStore
from tests.commands import PATIENCE, posix
from tests.trading.worker import intent

pytestmark = posix

ORDERS = 3
WORKER = [sys.executable, "-m", "tests.trading.worker"]
SYSCALLS = "openat,pwrite64,fdatasync,fsync,unlink,sendto,write,flock,fcntl"


def ran(*command: object) -> str:
    """What it printed, however it ended."""
    words = [*map(str, command)]
    told = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "Traceback" not in told.stderr, told.stderr
    return told.stdout


def check(folder: Path, told: Sequence[str], *, disk_failed: bool = False) -> None:
    """The store after a process has ended that printed these lines.

    `disk_failed`: an outcome may be lost with the process, and an error may come after an intent is written.
    """
    steps = {tuple(line.split()) for line in told}
    store = OrderStore(folder)
    ended = {each.intent.tag for each in store.open_intents(of_ended_processes=True)}
    for wanted in map(intent, range(ORDERS)):
        tag, found = wanted.tag, store.intent(wanted.tag)
        if ("begun", tag) in steps:
            assert found is not None, tag
        if ("begin", tag) not in steps or (("refused", tag) in steps and not disk_failed):
            assert found is None
        if found is not None:
            assert found.mutation == wanted.mutation
        outcome = store.outcome(tag)
        if ("finished", tag) in steps and not disk_failed:
            assert outcome == Accepted(tag, 1)
        if ("refused", tag) not in steps:
            assert outcome in {None, Accepted(tag, 1)}
        assert (tag in ended) == (found is not None and outcome is None)
    store.close()


def told_by(output: str) -> dict[int, list[str]]:
    """The lines of each child, by the event that killed it."""
    parts = re.split(r"^kill (\d+)\n", output, flags=re.MULTILINE)
    return {int(at): lines.splitlines() for at, lines in zip(parts[1::2], parts[2::2], strict=True)}


def killed_at(folder: Path, events: Sequence[int]) -> None:
    """Each event in a process of its own; each store is looked at after it."""
    output = told_by(ran(*WORKER, folder, ORDERS, *events))
    assert [*output] == [*events]
    for at, lines in output.items():
        assert "done" not in lines
        check(folder / str(at), lines)


@pytest.fixture
def count(tmp_path: Path) -> int:
    """How many calls, lines and returns there are from the first step to the last."""
    never = 10**9
    (lines,) = told_by(ran(*WORKER, tmp_path / "counted", ORDERS, never)).values()
    check(tmp_path / "counted" / str(never), lines)
    return int(lines[-1].split()[1])


def test_t6_a_kill_between_any_two_steps_leaves_each_intent_absent_or_whole(
    tmp_path: Path, count: int
) -> None:
    assert count > 500
    killed_at(tmp_path, range(1, count, count // 25))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_t6_a_kill_between_any_two_steps_in_full(tmp_path: Path, count: int) -> None:
    events = range(1, count, 3)
    for first in range(0, len(events), 200):
        killed_at(tmp_path, events[first : first + 200])


# ── in the middle of what SQLite does ──


def strace() -> str:
    """Its path; without it a developer's test is skipped, and CI fails."""
    found = shutil.which("strace")
    if found is None:
        told = "strace is not installed (apt-get install strace)"
        if "LINEWARDEN_CI" in os.environ:
            pytest.fail(told)
        pytest.skip(told)
    allowed = subprocess.run([found, "-o", os.devnull, "true"], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip("strace may not trace here")
    return found


def traced(folder: Path, *options: object) -> list[str]:
    OrderStore.make(folder)
    return ran(strace(), "-f", *options, *WORKER, folder, ORDERS).splitlines()


def calls(folder: Path) -> list[str]:
    """The system calls of one life, in their order."""
    log = folder.with_name("calls")
    check(folder, traced(folder, "-o", log, "-y", "-e", f"trace={SYSCALLS}"))
    return log.read_text().splitlines()


def test_t6_the_intent_is_synced_before_the_first_byte_leaves(tmp_path: Path) -> None:
    """The journal, the file, and the journal's end in the folder are synced; only then the order is sent."""
    folder, step = tmp_path / "trading", ""
    marks = {
        "w": rf"pwrite64\(\d+<{folder}/{NAME}>",
        "j": rf"pwrite64\(\d+<{folder}/{NAME}-journal>",
        "J": rf"f(?:data)?sync\(\d+<{folder}/{NAME}-journal>",
        "F": rf"f(?:data)?sync\(\d+<{folder}/{NAME}>",
        "u": rf'unlink\("{folder}/{NAME}-journal"',
        "D": rf"f(?:data)?sync\(\d+<{folder}>",
        "S": r"sendto\(.*an order",
        "B": r"write\(1<.*begun",
        "E": r"write\(1<.*finished",
    }
    for call in calls(folder):
        step += next((mark for mark, pattern in marks.items() if re.search(pattern, call)), "")
    commit = "j+JDj*Jw+FuD"
    assert re.fullmatch(f"(?:{commit}BS{commit}E){{{ORDERS}}}", step), step


def test_t6_a_kill_inside_a_commit_leaves_each_intent_absent_or_whole(tmp_path: Path) -> None:
    killed_in_calls(tmp_path, every=20)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_t6_a_kill_inside_a_commit_in_full(tmp_path: Path) -> None:
    killed_in_calls(tmp_path, every=1)


def killed_in_calls(tmp_path: Path, every: int) -> None:
    """Kills at each write, sync and unlink of a life, or at some of them."""
    seen = calls(tmp_path / "whole")
    for name in ("pwrite64", "fdatasync", "unlink"):
        number = sum(f" {name}(" in call for call in seen)
        for at in range(1, number + 1, every):
            folder = tmp_path / f"{name}-{at}"
            told = traced(folder, "-o", os.devnull, "-e", f"inject={name}:signal=KILL:when={at}")
            assert "done" not in told
            check(folder, told)


# ── where the disk fails ──


def test_t7_an_error_of_the_disk_sends_nothing_that_is_not_recorded(tmp_path: Path) -> None:
    failed_in_calls(tmp_path, every=30)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_t7_an_error_of_the_disk_in_full(tmp_path: Path) -> None:
    failed_in_calls(tmp_path, every=4)


def failed_in_calls(tmp_path: Path, every: int) -> None:
    """Writes find no room, or syncs fail, once or from then on."""
    seen = calls(tmp_path / "whole")
    for name, error in (("pwrite64", "ENOSPC"), ("fdatasync", "EIO"), ("unlink", "EIO")):
        number = sum(f" {name}(" in call for call in seen)
        for at in range(1, number + 1, every):
            for more in ("", "+"):
                folder = tmp_path / f"{name}-{at}{more}"
                told = traced(folder, "-o", os.devnull, "-e", f"inject={name}:error={error}:when={at}{more}")
                failed = [line for line in told if line.startswith(("refused", "unrecorded"))]
                assert told[-1:] == ["done"] or not told, told
                assert failed or not more or told.count("begun") < ORDERS
                check(folder, told, disk_failed=True)
