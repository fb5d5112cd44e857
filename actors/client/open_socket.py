"""Connects to a service: a Unix socket whose server is trusted, TCP, or TLS. Errors say what to do."""

from __future__ import annotations

import os
import socket
import ssl
from functools import cached_property
from pathlib import Path
from typing import Final

from actors.client.server_trust import SET_BY, check_folder, check_server
from actors.client.tls import secured, trusting
from actors.client.unix_socket import connect_unix
from actors.client.unreachable import UnreachableError
from actors.http_types import is_loopback
from actors.settings.service_address import ServiceAddress, UnixAddress

HTTP_PORTS: Final = {False: 80, True: 443}


class Connector:
    """Opens sockets to services. Any thread may use it, and so may a forked child: it keeps no socket.

    `ca_file`: a PEM file of the authorities that `https://` trusts; empty: those of the system.
    `service_uid`: a user, by number or name, whose socket is trusted as those of root and of the own user.
    """

    def __init__(self, ca_file: str = "", service_uid: str = "") -> None:
        self._ca_file = ca_file
        self._service_uid = service_uid

    def open(self, address: ServiceAddress, timeout: float) -> socket.socket:
        """Returns a connected socket. That of a Unix socket leads to a trusted user's service.

        Raises:
            UnreachableError, TimeoutError, OSError: nothing was sent.
        """
        if isinstance(address, UnixAddress):
            return self._open_unix(address.path, timeout)
        authorities = self._authorities if address.secure else None
        sock = socket.create_connection((address.host, address.port or HTTP_PORTS[address.secure]), timeout)
        return sock if authorities is None else secured(sock, address, authorities)

    def _open_unix(self, path: Path, timeout: float) -> socket.socket:
        if not hasattr(socket, "AF_UNIX"):
            text = "this system has no Unix sockets"
            raise UnreachableError(text, "Let the service listen on TCP, and give its URL.")
        check_folder(path, self._service_uid)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connect_unix(sock, path, timeout)
            check_server(sock, path, self._service_uid)
            sock.settimeout(timeout)
        except BaseException:
            sock.close()
            raise
        return sock

    @cached_property
    def _authorities(self) -> ssl.SSLContext:
        return trusting(self._ca_file)


def connector(
    ca_file: str | os.PathLike[str] | None = None, service_uid: int | str | None = None
) -> Connector:
    """Of these, else of the environment."""
    ca_file = ca_file or os.environ.get("LINEWARDEN_CA_FILE") or ""
    uid = os.environ.get(SET_BY, "") if service_uid is None else service_uid
    return Connector(os.fspath(ca_file), str(uid))


def check_token_may_go(sock: socket.socket, address: ServiceAddress) -> None:
    """Raises: UnreachableError: over this connection others could read a token."""
    if isinstance(address, UnixAddress) or address.secure or is_loopback(str(sock.getpeername()[0])):
        return
    raise UnreachableError(
        "the token would cross the network in clear",
        "It was not sent. Use https://, or a tunnel such as ssh -L whose end is on this machine.",
    )
