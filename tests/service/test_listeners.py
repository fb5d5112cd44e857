"""Where a service listens, by its settings."""

from __future__ import annotations

import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from actors import Runtime
from actors.service import Service, ServiceError
from actors.service.listeners import Place
from actors.settings.schema import ServiceSettings
from tests.service.conftest import HERE, PORT
from tests.service.visitor import ask

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Unix sockets")


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lw-") as place:
        yield Path(place)


def test_by_default_it_is_the_usual_socket_and_no_port(folder: Path) -> None:
    place = Place.of(HERE, "desk", {"RUNTIME_DIRECTORY": str(folder)})
    (listener,) = place.listeners()
    assert listener.url == f"unix:{folder}/desk.sock"
    assert stat.S_IMODE((folder / "desk.sock").stat().st_mode) == 0o600
    listener.close()
    assert list(folder.glob("*.sock")) == []


def test_a_config_may_have_both_or_none(folder: Path) -> None:
    both = structs.replace(PORT, socket=str(folder / "other.sock"))
    listeners = Place.of(both, "desk", {}).listeners()
    assert [listener.url.partition(":")[0] for listener in listeners] == ["unix", "http"]
    for listener in listeners:
        listener.close()
    assert Place.of(ServiceSettings(socket="none"), "desk", {}).listeners() == ()


def test_where_one_cannot_listen_none_does(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = structs.replace(PORT, socket="auto", listen=f"127.0.0.1:{taken.getsockname()[1]}")
        place = Place.of(settings, "desk", {"RUNTIME_DIRECTORY": str(folder)})
        with pytest.raises(ServiceError, match="is taken"):
            place.test()
    assert list(folder.glob("*.sock")) == []
    place.test()
    assert list(folder.glob("*.sock")) == []


def test_a_host_that_does_not_resolve_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    told = r"its host does not resolve \(Name or service not known\); write an address of this machine"
    with pytest.raises(ServiceError, match=told):
        Place.of(structs.replace(PORT, listen="desk.invalid:9700"), "desk", {}).test()


def test_a_path_that_is_too_long_is_told(folder: Path) -> None:
    with pytest.raises(ServiceError, match=r"at most 103 bytes, .* give another path for socket in"):
        Place.of(HERE, "desk", {"RUNTIME_DIRECTORY": str(folder / ("x" * 100))})


def test_with_users_the_socket_is_open_to_their_group(folder: Path) -> None:
    settings = structs.replace(HERE, users={f"@{os.getegid()}": ("look",)})
    (listener,) = Place.of(settings, "desk", {"RUNTIME_DIRECTORY": str(folder)}).listeners()
    path = folder / "desk.sock"
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o750, 0o660)
    assert path.stat().st_gid == os.getegid()
    listener.close()


def test_a_service_answers_at_both(runtime: Runtime, folder: Path) -> None:
    settings = structs.replace(PORT, socket=str(folder / "a.sock"))
    with Service(runtime, settings) as service:
        assert service.url == f"unix:{folder}/a.sock"
        assert ask(service, "/status").status == 200
        connection = socket.create_connection(("127.0.0.1", service.port), timeout=20.0)
        with connection:
            connection.sendall(b"GET /status HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % service.port)
            assert connection.recv(12) == b"HTTP/1.1 401"


def test_two_services_of_one_name_are_told_apart(runtime: Runtime, service: Service) -> None:
    with pytest.raises(ServiceError, match=f"is taken: process {os.getpid()} listens there"):
        Service(runtime, HERE).start()
    assert ask(service, "/healthz").status == 200


def test_a_test_of_the_place_logs_nothing_that_the_service_logs_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("none-of-this-name", f"@{os.getegid()}", "4294967000")
    place = Place(ServiceSettings(users=dict.fromkeys(names, ("look",))), folder / "run" / "desk.sock")
    place.test()
    assert caplog.text == ""
    for listener in place.listeners():
        listener.close()
    assert caplog.text.count("none-of-this-name") == caplog.text.count("4294967000") == 1
