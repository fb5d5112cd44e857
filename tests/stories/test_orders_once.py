"""No order is sent twice: whatever byte the network cuts at, and wherever the requester dies or hangs."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import Accepted, Refused, Runtime, Unknown, gather
from actors.protocol.trading import OrderOutcome
from tests.stories.test_killed_actors import incarnation
from tests.support.internals import Internals
from tests.support.runtimes import until
from tests.trading.shop import Shop, ShopRequests, asking, without_meter
from tests.wire.proxies import Loopback, connected

RESET = struct.pack("ii", 1, 0)
REQUESTER = "requester"


class Cutter(Loopback):
    """Stands before a server, and resets both ends of a connection after so many bytes of a way."""

    def __init__(self, to: int) -> None:
        super().__init__(self._relay)
        self._to = to
        self.left: dict[str, float] = {}
        self.passed = {"up": 0, "down": 0}
        self.heal()

    def heal(self) -> None:
        self.left = {"up": float("inf"), "down": float("inf")}

    def cut_after(self, way: str, count: int) -> None:
        self.heal()
        self.left[way] = count

    def _relay(self, client: socket.socket) -> None:
        with connected(self._to) as server:
            back = threading.Thread(target=self._carry, args=("down", server, client), daemon=True)
            back.start()
            self._carry("up", client, server)
            back.join()

    def _carry(self, way: str, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                piece = data[: int(min(len(data), self.left[way]))]
                self.left[way] -= len(piece)
                self.passed[way] += len(piece)
                sink.sendall(piece)
                if not self.left[way]:
                    break
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        yield shop


def check(outcome: OrderOutcome, shop: Shop) -> None:
    """What a program is told agrees with what the venue counts."""
    count = shop.count(outcome.tag)
    match outcome:
        case Accepted():
            assert count == 1
        case Refused():
            assert count == 0
        case Unknown():
            assert count <= 1


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("most", [20, pytest.param(100_000, marks=pytest.mark.long)], ids=["some", "all"])
def test_an_exchange_that_is_cut_at_any_byte_is_sent_once_at_most(
    tmp_path: Path, shop: Shop, way: str, most: int
) -> None:
    with Cutter(shop.port) as cutter, asking(tmp_path, shop, url=f"ws://127.0.0.1:{cutter.port}") as (_, px):
        px.page("first").get()
        before = cutter.passed[way]
        assert isinstance(px.cancel().get(5.0), Accepted)
        size = cutter.passed[way] - before
        without_meter(px)
        seen = set()
        chosen = random.Random(17).sample(range(1, size), min(most, size - 1))
        for count in (*chosen, size):
            cutter.cut_after(way, count)
            outcome = px.cancel(deadline=5.0).get(10.0)
            check(outcome, shop)
            assert shop.count(outcome.tag) == (way == "down" or count == size), count
            seen.add(type(outcome))
        assert Unknown in seen
        assert Refused not in seen  # its first byte had left


def requester_is_back(runtime: Runtime, before: int) -> None:
    until(runtime, lambda status: incarnation(status, REQUESTER) > before)


@pytest.fixture
def desk(tmp_path: Path, shop: Shop) -> Iterator[tuple[Runtime, ShopRequests]]:
    limits = {"orders_per_minute": 100_000}
    with (
        Internals.at_work(),
        asking(tmp_path, shop, runtime={"watchdog_timeout": 0.2}, limits=limits) as (runtime, px),
    ):
        px.page("first").get()
        without_meter(px)
        yield runtime, px


@pytest.mark.parametrize("calls", range(12))
def test_a_requester_that_dies_at_any_step_sends_nothing_twice_and_leaves_no_handle_open(
    desk: tuple[Runtime, ShopRequests], shop: Shop, calls: int
) -> None:
    _, px = desk
    first = px.place(deadline=2.0)
    Internals().kill(REQUESTER, calls=calls)
    handles = [
        first,
        *(px.place(deadline=2.0) for _ in range(6)),
        *(px.cancel(deadline=2.0) for _ in range(3)),
    ]
    reads = [px.page(str(number), timeout=5.0) for number in range(10)]
    for outcome in gather(handles, timeout=10.0):
        assert getattr(outcome, "why", "") != "under way"
        check(outcome, shop)
    answers = gather(reads, timeout=10.0, return_exceptions=True)
    assert sum(isinstance(each, str) for each in answers) >= 9  # at most the one in hand was lost with it
    assert isinstance(px.place().get(5.0), Accepted)


@pytest.mark.parametrize("calls", range(1, 9))
def test_a_requester_that_hangs_at_any_step_sends_nothing_twice_and_leaves_no_handle_open(
    desk: tuple[Runtime, ShopRequests], shop: Shop, calls: int
) -> None:
    runtime, px = desk
    before = incarnation(runtime.status(), REQUESTER)
    wedge = Internals().wedge(REQUESTER, calls=calls)
    assert wedge is not None
    handles = [px.place(deadline=2.0) for _ in range(5)]
    assert wedge.caught.wait(5.0)
    handles += [px.place(deadline=2.0) for _ in range(3)]
    outcomes = gather(handles, timeout=10.0)
    requester_is_back(runtime, before)
    wedge.released.set()
    assert isinstance(px.place().get(5.0), Accepted)  # the one that woke up has lost its role
    for outcome in outcomes:
        assert getattr(outcome, "why", "") != "under way"
        check(outcome, shop)
