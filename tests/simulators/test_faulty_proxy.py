"""The bad network by itself: every fault does what it says, and nothing is left of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest

from actors.simulators.faulty_proxy import FaultyProxy, Way
from tests.conftest import Baseline
from tests.wire.proxies import Loopback, connected, read_exactly

SAID = bytes(range(200))


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65_536):
        sock.sendall(data)


def echoed(client: socket.socket) -> bool:
    client.sendall(SAID)
    return read_exactly(client, len(SAID)) == SAID


def echoed_until_the_end(client: socket.socket) -> tuple[bytes, bool]:
    """All that comes back, and whether the connection ended by a reset."""
    client.settimeout(5.0)
    client.sendall(SAID)
    came = b""
    try:
        while more := client.recv(4096):
            came += more
    except ConnectionResetError:
        return came, True
    return came, False


@contextmanager
def line() -> Iterator[tuple[FaultyProxy, socket.socket]]:
    """A proxy before a server that says all back, and a client that has been heard."""
    with (
        Loopback(echo) as server,
        FaultyProxy(f"ws://127.0.0.1:{server.port}/x?y=1") as proxy,
        connected(urlsplit(proxy.url).port or 0) as client,
    ):
        client.settimeout(5.0)
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
        yield proxy, client


def test_the_url_is_that_of_the_server_but_for_its_port() -> None:
    with FaultyProxy("ws://127.0.0.1:1/x?y=1") as proxy:
        assert proxy.url.startswith("ws://127.0.0.1:")
        assert proxy.url.endswith("/x?y=1")
        assert ":1/" not in proxy.url


def test_a_reset_is_a_reset(baseline: Baseline) -> None:
    with line() as (proxy, client):
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    baseline.check()


@pytest.mark.parametrize("after", [0, 1, 7, 199])
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_connection_is_cut_at_any_byte_of_either_way(way: Any, after: int, baseline: Baseline) -> None:
    with line() as (proxy, client):
        proxy.cut(after, way)
        for cut in (client, connected(urlsplit(proxy.url).port or 0)):
            with cut:
                came, was_reset = echoed_until_the_end(cut)
                assert was_reset
                assert SAID.startswith(came)
                assert len(came) <= after
        with connected(urlsplit(proxy.url).port or 0) as third:
            third.settimeout(5.0)
            assert echoed(third)
    baseline.check()


@pytest.mark.parametrize("way", get_args(Way))
def test_what_is_held_passes_when_it_is_healed(way: Way, baseline: Baseline) -> None:
    with line() as (proxy, client):
        proxy.hold(way, after=2)
        client.sendall(b"abcdef")
        assert read_exactly(client, 2) == b"ab"
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(5.0)
        proxy.heal()
        assert read_exactly(client, 4) == b"cdef"
    baseline.check()


def test_slow_ways_lose_nothing_and_take_their_time(baseline: Baseline) -> None:
    with line() as (proxy, client):
        begun = time.monotonic()
        proxy.delay(0.1)
        assert echoed(client)
        proxy.heal()
        proxy.throttle(1_000)
        assert echoed(client)
        assert time.monotonic() - begun >= 0.2 + 0.15  # each way; and but for the last piece
        proxy.heal()
        proxy.slice(1)
        proxy.delay(0.0, jitter=0.001)
        assert echoed(client)
    baseline.check()


def test_one_that_goes_while_it_is_held_leaves_nothing(baseline: Baseline) -> None:
    with line() as (proxy, client):
        proxy.hold()
        client.sendall(b"never heard")
    baseline.check()


def test_a_server_that_is_not_there_is_an_end(baseline: Baseline) -> None:
    with Loopback(echo) as gone:
        port = gone.port
    with FaultyProxy(f"ws://127.0.0.1:{port}") as proxy, connected(urlsplit(proxy.url).port or 0) as client:
        client.settimeout(5.0)
        assert client.recv(1) == b""
    baseline.check()
