from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors import Runtime
from actors.cli.systemd import Systemd, sentence
from actors.status import Cause, LineGlance, LineStatus
from actors.supervision.state import LineRecord
from tests.cli.statuses import line
from tests.commands import ENDING, PATIENCE, child
from tests.support.virtual_time import Clock

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no AF_UNIX")

LOST = Cause("retryable", "pong_timeout", "no pong for 5 s")


def glance(**lines: LineStatus) -> Callable[[], dict[str, LineGlance]]:
    return lambda: {name: LineGlance(line.state, line.reason) for name, line in lines.items()}


class Listener:
    """systemd's end of the socket: what it has heard, a list of lines a message."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(f"\0{name[1:]}" if name[0] == "@" else name)
        self._sock.setblocking(False)

    def heard(self) -> list[list[str]]:
        messages = []
        while True:
            try:
                messages.append(self._sock.recv(65_536).decode().split("\n"))
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "notify")
    if len(path) > 100:  # a socket's path is short
        pytest.skip(f"{path} is too long for a socket")
    it = Listener(path)
    yield it
    it.close()


@pytest.fixture
def systemd(listener: Listener, clock: Clock) -> Systemd:
    return Systemd({"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "30000000"}, clock)


def test_the_first_status_means_ready(systemd: Systemd, listener: Listener) -> None:
    assert listener.heard() == []
    systemd.tell(glance(o2=line("connecting")))
    assert listener.heard() == [["READY=1", "STATUS=0 of 1 line live; o2: connecting", "WATCHDOG=1"]]


def test_nothing_is_said_twice_and_a_line_that_flaps_not_too_often(
    systemd: Systemd, listener: Listener, clock: Clock
) -> None:
    systemd.tell(glance(o2=line()))
    listener.heard()
    systemd.tell(glance(o2=line()))
    systemd.tell(glance(o2=line("connecting")))
    assert listener.heard() == []
    clock.now += 1.0
    systemd.tell(glance(o2=line("backoff", reason=LOST, next_attempt_s=3.2)))
    systemd.tell(glance(o2=line("backoff", reason=LOST, next_attempt_s=2.9)))
    assert listener.heard() == [["STATUS=0 of 1 line live; o2: backoff (no pong for 5 s)"]]


def test_the_watchdog_hears_in_half_its_time_from_who_holds_a_status(
    systemd: Systemd, listener: Listener, clock: Clock
) -> None:
    beats = []
    for _ in range(240):  # a minute of statuses
        systemd.tell(glance(o2=line()))
        beats += [clock.now for message in listener.heard() if "WATCHDOG=1" in message]
        clock.now += 0.25
    assert beats == [1000.0, 1015.0, 1030.0, 1045.0]
    clock.now += 3600.0  # no status for an hour: no sign of life
    assert listener.heard() == []


@pytest.mark.parametrize(("other", "beats"), [(0, 1), (1, 0)])
def test_another_process_s_watchdog_is_not_fed(listener: Listener, other: int, beats: int) -> None:
    process = os.getpid() + other
    environ = {"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(process)}
    Systemd(environ).tell(glance(o2=line()))
    assert sum("WATCHDOG=1" in message for message in listener.heard()) == beats


@pytest.mark.parametrize("microseconds", ["", "0", "-5", "soon"])
def test_no_watchdog_no_beat(listener: Listener, microseconds: str) -> None:
    Systemd({"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": microseconds}).tell(glance(o2=line()))
    assert listener.heard() == [["READY=1", "STATUS=1 of 1 line live"]]


def test_a_reload_ends_with_ready_however_it_ends(systemd: Systemd, listener: Listener) -> None:
    systemd.tell(glance(o2=line()))
    listener.heard()
    with contextlib.suppress(ValueError), systemd.reloading():
        assert listener.heard() == [["RELOADING=1", "MONOTONIC_USEC=1000000000", "STATUS=reloading"]]
        raise ValueError("odd")
    assert listener.heard() == [["READY=1"]]
    systemd.tell(glance(o2=line()))
    assert listener.heard() == [["STATUS=1 of 1 line live"]]


def test_stopping(systemd: Systemd, listener: Listener) -> None:
    systemd.stopping()
    assert listener.heard() == [["STOPPING=1", "STATUS=stopping"]]


@pytest.mark.skipif(not os.path.exists("/proc/net/unix"), reason="abstract sockets are Linux's")  # noqa: PTH110
def test_an_abstract_address() -> None:
    listener = Listener(f"@linewarden/{os.getpid()}")
    Systemd({"NOTIFY_SOCKET": listener.name}).tell(glance(o2=line()))
    assert listener.heard() == [["READY=1", "STATUS=1 of 1 line live"]]
    listener.close()


@pytest.mark.parametrize("name", ["", "@", "relative", "vsock:2:1234"])
def test_elsewhere_nothing_happens(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("no socket is wanted here")

    monkeypatch.setattr(socket, "socket", refuse)
    it = Systemd({"NOTIFY_SOCKET": name} if name else {})
    it.tell(glance(o2=line()))
    with it.reloading():
        it.stopping()
    assert caplog.records == []


def test_a_deaf_systemd_is_logged_once_and_told_again(
    listener: Listener, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": f"{listener.name}-later"}, clock)
    systemd.tell(glance(o2=line()))
    systemd.tell(glance(o2=line()))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("cannot notify systemd of READY=1: ")
    later = Listener(f"{listener.name}-later")
    systemd.tell(glance(o2=line()))
    assert later.heard() == [["READY=1", "STATUS=1 of 1 line live"]]
    later.close()


def test_a_full_socket_does_not_hold_the_loop(
    systemd: Systemd, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("actors.cli.systemd.PATIENCE", 0.001)
    for number in range(10_000):  # nobody reads
        clock.now += 1.0
        systemd.tell(glance(o2=line("failed", reason=_cause(number))))
        if caplog.records:
            return
    raise AssertionError("ten thousand messages fit into a socket")


def _cause(number: int) -> Cause:
    return Cause("fatal", "http_401", f"401 {number}")


def test_the_sentence_names_a_few_and_counts_the_rest() -> None:
    down = {f"l{number}": line("backoff", reason=LOST) for number in range(5)}
    told = sentence(glance(good=line(), **down)())
    assert told.startswith("1 of 6 lines live; l0: backoff (no pong for 5 s); ")
    assert told.endswith("; l2: backoff (no pong for 5 s); and 2 more")
    assert sentence(glance()()) == "0 of 0 lines live"
    assert sentence(glance(o2=line("paused", reason=LOST))()) == "0 of 1 line live; o2: paused"


def test_a_venue_s_words_are_no_message_of_ours(systemd: Systemd, listener: Listener) -> None:
    words = Cause("retryable", "lost", "bye\nSTOPPING=1\r\nMAINPID=1" + "x" * 9_000)
    systemd.tell(glance(o2=line("backoff", reason=words)))
    ((ready, said, beat),) = listener.heard()
    assert (ready, beat) == ("READY=1", "WATCHDOG=1")
    assert said.startswith("STATUS=0 of 1 line live; o2: backoff (bye\\nSTOPPING=1\\r\\nMAINPID=1xxx")
    assert len(said) < 300


def test_a_real_runtime_s_status(runtime: Runtime, systemd: Systemd, listener: Listener) -> None:
    systemd.tell(runtime._status.glance)
    assert listener.heard() == [["READY=1", "STATUS=1 of 1 line live", "WATCHDOG=1"]]


def test_a_supervisor_that_hangs_gives_no_sign_of_life(
    runtime: Runtime, systemd: Systemd, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop as `run` has it: a status, then a word to systemd. The status needs no supervisor."""
    hangs, go_on = threading.Event(), threading.Event()

    def hang(target: str) -> list[LineRecord]:
        hangs.set()
        assert go_on.wait(30)
        return []

    monkeypatch.setattr(runtime._tree._supervisor, "_targets", hang)
    answer = runtime.supervisor.restart("o2")
    assert hangs.wait(10)
    runtime._tree.moves()  # the last letter before this one was dealt with
    systemd.tell(runtime._status.glance, alive=runtime._tree.moves())
    assert listener.heard() == [["READY=1", "STATUS=1 of 1 line live"]]
    go_on.set()
    assert answer.get(timeout=10) == "accepted"
    systemd.tell(runtime._status.glance, alive=runtime._tree.moves())
    assert listener.heard() == [["WATCHDOG=1"]]


def test_run_says_ready_and_stopping(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", listener.name)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    config = tmp_path / "desk.toml"
    config.write_text('[feeds.o2]\nvenue = "o2"\nurl = "sim://o2"\n')
    with child("run", config) as it:
        assert it.stderr is not None
        it.stderr.readline()  # it runs
        heard: list[list[str]] = []
        deadline = time.monotonic() + PATIENCE
        while sum("WATCHDOG=1" in words for words in heard) < 3 and time.monotonic() < deadline:
            heard += listener.heard()
            time.sleep(0.01)
        it.send_signal(signal.SIGTERM)
        it.communicate(timeout=ENDING)
    assert it.returncode == 0
    heard += listener.heard()
    assert "READY=1" in heard[0]
    assert sum("WATCHDOG=1" in words for words in heard) >= 3
    assert heard[-1] == ["STOPPING=1", "STATUS=stopping"]
