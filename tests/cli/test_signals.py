from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import actors
from actors.simulators import SimulatedO2
from tests.cli.running import Running, feed, running
from tests.commands import DEMO, ENDING, PATIENCE, child, on_a_terminal, posix

LINES = (
    *("o2", "alpaca", "crypto", "tplus/depth-200", "tplus/trades", "tplus/user-trades"),
    *("projectx/user", "projectx/market"),
)


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [(), ("--show-events",)], ids=["service", "events"])
def test_it_ends_when_told(number: signal.Signals, options: tuple[str, ...]) -> None:
    with child("run", DEMO, "--no-service", "--log-format", "json", *options) as it:
        assert it.stderr is not None
        live: set[str] = set()
        while len(live) < (len(LINES) if options else 1):  # it is judged by all its lines
            heard = json.loads(it.stderr.readline())
            if heard["line"] not in live:
                assert (heard["epoch"], heard["message"]) == (1, f"{heard['line']}: live")
                live.add(heard["line"])
        it.send_signal(number)
        out, _ = it.communicate(timeout=ENDING)
    assert it.returncode == 0
    assert "demo ran for " in out
    assert out.endswith("Every loss was restored.\n") == bool(options)


@posix
def test_it_ends_when_told_though_nothing_reads_what_it_writes(tmp_path: Path) -> None:
    """Stdout and stderr are one pipe, and the pipe is full: `linewarden run 2>&1 | less`, say."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 512)
    os.set_blocking(theirs, True)
    with SimulatedO2(rate=0) as venue:
        config = tmp_path / "desk.toml"
        config.write_text(f'[feeds.o2]\nvenue = "o2"\nurl = "{venue.url}"\nrestart = {{ initial = 0.05 }}\n')
        command = [sys.executable, "-m", "actors", "run", str(config), "--no-service"]
        with subprocess.Popen(command, stdout=theirs, stderr=theirs) as it:
            venue.wait_for(lambda: venue.connections == 1, 30.0)
            venue.drop()
            venue.wait_for(lambda: venue.connections == 1 and venue.lives == 2, 30.0)
            it.send_signal(signal.SIGTERM)
            assert it.wait(timeout=ENDING) == 0
        venue.wait_for(lambda: venue.connections == 0)
    os.close(ours)
    os.close(theirs)


@posix
@pytest.mark.parametrize("module", ["msgspec", "rich", "typer"])
def test_ctrl_c_amid_the_imports_ends_it_quietly(module: str, tmp_path: Path) -> None:
    """A module of this name comes first in the path: it reports that it is imported, and waits."""
    pipe = tmp_path / "imported"
    os.mkfifo(pipe)
    waits = f"open({str(pipe)!r}, 'w').close()\nimport signal\nwhile True: signal.pause()\n"
    (tmp_path / f"{module}.py").write_text(waits)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with child("run", DEMO, environ={"PYTHONPATH": path}) as it:
        pipe.read_text()  # waits for the import
        it.send_signal(signal.SIGINT)
        assert it.communicate(timeout=ENDING) == ("", "")
    assert it.returncode == 130


def test_little_is_imported_before_ctrl_c_is_handled() -> None:
    """`-S`: without what the environment imports at each start."""
    path = str(Path(actors.__file__).parent.parent)
    code = f"import sys; sys.path.append({path!r}); import actors.__main__; print('typing' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert told.stdout == "False\n"


@posix
@pytest.mark.parametrize("command", ["run", "check"])
def test_ctrl_c_amid_the_config_ends_it_quietly(command: str, tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    os.mkfifo(config)
    with child(command, config) as it, config.open("w"):  # opened, when the process reads it
        it.send_signal(signal.SIGINT)
        assert it.communicate(timeout=ENDING) == ("", "")
    assert it.returncode == 130


@posix
def test_sighup_is_a_reload(live_run: Running, o2_config: Path, o2: SimulatedO2) -> None:
    o2_config.write_text(o2_config.read_text() + feed("other", o2.url))
    live_run.process.send_signal(signal.SIGHUP)
    live_run.logged("Reloaded: feed other is added")
    assert live_run.until(lambda lines: "other" in lines)["o2"]["epoch"] == 1
    o2_config.write_text("[runtme]\n")
    live_run.process.send_signal(signal.SIGHUP)
    live_run.logged("did you mean 'runtime'?")
    live_run.logged("was not applied: nothing has changed.")
    assert list(live_run.lines()) == ["o2", "other"]
    assert live_run.end()[0] == 0


@posix
def test_on_a_terminal_too_as_long_as_that_is_there(o2_config: Path, o2: SimulatedO2) -> None:
    with on_a_terminal("run", o2_config) as (it, screen):
        screen.seen("Answers at ")
        it.send_signal(signal.SIGHUP)
        screen.seen("Reloaded: ")
        it.send_signal(signal.SIGTERM)
        assert it.wait(PATIENCE) == 0


@posix
def test_a_terminal_that_is_gone_takes_the_process_along(o2_config: Path, o2: SimulatedO2) -> None:
    import pty

    ours, theirs = pty.openpty()
    with running(o2_config, stdin=theirs, stdout=subprocess.DEVNULL) as it:
        os.close(theirs)
        os.close(ours)
        it.process.send_signal(signal.SIGHUP)
        assert it.process.wait(PATIENCE) == -signal.SIGHUP
        assert "Reloaded" not in "".join(it.log)
