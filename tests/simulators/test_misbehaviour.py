"""Each fault as a client feels it, and the server's own life."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidMessage, InvalidStatus

from actors.errors import ConfigError, Timeout
from actors.simulators import SimulatedO2
from tests.simulators.plain_client import ALICE, UPGRADE, Client, client, masked, plain_socket

MARKET = "0x" + "ab" * 32


@pytest.fixture
def o2() -> Iterator[SimulatedO2]:
    with SimulatedO2(rate=0) as each:
        yield each


@pytest.fixture
def desk(o2: SimulatedO2) -> Iterator[Client]:
    with client(o2.url) as each:
        yield each


def subscribed(o2: SimulatedO2, desk: Client) -> None:
    desk.trades(MARKET)
    o2.wait_for(lambda: o2.subscribers("trades", MARKET))


def test_drop_resets_without_a_close_frame(o2: SimulatedO2) -> None:
    sockets = [socket.create_connection(("127.0.0.1", o2.port)) for _ in range(3)]
    with client(o2.url) as desk:
        o2.drop()
        assert o2.connections == 0
        with pytest.raises(ConnectionClosedError) as raised:
            desk.hear()
        assert raised.value.rcvd is None
    for each in sockets:
        with each, pytest.raises(ConnectionResetError):
            each.recv(1)
    assert o2.lives == 1


@pytest.mark.parametrize(("code", "reason"), [(1001, ""), (1013, "try again later"), (4000, "bye")])
def test_close_says_why(o2: SimulatedO2, desk: Client, code: int, reason: str) -> None:
    o2.close(code, reason)
    assert o2.connections == 0
    with pytest.raises(ConnectionClosed) as raised:
        desk.hear()
    assert raised.value.rcvd is not None
    assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (code, reason)


def test_a_code_that_may_not_be_sent(o2: SimulatedO2, desk: Client) -> None:
    with pytest.raises(ValueError, match="close code 1006"):
        o2.close(1006)
    assert o2.connections == 1
    assert desk.hears_nothing()


def test_close_in_the_middle_of_a_burst(o2: SimulatedO2, desk: Client) -> None:
    subscribed(o2, desk)
    o2.arm("close code=1001 after=1500")
    o2.number_trades(MARKET, 3000)
    assert len(desk.hear_until_closed()) == 1500
    assert desk.socket.close_code == 1001


def test_mute_answers_pings_and_loses_the_rest(o2: SimulatedO2, desk: Client) -> None:
    subscribed(o2, desk)
    o2.mute()
    o2.trade(MARKET)
    desk.depth(MARKET)
    assert desk.hears_nothing()  # which is answered
    assert desk.socket.ping().wait(5)
    with client(o2.url) as later:
        later.depth(MARKET)
        assert later.hears_nothing()
    o2.heal()
    told = o2.trade(MARKET)
    assert desk.hear()["trades"] == [told]


def test_mute_may_spare_the_new(o2: SimulatedO2, desk: Client) -> None:
    o2.mute(new=False)
    desk.depth(MARKET)
    assert desk.hears_nothing()
    with client(o2.url) as later:
        later.depth(MARKET)
        assert later.hear()["action"] == "subscribe_depth"


def test_deaf_answers_nothing_until_healed(o2: SimulatedO2, desk: Client) -> None:
    subscribed(o2, desk)
    o2.deaf()
    o2.trade(MARKET)
    desk.socket.send("PING")
    pong = desk.socket.ping()
    with pytest.raises(TimeoutError):
        desk.hear(timeout=0.1)
    assert not pong.is_set()
    with pytest.raises(TimeoutError), client(o2.url, open_timeout=0.1):
        pass
    assert "PING" not in o2.heard
    o2.heal()
    assert desk.hear() == "PONG"
    assert pong.wait(5)


def test_deaf_may_spare_the_new(o2: SimulatedO2, desk: Client) -> None:
    o2.deaf(new=False)
    desk.socket.send("PING")
    with client(o2.url) as later:
        assert later.hears_nothing()
    with pytest.raises(TimeoutError):
        desk.hear(timeout=0.05)
    o2.drop()


@pytest.mark.parametrize("code", [1001, 0])
def test_flap_accepts_and_closes(o2: SimulatedO2, code: int) -> None:
    o2.flap(2, code)
    for _ in range(2):
        with client(o2.url) as desk, pytest.raises(ConnectionClosed) as raised:
            desk.hear()
        assert (raised.value.rcvd is not None) == bool(code)
    with client(o2.url) as desk:
        assert desk.hears_nothing()
    assert o2.lives == 3


def test_refuse_so_many_upgrades(o2: SimulatedO2) -> None:
    o2.refuse(429, retry_after=2, n=2)
    for _ in range(2):
        with pytest.raises(InvalidStatus) as raised, client(o2.url):
            pass
        assert raised.value.response.status_code == 429
        assert raised.value.response.headers["Retry-After"] == "2"
    with client(o2.url) as desk:
        assert desk.hears_nothing()
    assert o2.lives == 1


def test_another_path_is_not_found(o2: SimulatedO2) -> None:
    with pytest.raises(InvalidStatus) as raised, client(o2.url + "/turbo"):
        pass
    assert raised.value.response.status_code == 404


def test_delay_ack_acts_in_turn(o2: SimulatedO2, desk: Client) -> None:
    o2.delay_ack(0.2)
    begun = time.monotonic()
    desk.depth(MARKET)
    desk.say("unsubscribe_depth", market_id=MARKET)
    desk.depth(MARKET, "100")
    assert desk.hears_nothing()  # so far
    o2.depth_change(MARKET, buys=[(1000, 5)])  # and so it is part of the snapshot
    first, second = desk.hear(), desk.hear()
    assert time.monotonic() - begun >= 0.2
    assert first["orders"]["buys"][-1] == second["orders"]["buys"][-1] == {"price": "1000", "quantity": "5"}
    assert o2.subscribers("depth", MARKET) == 1


def test_lose_ack_lets_deltas_come_first(o2: SimulatedO2, desk: Client) -> None:
    o2.lose_ack()
    desk.depth(MARKET)
    o2.wait_for(lambda: o2.subscribers("depth", MARKET))
    o2.depth_change(MARKET, buys=[(1000, 5)])
    assert desk.hear()["action"] == "subscribe_depth_update"
    desk.depth(o2.markets[0])
    assert desk.hear()["action"] == "subscribe_depth"


@pytest.mark.parametrize(
    ("key", "code"), [(MARKET.upper(), 2000), ("trades", 2000), (ALICE, 4002), ("orders", 4002)]
)
def test_reject_a_key_until_healed(o2: SimulatedO2, desk: Client, key: str, code: int) -> None:
    def ask() -> None:
        if code == 2000:
            desk.trades(MARKET)
        else:
            desk.identities("orders", ALICE)

    o2.reject(key)
    ask()
    assert desk.hear()["code"] == code
    o2.heal()
    ask()
    assert desk.hears_nothing()


def test_garbage(o2: SimulatedO2, desk: Client) -> None:
    o2.garbage()
    with pytest.raises(msgspec.DecodeError):
        desk.hear()
    o2.garbage("binary")
    o2.garbage("nesting")
    assert isinstance(desk.hear(), bytes)
    assert desk.socket.recv(timeout=5) == "[" * 100_000
    o2.garbage("utf8")
    with pytest.raises(ConnectionClosedError):
        desk.hear()


@pytest.mark.parametrize("kind", ["opcode", "length"])
def test_garbage_that_breaks_the_protocol(o2: SimulatedO2, kind: str) -> None:
    with client(o2.url, max_size=1 << 20) as desk:
        o2.arm(f"garbage kind={kind}")
        with pytest.raises(ConnectionClosedError):
            desk.hear()


def test_huge_has_the_size_that_was_asked_for(o2: SimulatedO2, desk: Client) -> None:
    o2.huge(3 << 20)
    message = desk.socket.recv(timeout=10)
    assert len(message) == 3 << 20
    o2.huge(60)
    assert desk.hear() == {"padding": "x" * 46}


def test_a_fault_every_so_often_until_healed(o2: SimulatedO2) -> None:
    o2.arm("drop every=0.05")
    for _ in range(3):  # on a busy machine it may come amid the upgrade
        with pytest.raises((ConnectionClosedError, InvalidMessage, ConnectionError)), client(o2.url) as desk:
            desk.hear()
    o2.heal()
    with client(o2.url) as desk, pytest.raises(TimeoutError):
        desk.hear(timeout=0.2)


def test_a_fault_after_so_many_messages(o2: SimulatedO2, desk: Client) -> None:
    subscribed(o2, desk)
    o2.arm("drop after=10")
    o2.number_trades(MARKET, 30)
    assert len(desk.hear_until_closed()) == 10


def test_faults_from_the_start() -> None:
    with SimulatedO2(rate=0, faults=["refuse status=503", "mute"]) as o2:
        with pytest.raises(InvalidStatus), client(o2.url):
            pass
        with client(o2.url) as desk:
            desk.depth(MARKET)
            assert desk.hears_nothing()
    with pytest.raises(ConfigError):
        SimulatedO2(faults=["mutter"])


def test_a_slow_reader_is_cut_off_and_nothing_waits_for_it() -> None:
    with (
        SimulatedO2(rate=0, backlog=100_000, send_buffer=4096) as o2,
        plain_socket(o2.port),
        client(o2.url) as desk,
    ):
        o2.wait_for(lambda: o2.connections == 2)
        message = "x" * 50_000
        for _ in range(200):
            o2.send_raw(message)
            assert desk.hear() == message
        assert o2.connections == 1


def test_it_goes_and_comes_back_on_the_same_port(o2: SimulatedO2) -> None:
    port = o2.port
    with client(o2.url) as desk:
        o2.stop()
        with pytest.raises(ConnectionClosedError):
            desk.hear()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    o2.start()
    assert o2.port == port
    with client(o2.url) as desk:
        assert desk.hears_nothing()
    assert o2.lives == 2


def test_stopping_ends_every_thread_and_twice_is_once() -> None:
    before = set(threading.enumerate())
    o2 = SimulatedO2(rate=100)
    with o2, client(o2.url) as desk:
        subscribed(o2, desk)
        o2.number_trades(MARKET, 10_000, per_second=10, background=True)
        assert all(thread.daemon for thread in set(threading.enumerate()) - before if "sim" in thread.name)
        o2.stop()
        o2.stop()
        left = [thread.name for thread in set(threading.enumerate()) - before]
        assert not [name for name in left if name.startswith("simulator")]
    assert not o2.running


def test_two_clients_are_heard_in_order(o2: SimulatedO2, desk: Client) -> None:
    with client(o2.url) as other:
        for each in (desk, other, desk):
            each.socket.send("PING")
            each.hear()
        other.trades(MARKET)
        assert o2.wait_heard("PING", 3) == ["PING"] * 3
        assert o2.wait_heard("subscribe_trades")[0]["market_id"] == MARKET
        assert o2.connections == 2
    o2.forget_heard()
    assert o2.heard == []
    with pytest.raises(Timeout, match="lives: 2"):
        o2.wait_heard("PING", timeout=0.01)


def test_fragments_and_what_comes_with_the_upgrade(o2: SimulatedO2) -> None:
    with client(o2.url) as desk:
        desk.socket.send(["PI", "NG"])
        assert desk.hear() == "PONG"
    with socket.create_connection(("127.0.0.1", o2.port)) as plain:
        plain.sendall(UPGRADE + masked(b"PING"))
        heard = b""
        while not heard.endswith(b"\x81\x04PONG"):
            heard += plain.recv(4096)


def test_pages_keep_their_connection_and_come_beside_the_websocket(o2: SimulatedO2, desk: Client) -> None:
    page = http.client.HTTPConnection("127.0.0.1", o2.port, timeout=5)
    for _ in range(2):
        page.request("GET", "/health")
        answer = page.getresponse()
        assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
    page.request("POST", "/health?a=b", body=b"{}", headers={"Connection": "close"})
    assert page.getresponse().read()
    assert o2.requests[-1].body == b"{}"
    assert o2.requests[-1].query == {"a": "b"}
    page.close()
    assert desk.hears_nothing()


@pytest.mark.parametrize("said", [b"nonsense\r\n\r\n", b"x" * 70_000, b"GET / HTTP/1.1\r\nno colon\r\n\r\n"])
def test_what_is_not_http_is_turned_away(o2: SimulatedO2, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", o2.port), timeout=5) as plain:
        plain.sendall(said)
        assert plain.recv(4096).startswith(b"HTTP/1.1 4")


def test_it_is_fast_enough(o2: SimulatedO2) -> None:
    """20,000 messages a second on one core, with room to spare: this is the sender alone."""
    with plain_socket(o2.port) as plain:
        plain.sendall(masked(b'{"action":"subscribe_trades","market_id":"%s"}' % MARKET.encode()))
        o2.wait_for(lambda: o2.subscribers("trades", MARKET))
        reader = threading.Thread(target=read_all, args=(plain,), daemon=True)
        reader.start()
        begun = time.monotonic()
        o2.number_trades(MARKET, 20_000)
        assert time.monotonic() - begun < 5.0
        o2.drop()
        reader.join(5)
        assert not reader.is_alive()


def read_all(plain: socket.socket) -> None:
    with suppress(ConnectionResetError):
        while plain.recv(1 << 20):
            pass
