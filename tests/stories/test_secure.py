"""TLS through the whole runtime, and secrets that show up nowhere."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import ssl
import traceback
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trustme

import actors
from actors import NotLiveError, Runtime
from actors.errors import ConfigError
from actors.simulators import SimulatedO2
from actors.venues.o2 import O2Session
from tests.support.counters import settle
from tests.support.runtimes import at_epoch, config, feed_at, line_of, until
from tests.wire.proxies import Loopback, connected, read_head

CANARY = "canary-f00dfeedcafe4711"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


@contextlib.contextmanager
def tls_before(o2: SimulatedO2, certificate: trustme.LeafCert) -> Iterator[str]:
    """The address of a relay that speaks TLS and passes on to the simulator in clear."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def pass_on(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secure, connected(o2.port) as plain:
            relay(secure, plain)

    with Loopback(pass_on) as loopback:
        yield f"wss://localhost:{loopback.port}{o2.path}"


def relay(secure: ssl.SSLSocket, plain: socket.socket) -> None:
    """Pass bytes both ways until one side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(secure, selectors.EVENT_READ)
        selector.register(plain, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if secure in ready:
                data = secure.recv(65_536)
                while secure.pending():
                    data += secure.recv(65_536)
                if not data:
                    return
                plain.sendall(data)
            if plain in ready:
                data = plain.recv(65_536)
                if not data:
                    return
                secure.sendall(data)


# ── TLS ──


def test_a_line_over_tls_with_a_ca_of_its_own(
    o2: SimulatedO2, market: str, ca: trustme.CA, ca_file: str
) -> None:
    with (
        tls_before(o2, ca.issue_cert("localhost")) as url,
        actors.start(config(url, ca_file=ca_file, block_timeout=60.0), wait=10.0) as runtime,
    ):
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=100)
        o2.number_trades(market, 20_000, background=True)  # held and let go again, records half read
        for number in range(1, 20_001):
            assert trades.get(timeout=5).trade_id == str(number)
        assert trades.gap_count == 0

        o2.drop()
        until(runtime, at_epoch(2))
        runtime.wait_live(timeout=10)
        o2.trade(market, trade_id="20001")
        assert trades.get(timeout=5).trade_id == "20001"
        assert [gap.reason for gap in trades.gaps] == ["disconnect"]
        settle(runtime)
        assert runtime.stop(timeout=2.0) == ()


def test_a_certificate_of_an_unknown_authority_is_slow(o2: SimulatedO2, ca: trustme.CA) -> None:
    with tls_before(o2, ca.issue_cert("localhost")) as url, actors.start(config(url)) as runtime:
        line = until(runtime, lambda status: status.lines()["o2"].state == "backoff").lines()["o2"]
        assert line.reason is not None
        assert (line.reason.kind, line.reason.code) == ("slow", "certificate")
        assert (line.next_attempt_s or 0.0) > 20
        assert o2.lives == 0


def test_a_certificate_for_another_host_is_fatal_with_advice(
    o2: SimulatedO2, ca: trustme.CA, ca_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        tls_before(o2, ca.issue_cert("elsewhere.example")) as url,
        actors.start(config(url, ca_file=ca_file)) as runtime,
    ):
        with pytest.raises(NotLiveError, match="is for another host"):
            runtime.wait_live(timeout=10)
        line = line_of(runtime)
        assert (line.state, line.next_attempt_s) == ("failed", None)
        assert line.reason is not None
        assert (line.reason.kind, line.reason.code) == ("fatal", "hostname")
        assert "Check the host in url" in line.reason.advice
        assert "linewarden restart o2" in caplog.text
        assert o2.lives == 0


def test_insecure_is_said_in_status_and_at_each_connection_in_the_log(
    o2: SimulatedO2, ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        tls_before(o2, ca.issue_cert("elsewhere.example")) as url,
        actors.start(config(url, verify_tls=False), wait=10.0) as runtime,
    ):
        assert not line_of(runtime).verify_tls
        o2.drop()
        until(runtime, at_epoch(2))
        runtime.wait_live(timeout=10)
    loud = [
        record.getMessage()
        for record in caplog.records
        if "is not checked (verify_tls = false)" in record.msg
    ]
    assert len(loud) >= 2
    assert all(words.startswith("localhost:") for words in loud)


@pytest.mark.parametrize("name", ["PYTHONHTTPSVERIFY", "SSL_NO_VERIFY", "CURL_INSECURE"])
def test_no_variable_of_the_environment_switches_the_check_off(
    o2: SimulatedO2, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "0" if name.startswith("PYTHON") else "1")
    with tls_before(o2, ca.issue_cert("localhost")) as url, actors.start(config(url)) as runtime:
        until(runtime, lambda status: status.lines()["o2"].state == "backoff")
        assert o2.lives == 0


@pytest.mark.parametrize("table", ["runtime", "defaults", "service"])
def test_insecure_is_said_of_one_feed_and_never_of_all(o2: SimulatedO2, table: str) -> None:
    with pytest.raises(ConfigError, match="verify_tls"):
        actors.start(config(o2.url) | {table: {"verify_tls": False}})


def test_one_insecure_feed_leaves_the_others_checked(o2: SimulatedO2, ca: trustme.CA) -> None:
    with tls_before(o2, ca.issue_cert("elsewhere.example")) as url:
        feeds = {"careless": feed_at(url, verify_tls=False), "careful": feed_at(url)}
        with actors.start({"feeds": feeds}) as runtime:
            runtime.wait_live("careless", timeout=10)
            until(runtime, lambda status: status.lines()["careful"].state in ("backoff", "failed"))
            assert line_of(runtime, "careful").verify_tls
            assert o2.lives == 1


# ── secrets ──


def everything_shown(runtime: Runtime) -> str:
    """What a program, a page or a log might write down of a runtime."""
    status = runtime.status()
    return "\n".join(
        [
            msgspec.json.encode(status).decode(),
            repr(status),
            repr(runtime),
            repr(runtime.settings),
            repr(runtime.settings.feeds["o2"]),
            str(runtime.settings),
        ]
    )


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, but for what the other end logs: the venue knows its tokens."""
    form = logging.Formatter()
    return "\n".join(form.format(each) for each in caplog.records if each.name != "websockets.server")


def test_a_token_in_the_query_is_sent_and_shown_nowhere(
    o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    with actors.start(config(f"{o2.url}?token={CANARY}"), wait=10.0) as runtime:
        assert o2.requests[-1].query == {"token": CANARY}
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        shown = [everything_shown(runtime), repr(trades)]
        o2.refuse(503, n=2)
        o2.drop()
        until(runtime, at_epoch(4))
        shown.append(everything_shown(runtime))
        runtime.wait_live(timeout=10)

        def fail(*_: object) -> None:
            raise ArithmeticError("on purpose")

        with monkeypatch.context() as patch:  # a crash of ours, with its traceback
            patch.setattr(O2Session, "received", fail)
            o2.trade(market)
            until(runtime, at_epoch(5))
            shown.append(everything_shown(runtime))
        o2.refuse(401, n=1_000)
        o2.drop()
        until(runtime, lambda status: status.lines()["o2"].state == "failed")
        with pytest.raises(NotLiveError) as refused:
            runtime.wait_live(timeout=10)
        shown += ["".join(traceback.format_exception(refused.value)), everything_shown(runtime)]
    assert "ArithmeticError" in logged(caplog)
    assert not [text for text in (*shown, logged(caplog)) if CANARY in text]


def test_a_careless_server_s_echo_is_blotted_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def echo(sock: socket.socket) -> None:
        body = b"you asked for " + read_head(sock).split(b"\r\n")[0]
        head = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
        sock.sendall(head % len(body) + body)

    with (
        Loopback(echo) as server,
        actors.start(config(f"ws://127.0.0.1:{server.port}/v1/ws?token={CANARY}")) as runtime,
    ):
        with pytest.raises(NotLiveError, match="you asked for") as refused:
            runtime.wait_live(timeout=10)
        shown = [
            "".join(traceback.format_exception(refused.value)),
            everything_shown(runtime),
            logged(caplog),
        ]
    assert not [text for text in shown if CANARY in text]


def test_what_a_venue_sends_back_is_put_aside_without_our_token(
    o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with actors.start(config(f"{o2.url}?token={CANARY}"), wait=10.0) as runtime:
        o2.send_raw(f"who is {CANARY}?")
        o2.close(4_000, f"not {CANARY}")
        until(runtime, at_epoch(2))
        status = runtime.status()
        assert [kept.raw for kept in status.quarantine.newest] == ["who is …?"]
        reason = line_of(runtime).reason
        assert reason is not None
        assert "not …" in reason.text
        shown = [everything_shown(runtime), logged(caplog)]
    assert not [text for text in shown if CANARY in text]


def test_a_password_in_a_url_is_refused_without_being_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigError, match="a user name or password in a URL ends up in logs") as refused:
        actors.start(config(f"ws://user:{CANARY}@127.0.0.1:1/v1/ws"))
    shown = ["".join(traceback.format_exception(refused.value)), repr(refused.value), logged(caplog)]
    assert not [text for text in shown if CANARY in text]


def test_a_proxy_s_password_is_shown_nowhere(o2: SimulatedO2, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    proxy = f"http://user:{CANARY}@127.0.0.1:9"  # a proxy that is not there; nor is the host
    settings = config("ws://venue.invalid/v1/ws", proxy=proxy)
    with actors.start(settings) as runtime:
        until(runtime, lambda status: status.lines()["o2"].reason is not None)
        shown = [everything_shown(runtime), logged(caplog)]
    assert not [text for text in shown if CANARY in text]
