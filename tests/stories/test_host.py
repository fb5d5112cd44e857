"""The host fails: the process is stopped, the clock jumps, names, descriptors, threads and disk run out."""

from __future__ import annotations

import os
import signal
import socket
import textwrap
import threading
import time
from typing import Any

import pytest

from actors import Gap
from actors.simulators import SimulatedO2
from actors.timers import SystemClock
from tests.commands import PATIENCE
from tests.conftest import Baseline
from tests.support.counters import settle
from tests.support.host import program, ran
from tests.support.runtimes import at_epoch, line_of, runtime_on, until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals, limits and forks are of another kind there")

HOUR_NS = 3_600 * 10**9


# ── stopped and let go on ───────────────────────────────────────────────────────────────────────


def test_a_process_that_was_stopped_longer_than_its_beat_goes_on(o2: SimulatedO2, market: str) -> None:
    """Its venue has not been waiting: the line ends there. No event is lost without a gap."""
    with program(
        """
        print("live", flush=True)
        sys.stdin.readline()  # it is stopped meanwhile
        runtime.wait_live(timeout=20)
        hears(2)
        status = until(runtime, lambda status: all(each.state != "wedged" for each in status.actors))
        print(status.lines()["o2"].state, [gap.reason for gap in trades.gaps] in ([], ["disconnect"]))
        runtime.stop()
        """,
        heartbeat={"ping_interval": 0.2, "pong_timeout": 0.2},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "live\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        time.sleep(1.5)  # time itself is the fault: several beats and deadlines go by
        process.send_signal(signal.SIGCONT)
        told, errors = process.communicate("go on\n", timeout=PATIENCE)
    assert (process.returncode, told, errors) == (0, "live True\n", "")


# ── the wall clock ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS], ids=["an hour on", "an hour back"])
def test_a_wall_clock_that_jumps_moves_no_decision(
    jump_ns: int, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runtime_on(o2, heartbeat={"ping_interval": 0.1, "pong_timeout": 0.5}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        monkeypatch.setattr(SystemClock, "wall_ns", lambda _: time.time_ns() + jump_ns)
        pings = o2.pings
        o2.wait_for(lambda: o2.pings > pings + 5)
        line = line_of(runtime)
        assert (line.state, line.epoch, line.health.inputs.missed_pongs) == ("live", 1, 0)
        assert 0.0 <= (line.live_for_s or 0.0) < 60.0

        o2.drop()
        until(runtime, at_epoch(2))
        runtime.wait_live(timeout=10)
        o2.trade(market, trade_id="1")
        assert trades.get(timeout=5).trade_id == "1"
        (gap,) = trades.gaps
        assert isinstance(gap, Gap)
        assert gap.since_ns <= gap.until_ns < gap.since_ns + 10 * HOUR_NS
        ending = line_of(runtime).journal[-1]
        assert all(0.0 <= seconds < 60.0 for seconds in _times(ending))
        settle(runtime)


def _times(ending: Any) -> list[float]:
    return [value for name in ending.__struct_fields__ if isinstance(value := getattr(ending, name), float)]


# ── names ───────────────────────────────────────────────────────────────────────────────────────


def test_a_name_service_that_fails_is_asked_until_it_answers(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch, baseline: Baseline
) -> None:
    known = socket.getaddrinfo
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)

        def nobody(*_: Any, **__: Any) -> Any:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setattr(socket, "getaddrinfo", nobody)
        o2.drop()
        until(runtime, at_epoch(4))  # lives that never reached the venue only back off
        reason = line_of(runtime).reason
        assert reason is not None
        assert (reason.kind, reason.code) == ("retryable", "dns")
        monkeypatch.setattr(socket, "getaddrinfo", known)
        runtime.wait_live(timeout=10)
        o2.trade(market, trade_id="1")
        assert trades.get(timeout=5).trade_id == "1"
        assert [gap.reason for gap in trades.gaps] == ["disconnect"]
    baseline.check()


# ── what a process may have ─────────────────────────────────────────────────────────────────────


def test_no_descriptor_left_is_a_backoff_and_no_end() -> None:
    told = ran(
        """
        import resource
        logging.disable(logging.CRITICAL)  # what it says of it is another story
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
        runtime.supervisor.pause("o2").get(timeout=20)  # it gives back what it has before we take it
        until(runtime, lambda status: "connection/o2" not in [each.id for each in status.actors])
        o2.wait_for(lambda: o2.connections == 0)
        held = []
        try:
            while True:
                held.append(os.dup(0))
        except OSError:
            pass
        runtime.supervisor.resume("o2").get(timeout=20)

        def short(line):
            return line.reason is not None and line.reason.code in ("descriptors", "resources")

        status = until(runtime, lambda status: short(status.lines()["o2"]))
        print(status.lines()["o2"].state in {"backoff", "connecting"}, runtime.status().name)
        for each in held:
            os.close(each)
        runtime.wait_live(timeout=20)
        hears(2)
        print([gap.reason for gap in trades.gaps], runtime.stop())
        """
    )
    assert told == "True linewarden\n['disconnect'] ()\n"


def test_no_thread_left_is_a_backoff_and_no_end() -> None:
    told = ran(
        """
        logging.disable(logging.CRITICAL)
        start = threading.Thread.start

        def refuse(thread):
            raise RuntimeError("can't start new thread")

        threading.Thread.start = refuse
        o2.drop()
        status = until(runtime, lambda status: status.lines()["o2"].epoch >= 4)
        print(status.lines()["o2"].reason.code, status.lines()["o2"].reason.kind)
        threading.Thread.start = start
        runtime.wait_live(timeout=20)
        hears(2)
        print([gap.reason for gap in trades.gaps], runtime.stop())
        """
    )
    assert told == "resources retryable\n['disconnect'] ()\n"


def test_no_thread_left_for_a_new_dispatcher_is_waited_out_and_its_mail_is_kept() -> None:
    told = ran(
        """
        logging.disable(logging.CRITICAL)
        start, asked = threading.Thread.start, threading.Event()

        def refuse(thread):
            asked.set()
            raise RuntimeError("can't start new thread")

        threading.Thread.start = refuse
        kill(Dispatcher)
        print(asked.wait(20))
        until(runtime, lambda status: "restarting" in [each.state for each in status.actors])
        o2.trade(market, trade_id="2")
        threading.Thread.start = start
        print(trades.get(timeout=20).trade_id, runtime.status().lines()["o2"].epoch, runtime.stop())
        """
    )
    assert told == "True\n2 1 ()\n"


def test_a_handler_for_which_there_is_no_thread_is_refused_and_leaves_nothing(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with runtime_on(o2) as runtime:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="start new thread"):
                runtime.on("o2", "trades", market, handler=print)
        until(runtime, lambda status: status.streams == ())
        assert runtime.stop() == ()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is always full is Linux's")  # noqa: PTH110
def test_a_full_disk_under_the_log_ends_nothing() -> None:
    told = ran(
        """
        logging.raiseExceptions = False  # logging itself would write of it to stderr
        logging.basicConfig(filename="/dev/full", level=logging.DEBUG)
        for number in range(2, 5):
            o2.drop()
            until(runtime, lambda status: status.lines()["o2"].epoch >= number)
            runtime.wait_live(timeout=20)
            hears(number)
        print(len(trades.gaps), runtime.stop())
        handler = logging.getLogger().handlers[0]
        os.dup2(os.open(os.devnull, os.O_WRONLY), handler.stream.fileno())  # so that it can be closed
        """
    )
    assert told == "3 ()\n"


# ── forks and ends ──────────────────────────────────────────────────────────────────────────────


def test_a_fork_leaves_the_parents_line_alone() -> None:
    """The child is told what to do, stops nothing by ending, and its copy of the socket sends no end."""
    told = ran(
        """
        child = os.fork()
        if not child:
            try:
                runtime.wait_live(timeout=1)
            except actors.ForkError as error:
                print("fork:", "actors.start() after the fork" in str(error), flush=True)
            for call in (runtime.stop, trades.close):
                try:
                    call()
                except actors.ForkError:
                    continue
                os._exit(1)
            with runtime, trades:
                del runtime, trades
                sys.exit(0)  # it just ends: nothing is closed, stopped or waited for
        assert os.waitpid(child, 0)[1] == 0
        hears(2)
        print(runtime.status().lines()["o2"].epoch, trades.gap_count)
        """
    )
    assert told == "fork: True\n1 0\n"


ENDS = {
    "while it is connecting": "o2.drop()",
    "with a handler that never returns": """
        called = threading.Event()

        def hang(trade):
            called.set()
            threading.Event().wait()

        runtime.on("o2", "trades", market, handler=hang, wait=10.0)
        o2.trade(market)
        called.wait(10)
    """,
    "with a thread that reads": "threading.Thread(target=lambda: list(trades), daemon=True).start()",
    "with a book": "runtime.book('o2', market, wait=10.0)",
}


@pytest.mark.parametrize("way", ENDS)
def test_a_program_that_just_ends_ends_well_and_soon(way: str) -> None:
    with program(textwrap.dedent(ENDS[way]) + "\nprint('over', flush=True)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "over\n"
        begun = time.monotonic()
        told, errors = process.communicate(timeout=PATIENCE)
        assert time.monotonic() - begun < 5 * 2.0  # its own end, and one second for the lines
    assert (process.returncode, told, errors) == (0, "", "")


def test_a_program_that_ends_by_an_error_shows_its_own_and_no_other() -> None:
    with program("raise SystemError('mine')") as process:
        told, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told) == (1, "")
    assert errors.count("Traceback") == 1
    assert errors.endswith("SystemError: mine\n")
