"""Where orders may lie: a folder of one user, on a file system whose locks and syncs hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.trading.folder import StoreError, check_folder, file_system

LOCAL = "36 35 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


def mounts(folder: Path, kind: str, point: Path, more: str = "") -> Path:
    escaped = str(point).replace("\\", "\\134").replace(" ", "\\040")
    file = folder / "mountinfo"
    file.write_text(f"{LOCAL}not a mount\n40 36 0:40 / {escaped} rw shared:7 - {kind} source rw\n{more}")
    return file


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "fuseblk"])
def test_t6_a_folder_on_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    point = tmp_path / "a disk"
    folder = point / "orders"
    folder.mkdir(mode=0o700, parents=True)
    table = mounts(tmp_path, kind, point)
    with pytest.raises(
        StoreError, match=f"lies on {kind}, where locks and syncs may not hold. Use a folder on"
    ):
        check_folder(folder, table)
    check_folder(folder, mounts(tmp_path, "xfs", point))
    check_folder(folder, mounts(tmp_path, kind, tmp_path / "a d"))  # a path that begins alike


def test_the_mount_that_covers_the_path_counts(tmp_path: Path) -> None:
    over = f"41 36 0:41 / {tmp_path} rw - tmpfs none rw\n"
    assert file_system(tmp_path / "x", mounts(tmp_path, "nfs4", tmp_path, over)) == "tmpfs"
    assert file_system(tmp_path / "x", mounts(tmp_path, "nfs4", tmp_path.parent, over)) == "tmpfs"
    assert file_system(Path("/elsewhere"), mounts(tmp_path, "nfs4", tmp_path)) == "ext4"
    assert file_system(tmp_path, tmp_path / "no such table") == ""


def test_a_link_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "remote")
    assert file_system(tmp_path / "link", mounts(tmp_path, "nfs", tmp_path / "remote")) == "nfs"


def test_t5_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    folder.mkdir()
    folder.chmod(0o750)
    with pytest.raises(StoreError, match=f"Run: chmod 700 {folder}"):
        check_folder(folder)
    folder.chmod(0o700)
    check_folder(folder)


def test_t5_what_is_no_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="linewarden orders init"):
        check_folder(tmp_path / "missing")
    with pytest.raises(StoreError, match="this is no folder"):
        check_folder(tmp_path / "file")
    with pytest.raises(StoreError, match="expected an absolute path"):
        check_folder(Path("orders"))
