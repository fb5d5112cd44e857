"""T3: after the deadline of an order no byte of it leaves, and what had left is reset and not delivered."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from actors.http_types import HttpFailed, HttpRequest
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from actors.wire.connect import Dial
from actors.wire.kept_connections import KeptConnections
from actors.wire.send_right import SendRight
from tests.commands import PATIENCE, posix
from tests.trading.killed_trader import FIRST_ACCOUNT
from tests.trading.stopped_trader import TAG
from tests.wire.proxies import Loopback, read_head

LARGE = b"x" * 50_000_000
DEADLINE = 0.5  # seconds


class Deaf(Loopback):
    """A peer that reads only once it is told to; it notes what comes, and how it ends."""

    def __init__(self, *, reads_head: bool = False) -> None:
        super().__init__(self._serve)
        self.reads_head = reads_head
        self.may_read, self.ended = threading.Event(), threading.Event()
        self.count, self.is_reset = 0, False

    def _serve(self, sock: socket.socket) -> None:
        if self.reads_head:
            read_head(sock)
        self.may_read.wait(10.0)
        try:
            while data := sock.recv(1_000_000):
                self.count += len(data)
        except ConnectionResetError:
            self.is_reset = True
        self.ended.set()


@pytest.mark.parametrize("reads_head", [False, True])
def test_t3_of_a_request_that_the_peer_does_not_read_nothing_is_delivered_after_the_deadline(
    reads_head: bool,
) -> None:
    """Megabytes of it lie in the buffers of the system when the deadline passes."""
    connections = KeptConnections()
    until = time.monotonic() + DEADLINE
    right = SendRight(lambda: until - time.monotonic())
    with Deaf(reads_head=reads_head) as peer:
        request = HttpRequest("POST", f"http://127.0.0.1:{peer.port}/order", (), LARGE, DEADLINE)
        answer = connections.fetch(request, Dial(), right=right)
        over = time.monotonic()
        peer.may_read.set()
        assert peer.ended.wait(10.0)
        assert isinstance(answer, HttpFailed)
        assert right.used
        assert DEADLINE <= over - (until - DEADLINE) < 5 * DEADLINE
        assert peer.is_reset
        assert peer.count < len(LARGE) / 2
    connections.close()


def test_t3_a_clock_that_jumps_ahead_while_the_request_is_written_ends_it() -> None:
    """The machine was suspended: the boot-time clock went on, and the timeouts of sockets did not."""
    connections = KeptConnections()
    jumped = threading.Event()
    right = SendRight(lambda: -1.0 if jumped.is_set() else 60.0)
    with Deaf() as peer:
        request = HttpRequest("POST", f"http://127.0.0.1:{peer.port}/order", (), LARGE, 10.0)
        told: list[object] = []
        asking = threading.Thread(target=lambda: told.append(connections.fetch(request, Dial(), right=right)))
        asking.start()
        while not right.used:
            time.sleep(0.01)
        time.sleep(0.1)  # the buffers are full
        jumped.set()
        peer.may_read.set()  # there is room again
        asking.join(10.0)
        assert peer.ended.wait(10.0)
        assert isinstance(told[0], HttpFailed)
        assert peer.is_reset
        assert peer.count < len(LARGE)
    connections.close()


@posix
def test_t3_a_process_that_stands_still_within_an_order_does_not_send_the_rest_of_it(tmp_path: Path) -> None:
    OrderStore.create(tmp_path / "orders").close()
    with SimulatedProjectX(rate=0, accounts=[FIRST_ACCOUNT]) as venue:
        command = [sys.executable, "-m", "tests.trading.stopped_trader", venue.url, str(tmp_path / "orders")]
        with subprocess.Popen([*command, str(DEADLINE)], stdout=subprocess.PIPE, text=True) as program:
            _, status = os.waitpid(program.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), status
            time.sleep(1.5 * DEADLINE)
            os.kill(program.pid, signal.SIGCONT)
            told, _ = program.communicate(timeout=PATIENCE)
        assert told.split() == ["Unknown"]
        assert venue.seen.asked(TAG) == 0
        assert venue.seen.orders(TAG) == 0


@pytest.mark.parametrize("late", [0.1, 0.3])
def test_t3_an_order_that_a_slow_network_delivers_in_time_and_the_venue_takes_late_is_unknown(
    tmp_path: Path, late: float
) -> None:
    """What has left whole may be taken after the deadline: that is what Unknown means."""
    from tests.stories.test_order_hardships import desk_at

    with (
        SimulatedProjectX(rate=0, accounts=[FIRST_ACCOUNT]) as venue,
        desk_at(tmp_path, venue.url) as (_, px),
    ):
        venue.request_late(DEADLINE + late, page="Order/place")
        handle = px.place(FIRST_ACCOUNT, "CON.F.US.EP.Z26", "buy", 1, deadline=DEADLINE)
        assert type(handle.get(5.0)).__name__ == "Unknown"
        while not venue.seen.orders(handle.tag):
            time.sleep(0.02)
        assert type(px.settle(handle.tag).get(5.0)).__name__ == "Accepted"
        assert venue.seen.asked(handle.tag) == 1
