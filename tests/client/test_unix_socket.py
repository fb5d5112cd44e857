"""A service at a Unix socket: whose it is, who may use it, and what an error says to do."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors
from actors import ServiceClient
from actors.client import server_trust
from actors.client.server_trust import SET_BY
from tests.client.answering import (
    OTHER_GID,
    OTHER_UID,
    Answerer,
    as_another,
    as_root,
    at_socket,
    listening_at,
    open_folder,
)
from tests.service.visitor import TOKEN
from tests.test_stream import in_a_child

pytestmark = [
    pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
MINE = f"{getpass.getuser()} (uid {os.geteuid()})" if hasattr(os, "geteuid") else ""


@pytest.fixture
def path() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder / "run" / "desk.sock"


def url(path: Path) -> str:
    return f"unix:{path}"


def told_by(path: Path, **options: str) -> str:
    """What a client says of this socket."""
    try:
        ServiceClient(url(path), timeout=5.0, **options).status()
    except actors.LinewardenError as error:
        return str(error)
    return "answered"


def asked(answerer: Answerer) -> bytes:
    return b"".join(answerer.requests)


# ── asking ──


def test_a_request_goes_over_the_socket_without_the_token(path: Path) -> None:
    with at_socket(path) as answerer:
        assert told_by(path, token=TOKEN) == "answered"
        head = asked(answerer)
    assert head.startswith(b"GET /status? HTTP/1.1\r\n")
    assert b"\r\nHost: localhost\r\n" in head
    assert b"Authorization" not in head


def test_a_client_that_is_made_before_a_fork_asks_in_the_child(path: Path) -> None:
    with at_socket(path):
        client = ServiceClient(url(path))

        def ask() -> str:
            try:
                return str(client.status())
            except actors.ServiceDeclinedError as error:
                return str(error)

        assert in_a_child(ask) == "answered"
        assert ask() == "answered"


def test_a_listener_without_room_for_another_client_costs_the_timeout(path: Path) -> None:
    path.parent.mkdir()
    with listening_at(path) as full:
        full.listen(0)
        waiting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        waiting.connect(str(path))
        with waiting, pytest.raises(actors.ServiceUnreachableError, match=r"no answer within 0\.1 s"):
            ServiceClient(url(path), timeout=0.1).status()


# ── what is there ──


def test_a_socket_that_is_not_there_is_told(path: Path) -> None:
    expected = (
        f"cannot reach the service at {url(path)}: there is no such socket; is `linewarden run` running? "
    )
    assert told_by(path).startswith(expected)
    path.parent.mkdir()
    assert told_by(path).startswith(expected)


def test_a_socket_that_a_dead_process_left_is_told(path: Path) -> None:
    path.parent.mkdir()
    listening_at(path).close()
    told = told_by(path)
    assert (
        "the socket is there, and no process listens: the service has ended. Start it: linewarden run."
        in told
    )


def test_a_file_that_is_no_socket_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert "this file is no socket. Give the path of the socket of a service." in told_by(path)
    assert "there is no such folder" in told_by(path / "below.sock")


def test_another_program_behind_a_socket_is_told(path: Path) -> None:
    with at_socket(path, b"SSH-2.0-OpenSSH\r\n"):
        assert "another program listens there" in told_by(path)


# ── which server is trusted ──


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703], ids=["open", "sticky", "others"])
def test_a_socket_in_a_folder_that_every_user_may_write_to_is_not_used(path: Path, mode: int) -> None:
    with at_socket(path) as answerer:
        path.parent.chmod(mode)
        told = told_by(path)
        assert f"every user may write to the folder {path.parent}" in told
        assert 'Let the service make its socket in a folder of its own: socket = "auto"' in told
        assert answerer.requests == []


def test_a_link_to_a_socket_in_such_a_folder_is_not_used_either(path: Path) -> None:
    link = path.parent.parent / "link.sock"
    link.symlink_to(path)
    with at_socket(path) as answerer:
        assert told_by(link) == "answered"
        path.parent.chmod(0o1777)
        assert f"every user may write to the folder {path.parent}" in told_by(link)
        assert len(answerer.requests) == 1


@as_root
def test_the_server_of_another_user_is_not_asked(path: Path) -> None:
    with at_socket(path, of_another=True) as answerer:
        own = f"{MINE}, " if os.geteuid() else ""
        belongs = f"belongs to uid {OTHER_UID}. Only {own}root and the user in {SET_BY} are trusted"
        assert f"the folder {path.parent} {belongs}" in told_by(path)
        os.chown(path.parent, 0, 0)
        told = told_by(path)
        assert f"the process that listens there {belongs}. Nothing was sent." in told
        assert told.endswith(f"If this is the user of the service, set {SET_BY}={OTHER_UID}.")
        assert asked(answerer) == b""


@as_root
def test_the_server_of_a_user_who_was_named_is_asked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with at_socket(path, of_another=True):
        assert told_by(path, service_uid=str(OTHER_UID)) == "answered"
        assert "belongs to uid" in told_by(path, service_uid=str(OTHER_UID + 1))
        assert "belongs to uid" in told_by(path, service_uid="root")
        monkeypatch.setenv("LINEWARDEN_SERVICE_UID", str(OTHER_UID))
        assert told_by(path) == "answered"
        monkeypatch.setenv("LINEWARDEN_SERVICE_UID", "of-no-such-name")
        assert "there is no user 'of-no-such-name', which LINEWARDEN_SERVICE_UID names" in told_by(path)


@as_root
def test_the_user_to_whom_root_gave_the_system_folder_is_trusted_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_trust, "SYSTEM", path.parent)
    with at_socket(path, of_another=True):
        assert told_by(path) == "answered"
        path.parent.parent.chmod(0o775)  # root is not alone in it, so another may have made the folder
        assert "belongs to uid" in told_by(path)
        path.parent.parent.chmod(0o755)
        os.chown(path.parent, 0, 0)
        assert "belongs to uid" in told_by(path)


@as_root
def test_the_user_that_stands_for_all_that_a_container_does_not_know_is_never_trusted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_trust, "overflow_ids", lambda: (OTHER_UID, OTHER_UID))
    with at_socket(path, of_another=True):
        assert "It stands for every user that this container" in told_by(path, service_uid=str(OTHER_UID))


@as_root
def test_a_service_of_root_is_trusted_by_another_user(path: Path) -> None:
    with at_socket(path):
        path.chmod(0o666)
        assert as_another(lambda: told_by(path)) == "answered"


# ── which user may use it ──


@as_root
@pytest.mark.parametrize("place", ["folder", "socket"])
def test_a_user_who_may_not_use_it_is_told_how_to_get_in(path: Path, place: str) -> None:
    with at_socket(path):
        closed = path.parent if place == "folder" else path
        name = f"the folder {closed}" if place == "folder" else "the socket"
        closed.chmod(0o700)
        told = as_another(lambda: told_by(path))
        assert (
            f'uid {OTHER_UID} may not use {name}: it is open to {MINE}. Add "{OTHER_UID}" = ["look"]' in told
        )
        assert told.endswith("to [service.users] of its config and restart it, or ask as its user.")
        os.chown(closed, 0, OTHER_GID + 1)
        closed.chmod(0o750 if place == "folder" else 0o660)
        told = as_another(lambda: told_by(path))
        group = f"the group gid {OTHER_GID + 1}. Join the group (usermod -aG gid {OTHER_GID + 1} {OTHER_UID})"
        assert f"it is open to {MINE} and {group} and log in again. [service.users] of its config" in told
        path.parent.chmod(0o755)
        path.chmod(0o660)
        os.chown(path, 0, OTHER_GID + 1)
        assert as_another(lambda: told_by(path), OTHER_GID + 1) == "answered"
