"""Asking a service over real sockets, as other programs do."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

from actors.service import Service

TOKEN = "s3cr3t-of-the-desk"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LOOK_TOKEN = "a-token-that-may-look"
LOOK = {"Authorization": f"Bearer {LOOK_TOKEN}"}


class Told:
    """An answer, read to its end."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.raw = answer.read()

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> str:
        return str(self.body["error"])


def ask(service: Service, path: str, method: str = "GET", **headers: str) -> Told:
    """`Host=` and the like replace or add a header; an underscore stands for a hyphen."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    connection.sock = connected(service)
    try:
        connection.request(method, path, headers={n.replace("_", "-"): v for n, v in headers.items()})
        return Told(connection.getresponse())
    finally:
        connection.close()


def connected(service: Service, buffer: int = 0) -> socket.socket:
    """To its Unix socket, or to its port where it has none. `buffer`: see `tail`."""
    is_unix = service.url.startswith("unix:")
    sock = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
    sock.settimeout(20.0)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    try:
        sock.connect(service.url.removeprefix("unix:") if is_unix else ("127.0.0.1", service.port))
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def raw(service: Service, data: bytes = b"") -> Iterator[socket.socket]:
    """A connection that says this much and no more."""
    with connected(service) as sock:
        sock.sendall(data)
        yield sock


def rest(sock: socket.socket) -> bytes:
    """All that comes until the other side hangs up."""
    read = b""
    try:
        while data := sock.recv(65_536):
            read += data
    except ConnectionResetError:
        pass
    return read


def tail_path(channel: str, *keys: str, **words: Any) -> str:
    return "/tail?" + urlencode(
        [("feed", "o2"), ("channel", channel), *(("key", key) for key in keys), *words.items()]
    )


@contextmanager
def tail(service: Service, path: str, *, buffer: int = 0, **options: Any) -> Iterator[ClientConnection]:
    """`buffer`: bytes that the kernel holds for this reader; 0: as it likes."""
    sock = connected(service, buffer)
    sock.settimeout(None)
    options.setdefault("close_timeout", 0.5)  # who does not read does not hear a goodbye either
    with connect(
        f"ws://127.0.0.1:{service.port}{path}", sock=sock, proxy=None, compression=None, **options
    ) as connection:
        yield connection


def hear(connection: ClientConnection, timeout: float = 20.0) -> Any:
    return json.loads(connection.recv(timeout=timeout))
