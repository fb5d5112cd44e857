"""`linewarden status --watch` on a real terminal, and where there can be no full-screen view."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec import Struct

from actors import Runtime
from actors.cli.service_client import CommandClient
from actors.cli.watch import start
from actors.cli.watch.app import WatchApp
from actors.cli.watch.listing import Wanted
from actors.cli.watch.terminal import GONE
from actors.secret import Secret
from actors.service import Service
from actors.settings.schema import ServiceSettings, ServiceTokens
from actors.status import Status
from tests.cli.watch.viewed import Desk
from tests.commands import NOT_OURS, PATIENCE, Screen, posix

RESTORED = "\x1b[?1049l"  # back from the terminal's other screen
CURSOR = "\x1b[?25h"
HERE, LOOK = ServiceSettings(), "look" * 8
PORT = ServiceSettings(socket="none", listen="127.0.0.1:0", tokens=ServiceTokens(look=Secret(LOOK)))


class Terminal(Struct):
    """The view on a terminal of its own; it has been drawn once."""

    process: subprocess.Popen[bytes]
    screen: Screen
    ours: int
    theirs: int

    def modes(self) -> list[Any]:
        import termios

        return termios.tcgetattr(self.theirs)

    def close(self) -> None:
        for each in (self.theirs, self.ours):
            with contextlib.suppress(OSError):
                os.close(each)


# In the child: the terminal is that of its session, so it is told when the terminal is closed.
CONTROLLED = "import fcntl, os, signal, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
NOHUP = CONTROLLED + "signal.signal(signal.SIGHUP, signal.SIG_IGN); "
GOES_ON = "os.execv(sys.executable, [sys.executable, '-m', 'actors', *sys.argv[1:]])"


@contextmanager
def viewing(
    runtime: Runtime, prepare: str = "", *, settings: ServiceSettings = HERE, token: str = ""
) -> Iterator[tuple[Terminal, list[Any]]]:
    """The terminal, and its modes before. `prepare`: Python that the child runs first."""
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    before = termios.tcgetattr(theirs)
    command = ["-c", prepare + GOES_ON] if prepare else ["-m", "actors"]
    environ = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    with Service(runtime, settings) as service:
        it = subprocess.Popen(
            [sys.executable, *command, "status", "--watch", "--url", service.url],
            env=environ | {"TERM": "xterm-256color", "LINEWARDEN_TOKEN": token},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        terminal = Terminal(it, Screen(ours), ours, theirs)
        try:
            terminal.screen.seen("sort: trouble")
            yield terminal, before
        finally:
            it.kill()  # does nothing to one that has ended
            it.wait()
            terminal.close()


def ends_restored(terminal: Terminal, before: list[Any], code: int) -> None:
    terminal.screen.seen(RESTORED)
    terminal.screen.seen(CURSOR)
    assert terminal.process.wait(PATIENCE) == code
    assert terminal.modes() == before


@posix
def test_q_leaves_the_view_with_the_terminal_restored(runtime: Runtime) -> None:
    with viewing(runtime) as (terminal, before):
        assert terminal.modes() != before
        os.write(terminal.ours, b"q")
        ends_restored(terminal, before, 0)
        assert "Traceback" not in terminal.screen.text


@posix
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, -15), pytest.param("SIGHUP", -1, marks=pytest.mark.long)]
)
def test_a_signal_ends_the_view_with_the_terminal_restored(
    number: signal.Signals | str, code: int, runtime: Runtime
) -> None:
    with viewing(runtime) as (terminal, before):
        terminal.process.send_signal(signal.Signals[number] if isinstance(number, str) else number)
        ends_restored(terminal, before, code)


@posix
@pytest.mark.long
@pytest.mark.parametrize("how", ["key", "signal"])
def test_ctrl_c_leaves_the_view_as_q_does(how: str, runtime: Runtime) -> None:
    with viewing(runtime) as (terminal, before):
        if how == "key":
            os.write(terminal.ours, b"\x03")
        else:
            terminal.process.send_signal(signal.SIGINT)
        ends_restored(terminal, before, 0)


@posix
@pytest.mark.long
@pytest.mark.parametrize(("prepare", "code"), [(CONTROLLED, -1), (NOHUP, GONE)], ids=["told", "nohup"])
def test_a_terminal_that_is_closed_ends_the_view(prepare: str, code: int, runtime: Runtime) -> None:
    with viewing(runtime, prepare) as (terminal, _):
        terminal.close()
        assert terminal.process.wait(PATIENCE) == code


@posix
@pytest.mark.long
def test_a_user_without_the_right_to_act_is_offered_no_command(runtime: Runtime) -> None:

    with viewing(runtime, settings=PORT, token=LOOK) as (
        terminal,
        _,
    ):
        terminal.screen.seen("not without the right act")
        os.write(terminal.ours, b"r")
        terminal.screen.seen("needs the right act")


# ── where there is no such view ─────────────────────────────────────────────────────────────────


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The statuses that were shown as plain text, on what seems to be a full terminal."""
    shown: list[object] = []
    monkeypatch.setattr(start, "can_be_filled", lambda _: True)
    monkeypatch.setattr(start, "plain", lambda _service, _view, look: shown.append(look.status))
    return shown


class AtTheDesk(CommandClient):
    """A service that a test makes up, as the commands ask it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("http://127.0.0.1:1")
        self._desk = desk

    def status(self) -> Status:
        return self._desk.ask()


def test_without_textual_the_command_says_how_to_install_it_and_goes_on(
    texts: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "actors.cli.watch.app", raising=False)
    monkeypatch.setitem(sys.modules, "textual", None)
    desk = Desk()
    start.watch(AtTheDesk(desk), Wanted(), fresh=False)
    assert texts == [desk.shown]
    assert "pip install 'linewarden[watch]'" in capsys.readouterr().err


def test_a_view_that_fails_is_told_and_plain_text_goes_on(
    texts: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(app: WatchApp, **_: object) -> None:
        app.exit(return_code=1)

    monkeypatch.setattr(WatchApp, "run_async", fails)
    desk = Desk()
    start.watch(AtTheDesk(desk), Wanted(), fresh=False)
    assert texts == [desk.shown]
    assert "The full-screen view has ended with the error above." in capsys.readouterr().err
