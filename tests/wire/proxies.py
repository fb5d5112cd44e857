"""Small servers on loopback for tests: any TCP conversation, a CONNECT proxy, a SOCKS5 proxy."""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Conversation = Callable[[socket.socket], None]


class Loopback:
    """A TCP server: `conversation(sock)` runs on a thread of its own for each connection.

    An OSError in it ends the connection quietly: the other side may go away at any time.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="loopback")]
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shut(self._listener)
        self._threads[0].join()
        for sock in self._open:
            shut(sock)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self._open):
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.append(sock)
                thread = threading.Thread(target=self._talk, args=(sock,), name="loopback/connection")
                self._threads.append(thread)
                thread.start()

    def _talk(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._conversation(sock)
        shut(sock)


def shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def read_head(sock: socket.socket) -> bytes:
    """An HTTP head up to its blank line. Raises ConnectionError if it ends before."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(sock, 1)
    return head


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data


def connected(port: int) -> socket.socket:
    """A connection to loopback that asks no resolver: tests replace getaddrinfo."""
    sock = socket.socket()
    try:
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes both ways until one side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                source: socket.socket = key.fileobj  # type: ignore[assignment]
                data = source.recv(65536)
                if not data:
                    return
                key.data.sendall(data)


class ConnectProxy(Loopback):
    """An HTTP proxy that knows CONNECT. `asked` are the heads it was sent.

    Every target is taken for `to`, a port on loopback: names need no DNS. With `login`, the
    Authorization that it wants, everyone else gets 407.
    """

    def __init__(self, to: int, *, login: str | None = None, refusal: bytes = b"") -> None:
        super().__init__(self._serve)
        self.asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._to, self._login, self._refusal = to, login, refusal

    def _serve(self, client: socket.socket) -> None:
        head = read_head(client)
        self.asked.put(head)
        if self._refusal:
            client.sendall(self._refusal)
        elif self._login is not None and f"Proxy-Authorization: {self._login}\r\n".encode() not in head:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        else:
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        with connected(self._to) as server:
            # Two writes: the head of an answer need not come in one piece.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(b"HTTP/1.1 200 Connection")
            client.sendall(b" established\r\nVia: 1.1 test\r\n\r\n")
            relay(client, server)


class Socks5Proxy(Loopback):
    """RFC 1928 and 1929, CONNECT only. `asked` are the hosts (bytes: name or packed address).

    Every target is taken for `to`, a port on loopback. `reply` other than 0 refuses with it.
    """

    def __init__(self, to: int, *, login: tuple[bytes, bytes] | None = None, reply: int = 0) -> None:
        super().__init__(self._serve)
        self.asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._to, self._login, self._reply = to, login, reply

    def _serve(self, client: socket.socket) -> None:
        if not self._greet(client):
            return
        _, _, _, kind = read_exactly(client, 4)
        size = {1: 4, 4: 16}.get(kind) or read_exactly(client, 1)[0]
        self.asked.put(read_exactly(client, size))
        read_exactly(client, 2)  # the port
        client.sendall(bytes([5, self._reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self._reply == 0:
            with connected(self._to) as server:
                relay(client, server)

    def _greet(self, client: socket.socket) -> bool:
        _, count = read_exactly(client, 2)
        methods = read_exactly(client, count)
        if self._login is None:
            client.sendall(b"\x05\x00")
            return True
        if 2 not in methods:
            client.sendall(b"\x05\xff")
            return False
        client.sendall(b"\x05\x02")
        username = read_exactly(client, read_exactly(client, 2)[1])
        password = read_exactly(client, read_exactly(client, 1)[0])
        granted = (username, password) == self._login
        client.sendall(b"\x01\x00" if granted else b"\x01\x01")
        return granted
