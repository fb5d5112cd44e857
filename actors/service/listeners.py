"""Where the service listens: its Unix socket, and TCP if its config asks for that."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct, structs
from websockets.datastructures import Headers

from actors.http_types import HostPort, is_loopback
from actors.service.access import Guard, TokenRights
from actors.service.arrivals import Listener
from actors.service.listening_sockets import closed_in_children
from actors.service.peers import SocketRights, log_left_out, socket_group, socket_rights
from actors.service.rights import Caller
from actors.service.socket_folder import ServiceError
from actors.service.tls import server_context
from actors.service.unix_socket import UnixSocket
from actors.settings.addresses import local_url
from actors.settings.schema import ServiceSettings, ServiceTokens
from actors.settings.service_address import UnixAddress, path_mistake, usual_socket
from actors.wire.unix_peer import peer_of

BACKLOG = 1_024


class ServiceListener(Listener, Protocol):
    """A place where the service listens, and what it asks of a request."""

    @property
    def url(self) -> str:
        """For clients on this machine."""
        ...

    def admit(self, caller: Caller, headers: Headers) -> Caller:
        """The caller, with the rights that the headers prove.

        Raises:
            RequestDeclined: it is a page of another origin.
        """
        ...


class UnixListener:
    """The Unix socket: the kernel names the user of a client."""

    tls: ssl.SSLContext | None = None

    def __init__(self, path: Path, rights: SocketRights, group: int | None, *, is_usual: bool) -> None:
        """Raises: ServiceError: it cannot listen there."""
        self._rights = rights
        self._socket = UnixSocket(path, group, is_usual=is_usual)
        self.sock, self.url = self._socket.sock, str(UnixAddress(path))

    def caller(self, sock: socket.socket, address: object) -> Caller:
        return self._rights.caller(peer_of(sock))

    def admit(self, caller: Caller, headers: Headers) -> Caller:
        return caller  # no browser opens a Unix socket, and a token proves nothing more

    def close(self) -> None:
        self._socket.close()


class TcpListener:
    """A port. A client is known by its token alone."""

    def __init__(
        self, host: str, port: int, tokens: ServiceTokens, tls: ssl.SSLContext | None = None
    ) -> None:
        """Raises: ServiceError: it cannot listen there."""
        self.sock, self.tls = listen(host, port), tls
        own, self.port = self.sock.getsockname()[:2]
        self._guard = Guard(host or own, self.port, loopback=is_loopback(own))
        self._tokens = TokenRights(tokens)
        self.url = local_url(host, self.port, secure=tls is not None)

    def caller(self, sock: socket.socket, address: object) -> Caller:
        return Caller(name=str(address[0]) if isinstance(address, tuple) else "unknown")

    def admit(self, caller: Caller, headers: Headers) -> Caller:
        self._guard.admit(headers)
        return structs.replace(caller, rights=self._tokens.of(headers))

    def close(self) -> None:
        self.sock.close()


class Place(Struct, frozen=True):
    """Where a service is to listen, before it does."""

    settings: ServiceSettings
    socket: Path | None  # None: it has no Unix socket

    @classmethod
    def of(cls, settings: ServiceSettings, name: str, environ: Mapping[str, str]) -> Place:
        """`name`: of the runtime.

        Raises:
            ServiceError: the usual path is too long for a socket.
        """
        if settings.socket == "none" or sys.platform == "win32":
            return cls(settings, None)
        path = usual_socket(name, environ) if settings.socket == "auto" else Path(settings.socket)
        if mistake := path_mistake(str(path)):
            raise ServiceError(f"{path}: {mistake}; give another path for socket in [service]")
        return cls(settings, path)

    def listeners(self, port: int | None = None) -> tuple[ServiceListener, ...]:
        """All of them, listening. `port`: instead of the one in the settings.

        Raises:
            ServiceError: one cannot listen; none does then.
        """
        opened: list[ServiceListener] = []
        with contextlib.ExitStack() as undo:
            if self.socket is not None:
                opened.append(self._unix(self.socket))
                undo.callback(opened[-1].close)
            if self.settings.listen:
                opened.append(self._tcp(port))
            undo.pop_all()
        return tuple(opened)

    def test(self) -> None:
        """Raises: ServiceError: the service could not listen now."""
        if self.socket is not None:
            UnixSocket(self.socket, socket_group(self.settings.users), is_usual=self._is_usual).close()
        if self.settings.listen:
            self._tcp(None).close()

    @property
    def _is_usual(self) -> bool:
        return self.settings.socket == "auto"

    def _unix(self, path: Path) -> UnixListener:
        users = self.settings.users
        group = socket_group(users)
        if group is not None:
            log_left_out(users, group)
        return UnixListener(path, socket_rights(users), group, is_usual=self._is_usual)

    def _tcp(self, port: int | None) -> TcpListener:
        host, given = self.settings.address
        port = given if port is None else port
        return TcpListener(host, port, self.settings.tokens, server_context(self.settings))


def listen(host: str, port: int) -> socket.socket:
    """Raises: ServiceError: the address cannot be listened on."""
    try:
        listener = _bind(host, port)
    except OSError as error:
        raise ServiceError(_why_not(HostPort(host, port), error)) from None
    listener.setblocking(False)
    return closed_in_children(listener)


def _bind(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # IPv6 may be switched off
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
    family, _, _, _, address = socket.getaddrinfo(
        host or "0.0.0.0",  # nosec B104
        port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )[0]
    return socket.create_server((str(address[0]), port), family=family, backlog=BACKLOG)


def _why_not(where: HostPort, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        why = f"{where} cannot be listened on, because its host does not resolve ({error.strerror})"
        return f"{why}; write an address of this machine, such as 127.0.0.1, into listen in [service]"
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"{where} is taken: another program listens there, perhaps another linewarden run; "
                "end it, or choose another port for listen in [service]"
            )
        case errno.EADDRNOTAVAIL:
            return f"{where} is not an address of this machine; see listen in [service]"
        case errno.EACCES | errno.EPERM:
            return f"this user may not listen on {where}; choose a port above 1023 for listen in [service]"
    return f"{where} cannot be listened on: {os.strerror(error.errno) if error.errno else error}"
