"""The socket's file: who may open it, what is replaced, and what is left at the end."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.service.socket_folder import ServiceError
from actors.service.unix_socket import UnixSocket

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Unix sockets")
DEAD = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="lw-") as place:
        yield Path(place)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def test_the_folder_and_the_file_are_open_to_its_own_user_alone(folder: Path) -> None:
    path = folder / "state" / "run" / "desk.sock"
    before = os.umask(0)
    try:
        own = UnixSocket(path)
    finally:
        os.umask(before)
    assert connects(path)
    assert (mode(path.parent), mode(path)) == (0o700, 0o600)
    assert not mode(path.parent.parent) & 0o022
    own.close()
    assert not path.exists()


def test_nothing_can_connect_before_the_modes_are_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, chmod, could = folder / "run" / "desk.sock", Path.chmod, list[bool]()

    def watching(self: Path, mode: int) -> None:
        if self == path:
            could.append(connects(path))
        chmod(self, mode)

    monkeypatch.setattr(Path, "chmod", watching)
    UnixSocket(path, os.getegid()).close()
    assert could == [False, False]


def test_a_group_may_open_it_where_one_is_given(folder: Path) -> None:
    path = folder / "run" / "desk.sock"
    group = os.getegid()
    own = UnixSocket(path, group)
    assert (mode(path.parent), mode(path)) == (0o750, 0o660)
    assert path.stat().st_gid == path.parent.stat().st_gid == group
    own.close()


@pytest.mark.parametrize("is_folder", [True, False], ids=["folder", "file"])
def test_a_group_that_the_user_is_no_member_of_is_told_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_folder: bool
) -> None:
    def refuse(path: Path, uid: int, gid: int) -> None:
        if path.is_dir() == is_folder:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(ServiceError) as told:
        UnixSocket(folder / "run" / "desk.sock", 4294967000)
    assert "cannot be given to the group 4294967000, which [service.users] needs: " in str(told.value)
    assert "add SupplementaryGroups=4294967000 to the unit" in str(told.value)


def test_a_folder_in_which_it_may_not_write_is_told_with_its_user(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *args: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    why = f"Permission denied: uid {os.geteuid()} may not write in its folder"
    with pytest.raises(ServiceError, match=why):
        UnixSocket(folder / "run" / "desk.sock")


@pytest.mark.parametrize(("is_usual", "expected"), [(True, 0o750), (False, 0o700)], ids=["usual", "named"])
def test_a_folder_that_is_there_is_opened_to_the_group_if_it_is_linewardens(
    folder: Path, is_usual: bool, expected: int
) -> None:
    UnixSocket(folder / "desk.sock", os.getegid(), is_usual=is_usual).close()
    assert mode(folder) == expected


def test_a_folder_in_which_others_may_write_is_refused(folder: Path) -> None:
    for open_to in (0o777, 0o1777, 0o770, 0o707):
        folder.chmod(open_to)
        with pytest.raises(ServiceError, match=r"other users may write there .* and replace the socket"):
            UnixSocket(folder / "desk.sock")
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone gives folders away")
def test_a_folder_of_another_user_is_refused(folder: Path) -> None:
    os.chown(folder, 4242, -1)
    with pytest.raises(ServiceError, match="its folder belongs to uid 4242, who could replace the socket"):
        UnixSocket(folder / "desk.sock")


def test_the_socket_of_a_process_that_has_ended_is_replaced(folder: Path) -> None:
    path = folder / "desk.sock"
    subprocess.run([sys.executable, "-c", DEAD, str(path)], check=True, timeout=50.0)
    assert path.exists()
    own = UnixSocket(path)
    assert connects(path)
    own.close()


def test_a_living_service_is_not_replaced_and_its_process_is_named(folder: Path) -> None:
    path = folder / "desk.sock"
    first = UnixSocket(path)
    with pytest.raises(ServiceError, match=f"{path} is taken: process {os.getpid()} listens there"):
        UnixSocket(path)
    assert connects(path)
    first.close()
    UnixSocket(path).close()


def test_another_program_that_listens_there_is_not_replaced(folder: Path) -> None:
    path = folder / "desk.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ServiceError, match="is taken: another process listens there"):
            UnixSocket(path)
        assert path.exists()


def test_a_file_that_is_no_socket_is_not_removed(folder: Path) -> None:
    path = folder / "desk.sock"
    path.write_text("orders")
    with pytest.raises(ServiceError, match="is a file and no socket"):
        UnixSocket(path)
    assert path.read_text() == "orders"


def test_a_symbolic_link_is_not_followed(folder: Path) -> None:
    (folder / "other").write_text("orders")
    (folder / "desk.sock").symlink_to(folder / "other")
    with pytest.raises(ServiceError, match="is a file and no socket"):
        UnixSocket(folder / "desk.sock")
    assert (folder / "other").read_text() == "orders"


def test_the_lock_is_not_written_through_a_symbolic_link(folder: Path) -> None:
    other = folder / "other"
    other.write_text("precious")
    (folder / "desk.sock.lock").symlink_to(other)
    with pytest.raises(ServiceError, match=r"desk\.sock\.lock is a symbolic link"):
        UnixSocket(folder / "desk.sock")
    assert other.read_text() == "precious"


def test_the_file_of_its_successor_is_not_removed(folder: Path) -> None:
    path = folder / "desk.sock"
    own = UnixSocket(path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        own.close()
        assert path.exists()


def test_a_folder_that_cannot_be_made_is_told(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(ServiceError, match=r"cannot be listened on: Not a directory; see socket in"):
        UnixSocket(folder / "file" / "desk.sock")
