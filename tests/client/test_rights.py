"""Clients of other users at the socket of a real service, and the sentences about rights that they lack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import actors
from actors import Runtime, ServiceClient
from actors.cli.service_client import CommandClient
from actors.secret import Secret
from actors.service import Service
from actors.settings.schema import Right, ServiceSettings, ServiceTokens
from tests.client.answering import OTHER_GID, OTHER_UID, as_another, as_root, open_folder

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
LOOK = "a-token-that-may-look"


@contextmanager
def open_to(runtime: Runtime, user: str, *rights: Right) -> Iterator[str]:
    """The URL of a service whose socket is open to this user or group."""
    with open_folder() as folder:
        path = folder / "run" / "desk.sock"
        with Service(runtime, ServiceSettings(socket=str(path), users={user: rights})) as service:
            yield service.url


def told(ask: Callable[[], object]) -> str:
    try:
        return str(ask())
    except actors.LinewardenError as error:
        return str(error)


def asked_by_another(url: str, *groups: int) -> list[str]:
    """What another user is told: of the state, and of a restart."""
    client, command = ServiceClient(url), CommandClient(url)

    def ask() -> str:
        answers = (lambda: client.status().state, lambda: command.post("/restart/o2").decode())
        return "\n".join(map(told, answers))

    return as_another(ask, *groups).splitlines()


@as_root
def test_a_member_of_a_group_that_may_look_is_told_what_it_may_not(runtime: Runtime) -> None:
    with open_to(runtime, f"@{OTHER_GID + 1}", "look") as url:
        state, restart = asked_by_another(url, OTHER_GID + 1)
        assert state == "live"
        assert restart.startswith(f"this needs the right act; uid {OTHER_UID} has look: see [service.users]")
        closed, _ = asked_by_another(url)
        assert f"and the group gid {OTHER_GID + 1}. Join the group (usermod -aG" in closed


@as_root
def test_a_member_of_a_group_that_may_act_restarts_a_line(runtime: Runtime) -> None:
    with open_to(runtime, f"@{OTHER_GID + 1}", "act") as url:
        state, restart = asked_by_another(url, OTHER_GID + 1)
        assert (state, restart) == ("live", '{"answer":"accepted"}')


def test_a_token_that_may_only_look_is_told_which_one_is_needed(runtime: Runtime) -> None:
    tokens = ServiceTokens(look=Secret(LOOK))
    with Service(runtime, ServiceSettings(socket="none", listen="127.0.0.1:0", tokens=tokens)) as service:
        client = CommandClient(service.url, Secret(LOOK))
        assert client.status().state == "live"
        with pytest.raises(actors.ServiceDeclinedError) as declined:
            client.post("/restart/o2")
    assert declined.value.status == 403
    assert "this needs the right act; the token has look: see [service.tokens]" in str(declined.value)
