"""The folder of the socket: made where it is missing, refused where another user could replace it."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.service.socket_folder import ServiceError, prepare_folder, way_to

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Unix sockets")
OTHER = 4_321  # a uid that no user of the machine has
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives files to another user, which root may"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lw-") as place:
        yield Path(place)


def test_the_way_has_each_folder_and_each_link(folder: Path) -> None:
    real = folder.resolve()
    (real / "a" / "b").mkdir(parents=True)
    (real / "to-a").symlink_to("a")
    (real / "to-b").symlink_to(real / "to-a" / "b")
    found = list(way_to(real / "to-b" / ".." / "c"))
    assert found[0] == Path("/")
    assert {real, real / "to-b", real / "to-a", real / "a", real / "a" / "b"} <= set(found)
    assert found[-1] == real / "a" / "c"


def test_links_in_a_circle_are_an_error_of_the_system(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        prepare_folder(folder / "a", None, is_usual=False)


@as_root
@pytest.mark.parametrize("is_usual", [True, False], ids=["usual", "named"])
def test_a_folder_below_that_of_another_user_is_not_made(folder: Path, is_usual: bool) -> None:
    above = folder / "of-another"
    above.mkdir(0o755)
    os.chown(above, OTHER, OTHER)
    with pytest.raises(
        ServiceError, match=rf"{above} belongs to uid {OTHER}, who could replace what is below"
    ):
        prepare_folder(above / "run" / "linewarden", None, is_usual=is_usual)
    assert list(above.iterdir()) == []


@as_root
def test_a_link_of_another_user_is_not_followed(folder: Path) -> None:
    """Root with the `XDG_RUNTIME_DIR` of a user would open a folder of its own to a group."""
    target = folder / "target"
    target.mkdir(0o700)
    (folder / "link").symlink_to(target)
    os.chown(folder / "link", OTHER, OTHER, follow_symlinks=False)
    with pytest.raises(ServiceError, match=rf"link belongs to uid {OTHER}"):
        prepare_folder(folder / "link", OTHER, is_usual=True)
    assert (stat.S_IMODE(target.stat().st_mode), target.stat().st_gid) == (0o700, os.getegid())


def test_a_folder_below_an_open_one_is_refused_unless_files_there_belong_to_their_owners(
    folder: Path,
) -> None:
    above = folder / "open"
    above.mkdir()
    above.chmod(0o777)
    with pytest.raises(ServiceError, match=rf"every user may write to {above}, and replace what is below"):
        prepare_folder(above / "run", None, is_usual=True)
    above.chmod(0o1777)
    prepare_folder(above / "run", None, is_usual=True)
    assert stat.S_IMODE((above / "run").stat().st_mode) == 0o700


def test_own_links_are_followed(folder: Path) -> None:
    (folder / "real").mkdir(0o700)
    (folder / "link").symlink_to("real")
    prepare_folder(folder / "link" / "run", None, is_usual=True)
    assert (folder / "real" / "run").is_dir()
