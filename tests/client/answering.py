"""Programs at the address of a service: they answer what a test wants, over TCP, TLS or a Unix socket."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.test_stream import in_a_child

OTHER_UID = 23_456  # of no user of this machine
OTHER_GID = 23_457
ANSWERED = b'{"error": "answered"}'  # with 404: enough to know that the request has come
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can run a child as another user"
)


def http(body: bytes, status: bytes = b"404 X", *headers: bytes) -> bytes:
    more = b"".join(b"%b\r\n" % each for each in headers)
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), more, body)


class Answerer:
    """Sends `answer` to each client of this listener once its request has come, and hangs up."""

    def __init__(self, listener: socket.socket, answer: bytes, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._listener, self._answer, self._context = listener, answer, context
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Answerer:
        self._listener.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                sock = self._listener.accept()[0]
                sock.settimeout(20.0)
                with (
                    sock
                    if self._context is None
                    else self._context.wrap_socket(sock, server_side=True) as sock
                ):
                    self.requests.append(sock.recv(65_536))
                    sock.sendall(self._answer)


@contextlib.contextmanager
def at_tcp(answer: bytes, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, Answerer]]:
    """Yields its port on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    with Answerer(listener, answer, context) as answerer:
        yield listener.getsockname()[1], answerer


@contextlib.contextmanager
def at_socket(path: Path, answer: bytes = http(ANSWERED), *, of_another: bool = False) -> Iterator[Answerer]:
    """`of_another`: a process of another user has begun to listen there."""
    path.parent.mkdir(0o755, exist_ok=True)
    with Answerer(listening_at(path, of_another=of_another), answer) as answerer:
        yield answerer


def listening_at(path: Path, *, of_another: bool = False) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def listen() -> str:
        listener.bind(str(path))
        listener.listen()
        return "listens"

    if of_another:  # the kernel remembers the user of the process that called listen()
        os.chown(path.parent, OTHER_UID, OTHER_GID)
        assert as_another(listen) == "listens"
    else:
        listen()
    return listener


# ── other users ──


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A short path that every user may enter: pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory(prefix="lw") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def as_another(say: Callable[[], str], *groups: int) -> str:
    """What a forked child of this process has to say as another user, who is also in these groups."""

    # The child may not read the folder of this Python.
    for name in ("grp", "encodings.ascii", "encodings.idna", "encodings.latin_1"):
        import_module(name)

    def become_and_say() -> str:
        os.setgroups(groups)
        os.setgid(OTHER_GID)
        os.setuid(OTHER_UID)
        return say()

    return in_a_child(become_and_say)
