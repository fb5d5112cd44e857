"""The rights of the user at the other end of a Unix socket."""

from __future__ import annotations

import os
import sys

import pytest

from actors.service.peers import SocketRights, log_left_out, socket_group, socket_rights
from actors.service.rights import EVERY, Right
from actors.wire.unix_peer import Peer, overflow_ids

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Unix sockets")
OWN, ALICE, BOB, TRADERS, STAFF, OVERFLOW = 900, 1001, 1002, 2001, 2002, 65_534
LOOK, ACT = frozenset[Right]({"look"}), frozenset[Right]({"act"})
RIGHTS = SocketRights(
    {ALICE: LOOK, OVERFLOW: LOOK}, {TRADERS: ACT, STAFF: frozenset({"account"}), OVERFLOW: ACT}, own=OWN
)


@pytest.mark.parametrize(
    ("peer", "rights", "is_owner"),
    [
        (Peer(OWN, frozenset()), EVERY, True),
        (Peer(0, frozenset()), EVERY, True),
        (Peer(ALICE, frozenset()), {"look"}, False),
        (Peer(BOB, frozenset()), set(), False),
        (Peer(BOB, frozenset({TRADERS})), {"look", "act"}, False),
        (Peer(ALICE, frozenset({TRADERS, STAFF, 5})), EVERY, False),
        (Peer(OVERFLOW, frozenset({TRADERS})), set(), False),
        (Peer(BOB, frozenset({OVERFLOW})), set(), False),
    ],
    ids=["own", "root", "user", "unknown", "group", "union", "overflow-user", "overflow-group"],
)
def test_a_peer_has_the_rights_of_its_user_and_of_its_groups(
    peer: Peer, rights: set[Right], is_owner: bool
) -> None:
    caller = RIGHTS.caller(peer)
    assert caller.rights == rights
    assert caller.is_owner == is_owner
    assert caller.name == f"uid {peer.uid}"


def test_a_service_that_runs_as_the_overflow_user_gives_that_user_nothing() -> None:
    caller = SocketRights({}, {}, own=OVERFLOW).caller(Peer(OVERFLOW, frozenset()))
    assert (caller.rights, caller.is_owner) == (frozenset(), False)


def test_names_are_looked_up_once_and_unknown_ones_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    rights = socket_rights(
        {"1001": ["look"], "@2001": ["act"], "no-such-user": ["act"], "@no-such-group": ["act"]}
    )
    assert rights.caller(Peer(ALICE, frozenset({TRADERS}))).rights == {"look", "act"}
    assert "this machine has no user 'no-such-user'" in caplog.text
    assert "this machine has no group '@no-such-group'" in caplog.text


@pytest.mark.parametrize("number", ["4294967295", "4294967296", "9" * 5_000], ids=["none", "more", "long"])
def test_a_number_that_no_user_can_have_is_an_unknown_name(
    number: str, caplog: pytest.LogCaptureFixture
) -> None:
    users: dict[str, tuple[Right, ...]] = {number: ("look",), f"@{number}": ("look",)}
    assert socket_rights(users).caller(Peer(ALICE, frozenset())).rights == set()
    assert "this machine has no user" in caplog.text
    assert "this machine has no group" in caplog.text
    assert socket_group(users) == os.getegid()


def test_a_name_of_the_overflow_user_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    uid, _ = overflow_ids()
    socket_rights({str(uid): ("look",)})
    assert f"user '{uid}' stands for all that this machine does not know; it gets no right" in caplog.text


def test_without_users_the_socket_has_no_group() -> None:
    assert socket_group([]) is None
    assert socket_group(["root"]) is None


def test_the_first_group_that_is_named_gets_the_socket(caplog: pytest.LogCaptureFixture) -> None:
    users = ["@2001", "@2002", "4294967000", "no-such-group"]
    assert socket_group(users) == TRADERS
    assert caplog.text == ""
    log_left_out(users, TRADERS)
    assert "the group 2001; not a member, so without access: @2002, 4294967000\n" in caplog.text
