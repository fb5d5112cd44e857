"""The service of a config, by what its `[service]` says: its socket, or the URL of its port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from actors.client.unreachable import UnreachableError
from actors.client.usual_service import usual_service
from actors.errors import ServiceUnreachableError
from actors.settings.service_address import (
    SUFFIX,
    ServiceAddress,
    UnixAddress,
    parse_address,
    usual_socket,
)


def configured_service(where: str, url: str, name: str) -> ServiceAddress:
    """Its Unix socket, if that exists or it has no port; else its port.

    `where`: `socket` of the config. `url`: of its port, empty without one. `name`: `[runtime] name`.

    Raises:
        ServiceUnreachableError: it lets no client in, its port is not fixed, or several services of this name
            run.
    """
    address = _socket(where, name)
    if address is not None and (not url or _is_there(address.path)):
        return address
    if not url:
        raise ServiceUnreachableError(
            'it lets no client in: [service] has socket = "none" and no listen. '
            "Set one of them, and start it again."
        )
    if url.endswith(":0"):
        raise ServiceUnreachableError(
            "it lets the system choose the port (listen ends with :0); "
            "give the address from the log of linewarden run with --url."
        )
    return parse_address(url)


def _is_there(path: Path) -> bool:
    """Also if this user may not look into its folder: connecting to it says how to get in."""
    try:
        return path.exists()
    except OSError:
        return True


def _socket(where: str, name: str) -> UnixAddress | None:
    """Looked for in the folder of this user, and in that of system services."""
    if where == "none" or not hasattr(socket, "AF_UNIX"):
        return None
    if where != "auto":
        return UnixAddress(Path(where))
    try:
        return usual_service(os.environ, f"{name}{SUFFIX}")
    except UnreachableError as error:
        if error.advice:
            raise ServiceUnreachableError(f"{error.why}. {error.advice}") from None
        return UnixAddress(usual_socket(name, os.environ))
