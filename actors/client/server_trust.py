"""Whether the process at the other end of a Unix socket is the service that its path promises.

A path proves little: a user who may write to its folder can put another socket there. So the folder has to
belong to a trusted user, and must not be open to all. And the kernel has to name a trusted user as the owner
of the process that listens.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Final

from actors.client.unreachable import UnreachableError
from actors.settings.service_address import SYSTEM
from actors.wire.unix_peer import overflow_ids, peer_of

ROOT: Final = 0
SET_BY: Final = "LINEWARDEN_SERVICE_UID"
_NOT_CONNECTED: Final = 2**32 - 1  # the uid that Linux names for a socket without a peer


def check_folder(path: Path, service_uid: str) -> None:
    """Raises: UnreachableError: a user who is not trusted may put another socket at this path."""
    for folder in dict.fromkeys((path.parent, _real(path).parent)):
        try:
            found = folder.stat()
        except OSError:
            continue  # the connect fails, too, and its error says why
        if found.st_mode & stat.S_IWOTH:
            raise UnreachableError(
                f"every user may write to the folder {folder}, so another program may listen there",
                "Nothing was sent. Let the service make its socket in a folder of its own: "
                'socket = "auto" in [service].',
            )
        if not is_trusted(found.st_uid, path, service_uid):
            raise UnreachableError(
                f"the folder {folder} belongs to {user(found.st_uid)}", _name_the_user(found.st_uid)
            )


def check_server(sock: socket.socket, path: Path, service_uid: str) -> None:
    """Raises: UnreachableError: the process that listens belongs to a user that is not trusted."""
    try:
        uid = peer_of(sock).uid
    except OSError:
        text = "this system does not tell which user listens at a Unix socket"
        advice = "Nothing was sent. Let the service listen on TCP, and give its URL."
        raise UnreachableError(text, advice) from None
    if uid == _NOT_CONNECTED:
        raise UnreachableError("the service is too busy to accept another connection", "Try again.")
    if not is_trusted(uid, path, service_uid):
        raise UnreachableError(f"the process that listens there belongs to {user(uid)}", _name_the_user(uid))


def is_trusted(uid: int, path: Path, service_uid: str) -> bool:
    """Whether it is this process's own user, root, the user that was named, or root has chosen it.

    Root alone can make `/run/linewarden`: the user to whom root gave that folder is the service's.
    """
    if uid == overflow_ids()[0]:  # every user that this container does not know
        return False
    return uid in {os.geteuid(), ROOT, _named(service_uid), _of_system_folder(path)}


def user(uid: int) -> str:
    """`alice (uid 1001)`, or `uid 1001` if it has no name."""
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except (KeyError, OverflowError):
        return f"uid {uid}"


def _name_the_user(uid: int) -> str:
    if uid == overflow_ids()[0]:
        return (
            "It stands for every user that this container does not know. Nothing was sent. "
            "Let both sides know the same users, or use the service's URL."
        )
    own = "" if os.geteuid() == ROOT else f"{user(os.geteuid())}, "
    trusted = f"Only {own}root and the user in {SET_BY} are trusted"
    return f"{trusted}. Nothing was sent. If this is the user of the service, set {SET_BY}={uid}."


def _named(service_uid: str) -> int | None:
    """A number or a name. The name of a service of systemd may stand for another number at each start."""
    if not service_uid:
        return None
    if service_uid.isascii() and service_uid.isdigit():
        return int(service_uid)
    import pwd

    try:
        return pwd.getpwnam(service_uid).pw_uid
    except (KeyError, ValueError):
        text = f"there is no user {service_uid!r}, which {SET_BY} names"
        raise UnreachableError(text, "Nothing was sent. Give the name or the number of its user.") from None


def _of_system_folder(path: Path) -> int | None:
    if path.parent != SYSTEM:
        return None
    try:
        above, found = SYSTEM.parent.stat(), SYSTEM.stat()
    except OSError:
        return None
    is_of_root = above.st_uid == ROOT and not above.st_mode & (stat.S_IWOTH | stat.S_IWGRP)
    return found.st_uid if is_of_root and stat.S_ISDIR(found.st_mode) else None


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
