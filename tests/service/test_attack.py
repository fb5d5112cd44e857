"""Attempts to get past the rights of the service, and to keep others from being served. Each has to fail.

Which request reaches which route is seen at the routes themselves: their answers are replaced by ones that
record the caller. What a route then shows and does is the matter of its own tests.
"""

from __future__ import annotations

import hmac
import re
import resource
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import product
from pathlib import Path

import pytest
from msgspec import structs

import actors
from actors import Runtime
from actors.secret import Secret
from actors.service import Limits, Service
from actors.service.responses import ServiceRequest, ServiceResponse
from actors.service.routes import ServiceRoute
from actors.settings.schema import ServiceSettings, ServiceTokens
from tests.service.visitor import connected, rest
from tests.support.runtimes import until

TOKENS = {right: f"the-token-to-{right}-0123456789" for right in ("look", "account", "act")}
SETTINGS = ServiceSettings(
    listen="127.0.0.1:0", tokens=ServiceTokens(**{right: Secret(text) for right, text in TOKENS.items()})
)
CALLERS = {
    "": {"nothing"},
    "look": {"nothing", "look"},
    "account": {"nothing", "look", "account"},
    "act": {"nothing", "look", "act"},
}

# Written out by hand: a new route, and a right that is changed, are looked at twice.
NEEDED = {
    "GET /status": "look",
    "GET /healthz": "nothing",
    "GET /readyz": "nothing",
    "GET /latest/FEED/KEY": "look",
    "GET /book/FEED/KEY": "look",
    "GET /fresh/FEED[/CHANNEL[/KEY]]": "look",
    "POST /restart/TARGET": "act",
    "POST /pause/TARGET": "act",
    "POST /resume/TARGET": "act",
    "POST /cooldowns/clear": "act",
    "POST /cooldowns/clear/ACCOUNT": "act",
    "POST /halt": "act",
    "POST /halt/TARGET": "act",
    "POST /unhalt/ID": "owner",
    "POST /orders/resolve/TAG": "owner",
    "POST /orders/adopt": "owner",
    "POST /beat/FEED": "act",
    "POST /reload": "act",
    "GET /drain": "look",
    "POST /drain": "act",
    "GET /log-level": "look",
    "POST /log-level/LEVEL": "act",
    "GET /rights": "look",
    "GET /journal": "look",
    "GET /journal/LINE": "look",
    "GET /tail": "look",
}
OPEN = {"GET /healthz", "GET /readyz"}
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Target:
    """A service whose routes record that they are reached."""

    def __init__(self, service: Service) -> None:
        self.service, self.reached = service, list[str]()
        routes = service._routes
        self.routes = routes.routes
        routes.routes = tuple(
            structs.replace(each, answer=self._recording(each), at_once=lambda _: None)
            for each in self.routes
        )

    def _recording(self, route: ServiceRoute) -> Callable[[ServiceRequest], ServiceResponse]:
        def answer(_: ServiceRequest) -> ServiceResponse:
            self.reached.append(str(route))
            return ServiceResponse(200, "reached")

        return answer

    def attack(self, request: str | bytes) -> tuple[list[int], list[str]]:
        """The statuses that come, and the routes that were reached. `{host}` stands for the right one."""
        self.reached.clear()
        data = request if isinstance(request, bytes) else request.encode("latin-1")
        data = data.replace(b"{host}", b"127.0.0.1:%d" % self.service.port)
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=20.0) as sock:
            with suppress(OSError):  # it may be refused before the end
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            told = rest(sock)
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", told)], list(self.reached)


@pytest.fixture
def target() -> Iterator[Target]:
    with actors.start({"feeds": {}}) as runtime, Service(runtime, SETTINGS) as service:
        yield Target(service)


def get(path: str, *headers: str, method: str = "GET", right: str = "", host: str = "{host}") -> str:
    given = (f"Host: {host}", *headers, *([f"Authorization: Bearer {TOKENS[right]}"] if right else []))
    return f"{method} {path} HTTP/1.1\r\n" + "".join(f"{each}\r\n" for each in given) + "\r\n"


def path_of(name: str) -> tuple[str, str]:
    """Method and path of a route; words in capitals stand for names."""
    method, path = name.split(" ")
    return method, re.sub(r"\[.*\]", "", path)


# ── each route, each caller ──


def test_every_route_is_in_the_table(target: Target) -> None:
    assert {str(route): route.needed for route in target.routes} == NEEDED


def test_a_caller_reaches_the_routes_of_its_rights_and_no_others(target: Target) -> None:
    for right, (name, needed) in product(CALLERS, NEEDED.items()):
        method, path = path_of(name)
        statuses, reached = target.attack(get(path, method=method, right=right))
        if needed in CALLERS[right]:
            assert (statuses, reached) == ([200], [name]), right
        else:
            assert (statuses, reached) == ([403 if right else 401], []), (right, name)


def test_no_upgrade_reaches_more(target: Target) -> None:
    for right, (name, needed) in product(CALLERS, NEEDED.items()):
        method, path = path_of(name)
        statuses, reached = target.attack(get(path, UPGRADE.rstrip(), method=method, right=right))
        assert 101 not in statuses
        assert reached == ([name] if needed in CALLERS[right] else []), right


def test_the_owner_of_the_socket_reaches_all(target: Target) -> None:
    for name in NEEDED:
        method, path = path_of(name)
        target.reached.clear()
        with connected(target.service) as sock:
            sock.sendall(get(path, method=method).replace("{host}", "localhost").encode())
            assert rest(sock).startswith(b"HTTP/1.1 200 ")
        assert target.reached == [name]


# ── methods and paths ──

METHODS = ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "Post", "GETPOST", "X-GET", "PRI")


def test_no_other_method_reaches_more(target: Target) -> None:
    for right, other, name in product(("", "look"), (*METHODS, "GET", "POST", "HEAD"), NEEDED):
        _, path = path_of(name)
        statuses, reached = target.attack(get(path, method=other, right=right))
        assert {NEEDED[each] for each in reached} <= CALLERS[right], (right, other, path)
        assert len(statuses) == 1, (right, other, path)


PROXY_HEADERS = (
    "X-HTTP-Method-Override: POST",
    "X-Original-URL: /restart/o2",
    "X-Rewrite-URL: /status",
    "X-Forwarded-For: 127.0.0.1",
    "Forwarded: for=127.0.0.1;host=localhost",
    "X-Forwarded-Host: localhost",
    "X-Real-IP: ::1",
    "X-Remote-User: root",
    "X-Linewarden-Uid: 0",
)


def test_no_header_of_a_proxy_gives_a_right(target: Target) -> None:
    for header in PROXY_HEADERS:
        assert target.attack(get("/status", header)) == ([401], [])
        assert target.attack(get("/restart/o2", header, method="POST", right="look")) == ([403], [])
        assert target.attack(get("/healthz", header)) == ([200], ["GET /healthz"])


PATHS = (
    "/healthz/../status",
    "/healthz/..;/status",
    "/healthz/%2e%2e/status",
    "/healthz%2f..%2fstatus",
    "/healthz\\..\\status",
    "/healthz;/../status",
    "/healthz/status",
    "/healthz/",
    "/readyz/",
    "/readyz/../restart/o2",
    "//status",
    "///status",
    "/./status",
    "/.//status",
    "/%73tatus",
    "/%2fstatus",
    "/%252fstatus",
    "/status/",
    "/status%00",
    "/status%00.html",
    "/status#/healthz",
    "/status;/healthz",
    "/STATUS",
    "/Status",
    "status",
    "*",
    "",
    "http://127.0.0.1/status",
    "http://127.0.0.1/healthz",
    "http://healthz/status",
    "//healthz/status",
    "/restart",
    "/restart/",
    "/restart//o2",
    "/restart/../healthz",
    "/%72estart/o2",
    "/restart%2fo2",
    "/tail/",
    "/tail/../healthz",
    "/orders/adopt/",
    "/orders//adopt",
    "/unhalt/../status",
)


def test_no_spelling_of_a_path_reaches_more(target: Target) -> None:
    for right, method, path in product(("", "look"), ("GET", "POST"), PATHS):
        statuses, reached = target.attack(get(path, method=method, right=right))
        assert {NEEDED[each] for each in reached} <= CALLERS[right], (right, method, path)
        assert len(statuses) == 1, (right, method, path)
        assert right or statuses[0] in {400, 401, 404, 405}, (method, path)


def test_the_query_gives_no_right(target: Target) -> None:
    token = TOKENS["act"]
    for query in (f"token={token}", f"access_token={token}", "_method=POST", "path=/status", "a=%0d%0aX:y"):
        assert target.attack(get(f"/status?{query}")) == ([401], [])
        assert target.attack(get(f"/restart/o2?{query}", method="POST", right="look")) == ([403], [])


# ── the token ──


def guesses() -> Iterator[str]:
    token = TOKENS["look"]
    yield from (f"Bearer {token[:end]}" for end in range(0, len(token), 7))
    yield from (f"Bearer {token}{more}" for more in ("x", "\x00", ",", f",{token}", f" {token}"))
    yield from (f"Bearer {each}" for each in (token.upper(), token[::-1], "*", "null", "\xff", "a" * 8_000))
    yield from (token, f"Basic {token}", f"Digest {token}", f"Bearer,{token}", f"Bearer={token}", "Bearer")
    yield from ("Bearer None", "Bearer {}", f'Bearer "{token}"')


def test_no_guess_is_taken_for_the_token(target: Target) -> None:
    for guess in guesses():
        statuses, reached = target.attack(get("/status", f"Authorization: {guess}"))
        assert reached == [], guess
        assert statuses in ([401], [400], [431]), guess


MISPLACED = (
    ["Authorization: Bearer x", "Authorization: Bearer {token}"],
    ["Authorization: Bearer {token}", "Authorization: Bearer {token}"],
    ["Proxy-Authorization: Bearer {token}"],
    ["X-Authorization: Bearer {token}"],
    ["Cookie: token={token}"],
    ["Authorization:\r\n Bearer {token}"],
    ["Authorization : Bearer {token}"],
    ["Authorization\x00: Bearer {token}"],
    ["X: y\rAuthorization: Bearer {token}"],
    ["Sec-WebSocket-Protocol: bearer, {token}"],
)


def test_a_token_counts_in_its_own_header_once(target: Target) -> None:
    for headers in MISPLACED:
        given = (each.replace("{token}", TOKENS["look"]) for each in headers)
        statuses, reached = target.attack(get("/status", *given))
        assert reached == []
        assert statuses in ([401], [400])


def test_each_guess_is_compared_with_every_token_in_constant_time(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    for right in ("look", "act"):
        compared.clear()
        target.attack(get("/status", right=right))
        assert len(compared) == len(TOKENS)
    compared.clear()
    target.attack(get("/status", "Authorization: Bearer t"))
    assert len(compared) == len(TOKENS)


def test_a_refusal_tells_nothing_of_the_token_or_the_routes(target: Target) -> None:
    with socket.create_connection(("127.0.0.1", target.service.port), timeout=20.0) as sock:
        sock.sendall(
            get("/nowhere", "Authorization: Bearer guess-0123").replace("{host}", "localhost").encode()
        )
        told = rest(sock)
    assert not any(text.encode() in told for text in (*TOKENS.values(), "guess-0123"))
    assert b"/restart" not in told


# ── another page in the browser ──


HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.1:{port}.evil.example",
    "127.0.0.1.evil.example:{port}",
    "evil@127.0.0.1:{port}",
    "127.0.0.1:{port}@evil.example",
    "127.0.0.1:{port}/",
    "127.0.0.1:{port}, evil.example",
    "LOCALHOST.:{port}",
    "0:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "127.1:{port}",
    "2130706433:{port}",
    "",
)


def test_the_name_of_another_host_is_refused_with_a_token_too(target: Target) -> None:
    for each in HOSTS:
        host = each.replace("{port}", str(target.service.port))
        for name in ("GET /status", "GET /healthz", "POST /restart/TARGET"):
            method, path = path_of(name)
            assert target.attack(get(path, method=method, right="act", host=host)) == ([403], [])


def test_two_hosts_or_none_are_refused(target: Target) -> None:
    assert target.attack(get("/status", "Host: evil.example", right="look")) == ([403], [])
    request = f"GET /status HTTP/1.1\r\nAuthorization: Bearer {TOKENS['look']}\r\n\r\n"
    assert target.attack(request) == ([403], [])


ORIGINS = (
    "null",
    "http://evil.example",
    "http://localhost:1",
    "http://127.0.0.1",
    "file://",
    "http://127.0.0.1:{port}.evil.example",
    "http://evil.example#127.0.0.1:{port}",
    "http://127.0.0.1:{port}, http://evil.example",
    "",
)


def test_a_page_of_another_origin_is_refused_with_a_token_too(target: Target) -> None:
    for each in ORIGINS:
        origin = each.replace("{port}", str(target.service.port))
        for method, path in (("GET", "/status"), ("POST", "/restart/o2"), ("GET", "/tail?feed=o2")):
            request = get(path, f"Origin: {origin}", UPGRADE.rstrip(), method=method, right="act")
            assert target.attack(request) == ([403], [])


# ── requests in requests ──

SMUGGLED = "GET /status HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer " + TOKENS["look"] + "\r\n\r\n"
SMUGGLING = {
    "a body": "Content-Length: {n}\r\n\r\n{smuggled}",
    "chunks": "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
    "chunks and a length": "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n{smuggled}",
    "chunks, disguised": "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n{smuggled}",
    "identity": "Transfer-Encoding: identity\r\n\r\n{smuggled}",
    "two lengths": "Content-Length: 0\r\nContent-Length: {n}\r\n\r\n{smuggled}",
    "a list of lengths": "Content-Length: 0, {n}\r\n\r\n{smuggled}",
    "a signed length": "Content-Length: +0\r\n\r\n{smuggled}",
    "a length in hex": "Content-Length: 0x0\r\n\r\n{smuggled}",
    "a negative length": "Content-Length: -1\r\n\r\n{smuggled}",
    "a folded header": "X: y\r\n Content-Length: {n}\r\n\r\n{smuggled}",
    "a space before the colon": "Content-Length : {n}\r\n\r\n{smuggled}",
    "pipelining": "\r\n{smuggled}{smuggled}",
    "pipelining after keep-alive": "Connection: keep-alive\r\n\r\n{smuggled}",
    "an expectation": "Expect: 100-continue\r\nContent-Length: {n}\r\n\r\n{smuggled}",
    "another protocol": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n{smuggled}",
}


def test_a_connection_has_one_request(target: Target) -> None:
    for trick, form in SMUGGLING.items():
        head = form.replace("{smuggled}", SMUGGLED).replace("{n}", str(len(SMUGGLED)))
        statuses, reached = target.attack("GET /healthz HTTP/1.1\r\nHost: {host}\r\n" + head)
        assert len(statuses) == 1, trick
        assert set(reached) <= {"GET /healthz"}, trick
        statuses, reached = target.attack("POST /restart/o2 HTTP/1.1\r\nHost: {host}\r\n" + head)
        assert len(statuses) == 1, trick
        assert reached == [], trick


GARBAGE = (
    b"",
    b"\r\n" * 100,
    b"\x00" * 100,
    b"GET /status\r\n\r\n",
    b"GET  /status HTTP/1.1\r\n\r\n",
    b"GET /status HTTP/1.1\nHost: {host}\n\n",
    b"GET\t/status\tHTTP/1.1\r\n\r\n",
    b"GET /status HTTP/9.9\r\n\r\n",
    b"GET /\xff\x1b]0;x\x07 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x05\x01\x00",
    b"SSH-2.0-x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: {host}\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: " + b"y" * 1_000_000,
)


def test_garbage_reaches_nothing_and_harms_no_other(target: Target) -> None:
    for said in GARBAGE:
        statuses, reached = target.attack(said)
        assert reached == []
        assert statuses in ([], [400], [403], [431])
        assert target.attack(get("/status", right="look")) == ([200], ["GET /status"])


def test_what_clients_send_is_no_news_in_the_log(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    """A flood of it would fill the disk."""
    caplog.set_level("INFO")
    for path in ("/\x1b[31m", "/%1b%0a", "/../../etc/passwd"):
        target.attack(get(path))
        target.attack(get(path, right="look"))
    assert caplog.records == []


# ── floods ──


@pytest.fixture
def crowded(runtime: Runtime) -> Iterator[Service]:
    """A socket and a port; what it answers is real."""
    with Service(runtime, SETTINGS) as service:
        yield service


def connection(service: Service, said: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", service.port), timeout=20.0)
    sock.sendall(said.replace("{host}", f"127.0.0.1:{service.port}").encode())
    return sock


TAIL = "/tail?feed=o2&channel=trades&key={market}"
FLOODS = {
    "one byte": "G",
    "half a request": get("/status", right="look")[:-2],
    "requests without a right that are not hung up": get("/status"),
    "readiness that is not hung up": get("/readyz"),
    "a page that asks": get("/status", "Origin: http://evil.example", right="act"),
    "no requests": "x\r\n\r\n",
    "answers that are not read": get("/status", right="look"),
    "tails that are not read": get(TAIL, UPGRADE.rstrip(), right="look"),
    "restarts of nothing": get("/restart/o3", method="POST", right="look"),
}


@contextmanager
def flood(service: Service, said: str, *, held: int, threads: int = 2) -> Iterator[Counter[str]]:
    """Connections that say this, `held` of each thread at once; the oldest is closed for a new one."""
    over, counter = threading.Event(), Counter[str]()

    def run() -> None:
        mine: deque[socket.socket] = deque()
        while not over.is_set():
            with suppress(OSError):
                mine.append(connection(service, said))
                counter["opened"] += 1
            if len(mine) > held:
                mine.popleft().close()
        for sock in mine:
            sock.close()

    runners = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for runner in runners:
        runner.start()
    try:
        wait_for(lambda: counter["opened"] >= held)
        yield counter
    finally:
        over.set()
        for runner in runners:
            runner.join()


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5 * 10.0
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def statuses_of(service: Service, rounds: int) -> list[bytes]:
    """What an operator gets: over the socket, with a token at the port, and as a probe without one."""
    told = []
    for _ in range(rounds):
        for path in ("/status", "/healthz", "/readyz"):
            with connected(service) as sock:
                sock.sendall(get(path).replace("{host}", "localhost").encode())
                told.append(rest(sock)[9:12])
            with closing(connection(service, get(path, right="act"))) as sock:
                told.append(rest(sock)[9:12])
        for path in ("/healthz", "/readyz"):
            with closing(connection(service, get(path))) as sock:
                told.append(rest(sock)[9:12])
    return told


def assert_served(service: Service, said: str, *, held: int, rounds: int) -> None:
    with flood(service, said, held=held) as counter:
        before = counter["opened"]
        assert set(statuses_of(service, rounds)) == {b"200"}
        wait_for(lambda: counter["opened"] > before)  # it went on meanwhile
        limits = service._numbers
        assert len(service._arrivals._present) <= limits.waiting
        clients = sum(thread.name.startswith("service/1") for thread in threading.enumerate())
        assert clients <= limits.clients + 16  # of the owner, and of callers without a right


def test_an_operator_is_served_during_a_flood_of_connections(crowded: Service) -> None:
    assert_served(crowded, FLOODS["one byte"], held=200, rounds=2)


@pytest.mark.long
@pytest.mark.parametrize("name", FLOODS)
def test_an_operator_is_served_during_every_flood(crowded: Service, market: str, name: str) -> None:
    assert_served(crowded, FLOODS[name].replace("{market}", market), held=200, rounds=1)


@pytest.mark.long
def test_floods_leave_nothing_behind(runtime: Runtime, market: str) -> None:
    with Service(runtime, SETTINGS, limits=Limits(answer_within=0.5, send_within=0.5)) as service:
        assert_served(service, FLOODS["one byte"], held=50, rounds=1)
        before, threads = resident(), threading.active_count()
        for said in FLOODS.values():
            assert_served(service, said.replace("{market}", market), held=200, rounds=1)
        until(runtime, lambda status: status.streams == ())
        wait_for(lambda: threading.active_count() <= threads and not service._arrivals._present)
        assert service._opened._topics._tails == {}
        assert resident() - before < 32 * 1_048_576


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def test_a_client_with_all_its_tails_open_locks_no_other_out(crowded: Service, market: str) -> None:
    said = get(TAIL.replace("{market}", market), UPGRADE.rstrip(), right="look")
    with ExitStack() as stack:
        told = []
        for _ in range(crowded._numbers.per_client + 4):
            sock = stack.enter_context(closing(connection(crowded, said)))
            told.append(sock.recv(12)[9:])
        assert Counter(told) == {b"101": crowded._numbers.tails, b"429": len(told) - crowded._numbers.tails}
        assert set(statuses_of(crowded, 1)) == {b"200"}
