"""HTTP exchanges, against real servers on loopback."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from actors.http_types import HttpAnswer, HttpFailed, HttpRequest
from actors.reasons import Fatal
from actors.wire.attempt import ConnectCancel
from actors.wire.connect import Dial
from actors.wire.http_client import MAX_BODY, RequestCount, converse, fetch
from tests.support.examples import examples
from tests.wire.proxies import ConnectProxy, Conversation, Loopback, Socks5Proxy, read_exactly, read_head

SECRET = "hunter2-very-secret"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def a_bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Server(Loopback):
    """Answers every request with these bytes; `heads` are what it was sent."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__(self._serve)
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self._answers = answers

    def _serve(self, sock: socket.socket) -> None:
        head = read_head(sock)
        self.heads.append(head)
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        self.bodies.append(read_exactly(sock, int(length or 0)))
        for piece in self._answers:
            sock.sendall(piece)


def get(server: Loopback, path: str = "/", **options: Any) -> HttpRequest:
    request = HttpRequest("GET", f"http://127.0.0.1:{server.port}{path}", timeout=5.0)
    return structs.replace(request, **options)


def failure(
    request: HttpRequest, dial: Dial | None = None, connect_cancel: ConnectCancel | None = None
) -> HttpFailed:
    failed = fetch(request, dial or Dial(), connect_cancel)
    assert isinstance(failed, HttpFailed), failed
    assert SECRET not in failed.text
    return failed


def success(request: HttpRequest, dial: Dial | None = None) -> HttpAnswer:
    answer = fetch(request, dial or Dial())
    assert isinstance(answer, HttpAnswer), answer
    return answer


def resolving_to(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Every name is this port of 127.0.0.1."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


# ── what goes and what comes ────────────────────────────────────────────────────────────────────


def test_a_request_goes_as_it_is_written_and_its_answer_comes_whatever_its_status() -> None:
    answer = b"HTTP/1.1 422 Unprocessable\r\nX-Twice: a\r\nX-Twice: b\r\nContent-Length: 4\r\n\r\nnope"
    with Server(answer) as server:
        request = get(server, "/v2/a;b?x=%2F", method="POST", body=b"{}", headers=(("X-Key", "é"),))
        heard = success(request)
    assert (heard.status, heard.body, heard.headers["x-twice"]) == (422, b"nope", "a, b")
    (head,) = server.heads
    assert head.startswith(b"POST /v2/a;b?x=%2F HTTP/1.1\r\n")
    lines = head.lower().split(b"\r\n")
    assert f"host: 127.0.0.1:{server.port}".encode() in lines
    assert b"user-agent: linewarden" in lines
    assert "x-key: é".encode() in lines
    assert b"cookie" not in head.lower()
    assert server.bodies == [b"{}"]


def test_a_login_in_the_url_goes_as_a_header_and_no_other_is_put_beside_ours() -> None:
    with Server(OK) as server:
        success(get(server, url=f"http://u:{SECRET}@127.0.0.1:{server.port}/"))
        success(get(server, headers=(("User-Agent", "theirs"), ("Authorization", "Bearer t"))))
    first, second = (head.lower() for head in server.heads)
    assert b"authorization: basic" in first
    assert SECRET.encode() not in first
    assert second.count(b"user-agent") == second.count(b"authorization") == 1
    assert b"user-agent: theirs" in second


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nabcdef",  # its end is the connection's
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef",
    ],
)
def test_a_body_ends_in_each_of_the_ways_of_http(answer: bytes) -> None:
    with Server(answer) as server:
        assert success(get(server)).body == b"abcdef"


def test_an_answer_that_comes_before_the_request_is_all_sent_is_heard() -> None:
    def turn_away(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):  # a reset would drop what it said
            pass

    with Loopback(turn_away) as server:
        assert success(get(server, method="POST", body=bytes(3_000_000))).status == 413


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with Server(OK) as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n"
        with Server(moved.encode()) as server:
            assert success(get(server, headers=(("Authorization", SECRET),))).status == 307
    assert other.heads == []


def test_no_cookie_of_one_exchange_is_in_the_next() -> None:
    with Server(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n") as server:
        success(get(server))
        success(get(server))
    assert all(b"cookie" not in head.lower() for head in server.heads)


# ── bounds ──────────────────────────────────────────────────────────────────────────────────────


def dripping(start: bytes, piece: bytes) -> Conversation:
    """A piece every few milliseconds, for as long as somebody listens."""

    def conversation(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(start)
        tick = threading.Event()
        while not tick.wait(0.02):
            sock.sendall(piece)

    return conversation


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
    ids=["status", "head", "informational", "body", "chunks", "endless"],
)
def test_a_dripping_server_does_not_outlast_the_deadline(start: bytes, piece: bytes) -> None:
    with Loopback(dripping(start, piece)) as server:
        failed = failure(get(server, f"/?token={SECRET}", timeout=0.3))
    assert failed.code == "timeout"
    assert failed.text == f"127.0.0.1:{server.port}: the HTTP exchange was not over after 0.3 s"


def test_a_request_that_is_not_read_does_not_outlast_the_deadline() -> None:
    ended = threading.Event()

    def read_nothing(sock: socket.socket) -> None:
        ended.wait(30)

    with Loopback(read_nothing) as server:
        assert failure(get(server, method="POST", body=bytes(50_000_000), timeout=0.3)).code == "timeout"
        ended.set()


def test_a_look_up_that_never_returns_does_not_outlast_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(30) and [])
    failed = fetch(HttpRequest("GET", "http://venue.example/", timeout=0.2), Dial())
    over.set()
    assert failed == HttpFailed("venue.example: the DNS look-up was not over after 0.2 s", "timeout")


def test_without_time_no_server_is_called() -> None:
    with Server(OK) as server:
        assert failure(get(server, timeout=0.0)).code == "timeout"
    assert server.heads == []


def test_another_thread_ends_it_by_its_hangup() -> None:
    asked, connect_cancel = threading.Event(), ConnectCancel()

    def silent(sock: socket.socket) -> None:
        read_head(sock)
        asked.set()
        sock.recv(1)

    def cancel() -> None:
        asked.wait(10)
        connect_cancel.cancel()

    with Loopback(silent) as server:
        puller = threading.Thread(target=cancel)
        puller.start()
        assert failure(get(server, timeout=30.0), connect_cancel=connect_cancel) == HttpFailed(
            "stopped", "stopped"
        )
        puller.join()
        assert failure(get(server), connect_cancel=connect_cancel).code == "stopped"


@pytest.mark.parametrize(
    "head",
    [
        f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n".encode(),
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_body_of_more_than_four_mebibytes_is_a_failure(head: bytes) -> None:
    with Server(head, bytes(MAX_BODY + 1)) as server:
        failed = failure(get(server))
    assert failed == HttpFailed(f"127.0.0.1:{server.port} answered with more than 4 MiB", "too_big")


def packed(body: bytes, encoding: bytes = b"gzip") -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body))
        + body
    )


def test_a_packed_body_is_unpacked_and_a_bomb_is_not() -> None:
    with Server(packed(gzip.compress(b"prices"))) as server:
        assert success(get(server)).body == b"prices"
    with Server(packed(gzip.compress(bytes(MAX_BODY + 1)))) as server:
        assert failure(get(server)).code == "too_big"
    with Server(packed(gzip.compress(b"prices")[:-4])) as server:
        assert failure(get(server)).code == "garbage"
    with Server(packed(b"prices")) as server:
        assert failure(get(server)).code == "garbage"
    with Server(packed(b"prices", b"br")) as server:
        assert failure(get(server)).code == "encoding"


# ── failures ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "lost"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "lost"),
        (b"SSH-2.0-OpenSSH_9.6 " + SECRET.encode() + b"\r\n\r\n", "garbage"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "garbage"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, "garbage"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "garbage"),
    ],
)
def test_what_is_no_answer_is_told_with_the_host(answer: bytes, code: str) -> None:
    with Server(answer) as server:
        failed = failure(get(server, f"/{SECRET}?key={SECRET}", headers=(("Authorization", SECRET),)))
    assert failed.code == code
    assert f"127.0.0.1:{server.port}" in failed.text


@settings(max_examples=examples(40), deadline=None)
@given(st.binary(max_size=200))
def test_whatever_it_says_there_is_an_answer_or_a_failure(noise: bytes) -> None:
    with Server(b"HTTP/1.1 200 OK\r\n" + noise) as server:
        assert isinstance(fetch(get(server), Dial()), HttpAnswer | HttpFailed)


def test_a_reset_is_told_as_a_loss() -> None:
    def reset(sock: socket.socket) -> None:
        read_head(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    with Loopback(reset) as server:
        failed = failure(get(server))
    assert failed.code == "lost"
    assert "lost during the HTTP exchange" in failed.text


def test_a_closed_port_is_told_as_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failed = failure(HttpRequest("GET", f"http://127.0.0.1:{port}/?key={SECRET}"))
    assert failed == HttpFailed(f"127.0.0.1:{port} refused the connection", "refused")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"headers": (("X-A", f"{SECRET}\r\nX-B: b"),)}, "header"),
        ({"headers": ((f"X-A: {SECRET}\r\nX-B", "b"),)}, "header"),
        ({"headers": (("Content-Length", "3"),)}, "header"),
        ({"headers": (("Transfer-Encoding", "chunked"),)}, "header"),
        ({"method": f"GET / HTTP/1.1\r\nX-A: {SECRET}\r\n"}, "header"),
        ({"method": ""}, "header"),
        ({"url": f"http://127.0.0.1:1/\r\nX-A: {SECRET}"}, "header"),
        ({"url": f"ftp://127.0.0.1:1/{SECRET}"}, "url"),
        ({"url": f"http://127.0.0.1:99999/{SECRET}"}, "url"),
        ({"url": "http://127.0.0.1:1/" + SECRET * 5000}, "url"),
        ({"url": ""}, "url"),
    ],
)
def test_what_would_break_out_of_its_line_is_refused_before_a_byte_is_sent(
    options: dict[str, Any], code: str
) -> None:
    with Server(OK) as server:
        assert failure(get(server, **options)).code == code
    assert server.heads == []


# ── TLS and proxies: on the feed's terms ────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> str:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


class SecureServer(Loopback):
    """The same over TLS, for the host of this certificate."""

    def __init__(self, certificate: trustme.LeafCert, talk: Callable[[socket.socket], None]) -> None:
        super().__init__(self._serve)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        self._talk_inside = talk

    def _serve(self, sock: socket.socket) -> None:
        with self._context.wrap_socket(sock, server_side=True) as wrapped, contextlib.suppress(OSError):
            self._talk_inside(wrapped)


def answering(sock: socket.socket) -> None:
    read_head(sock)
    sock.sendall(OK)


def test_over_tls_the_certificate_is_judged_by_the_feeds_settings(ca: trustme.CA, ca_file: str) -> None:
    with SecureServer(ca.issue_cert("127.0.0.1"), answering) as server:
        request = HttpRequest("GET", f"https://127.0.0.1:{server.port}/?{SECRET}", timeout=5.0)
        assert success(request, Dial(ca_file=ca_file)).body == b"ok"
        assert success(request, Dial(verify_tls=False)).body == b"ok"
        assert failure(request).code == "certificate"
        assert failure(request, Dial(ca_file=f"{ca_file}.none")).code == "ca_file"
    with SecureServer(ca.issue_cert("other.example"), answering) as server:
        request = HttpRequest("GET", f"https://127.0.0.1:{server.port}/", timeout=5.0)
        assert failure(request, Dial(ca_file=ca_file)).code == "hostname"


def test_over_tls_too_a_drip_does_not_outlast_the_deadline(ca: trustme.CA, ca_file: str) -> None:
    drip = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x")
    with SecureServer(ca.issue_cert("127.0.0.1"), drip) as server:
        request = HttpRequest("GET", f"https://127.0.0.1:{server.port}/", timeout=0.5)
        assert failure(request, Dial(ca_file=ca_file)).code == "timeout"


def test_a_handshake_that_is_not_answered_does_not_outlast_the_deadline() -> None:
    def silent(sock: socket.socket) -> None:
        while sock.recv(4096):
            pass

    with Loopback(silent) as server:
        failed = failure(HttpRequest("GET", f"https://127.0.0.1:{server.port}/", timeout=0.3))
    assert failed.text == f"127.0.0.1:{server.port}: the TLS handshake was not over after 0.3 s"


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxy_of_the_feed_is_gone_through(
    scheme: str, ca: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SecureServer(ca.issue_cert("venue.example"), answering) as server:
        kind = ConnectProxy if scheme == "http" else Socks5Proxy
        with kind(server.port) as proxy:
            dial = Dial(proxy=f"{scheme}://127.0.0.1:{proxy.port}", ca_file=ca_file)
            assert success(HttpRequest("GET", "https://venue.example/"), dial).body == b"ok"
        assert b"venue.example" in proxy.asked.get(timeout=5)


def test_the_environments_proxy_is_asked_only_where_the_feed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(OK) as server, ConnectProxy(server.port) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy.port}")
        assert success(get(server), Dial(proxy="env")).body == b"ok"  # loopback is never proxied
        assert proxy.asked.empty()
        assert success(HttpRequest("GET", "http://venue.example/"), Dial(proxy="env")).body == b"ok"
        assert not proxy.asked.empty()
        proxy.asked.get()
        resolving_to(monkeypatch, server.port)
        assert success(HttpRequest("GET", "http://venue.example/"), Dial()).body == b"ok"
        assert proxy.asked.empty()


def test_a_proxy_that_refuses_our_login_is_named_without_it() -> None:
    with ConnectProxy(1, login="Basic other") as proxy:
        dial = Dial(proxy=f"http://me:{SECRET}@127.0.0.1:{proxy.port}")
        failed = failure(HttpRequest("GET", "http://venue.example/"), dial)
    assert failed.text == f"the proxy 127.0.0.1:{proxy.port} refused our login"
    assert failed.code == "proxy_407"
    assert isinstance(failed.reason(), Fatal)


def test_no_library_logs_what_we_send_and_hear_and_others_are_logged_as_they_wish(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=%b\r\nContent-Length: 2\r\n\r\nok" % SECRET.encode()
    caplog.set_level(1)
    with Server(answer) as server:
        path, headers = f"/{SECRET}?key={SECRET}", (("Authorization", f"Bearer {SECRET}"),)
        success(get(server, path, method="POST", body=SECRET.encode(), headers=headers))
        assert SECRET not in caplog.text
        assert not [record for record in caplog.records if record.name.startswith(("http", "h11"))]
        httpx.get(f"http://127.0.0.1:{server.port}/")  # a user's own, in this very thread
    assert "receive_response_headers.complete" in caplog.text


def test_only_what_has_left_is_counted() -> None:
    count = RequestCount()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fetch(HttpRequest("GET", f"http://127.0.0.1:{port}/"), Dial(), count=count)
    fetch(HttpRequest("GET", "http://127.0.0.1:1/", (("Upgrade", "no"),)), Dial(), count=count)
    with Server(OK) as server:
        fetch(get(server, url=f"https://127.0.0.1:{server.port}/"), Dial(), count=count)
        assert count.sent == 0
        converse(Talk(get(server), get(server)).begin(), Dial(), count=count)
        assert count.sent == 2
    with Server(b"") as mute:  # it may have counted what it did not answer
        fetch(get(mute), Dial(), count=count)
    assert count.sent == 3


# ── conversations ───────────────────────────────────────────────────────────────────────────────


class Talk:
    """A conversation of two questions; `closed` says whether it was."""

    def __init__(self, *requests: HttpRequest) -> None:
        self._requests = requests
        self.closed = False

    def begin(self) -> Generator[HttpRequest, HttpAnswer, list[bytes]]:
        heard = []
        try:
            for request in self._requests:
                answer = yield request
                heard.append(answer.body)
            return heard
        finally:
            self.closed = True


def test_a_conversation_is_carried_on_to_its_end() -> None:
    with Server(OK) as server:
        assert converse(Talk(get(server), get(server)).begin(), Dial()) == [b"ok", b"ok"]
        assert converse(Talk().begin(), Dial()) == []


def test_a_conversation_whose_venue_does_not_answer_is_closed() -> None:
    with Server(OK) as server, Server(b"") as mute:
        talk = Talk(get(server), get(mute), get(server))
        failed = converse(talk.begin(), Dial())
    assert isinstance(failed, HttpFailed)
    assert (failed.code, talk.closed, len(server.heads)) == ("lost", True, 1)


def test_a_conversation_has_one_deadline_for_all_of_it() -> None:
    with Loopback(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x")) as server:
        began = time.monotonic()
        failed = converse(Talk(get(server, timeout=30.0)).begin(), Dial(), seconds=0.2)
        assert isinstance(failed, HttpFailed)
        assert failed.code == "timeout"
        assert time.monotonic() - began < 30.0


def test_a_defect_of_a_conversation_is_raised() -> None:
    def faulty() -> Generator[HttpRequest, HttpAnswer, None]:
        yield get(server)
        raise KeyError("price")

    with Server(OK) as server, pytest.raises(KeyError):
        converse(faulty(), Dial())
