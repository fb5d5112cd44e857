"""The dead man's switch between processes: a bot that is killed, that hangs, that ends; a service that was
stopped. Real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from tests.cli.running import Running, running
from tests.commands import PATIENCE, asked, posix
from tests.trading import halts

pytestmark = [posix, pytest.mark.long]

AFTER = 2.0  # seconds: the shortest switch
venue = halts.venue
BOT = """
import sys
from actors import Beats

beats = Beats(sys.argv[1], "projectx", by=sys.argv[2])
while True:
    beats.beat()
    print("beat", flush=True)
    if sys.stdin.readline() == "end\\n":
        beats.end()
        break
"""


@pytest.fixture
def file(tmp_path: Path, venue: SimulatedProjectX) -> Path:
    OrderStore.create(tmp_path / "orders").close()
    file = tmp_path / "desk.toml"
    file.write_text(
        f'[trading]\ndir = "{tmp_path / "orders"}"\n'
        f'[feeds.projectx]\nvenue = "projectx"\nurl = "{venue.url}"\nuser_name = "me"\n'
        'api_key = "a-key-of-the-gateway"\ntrading = true\n'
        "limits = { max_size = 10, orders_per_minute = 1000 }\n"
        f"dead_mans_switch = {{ after = {AFTER} }}\n"
    )
    return file


class Bot:
    """A program in a process of its own, which beats when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def say(self, word: str = "beat") -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        self.process.stdout.readline()


@contextmanager
def bot(service: Running, name: str = "bot") -> Iterator[Bot]:
    command = [sys.executable, "-c", BOT, service.url, name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout.readline() == "beat\n"
            service.logged(f"the dead man's switch of '{name}' is armed")
            yield Bot(process)
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def standing(service: Running) -> list[dict[str, str]]:
    found: list[dict[str, str]] = service.status()["halts"]
    return found


def beat_for(each: Bot, seconds: float) -> None:
    """In real time: the switch of another process cannot be given another clock."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        each.say()
        time.sleep(0.2)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_t9_a_bot_that_is_killed_or_hangs_halts_its_feed(file: Path, end: signal.Signals) -> None:
    with running(file) as service, bot(service) as program:
        beat_for(program, 2 * AFTER)
        assert standing(service) == []
        program.process.send_signal(end)
        service.logged("dead man's switch: no beat of 'bot' for ")
        service.logged("is halted: dead man's switch")
        (halt,) = standing(service)
        assert halt["by"] == "dead man's switch of projectx"
        shown = service.ask("status")
        assert "\n! HALTED: " in shown.stdout
        ended = asked("unhalt", halt["id"], "-c", file)
        assert ended.returncode == 0, ended
        service.logged(f"is halted no longer by halt {halt['id']}")
        assert standing(service) == []


def test_t9_a_bot_that_ends_in_good_order_halts_nothing(file: Path) -> None:
    with running(file) as service, bot(service) as program, bot(service, "killed later") as other:
        program.say("end")
        program.process.wait(PATIENCE)
        service.logged("the dead man's switch of 'bot' is disarmed")
        other.say()
        other.process.kill()  # its switch would fire after that of the first one
        service.logged("dead man's switch: no beat of 'killed later' for ")
        service.logged("is halted: dead man's switch")
        (halt,) = standing(service)
        assert "'killed later'" in halt["reason"]


def test_t9_a_service_that_was_stopped_reads_the_beats_that_wait_before_it_judges(file: Path) -> None:
    with running(file) as service, bot(service) as program:
        service.process.send_signal(signal.SIGSTOP)
        beat_for(program, 2 * AFTER)
        service.process.send_signal(signal.SIGCONT)
        beat_for(program, 2 * AFTER)
        assert standing(service) == []


def test_t9_a_service_that_is_killed_watches_on_after_its_restart(file: Path) -> None:
    with running(file) as service, bot(service) as program:
        program.process.kill()
        os.kill(service.process.pid, signal.SIGKILL)
    with running(file) as service:
        service.logged("; armed: bot")
        service.logged("is halted: dead man's switch")
        assert len(standing(service)) == 1


def test_t8_cancels_need_no_service_and_one_that_hangs_shows_the_halt_when_it_goes_on(file: Path) -> None:
    with running(file) as service:
        service.process.send_signal(signal.SIGSTOP)
        told = asked("halt", "projectx", "-c", file, "--cancel", "--reason", "it hangs")
        service.process.send_signal(signal.SIGCONT)
        assert told.returncode == 0, told
        service.logged("is halted: it hangs")
        assert json.loads(json.dumps(standing(service)))[0]["reason"] == "it hangs"
