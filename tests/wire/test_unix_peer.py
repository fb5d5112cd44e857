"""The process at the other end of a Unix socket: real ones, of this user and of others."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.wire.unix_peer import Peer, peer_of, xucred

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Unix sockets")
ALICE, BOB, TRADERS, STAFF = 1001, 1002, 2001, 2002

CLIENT = """
import os, socket, sys
path, uid, gid, *groups = sys.argv[1:]
os.setgroups(list(map(int, groups)))
os.setgid(int(gid))
os.setuid(int(uid))
sock = socket.socket(socket.AF_UNIX)
sock.connect(path)
sock.recv(1)
"""
root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone starts processes of other users"
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with tempfile.TemporaryDirectory(prefix="lw-") as folder, socket.socket(socket.AF_UNIX) as sock:
        Path(folder).chmod(0o755)
        path = Path(folder, "any.sock")
        sock.bind(str(path))
        path.chmod(0o666)
        sock.listen()
        sock.settimeout(50.0)
        yield sock


def of_process(listener: socket.socket, uid: int, gid: int, *groups: int) -> Peer:
    """What the kernel says of a process that connects as this user."""
    identity = map(str, (uid, gid, *groups))
    command = [sys.executable, "-S", "-E", "-c", CLIENT, listener.getsockname(), *identity]
    with subprocess.Popen(command) as process:
        sock, _ = listener.accept()
        with sock:
            peer = peer_of(sock)
        process.wait(50.0)
    assert peer.pid == process.pid
    return peer


def test_this_process_is_its_own_peer(listener: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(listener.getsockname())
        sock, _ = listener.accept()
        with sock:
            assert peer_of(sock) == Peer(
                os.geteuid(), frozenset({os.getegid(), *os.getgroups()}), os.getpid()
            )


@root
def test_the_kernel_names_the_user_and_its_supplementary_groups(listener: socket.socket) -> None:
    peer = of_process(listener, ALICE, STAFF, TRADERS)
    assert (peer.uid, peer.groups) == (ALICE, frozenset({STAFF, TRADERS}))


@root
def test_a_process_that_has_left_its_groups_is_in_none_of_them(listener: socket.socket) -> None:
    assert of_process(listener, BOB, STAFF).groups == frozenset({STAFF})


def test_macos_tells_it_in_a_structure_of_its_own() -> None:
    data = struct.pack("IIhxx16I", 0, ALICE, 2, 20, TRADERS, *range(14))
    assert xucred(data) == Peer(ALICE, frozenset({20, TRADERS}))
