"""Opening a socket, against real servers on loopback."""

from __future__ import annotations

import base64
import contextlib
import datetime
import errno
import gc
import hashlib
import os
import queue
import selectors
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest
import trustme
import websocket._handshake
from websocket._cookiejar import SimpleCookieJar
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import ServerConnection, serve

from actors import log_queue
from actors.http_types import Endpoint, HostPort
from actors.reasons import Fatal, Reason, Retryable, Slow, Stopped, Weather
from actors.wire import tcp
from actors.wire.attempt import Attempt
from actors.wire.connect import ConnectCancel, ConnectFailed, Dial, open_socket
from actors.wire.lookups import Lookups
from actors.wire.proxies import choose_proxy
from actors.wire.request import parse_endpoint
from tests.conftest import Baseline
from tests.wire.proxies import ConnectProxy, Loopback, Socks5Proxy, read_exactly, read_head

SHORT = 0.4  # seconds: the deadline of attempts that must run into it
SECRET = "hunter2-very-secret"

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems treat a full backlog otherwise")


# ── what the stories are made of ────────────────────────────────────────────────────────────────


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Set up first, so torn down last: descriptors and threads are back to where they were."""
    before = descriptors(), threads()
    yield
    join_look_ups()
    assert (descriptors(), threads()) == before


def threads() -> int:
    """All but that of the log, which ends by itself after a while."""
    return sum(thread.name != log_queue.THREAD for thread in threading.enumerate())


def join_look_ups() -> None:
    """A look-up's thread ends by itself, but nobody waits for it."""
    for thread in threading.enumerate():
        if thread.name.startswith("dns/"):
            thread.join()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


@pytest.fixture(autouse=True)
def a_bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@contextlib.contextmanager
def websockets_server(heard: Callable[[ServerConnection], None], **options: Any) -> Iterator[int]:
    """The port of a real server that says hello, lets `heard` look, and waits for the end."""

    def handler(connection: ServerConnection) -> None:
        heard(connection)
        with contextlib.suppress(ConnectionClosed):
            connection.send("hello")
            connection.recv()

    with serve(handler, "127.0.0.1", 0, **{"compression": None} | options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()
    gc.collect()  # the server leaves its selector to the collector


def ignore(connection: ServerConnection) -> None:
    """Nobody asks how the handshake looked."""


def upgrading(*extra: bytes, then: bytes = b"") -> Callable[[socket.socket], None]:
    """A server's side of a correct upgrade, with `extra` header lines in the answer."""

    def conversation(sock: socket.socket) -> None:
        sock.sendall(accepting(read_head(sock), *extra) + then)
        sock.recv(1)

    return conversation


def accepting(head: bytes, *extra: bytes) -> bytes:
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
        *extra,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    def conversation(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(answer)

    return conversation


class Silent(Loopback):
    """Accepts, reads, and never says a word. `heard` is set by the first byte."""

    def __init__(self) -> None:
        super().__init__(self._listen)
        self.heard = threading.Event()

    def _listen(self, sock: socket.socket) -> None:
        while sock.recv(4096):
            self.heard.set()


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A loopback port whose SYNs are swallowed: a listener whose backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def resolving_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> list[str]:
    """Every name has these ports of 127.0.0.1 for its addresses; answers the names asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", other)) for other in ports or (port,)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def at(port: int, path: str = "/", **options: Any) -> Endpoint:
    return Endpoint(url=f"ws://127.0.0.1:{port}{path}", **options)


def refusal(endpoint: Endpoint, dial: Dial | None = None) -> Reason:
    with pytest.raises(ConnectFailed) as caught:
        open_socket(endpoint, dial or Dial(), ConnectCancel()).socket.close()
    assert SECRET not in caught.value.reason.text
    return caught.value.reason


def read_frame(sock: socket.socket) -> bytes:
    """The payload of one short text frame. The socket does not block, so wait before."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        while True:
            try:
                return sock.recv(4096)[2:]
            except (BlockingIOError, ssl.SSLWantReadError):
                assert selector.select(5)


def opened(endpoint: Endpoint, dial: Dial | None = None) -> bytes:
    """Open, read what the server says first, close."""
    with open_socket(endpoint, dial or Dial(), ConnectCancel()).socket as sock:
        assert sock.gettimeout() == 0
        return read_frame(sock)


@contextlib.contextmanager
def opening(endpoint: Endpoint, dial: Dial | None = None) -> Iterator[tuple[Future[Any], ConnectCancel]]:
    connect_cancel = ConnectCancel()
    with ThreadPoolExecutor(1) as pool:
        yield (
            pool.submit(open_socket, endpoint, dial or Dial(connect_timeout=30), connect_cancel),
            connect_cancel,
        )


# ── an upgrade that works ───────────────────────────────────────────────────────────────────────


def test_headers_and_path_arrive_and_the_socket_reads_frames() -> None:
    heard: queue.SimpleQueue[tuple[str, str | None, str | None]] = queue.SimpleQueue()

    def look(connection: ServerConnection) -> None:
        assert connection.request is not None
        headers = connection.request.headers
        heard.put((connection.request.path, headers.get("X-Key"), headers.get("Origin")))

    with websockets_server(look) as port:
        assert opened(at(port, "/v2/a;b?token=1", headers=(("X-Key", "k"),))) == b"hello"
    assert heard.get() == ("/v2/a%3Bb?token=1", "k", None)


def test_an_origin_and_a_host_of_ones_own_replace_the_usual_ones() -> None:
    heads: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def conversation(sock: socket.socket) -> None:
        heads.put(head := read_head(sock))
        sock.sendall(accepting(head) + b"\x81\x02ok")

    headers = (("Origin", "https://a.example"), ("Host", "b.example"))
    with Loopback(conversation) as server:
        assert opened(at(server.port, headers=headers)) == b"ok"
    head = heads.get()
    assert head.count(b"Origin: ") == head.count(b"Host: ") == 1
    assert b"\r\nHost: b.example\r\n" in head


def test_userinfo_in_the_url_is_a_login() -> None:
    heads: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def conversation(sock: socket.socket) -> None:
        heads.put(head := read_head(sock))
        sock.sendall(accepting(head) + b"\x81\x02ok")

    with Loopback(conversation) as server:
        opened(Endpoint(url=f"ws://me:p%40ss@127.0.0.1:{server.port}/"))
    assert b"\r\nAuthorization: Basic " + base64.b64encode(b"me:p@ss") in heads.get()


def test_a_subprotocol_that_was_offered() -> None:
    with websockets_server(ignore, subprotocols=["b"]) as port:
        assert opened(at(port, subprotocols=("a", "b"))) == b"hello"


def test_connection_may_stand_on_two_lines() -> None:
    with Loopback(upgrading(b"Connection: keep-alive", then=b"\x81\x02hi")) as server:
        assert opened(at(server.port)) == b"hi"


def test_the_first_frame_may_come_with_the_answer() -> None:
    with Loopback(upgrading(then=b"\x81\x02hi")) as server:
        assert opened(at(server.port)) == b"hi"


def test_the_socket_options() -> None:
    with websockets_server(ignore) as port, open_socket(at(port), Dial(), ConnectCancel()).socket as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_request_longer_than_the_send_buffer_arrives_whole() -> None:
    sizes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def conversation(sock: socket.socket) -> None:
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(4096)
        sizes.put(len(head))
        sock.sendall(accepting(bytes(head)) + b"\x81\x02ok")

    with Loopback(conversation) as server:
        opened(at(server.port, headers=(("X-Long", "x" * 8_000_000),)))
    assert sizes.get() > 8_000_000


def test_cookies_stay_with_their_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    jar = SimpleCookieJar()
    jar.set("theirs=1; Domain=localhost")  # of another user of websocket-client in this process
    monkeypatch.setattr(websocket._handshake, "CookieJar", jar)
    heads: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def conversation(sock: socket.socket) -> None:
        heads.put(head := read_head(sock))
        sock.sendall(accepting(head, b"Set-Cookie: ours=1; Domain=localhost") + b"\x81\x02ok")

    with Loopback(conversation) as server:
        for _ in range(2):
            opened(Endpoint(url=f"ws://localhost:{server.port}/"))
            assert b"Cookie" not in heads.get()
    assert jar.get("localhost") == "theirs=1"


# ── TLS ─────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def tls_server(certificate: trustme.LeafCert) -> Iterator[str]:
    with websockets_server(ignore, ssl=server_context(certificate)) as port:
        yield f"wss://localhost:{port}/"


def test_a_private_ca_is_trusted_when_its_file_is_given(ca: trustme.CA, ca_file: str) -> None:
    with tls_server(ca.issue_cert("localhost")) as url:
        assert opened(Endpoint(url=url), Dial(ca_file=ca_file)) == b"hello"


def test_an_unknown_ca_is_slow(ca: trustme.CA) -> None:
    with tls_server(ca.issue_cert("localhost")) as url:
        match refusal(Endpoint(url=url)):
            case Slow(code="certificate", text=text):
                assert "localhost:" in text
            case other:
                pytest.fail(repr(other))


def test_an_expired_certificate_is_slow(ca: trustme.CA, ca_file: str) -> None:
    past = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)
    day = datetime.timedelta(days=1)
    with tls_server(ca.issue_cert("localhost", not_before=past - day, not_after=past)) as url:
        reason = refusal(Endpoint(url=url), Dial(ca_file=ca_file))
    assert isinstance(reason, Slow)
    assert "expired" in reason.text


def test_a_certificate_for_another_host_is_weather(ca: trustme.CA, ca_file: str) -> None:
    with tls_server(ca.issue_cert("other.example")) as url:
        assert refused_as(Endpoint(url=url), Dial(ca_file=ca_file)) == (Weather, "hostname")


def test_insecure_asks_for_nothing(ca: trustme.CA) -> None:
    with tls_server(ca.issue_cert("other.example")) as url:
        assert opened(Endpoint(url=url), Dial(verify_tls=False)) == b"hello"


def test_a_server_without_tls_is_a_tls_failure() -> None:
    def conversation(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        while sock.recv(4096):
            pass

    with Loopback(conversation) as server:
        endpoint = Endpoint(url=f"wss://localhost:{server.port}/")
        assert refused_as(endpoint) == (Retryable, "tls")


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    with Silent() as server:
        endpoint = Endpoint(url=f"wss://localhost:{server.port}/")
        for path in (wrong, tmp_path / "missing.pem"):
            assert refused_as(endpoint, Dial(ca_file=str(path))) == (Weather, "ca_file")


# ── answers that are none ───────────────────────────────────────────────────────────────────────


def refused_as(endpoint: Endpoint, dial: Dial | None = None) -> tuple[type[Reason], str]:
    reason = refusal(endpoint, dial)
    return type(reason), reason.code


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [
        (200, "", Retryable),
        (301, "Location: wss://u:p@b.example/x?token=1", Weather),
        (302, "Retry-After: 5", Slow),
        (308, "Location: /elsewhere", Weather),
        (400, "", Weather),
        (401, "", Fatal),
        (401, "Retry-After: 5", Slow),
        (403, "", Weather),
        (403, "Retry-After: 5", Slow),
        (403, "Retry-After: soon", Weather),
        (404, "", Weather),
        (418, "", Weather),
        (418, "Retry-After: 5", Slow),
        (451, "", Weather),
        (408, "", Retryable),
        (425, "", Retryable),
        (429, "", Slow),
        (500, "", Retryable),
        (503, "", Retryable),
        (503, "Retry-After: soon", Retryable),
        (503, "Retry-After: 7", Slow),
        (599, "", Retryable),
    ],
)
def test_http_statuses(status: int, header: str, expected: type[Reason]) -> None:
    answer = f"HTTP/1.1 {status} Whatever\r\n{header or 'X: y'}\r\nContent-Length: 0\r\n\r\n".encode()
    with Loopback(answering(answer)) as server:
        reason = refusal(at(server.port, f"/?token={SECRET}"))
    assert (type(reason), reason.code) == (expected, f"http_{status}")
    assert f"127.0.0.1:{server.port} answered {status}" in reason.text
    assert ("url may not lead to a WebSocket" in reason.text) == (status == 200)
    assert "token" not in reason.text


def test_a_redirect_names_the_other_host_and_is_not_followed() -> None:
    answer = f"HTTP/1.1 301 Moved\r\nLocation: wss://u:{SECRET}@b.example/{SECRET}?k={SECRET}\r\n\r\n"
    with Loopback(answering(answer.encode())) as server:
        reason = refusal(at(server.port))
    assert reason.text.endswith("answered 301 Moved Permanently and points to b.example")


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_and_as_a_date(status: int) -> None:
    now = time.time()
    skewed = f"{formatdate(now - 7_170, usegmt=True)}\r\nDate: {formatdate(now - 7_200, usegmt=True)}"
    for value in ("30", "30.0", formatdate(now + 30, usegmt=True), skewed):
        answer = f"HTTP/1.1 {status} No\r\nRetry-After: {value}\r\n\r\n"
        with Loopback(answering(answer.encode())) as server:
            reason = refusal(at(server.port))
        assert isinstance(reason, Slow)
        assert reason.retry_after == pytest.approx(30, abs=10)


def test_a_short_body_is_quoted_without_what_we_sent() -> None:
    body = f'{{"message": "bad\x07key {SECRET}"}}' + "x" * 300
    head = f"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with Loopback(answering((head + body).encode())) as server:
        reason = refusal(at(server.port, headers=(("Authorization", f"Bearer {SECRET}"),)))
    assert '({"message": "bad key …"}xxx' in reason.text
    assert len(reason.text) < 300


def test_an_endless_body_is_not_awaited() -> None:
    over = threading.Event()

    def conversation(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 10000000000\r\n\r\nwait for it")
        over.wait(30)

    with Loopback(conversation) as server:
        began = time.monotonic()
        assert refused_as(at(server.port)) == (Fatal, "http_401")
        over.set()
    assert time.monotonic() - began <= 5


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "handshake"),
        (b"HTTP/1.1 101 Swi", "handshake"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "handshake"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "handshake"),
        (accepting(b"Sec-WebSocket-Key: another\r\n"), "handshake"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "handshake"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "handshake"),
    ],
)
def test_no_valid_upgrade_is_retryable(answer: bytes, code: str) -> None:
    with Loopback(answering(answer)) as server:
        assert refused_as(at(server.port)) == (Retryable, code)


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ((), b"Sec-WebSocket-Extensions: permessage-deflate"),
        ((), b"Sec-WebSocket-Protocol: a"),
        (("a",), b"Sec-WebSocket-Protocol: b"),
        (("a", "b"), b"Sec-WebSocket-Protocol: a, b"),
        (("a",), b"X-None: chosen"),
    ],
)
def test_an_answer_outside_our_offer_is_weather(offer: tuple[str, ...], answer: bytes) -> None:
    with Loopback(upgrading(answer)) as server:
        assert refused_as(at(server.port, subprotocols=offer)) == (Weather, "offer")


# ── compression ─────────────────────────────────────────────────────────────────────────────────


def compressed(port: int, dial: Dial) -> bool:
    opened = open_socket(at(port), dial, ConnectCancel())
    opened.socket.close()
    return opened.compressed


@pytest.mark.parametrize("ours", ["none", "deflate"])
@pytest.mark.parametrize("theirs", [None, "deflate"])
def test_compression_is_agreed_on_where_both_want_it(
    ours: Literal["none", "deflate"], theirs: str | None
) -> None:
    with websockets_server(ignore, compression=theirs) as port:
        assert compressed(port, Dial(compression=ours)) == (ours == theirs)


@pytest.mark.parametrize("bits", [9, 12])
def test_a_server_that_limits_windows_is_content_with_the_offer(bits: int) -> None:
    strict = ServerPerMessageDeflateFactory(
        server_max_window_bits=bits, client_max_window_bits=bits, require_client_max_window_bits=True
    )
    with websockets_server(ignore, extensions=[strict]) as port:
        assert compressed(port, Dial(compression="deflate"))


def test_what_is_offered() -> None:
    heads: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def conversation(sock: socket.socket) -> None:
        heads.put(head := read_head(sock))
        sock.sendall(accepting(head) + b"\x81\x02ok")

    with Loopback(conversation) as server:
        opened(at(server.port), Dial(compression="deflate"))
        offer = b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        assert offer in heads.get()
        opened(at(server.port))
        assert b"Extensions" not in heads.get()


@pytest.mark.parametrize(
    "answer",
    [
        (b"Sec-WebSocket-Extensions: permessage-deflate", b"Sec-WebSocket-Extensions: permessage-deflate"),
        (b"Sec-WebSocket-Extensions: permessage-deflate", b"Sec-WebSocket-Extensions: x-compress"),
        (b"Sec-WebSocket-Extensions: permessage-deflate;\r\n server_max_window_bits=99",),
        (b"Sec-WebSocket-Extensions: \xff",),
    ],
)
def test_an_answer_beyond_the_offer_of_compression_is_weather(answer: tuple[bytes, ...]) -> None:
    with Loopback(upgrading(*answer)) as server:
        assert refused_as(at(server.port), Dial(compression="deflate")) == (Weather, "offer")


def test_an_answer_on_two_lines_and_folded_is_read() -> None:
    folded = b"Sec-WebSocket-Extensions: permessage-deflate;\r\n server_no_context_takeover"
    with Loopback(upgrading(folded, b"Sec-WebSocket-Extensions: ", then=b"\x81\x02hi")) as server:
        assert compressed(server.port, Dial(compression="deflate"))


# ── requests that are not sent ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint(url="ws://127.0.0.1:9/\r\nX: y"),
        Endpoint(url="ws://127.0.0.1:9/a b"),
        at(9, headers=(("X\r\nY", "z"),)),
        at(9, headers=(("X", f"{SECRET}\r\nY: z"),)),
        at(9, headers=(("X", f"{SECRET}\nY: z"),)),
        at(9, headers=(("Sec-WebSocket-Key", "k"),)),
        at(9, subprotocols=("a\r\nX: y",)),
    ],
)
def test_what_would_break_out_of_its_header_is_refused(endpoint: Endpoint) -> None:
    assert refused_as(endpoint) == (Fatal, "header")


@pytest.mark.parametrize(
    "url", ["http://a.example/", "ws:///x", "ws://a.example:x/", f"ws://{'a' * 64}.example/", "ws://[::1/"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    assert refused_as(Endpoint(url=url)) == (Fatal, "url")


# ── DNS and TCP ─────────────────────────────────────────────────────────────────────────────────


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_closed_port_refuses() -> None:
    assert refused_as(at(unused_port())) == (Retryable, "refused")


def test_a_host_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    reason = refusal(Endpoint(url=f"ws://nobody.example/?{SECRET}"))
    assert reason == Retryable("nobody.example could not be looked up (Name or service not known)", "dns")


@linux
def test_a_dead_first_address_costs_a_stagger_not_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with websockets_server(ignore) as port, black_hole() as dead:
        resolving_to(monkeypatch, dead, port)
        began = time.monotonic()
        assert opened(Endpoint(url="ws://two.example/"), Dial(connect_timeout=30)) == b"hello"
        assert time.monotonic() - began <= 5 * 0.25


def test_a_refusing_first_address_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with websockets_server(ignore) as port:
        resolving_to(monkeypatch, unused_port(), unused_port(), port)
        assert opened(Endpoint(url="ws://three.example/")) == b"hello"


@linux
def test_only_dead_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    with black_hole() as dead:
        resolving_to(monkeypatch, dead)
        began = time.monotonic()
        reason = refusal(Endpoint(url="ws://dead.example/"), Dial(connect_timeout=SHORT))
        assert time.monotonic() - began <= 5 * SHORT
    assert reason.code == "connect_timeout"
    assert reason.text == "dead.example:80: the TCP connection was not over after 0.4 s"


def test_an_unreachable_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]

    def start_connecting(sock: socket.socket, where: Any) -> None:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("actors.wire.tcp.start_connecting", start_connecting)
    assert refused_as(Endpoint(url="ws://far.example/")) == (Retryable, "unreachable")


@contextlib.contextmanager
def descriptors_left(spare: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    _, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    holes: list[int] = []  # numbers that tests before this one gave back: they would be spare, too
    open_ones = [number for number in range(4_096) if _is_open(number)]
    while (lowest := os.dup(0)) < max(open_ones):
        holes.append(lowest)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for number in holes:
            os.close(number)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_no_descriptor_left() -> None:
    with Silent() as server:
        for spare in range(4):  # each place that needs one
            with descriptors_left(spare):
                refused = refused_as(at(server.port), Dial(connect_timeout=SHORT))
            assert refused == (Retryable, "descriptors")


def test_no_descriptor_left_to_read_the_ca_file(ca: trustme.CA, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    with descriptors_left(0):
        refused = refused_as(Endpoint(url="wss://127.0.0.1:9/"), Dial(ca_file=str(path)))
    assert refused == (Retryable, "descriptors")


# ── the deadline ────────────────────────────────────────────────────────────────────────────────


def assert_timed_out(endpoint: Endpoint, phase: str, proxy: str = "none") -> None:
    began = time.monotonic()
    reason = refusal(endpoint, Dial(connect_timeout=SHORT, proxy=proxy, verify_tls=False))
    assert time.monotonic() - began <= 5 * SHORT
    assert (type(reason), reason.code) == (Retryable, "connect_timeout")
    assert phase in reason.text


def test_a_silent_server() -> None:
    with Silent() as server:
        assert_timed_out(at(server.port), "WebSocket upgrade")
        assert_timed_out(Endpoint(url=f"wss://localhost:{server.port}/"), "TLS handshake")


def test_a_look_up_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, released = threading.Event(), threading.Event()
    with hanging_look_up(monkeypatch, asked, released):
        assert_timed_out(Endpoint(url="ws://slow.example/"), "DNS look-up")


def test_a_look_up_is_known_to_those_of_its_runtime_until_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, released = threading.Event(), threading.Event()
    dial, other = Dial(connect_timeout=0.2, lookups=Lookups()), Dial(lookups=Lookups())
    with hanging_look_up(monkeypatch, asked, released):
        with pytest.raises(ConnectFailed):
            open_socket(Endpoint(url="ws://slow.example/"), dial, ConnectCancel())
        assert [thread.name for thread in dial.lookups.running()] == ["dns/slow.example"]
        assert other.lookups.running() == ()
    assert dial.lookups.running() == ()


def test_a_look_up_without_a_thread_is_no_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    dial = Dial(lookups=Lookups())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(ConnectFailed, match="no thread can be started"):
            open_socket(Endpoint(url="ws://slow.example/"), dial, ConnectCancel())
    assert dial.lookups.running() == ()


def test_all_that_ask_for_a_host_share_one_look_up_and_leave_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, baseline: Baseline
) -> None:
    asked, released = threading.Event(), threading.Event()
    dial = Dial(connect_timeout=0.1, lookups=Lookups())
    with hanging_look_up(monkeypatch, asked, released):
        for number in range(10):
            with pytest.raises(ConnectFailed, match="DNS look-up"):
                open_socket(Endpoint(url=f"ws://slow.example:{8_000 + number}/"), dial, ConnectCancel())
        assert len(dial.lookups.running()) == 1
    baseline.check()


def test_an_answer_is_for_each_port_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    released, ports = threading.Event(), [8_001, 8_002]
    dial = Dial(lookups=Lookups())

    def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        released.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    def look_up(port: int) -> Any:
        with Attempt(10.0, ConnectCancel(), dial.lookups) as attempt:
            found = tcp.look_up(attempt, HostPort("host.example", port))
            attempt.close()
            return found

    with ThreadPoolExecutor() as pool:
        found = [pool.submit(look_up, port) for port in ports]
        while len(dial.lookups._by_host["host.example"].waiters if dial.lookups._by_host else ()) < 2:
            assert not any(each.done() for each in found)
        released.set()
        assert [each.result(10)[0][4] for each in found] == [("127.0.0.1", port) for port in ports]


def test_the_number_of_look_ups_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, released = threading.Event(), threading.Event()
    dial = Dial(connect_timeout=0.1, lookups=Lookups(most=2))
    with hanging_look_up(monkeypatch, asked, released):
        for host, words in (("a", "look-up"), ("b", "look-up"), ("c", "2 DNS look-ups have not returned")):
            with pytest.raises(ConnectFailed, match=words):
                open_socket(Endpoint(url=f"ws://{host}.example/"), dial, ConnectCancel())


@contextlib.contextmanager
def hanging_look_up(
    monkeypatch: pytest.MonkeyPatch, asked: threading.Event, released: threading.Event
) -> Iterator[None]:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        asked.set()
        released.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    released.set()
    join_look_ups()


def dripping(sock: socket.socket, text: bytes, over: threading.Event) -> None:
    for byte in text:
        sock.sendall(bytes([byte]))
        if over.wait(SHORT / 4):
            return


def test_a_server_that_drips_its_answer() -> None:
    over = threading.Event()

    def conversation(sock: socket.socket) -> None:
        dripping(sock, accepting(read_head(sock)), over)

    with Loopback(conversation) as server:
        assert_timed_out(at(server.port), "WebSocket upgrade")
        over.set()


def test_a_server_that_drips_its_tls_handshake() -> None:
    over = threading.Event()

    def conversation(sock: socket.socket) -> None:
        sock.recv(4096)
        dripping(sock, b"\x16\x03\x03\x0f\xff\x02" + bytes(100), over)

    with Loopback(conversation) as server:
        assert_timed_out(Endpoint(url=f"wss://localhost:{server.port}/"), "TLS handshake")
        over.set()


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxy_that_drips(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    resolving_to(monkeypatch)
    over = threading.Event()
    # Valid answers, to their last byte: an invalid one would be refused as soon as it shows.
    socks5 = b"\x05\x00" + b"\x05\x00\x00\x03\x20" + bytes(32) + bytes(2)
    answer = {"http": b"HTTP/1.1 200 OK\r\n\r\n", "socks5h": socks5}[scheme]

    def conversation(sock: socket.socket) -> None:
        sock.recv(1)
        dripping(sock, answer, over)

    with Loopback(conversation) as proxy:
        url = f"{scheme}://127.0.0.1:{proxy.port}"
        assert_timed_out(Endpoint(url="ws://far.example/"), "proxy", proxy=url)
        over.set()


# ── proxies ─────────────────────────────────────────────────────────────────────────────────────


def through(scheme: str, proxy: Loopback, login: str = "") -> Dial:
    return Dial(proxy=f"{scheme}://{login}127.0.0.1:{proxy.port}")


def test_a_connect_proxy_with_a_login(ca: trustme.CA, ca_file: str) -> None:
    login = f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}"
    context = server_context(ca.issue_cert("far.example"))
    with websockets_server(ignore, ssl=context) as port, ConnectProxy(port, login=login) as proxy:
        dial = Dial(proxy=f"http://me:{SECRET}@127.0.0.1:{proxy.port}", ca_file=ca_file)
        assert opened(Endpoint(url="wss://far.example/"), dial) == b"hello"
        assert proxy.asked.get().startswith(b"CONNECT far.example:443 HTTP/1.1\r\n")
        assert SECRET not in repr(dial)


def test_a_socket_behind_a_proxy_has_its_options_too() -> None:
    with (
        websockets_server(ignore) as port,
        ConnectProxy(port) as proxy,
        open_socket(
            Endpoint(url="ws://far.example/"), through("http", proxy), ConnectCancel()
        ).socket as sock,
    ):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_socks5h_lets_the_proxy_look_the_name_up() -> None:
    with websockets_server(ignore) as port, Socks5Proxy(port, login=(b"me", SECRET.encode())) as proxy:
        dial = through("socks5h", proxy, login=f"me:{SECRET}@")
        assert opened(Endpoint(url="ws://far.example/"), dial) == b"hello"
        assert proxy.asked.get() == b"far.example"


def test_socks5_looks_the_name_up_here(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving_to(monkeypatch)
    with websockets_server(ignore) as port, Socks5Proxy(port) as proxy:
        assert opened(Endpoint(url="ws://far.example/"), through("socks5", proxy)) == b"hello"
        assert proxy.asked.get() == bytes([127, 0, 0, 1])
    assert asked == ["far.example", "127.0.0.1"]


@pytest.mark.parametrize(
    ("scheme", "expected"), [("socks4", b"\x7f\x00\x00\x01"), ("socks4a", b"\x00\x00\x00\x01")]
)
def test_socks4(monkeypatch: pytest.MonkeyPatch, scheme: str, expected: bytes) -> None:
    resolving_to(monkeypatch)

    def conversation(sock: socket.socket) -> None:
        assert read_exactly(sock, 8)[4:] == expected
        while read_exactly(sock, 1) != b"\0":  # the user
            pass
        while scheme == "socks4a" and read_exactly(sock, 1) != b"\0":
            pass
        sock.sendall(b"\x00\x5a" + bytes(6))
        upgrading(then=b"\x81\x02ok")(sock)

    with Loopback(conversation) as proxy:
        assert opened(Endpoint(url="ws://far.example/"), through(scheme, proxy)) == b"ok"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 407 Login\r\n\r\n", (Fatal, "proxy_407")),
        (b"HTTP/1.1 403 No\r\n\r\n", (Weather, "proxy_403")),
        (b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n", (Weather, "proxy_302")),
        (b"HTTP/1.1 403 No\r\nRetry-After: 5\r\n\r\n", (Slow, "proxy_403")),
        (b"HTTP/1.1 407 Login\r\nRetry-After: 5\r\n\r\n", (Slow, "proxy_407")),
        (b"HTTP/1.1 429 No\r\n\r\n", (Slow, "proxy_429")),
        (b"HTTP/1.1 502 Gone\r\n\r\n", (Retryable, "proxy_502")),
        (b"nonsense\r\n\r\n", (Retryable, "proxy")),
        (b"HTTP/1.1 200", (Retryable, "handshake")),
    ],
)
def test_a_connect_proxy_that_says_no(answer: bytes, expected: tuple[type[Reason], str]) -> None:
    with ConnectProxy(9, refusal=answer) as proxy:
        dial = through("http", proxy, login=f"me:{SECRET}@")
        assert refused_as(Endpoint(url="ws://far.example/"), dial) == expected


def test_a_refused_login_comes_with_advice() -> None:
    with ConnectProxy(9, login="Basic other") as proxy:
        reason = refusal(Endpoint(url="ws://far.example/"), through("http", proxy, login=f"me:{SECRET}@"))
    assert isinstance(reason, Fatal)
    assert "user and password" in reason.advice
    assert SECRET not in reason.advice


@pytest.mark.parametrize(
    ("reply", "expected"),
    [(1, Retryable), (2, Weather), (3, Retryable), (4, Retryable), (5, Retryable), (8, Weather)],
)
def test_a_socks5_proxy_that_says_no(reply: int, expected: type[Reason]) -> None:
    with Socks5Proxy(9, reply=reply) as proxy:
        refused = refused_as(Endpoint(url="ws://far.example/"), through("socks5h", proxy))
    assert refused == (expected, f"proxy_{reply}")


@pytest.mark.parametrize("login", ["", "me:wrong@"])
def test_a_socks5_proxy_that_wants_a_login(login: str) -> None:
    with Socks5Proxy(9, login=(b"me", b"right")) as proxy:
        refused = refused_as(Endpoint(url="ws://far.example/"), through("socks5h", proxy, login))
    assert refused == (Fatal, "proxy_login")


def test_a_login_that_its_protocol_cannot_write() -> None:
    with ConnectProxy(9) as proxy:
        dial = through("http", proxy, login=f"a%3Ab:{SECRET}@")
        assert refused_as(Endpoint(url="ws://far.example/"), dial) == (Fatal, "proxy")


@pytest.mark.parametrize("url", ["https://p.example:1", "ftp://p.example", "http://", "http://p.example:x"])
def test_a_proxy_that_is_none(url: str) -> None:
    assert refused_as(Endpoint(url="ws://far.example/"), Dial(proxy=url)) == (Fatal, "proxy")


def test_a_proxy_that_is_not_there() -> None:
    dial = Dial(proxy=f"http://me:{SECRET}@127.0.0.1:{unused_port()}")
    reason = refusal(Endpoint(url="ws://far.example/"), dial)
    assert reason.code == "refused"
    assert reason.text.startswith("the proxy 127.0.0.1:")


def test_the_environment_captures_nothing_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    with websockets_server(ignore) as port, ConnectProxy(9, refusal=b"HTTP/1.1 403 No\r\n\r\n") as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        resolving_to(monkeypatch, port)
        assert opened(Endpoint(url="ws://far.example/")) == b"hello"
        assert proxy.asked.empty()


def test_the_environment_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with websockets_server(ignore) as port, ConnectProxy(port) as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        assert opened(Endpoint(url="ws://far.example/"), Dial(proxy="env")) == b"hello"
        assert not proxy.asked.empty()


def test_no_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with websockets_server(ignore) as port, ConnectProxy(9, refusal=b"HTTP/1.1 403 No\r\n\r\n") as proxy:
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "far.example")
        resolving_to(monkeypatch, port)
        assert opened(Endpoint(url="ws://a.far.example/"), Dial(proxy="env")) == b"hello"
        assert proxy.asked.empty()


@pytest.mark.parametrize(
    ("url", "no_proxy", "bypassed"),
    [
        ("wss://10.1.2.3/", "10.0.0.0/8", True),
        ("wss://10.1.2.3:9443/", "a.example, 10.1.2.3", True),
        ("wss://11.1.2.3/", "10.0.0.0/8", False),
        ("wss://[fd00::1]/", "fd00::1", True),
        ("wss://[fd00::1]:99/", "[fd00::1]", True),
        ("wss://[fd00::1]/", "fd00::/8", True),
        ("wss://[fe00::1]/", "fd00::/8,10.0.0.0/8,,nonsense/99", False),
        ("wss://a.example/", "10.0.0.0/8", False),
    ],
)
def test_addresses_and_networks_in_no_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str, bypassed: bool
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert (choose_proxy("env", parse_endpoint(Endpoint(url=url))) is None) == bypassed


def test_gnome_writes_socks_for_a_proxy_that_looks_names_up() -> None:
    proxy = choose_proxy("socks://proxy.example:1080/", parse_endpoint(Endpoint(url="wss://a.example/")))
    assert proxy is not None
    assert (proxy.scheme, str(proxy.target)) == ("socks5h", "proxy.example:1080")


@pytest.mark.parametrize("password", ["café", "密€"])
def test_a_login_at_a_proxy_is_utf_8(password: str) -> None:
    login = f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}"
    shown = f"me:{quote(password)}@"
    with websockets_server(ignore) as port:
        with ConnectProxy(port, login=login) as proxy:
            assert opened(Endpoint(url="ws://far.example/"), through("http", proxy, shown)) == b"hello"
        with Socks5Proxy(port, login=(b"me", password.encode())) as proxy:
            assert opened(Endpoint(url="ws://far.example/"), through("socks5h", proxy, shown)) == b"hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_never_proxied(host: str) -> None:
    with websockets_server(ignore) as port, ConnectProxy(9, refusal=b"HTTP/1.1 403 No\r\n\r\n") as proxy:
        assert opened(Endpoint(url=f"ws://{host}:{port}/"), through("http", proxy)) == b"hello"
        assert proxy.asked.empty()


# ── hanging up ──────────────────────────────────────────────────────────────────────────────────


def assert_stopped(future: Future[Any]) -> None:
    error = future.exception(timeout=5)
    assert isinstance(error, ConnectFailed)
    assert error.reason == Stopped()


def test_before_it_begins() -> None:
    with Silent() as server, opening(at(server.port)) as (_, connect_cancel):
        connect_cancel.cancel()
        with pytest.raises(ConnectFailed) as caught:
            open_socket(at(server.port), Dial(), connect_cancel)
        assert caught.value.reason == Stopped()


def test_during_the_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, released = threading.Event(), threading.Event()
    with (
        hanging_look_up(monkeypatch, asked, released),
        opening(Endpoint(url="ws://slow.example/")) as (future, connect_cancel),
    ):
        assert asked.wait(5)
        connect_cancel.cancel()
        assert_stopped(future)


@linux
def test_during_the_tcp_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()
    connect = socket.socket.connect

    def start_connecting(sock: socket.socket, where: Any) -> None:
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connect(sock, where)
        started.set()

    with black_hole() as dead:
        monkeypatch.setattr("actors.wire.tcp.start_connecting", start_connecting)
        with opening(at(dead)) as (future, connect_cancel):
            assert started.wait(5)
            connect_cancel.cancel()
            assert_stopped(future)


@pytest.mark.parametrize(
    ("url", "proxied"),
    [("ws://127.0.0.1:{port}/", False), ("wss://localhost:{port}/", False), ("ws://far.example/", True)],
)
def test_during_upgrade_tls_and_proxy(url: str, proxied: bool) -> None:
    with Silent() as server:
        dial = Dial(connect_timeout=30, proxy=f"http://127.0.0.1:{server.port}" if proxied else "none")
        with opening(Endpoint(url=url.format(port=server.port)), dial) as (future, connect_cancel):
            assert server.heard.wait(5)
            connect_cancel.cancel()
            assert_stopped(future)


def test_the_handle_ends_an_open_connection_too(ca: trustme.CA, ca_file: str) -> None:
    connect_cancel = ConnectCancel()
    with tls_server(ca.issue_cert("localhost")) as url:
        with open_socket(Endpoint(url=url), Dial(ca_file=ca_file), connect_cancel).socket as sock:
            assert read_frame(sock) == b"hello"
            connect_cancel.cancel()
            connect_cancel.cancel()
            assert sock.recv(4096) == b""
            connect_cancel.let_go(sock)
        connect_cancel.cancel()
    assert connect_cancel.cancelled
