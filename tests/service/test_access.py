"""Callers: each has the rights of its token or its user, and no page of another origin has any."""

from __future__ import annotations

import logging
from typing import get_args

import pytest
from msgspec import structs
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus

from actors import Runtime
from actors.rules.journal import SilentLossEntry
from actors.secret import Secret
from actors.service import Service
from actors.service.access import Guard
from actors.service.peers import SocketRights
from actors.service.responses import RequestDeclined
from actors.service.rights import OWNER, Right
from actors.settings.schema import ServiceTokens
from actors.simulators import SimulatedO2
from actors.wire.unix_peer import Peer
from tests.service.conftest import HERE, PORT
from tests.service.visitor import BEARER, LOOK, TOKEN, ask, hear, raw, rest, tail, tail_path
from tests.support.runtimes import line_of, until

IDENTITY = "0x" + "c0" * 32  # an account of O2

# ── a token ──


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer \xff"},
    ],
)
def test_without_the_token_nothing_is_told(locked: Service, given: dict[str, str]) -> None:
    for path, method in (("/status", "GET"), ("/restart/o2", "POST"), ("/nowhere", "GET"), ("/tail", "GET")):
        told = ask(locked, path, method, **given)
        assert told.status == 401
        assert told.headers["www-authenticate"].startswith("Bearer")
        assert told.body.keys() == {"error"}


def test_with_the_token_all_is_told(locked: Service) -> None:
    assert ask(locked, "/status", **BEARER).status == 200
    assert ask(locked, "/status", Authorization=f"bearer  {TOKEN}").status == 200
    assert ask(locked, "/restart/o2", "POST", **BEARER).status == 202


def test_two_tokens_are_none(locked: Service) -> None:
    head = f"GET /status HTTP/1.1\r\nHost: localhost:{locked.port}\r\n"
    with raw(locked, (head + f"Authorization: Bearer {TOKEN}\r\n" * 2 + "\r\n").encode()) as sock:
        assert rest(sock).startswith(b"HTTP/1.1 401 ")


def test_health_needs_no_token_and_readiness_tells_reasons_with_it_alone(
    locked: Service, runtime: Runtime
) -> None:
    assert (ask(locked, "/healthz").status, ask(locked, "/healthz").body) == (200, "ok")
    assert ask(locked, "/readyz").body == "ready"
    runtime.supervisor.pause("o2").get()
    until(runtime, lambda status: status.lines()["o2"].state == "paused")
    told = ask(locked, "/readyz")
    assert (told.status, told.body) == (503, "unready")
    assert ask(locked, "/readyz", **BEARER).body == {"live": False, "not_live": {"o2": "paused"}}


def test_a_tail_needs_the_token(locked: Service, o2: SimulatedO2, market: str) -> None:
    path = tail_path("trades", market)
    with pytest.raises(InvalidStatus) as refused, tail(locked, path):
        pass
    assert refused.value.response.status_code == 401
    with tail(locked, path, additional_headers=BEARER) as connection:
        o2.trade(market)
        assert hear(connection)["type"] == "Trade"


def test_the_token_stands_in_no_log(
    locked: Service, market: str, o2: SimulatedO2, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "actors")  # a command that ran in this process may have set it
    logging.getLogger("websockets.client").setLevel(logging.WARNING)
    ask(locked, "/status", **BEARER)
    ask(locked, f"/status?token={TOKEN}", Authorization=f"Bearer {TOKEN}x")
    with tail(locked, tail_path("trades", market), additional_headers=BEARER) as connection:
        o2.trade(market)
        hear(connection)
    assert "/status" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(vars(locked))


def test_beyond_loopback_a_request_may_name_any_host(runtime: Runtime) -> None:
    for listen in ("0.0.0.0:0", ":0"):
        with Service(runtime, structs.replace(PORT, listen=listen)) as service:
            assert service.url == f"http://127.0.0.1:{service.port}"
            assert ask(service, "/status", Host="desk.example").status == 401
            assert ask(service, "/status", Host="desk.example", **BEARER).status == 200


# ── rights ──

ROUTES = [
    *(
        ("GET", path, "look")
        for path in ("/status", "/rights", "/journal", "/journal/o2", "/fresh/o2", "/tail")
    ),
    *(("GET", path, "look") for path in ("/drain", "/log-level")),
    *(("POST", path, "act") for path in ("/drain", "/log-level/info")),
    *(("GET", path, "look") for path in ("/latest/o2/x", "/book/o2/x")),
    *(("POST", f"/{name}/o2", "act") for name in ("restart", "pause", "resume", "beat", "halt")),
    *(("POST", path, "act") for path in ("/cooldowns/clear", "/cooldowns/clear/o2", "/halt", "/reload")),
    *(("POST", path, "owner") for path in ("/unhalt/h1", "/orders/resolve/t", "/orders/adopt")),
    *(("GET", path, "nothing") for path in ("/healthz", "/readyz")),
]
EACH_ITS_OWN = ServiceTokens(look=Secret("look" * 8), account=Secret("account" * 8), act=Secret("act" * 8))


def test_the_table_of_rights_names_every_request(service: Service) -> None:
    routes = service._routes.routes
    judged = {(method, needed, _route(service, method, path)) for method, path, needed in ROUTES}
    assert judged == {(route.method, route.needed, str(route)) for route in routes}


def _route(service: Service, method: str, path: str) -> str:
    return str(service._routes.route(method, path, OWNER))


@pytest.mark.parametrize("right", get_args(Right))
def test_a_token_gives_its_right_and_no_other(runtime: Runtime, right: Right) -> None:
    has = {"nothing", "look", right}
    with Service(runtime, structs.replace(PORT, tokens=EACH_ITS_OWN)) as service:
        for method, path, needed in ROUTES:
            if needed not in has:
                told = ask(service, path, method, Authorization=f"Bearer {right * 8}")
                assert told.status == 403, path
                assert needed in told.error or "the service's own user" in told.error
        for path in ("/status", "/journal", "/fresh/o2?max_age=60"):
            assert ask(service, path, Authorization=f"Bearer {right * 8}").status in {200, 503}
        told = ask(service, "/rights", Authorization=f"Bearer {right * 8}")
        assert told.body == {"rights": sorted({"look", right})}
        assert line_of(runtime).epoch == 1
        if right == "act":
            assert (
                ask(service, "/restart/o2", "POST", Authorization="Bearer actactactactactactactact").status
                == 202
            )


def test_a_token_that_stands_for_two_rights_gives_both(locked: Service) -> None:
    assert ask(locked, "/status", **BEARER).status == 200
    assert ask(locked, "/restart/o2", "POST", **BEARER).status == 202
    assert ask(locked, "/restart/o2", "POST", **LOOK).status == 403


def test_what_no_route_names_is_refused_to_all(service: Service, locked: Service) -> None:
    assert ask(service, "/secrets").status == 404
    assert ask(locked, "/secrets").status == 401
    assert ask(locked, "/secrets", **LOOK).status == 404


def test_without_the_right_no_answer_names_an_account(locked: Service, runtime: Runtime) -> None:
    """The same identity is shown to a caller with the right."""
    _nonces = runtime.subscribe("o2", "nonce", IDENTITY, wait=10.0)
    runtime.supervisor.pause("o2").get()
    until(runtime, lambda status: status.lines()["o2"].state == "paused")
    paths = ("/status", "/journal", "/readyz?fresh=1", "/fresh/o2")
    with_it = ["/status", "/readyz?fresh=1", "/fresh/o2"]
    for path in paths:
        assert IDENTITY not in ask(locked, path, **LOOK).raw.decode()
    assert [path for path in paths if IDENTITY in ask(locked, path, **BEARER).raw.decode()] == with_it


def test_a_journal_without_the_right_names_no_account(
    locked: Service, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = runtime.status()
    feed, line = status.feeds["o2"], status.lines()["o2"]
    lost = SilentLossEntry("o2/4242", 1, 7, "an order of 4242")
    feed = structs.replace(feed, lines={"o2": structs.replace(line, silent_losses=(lost,))})
    changed = structs.replace(status, feeds={"o2": feed})
    monkeypatch.setattr(locked._routes._statuses, "status", lambda: changed)
    for path in ("/journal", "/journal/o2"):
        assert b"4242" in ask(locked, path, **BEARER).raw
        assert b"4242" not in ask(locked, path, **LOOK).raw


def test_a_channel_that_is_not_known_counts_as_one_of_an_account(service: Service) -> None:
    is_public = service._routes._is_public
    topics = [("o2", "trades"), ("o2", "nonce"), ("o2", "gone"), ("gone", "trades")]
    assert [is_public(feed, channel) for feed, channel in topics] == [True, False, False, False]


def test_a_tail_of_an_account_needs_the_right(locked: Service) -> None:
    for channel in ("nonce", "orders"):
        with (
            pytest.raises(InvalidStatus) as refused,
            tail(locked, tail_path(channel, IDENTITY), additional_headers=LOOK),
        ):
            pass
        assert refused.value.response.status_code == 403
    with tail(locked, tail_path("nonce", IDENTITY), additional_headers=BEARER):
        pass


# ── users of the Unix socket ──


def test_a_user_without_a_right_is_told_where_to_get_one(runtime: Runtime) -> None:
    caller = SocketRights({1001: frozenset({"look"})}, {}, own=0).caller
    routes = Service(runtime, HERE)._routes
    with pytest.raises(RequestDeclined, match=r"uid 1002 has no right .* give it one in \[service.users\]"):
        routes.route("GET", "/status", caller(Peer(1002, frozenset())))
    with pytest.raises(
        RequestDeclined, match=r"needs the right act; uid 1001 has look: see \[service.users\]"
    ):
        routes.route("POST", "/restart/o2", caller(Peer(1001, frozenset())))
    assert routes.route("GET", "/status", caller(Peer(1001, frozenset()))).path == "/status"


def test_a_token_proves_nothing_at_the_socket(service: Service, locked: Service) -> None:
    """There the kernel names the user; and no page of a browser reaches it, so its Host is not looked at."""
    assert ask(service, "/status", Authorization="Bearer wrong").status == 200
    assert ask(service, "/status", Host="evil.example").status == 200


# ── pages in a browser ──


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_this_machine_has_several_names(locked: Service, host: str) -> None:
    assert ask(locked, "/status", Host=f"{host}:{locked.port}", **BEARER).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}"],
)
def test_a_name_that_was_made_to_point_here_is_refused(locked: Service, runtime: Runtime, host: str) -> None:
    epoch = line_of(runtime).epoch
    for path, method in (("/status", "GET"), ("/restart/o2", "POST"), ("/healthz", "GET")):
        told = ask(locked, path, method, Host=host.format(port=locked.port), **BEARER)
        assert told.status == 403
        assert told.body.keys() == {"error"}
    assert line_of(runtime).epoch == epoch


def test_a_request_names_its_host_once(locked: Service) -> None:
    own = f"Host: 127.0.0.1:{locked.port}\r\n"
    for hosts in ("", own * 2):
        with raw(locked, f"GET /status HTTP/1.1\r\n{hosts}\r\n".encode()) as sock:
            assert rest(sock).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.example", "http://localhost", "http://localhost:3000", "file://", "x",
     "https://127.0.0.1:{port}.evil.example", "http://evil@127.0.0.1:{port}", "http://127.0.0.1:{port}/x"],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(
    locked: Service, runtime: Runtime, market: str, origin: str
) -> None:
    origin = origin.format(port=locked.port)
    epoch = line_of(runtime).epoch
    for path, method in (("/status", "GET"), ("/restart/o2", "POST"), ("/status", "OPTIONS")):
        told = ask(locked, path, method, Origin=origin, **BEARER)
        assert told.status == 403
        assert "access-control-allow-origin" not in told.headers
    with pytest.raises(InvalidStatus) as refused, tail(locked, tail_path("trades", market), origin=origin):
        pass
    assert refused.value.response.status_code == 403
    assert line_of(runtime).epoch == epoch
    assert runtime.status().streams == ()


def test_its_own_page_may_ask(locked: Service, market: str) -> None:
    own = f"http://localhost:{locked.port}"
    assert ask(locked, "/status", Origin=own, **BEARER).status == 200
    with tail(locked, tail_path("trades", market), origin=own, additional_headers=BEARER):
        pass


def test_beyond_loopback_its_own_page_is_the_one_with_the_same_host() -> None:
    guard = Guard("0.0.0.0", 9700, loopback=False)

    def admitted(**headers: str) -> bool:
        try:
            guard.admit(Headers(**headers))
        except RequestDeclined:
            return False
        return True

    assert admitted(Host="desk.example:9700")
    assert admitted(Host="desk.example:9700", Origin="http://desk.example:9700")
    assert admitted(Host="desk.example", Origin="https://desk.example")  # behind a proxy that speaks TLS
    assert admitted(Host="[2001:db8::1]:9700", Origin="http://[2001:db8::1]:9700")
    assert not admitted(Host="desk.example:9700", Origin="http://evil.example:9700")
    assert not admitted(Host="desk.example:9700", Origin="http://desk.example")
    assert not admitted(Origin="http://desk.example")
    twice = Headers([("Host", "desk.example:9700"), ("Host", "desk.example:9700")])
    with pytest.raises(RequestDeclined):
        guard.admit(twice)
