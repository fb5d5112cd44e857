"""TLS of the service's port."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any

from actors.service.socket_folder import ServiceError
from actors.settings.schema import ServiceSettings


class TlsSocket(ssl.SSLSocket):
    """One thread reads, another one writes: OpenSSL's connection is used by one of them at a time."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        with self._turn():
            return super().recv(buflen, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        with self._turn():
            return super().send(data, flags)

    def shutdown(self, how: int) -> None:
        # The library's own forgets the TLS state first: a reader would get ciphertext as data.
        socket.socket.shutdown(self, how)

    def _turn(self) -> threading.Lock:
        lock: threading.Lock = self.__dict__.setdefault("_lock", threading.Lock())
        return lock


def server_context(settings: ServiceSettings) -> ssl.SSLContext | None:
    """None: the port speaks plain HTTP.

    Raises:
        ServiceError: the certificate or its key cannot be used.
    """
    if not settings.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.sslsocket_class = TlsSocket
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password=_no_password)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        files = f"{settings.tls_certificate} and {settings.tls_key}"
        raise ServiceError(
            f"{files} are no certificate and its key: {why}; see tls_certificate in [service]"
        ) from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted, and Linewarden has no password for it")
