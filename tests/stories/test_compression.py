"""permessage-deflate through the whole runtime: another implementation's server, and our simulator."""

from __future__ import annotations

import contextlib
import gc
import json
import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

import actors
from actors import Runtime, Stream
from actors.simulators import SimulatedO2
from actors.venues.declarative import Message
from tests.support.counters import settle
from tests.support.runtimes import at_epoch, config, line_of, runtime_on, until

TABLE = """
name = "pier"
about = "for tests"
url = "wss://pier.example"
[channels.trades]
about = "trades"
key = "market"
[subscribe]
send = { id = "{id}", topics = "{topics}" }
topic = "{wire}:{key}"
[[events]]
wire = "ch"
key = "m"
data = "d"
[[acks]]
when = { ok = true }
id = "id"
"""


class Pier:
    """A venue on websockets' threaded server, which compresses what it sends if it may."""

    def __init__(self, context: ssl.SSLContext | None = None, compression: str | None = "deflate") -> None:
        self.connections: queue.SimpleQueue[ServerConnection] = queue.SimpleQueue()  # subscribed
        self.endings: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # the codes of its clients
        self._server = serve(self._serve, "127.0.0.1", 0, ssl=context, compression=compression)
        self._thread = threading.Thread(target=self._server.serve_forever)
        scheme = "ws" if context is None else "wss"
        self.url = f"{scheme}://localhost:{self._server.socket.getsockname()[1]}/"

    def _serve(self, connection: ServerConnection) -> None:
        try:
            for request in connection:
                connection.send(json.dumps({"ok": True, "id": json.loads(request)["id"]}))
                self.connections.put(connection)
        except ConnectionClosed as closed:
            self.endings.put(closed.rcvd.code if closed.rcvd else None)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        gc.collect()  # the server leaves its selector to the collector


def say(connection: ServerConnection, *data: object, parts: int = 1) -> None:
    """One trade for each of `data`; in so many fragments."""
    for each in data:
        text = json.dumps({"ch": "trades", "m": "A", "d": each})
        size = -(-len(text) // parts)
        fragments = [text[i : i + size] for i in range(0, len(text), size)]
        connection.send(text if parts == 1 else fragments)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["in clear", "over TLS"])
def pier(request: pytest.FixtureRequest, ca: trustme.CA) -> Iterator[Pier]:
    context = None
    if request.param == "over TLS":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(context)
    with Pier(context) as running:
        yield running


@pytest.fixture
def runtime(pier: Pier, ca: trustme.CA, tmp_path: Path) -> Iterator[Runtime]:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with actors.start(pier_config(pier, tmp_path, ca_file=str(tmp_path / "ca.pem")), wait=10.0) as runtime:
        yield runtime


def pier_config(pier: Pier, place: Path, **feed: Any) -> dict[str, Any]:
    (place / "pier.toml").write_text(TABLE)
    heartbeat = {"pong_timeout": 10.0}  # a large message takes time on a busy machine
    wanted: dict[str, Any] = {"compression": "deflate", "max_message": 100_000, "heartbeat": heartbeat} | feed
    return config(pier.url, venue=str(place / "pier.toml"), **wanted)


def subscribed(runtime: Runtime) -> Stream[Message]:
    return runtime.subscribe("o2", "trades", "A", wait=10.0, capacity=100_000)


def heard(stream: Stream[Message], count: int) -> list[object]:
    return [stream.get(timeout=10.0).data for _ in range(count)]


def test_what_comes_out_is_what_went_in(pier: Pier, runtime: Runtime) -> None:
    trades = subscribed(runtime)
    venue = pier.connections.get(timeout=10)
    numbers = list(range(2_000))
    say(venue, *numbers)
    say(venue, "é€😀" * 2_000, "x" * 90_000, parts=7)
    assert heard(trades, 2_002) == [*numbers, "é€😀" * 2_000, "x" * 90_000]
    line = line_of(runtime)
    assert line.compressed
    assert line.counters.bytes < 2_000 * len('{"ch": "trades", "m": "A", "d": 1000}')
    settle(runtime)


def test_every_life_begins_with_an_empty_window(pier: Pier, runtime: Runtime) -> None:
    trades = subscribed(runtime)
    for life in range(1, 6):
        venue = pier.connections.get(timeout=10)
        say(venue, f"of life {life}")
        assert heard(trades, 1) == [f"of life {life}"]
        assert len(trades.gaps) == life - 1
        if life % 2:
            venue.close(1001)
        else:
            venue.socket.shutdown(socket.SHUT_RDWR)
        until(runtime, at_epoch(life + 1))
        runtime.wait_live(timeout=10)


def test_a_bomb_is_answered_with_1009_and_the_line_comes_back(pier: Pier, runtime: Runtime) -> None:
    trades = subscribed(runtime)
    venue = pier.connections.get(timeout=10)
    say(venue, "small")
    with contextlib.suppress(ConnectionClosed):  # it may hear of it before the last of it is sent
        say(venue, "x" * 10_000_000)
    assert heard(trades, 1) == ["small"]
    assert pier.endings.get(timeout=10) == 1009
    say(pier.connections.get(timeout=10), "after it")
    assert heard(trades, 1) == ["after it"]
    reason = line_of(runtime).reason
    assert reason is not None
    assert reason.code == "max_message"
    assert "a message of 100,001 bytes or more is over max_message (100,000 bytes)" in reason.text
    assert "set max_message = 131072 in [feeds." in reason.advice
    assert [gap.reason for gap in trades.gaps] == ["disconnect"]


def test_a_venue_that_does_not_compress_is_heard_all_the_same(tmp_path: Path) -> None:
    with Pier(compression=None) as pier, actors.start(pier_config(pier, tmp_path), wait=10.0) as runtime:
        trades = subscribed(runtime)
        say(pier.connections.get(timeout=10), "plain")
        assert heard(trades, 1) == ["plain"]
        assert not line_of(runtime).compressed


def test_a_venue_that_would_compress_is_not_asked_to(tmp_path: Path) -> None:
    with Pier() as pier, actors.start(pier_config(pier, tmp_path, compression="none"), wait=10.0) as runtime:
        trades = subscribed(runtime)
        say(pier.connections.get(timeout=10), "plain")
        assert heard(trades, 1) == ["plain"]
        assert not line_of(runtime).compressed


# ── on our simulator ──


@pytest.fixture
def packing_o2() -> Iterator[SimulatedO2]:
    with SimulatedO2(rate=0, compression="deflate") as simulator:
        yield simulator


def test_a_rotation_changes_windows_and_loses_nothing(packing_o2: SimulatedO2) -> None:
    market = packing_o2.markets[0]
    with runtime_on(packing_o2, compression="deflate") as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        for number in range(1, 16):
            if number % 5 == 1:
                runtime.rotate("o2", timeout=20.0)
            packing_o2.number_trades(market, 1)
            assert trades.get(timeout=10).trade_id == str(number)
        assert not trades.gaps
        assert line_of(runtime).compressed
        assert line_of(runtime).rotations == 3


def test_a_stream_that_is_full_holds_a_line_that_is_compressed(packing_o2: SimulatedO2) -> None:
    market = packing_o2.markets[0]
    with runtime_on(packing_o2, compression="deflate", block_timeout=60.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0, policy="block", capacity=100)
        packing_o2.number_trades(market, 20_000, background=True)
        for number in range(1, 20_001):
            assert trades.get(timeout=10).trade_id == str(number)
        assert trades.gap_count == 0
        settle(runtime)


def test_compression_is_switched_on_by_a_reload(packing_o2: SimulatedO2) -> None:
    with runtime_on(packing_o2) as runtime:
        assert not line_of(runtime).compressed
        plan = runtime.reload(config(packing_o2.url, compression="deflate"))
        assert [change.text for change in plan.changes] == ["feed o2 is reconnected: compression changed"]
        until(runtime, at_epoch(2))
        runtime.wait_live(timeout=10)
        assert line_of(runtime).compressed
