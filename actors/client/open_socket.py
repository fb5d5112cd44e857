"""Connects to a service: a Unix socket whose server is trusted, TCP, or TLS. Errors say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat
import struct
import sys
from functools import cached_property
from pathlib import Path
from typing import Final

from actors.client.server_trust import SET_BY, check_folder, check_server, user
from actors.client.unreachable import UnreachableError
from actors.http_types import is_loopback
from actors.settings.service_address import HttpAddress, ServiceAddress, UnixAddress

HTTP_PORTS: Final = {False: 80, True: 443}
_TIMEVAL: Final = struct.Struct("ll")  # seconds and microseconds
# X509_V_ERR_… of OpenSSL's x509_vfy.h
_WRONG_NAME: Final = {62, 64}
_EXPIRED: Final = {10}
_NOT_YET: Final = {9}
_NOT_TLS: Final = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"}


class Connector:
    """Opens sockets to services. Any thread may, and so may a forked child: no socket is kept.

    `ca_file`: a PEM file with the authorities that sign the certificates of services, in place of those of the
    system. `service_uid`: a user, by number or name, who may serve a Unix socket beside root and the own user.
    """

    def __init__(self, ca_file: str = "", service_uid: str = "") -> None:
        self._ca_file = ca_file
        self._service_uid = service_uid

    def open(self, address: ServiceAddress, timeout: float) -> socket.socket:
        """Returns a connected socket; the server of a Unix socket is a trusted one, that of TLS has proved its name.

        Raises:
            UnreachableError, TimeoutError, OSError: nothing was sent.
        """
        if isinstance(address, UnixAddress):
            return self._open_unix(address.path, timeout)
        sock = socket.create_connection((address.host, address.port or HTTP_PORTS[address.secure]), timeout)
        return self._secured(sock, address) if address.secure else sock

    def _open_unix(self, path: Path, timeout: float) -> socket.socket:
        if not hasattr(socket, "AF_UNIX"):
            text = "this system has no Unix sockets"
            raise UnreachableError(text, "Let the service listen on TCP, and give its URL.")
        check_folder(path, self._service_uid)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _connect_unix(sock, path, timeout)
            check_server(sock, path, self._service_uid)
            sock.settimeout(timeout)
        except BaseException:
            sock.close()
            raise
        return sock

    def _secured(self, sock: socket.socket, address: HttpAddress) -> socket.socket:
        try:
            return self._trusted_authorities.wrap_socket(sock, server_hostname=address.host)
        except ssl.SSLError as error:
            sock.close()
            raise _tls_error(error, address) from None
        except BaseException:
            sock.close()
            raise

    @cached_property
    def _trusted_authorities(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._ca_file or None)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            is_read = isinstance(error, ssl.SSLError | ValueError)
            why = "it holds no certificate in PEM" if is_read else getattr(error, "strerror", None) or error
            raise UnreachableError(
                f"the file of authorities {self._ca_file} cannot be used: {why}",
                "Correct ca_file, or LINEWARDEN_CA_FILE.",
            ) from None


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


def _connect_unix(sock: socket.socket, path: Path, timeout: float) -> None:
    try:
        if sys.platform == "linux":
            # Without waiting, Linux refuses at once what the queue of the listener has no room for.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(timeout), int(timeout % 1 * 1e6)))
        else:
            sock.settimeout(timeout)
        sock.connect(os.fspath(path))
    except BlockingIOError:
        raise TimeoutError from None
    except FileNotFoundError:
        raise UnreachableError("there is no such socket") from None
    except ConnectionRefusedError:
        raise _refused(path) from None
    except PermissionError:
        raise _forbidden(path) from None
    except NotADirectoryError:
        raise UnreachableError("there is no such folder") from None


def _refused(path: Path) -> UnreachableError:
    with contextlib.suppress(OSError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            return UnreachableError("this file is no socket", "Give the path of the socket of a service.")
    return UnreachableError(
        "the socket is there, and no process listens: the service has ended",
        "Start it: linewarden run. It replaces the socket.",
    )


def _forbidden(path: Path) -> UnreachableError:
    """Names what is closed, to whom it is open, and how to get in."""
    mine = user(os.geteuid())
    closed = _closed(path)
    advice = f'Add "{_login_name()}" = ["look"] to [service.users] of its config, and restart it; or ask as its user.'
    if closed is None:
        return UnreachableError(f"{mine} may not use it", advice)
    place, found = closed
    text = f"{mine} may not use {place}: it is open to {user(found.st_uid)}"
    if not found.st_mode & stat.S_IXGRP | found.st_mode & stat.S_IWGRP:
        return UnreachableError(text, advice)
    return UnreachableError(f"{text} and the group {_group(found.st_gid)}", f"{_join(found.st_gid)} {advice}")


def _closed(path: Path) -> tuple[str, os.stat_result] | None:
    """The first folder of the path, or the socket, that this user may not use; None: it cannot be told."""
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK):
            return _seen(f"the folder {folder}", folder)
    return None if os.access(path, os.W_OK) else _seen("the socket", path)


def _seen(place: str, path: Path) -> tuple[str, os.stat_result] | None:
    try:
        return place, path.stat()
    except OSError:
        return None


def _login_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return f"gid {gid}"


def _join(gid: int) -> str:
    import grp

    name = _login_name()
    try:
        is_member = name in grp.getgrgid(gid).gr_mem
    except (KeyError, OverflowError):
        is_member = False
    if is_member:
        return "You have joined this group since you logged in: log in again."
    return f"Join the group (usermod -aG {_group(gid)} {name}) and log in again."


def _tls_error(error: ssl.SSLError, address: HttpAddress) -> UnreachableError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_error(error, address)
    if (error.reason or "") in _NOT_TLS:
        plain = HttpAddress(address.host, address.port, False, address.netloc, address.path)
        return UnreachableError("it does not speak TLS", f"If that is what it should do, give its URL as {plain}.")
    why = (error.reason or "the connection ended").lower().replace("_", " ")
    return UnreachableError(f"no TLS connection could be made ({why})")


def _certificate_error(error: ssl.SSLCertVerificationError, address: HttpAddress) -> UnreachableError:
    if error.verify_code in _WRONG_NAME:
        return UnreachableError(
            f"its certificate is not for {address.host}",
            "Nothing was sent. Give the URL with the name that its certificate has.",
        )
    if error.verify_code in _EXPIRED | _NOT_YET:
        word = "has expired" if error.verify_code in _EXPIRED else "is not valid yet"
        text = "Nothing was sent. Renew it, or correct the clock of this machine."
        return UnreachableError(f"its certificate {word}", text)
    return UnreachableError(
        f"its certificate is not trusted ({error.verify_message})",
        "Nothing was sent. If it is signed by an authority of your own, name the file of that authority with "
        "ca_file, --ca-file or LINEWARDEN_CA_FILE.",
    )
