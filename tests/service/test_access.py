"""Who may ask: nobody without the token, and no page of another origin."""

from __future__ import annotations

import logging

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus

from actors import Runtime
from actors.secret import Secret
from actors.service import Service, ServiceError
from actors.service.access import Guard
from actors.service.responses import RequestDeclined
from actors.settings.schema import ServiceSettings
from actors.simulators import SimulatedO2
from tests.service.visitor import BEARER, TOKEN, ask, hear, raw, rest, tail, tail_path
from tests.support.runtimes import line_of, until

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
    assert ask(locked, "/healthz").status == 200
    assert ask(locked, "/readyz").body == {"live": True}
    runtime.supervisor.pause("o2").get()
    until(runtime, lambda status: status.lines()["o2"].state == "paused")
    told = ask(locked, "/readyz")
    assert (told.status, told.body) == (503, {"live": False})
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


def test_beyond_loopback_there_is_a_token(runtime: Runtime) -> None:
    for settings in (
        ServiceSettings(listen="0.0.0.0:0"),
        ServiceSettings(listen=":0"),
        ServiceSettings(listen="127.0.0.1:0", token=Secret("")),
    ):
        with pytest.raises(ServiceError, match="can be reached from other machines: set token"):
            Service(runtime, settings).start()
    for listen in ("0.0.0.0:0", ":0"):
        with Service(runtime, ServiceSettings(listen=listen, token=Secret(TOKEN))) as service:
            assert service.url == f"http://127.0.0.1:{service.port}"
            assert ask(service, "/status", Host="desk.example").status == 401
            assert ask(service, "/status", Host="desk.example", **BEARER).status == 200


# ── pages in a browser ──


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_this_machine_has_several_names(service: Service, host: str) -> None:
    assert ask(service, "/status", Host=f"{host}:{service.port}").status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}"],
)
def test_a_name_that_was_made_to_point_here_is_refused(service: Service, runtime: Runtime, host: str) -> None:
    epoch = line_of(runtime).epoch
    for path, method in (("/status", "GET"), ("/restart/o2", "POST"), ("/healthz", "GET")):
        told = ask(service, path, method, Host=host.format(port=service.port))
        assert told.status == 403
        assert told.body.keys() == {"error"}
    assert line_of(runtime).epoch == epoch


def test_a_request_names_its_host_once(service: Service) -> None:
    own = f"Host: 127.0.0.1:{service.port}\r\n"
    for hosts in ("", own * 2):
        with raw(service, f"GET /status HTTP/1.1\r\n{hosts}\r\n".encode()) as sock:
            assert rest(sock).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.example", "http://localhost", "http://localhost:3000", "file://", "x",
     "https://127.0.0.1:{port}.evil.example", "http://evil@127.0.0.1:{port}", "http://127.0.0.1:{port}/x"],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(
    service: Service, runtime: Runtime, market: str, origin: str
) -> None:
    origin = origin.format(port=service.port)
    epoch = line_of(runtime).epoch
    for path, method in (("/status", "GET"), ("/restart/o2", "POST"), ("/status", "OPTIONS")):
        told = ask(service, path, method, Origin=origin)
        assert told.status == 403
        assert "access-control-allow-origin" not in told.headers
    with pytest.raises(InvalidStatus) as refused, tail(service, tail_path("trades", market), origin=origin):
        pass
    assert refused.value.response.status_code == 403
    assert line_of(runtime).epoch == epoch
    assert runtime.status().streams == ()


def test_its_own_page_may_ask(service: Service, market: str) -> None:
    own = f"http://localhost:{service.port}"
    assert ask(service, "/status", Origin=own).status == 200
    with tail(service, tail_path("trades", market), origin=own):
        pass


def test_beyond_loopback_its_own_page_is_the_one_with_the_same_host() -> None:
    guard = Guard("0.0.0.0", 9700, loopback=False, token=Secret(TOKEN))

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
