"""The service of this machine that needs no address: the one socket in the usual folders."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from actors.client.unreachable import UnreachableError
from actors.settings.service_address import SUFFIX, UnixAddress, candidates

USUAL: Final = f"linewarden{SUFFIX}"
PROBE: Final = 1.0  # seconds


def usual_service(environ: Mapping[str, str], name: str = "") -> UnixAddress:
    """The socket of this name, else the only one, in the folders of this user and of the system.

    Raises:
        UnreachableError: there is none, or several services run.
    """
    folders = candidates(environ)
    paths = [path for folder in folders for path in _sockets(folder, name)]
    if not paths:
        raise UnreachableError(f"there is no {name or 'socket'} in {_listed(folders)}", is_absent=True)
    running = paths if len(paths) == 1 else [path for path in paths if _listens(path)]
    match running:
        case [path]:
            return UnixAddress(path)
        case []:
            raise UnreachableError(f"the processes of {_listed(paths)} have ended", is_absent=True)
        case _:
            text = f"several services run: {_listed(map(str, map(UnixAddress, running)))}"
            raise UnreachableError(text, "Name one of them: --url, url= or LINEWARDEN_URL.")


def _sockets(folder: Path, name: str) -> Sequence[Path]:
    """In a folder that may not be listed, the one of the usual name: connecting to it says why."""
    try:
        found = sorted(each for each in folder.iterdir() if each.suffix == SUFFIX)
    except PermissionError:
        return [folder / (name or USUAL)]
    except OSError:
        return []
    return [each for each in found if not name or each.name == name]


def _listens(path: Path) -> bool:
    """Whether a process accepts connections there, of this user."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(PROBE)
        with contextlib.suppress(BlockingIOError):  # one is there, and is busy
            sock.connect(os.fspath(path))
        return True
    return False


def _listed(things: Iterable[object]) -> str:
    *most, last = map(str, things)
    return f"{', '.join(most)} and {last}" if most else last
