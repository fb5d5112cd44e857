"""What stands before a venue and lets nobody through in one chosen way: any venue, any length of time."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
from typing import Any, Self

from tests.wire.proxies import connected, read_head, shut

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no FIN
HALF_A_FRAME = b"\x81\x7e\x10\x00{"  # a text of 4096 bytes is announced, and one comes


class Front:
    """A relay to `port` on loopback. `place` says where newcomers get stuck; "": nowhere.

    refused: nobody listens. closed: TCP is accepted and closed. tls: the hello gets a wrong answer.
    http 503: each request gets this status (and `retry_after`, `page`). portal: TLS has the certificate of
    `portal`, then as http 503. half: the head of the 101 breaks off.
    Anything else is the name of what a client says at which its connection is cut: "upgraded", "frame 1",
    "frame 2", or the method of a request that is no upgrade.
    """

    def __init__(
        self, port: int, tls: ssl.SSLContext | None = None, portal: ssl.SSLContext | None = None
    ) -> None:
        self.place = ""
        self.retry_after: int | str = 0
        self.page = b""
        self._portal = portal
        self.met = 0  # how often somebody got stuck
        self._to, self._tls = port, tls
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._upgraded: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._over = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        shut(self._listener)
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def fail(self, place: str) -> None:
        """From now on newcomers get stuck there, and whoever is in is cut off."""
        self.place = place
        if place == "refused":
            shut(self._listener)
            self._listener.close()
            self._listener = socket.socket()  # bound and not listening: the port stays ours
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", self.port))
        self.cut()

    def heal(self) -> None:
        refused, self.place = self.place == "refused", ""
        if refused:
            self._listener.listen(128)
            self._listen()

    def cut(self) -> None:
        """A cancelled cable: every connection is reset."""
        with self._lock:
            for client in self._clients:
                _reset(client)

    def tear(self) -> None:
        """As `cut`, in the middle of a frame of the venue's."""
        with self._lock:
            for client in self._upgraded:
                with contextlib.suppress(OSError):
                    client.sendall(HALF_A_FRAME)
        self.cut()

    def _listen(self) -> None:
        self._start(self._accept, self._listener)

    def _start(self, work: object, sock: socket.socket) -> None:
        thread = threading.Thread(target=work, args=(sock,), name="front")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                if self._over:
                    client.close()
                    return
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._clients.add(client)
        try:
            with contextlib.suppress(OSError):
                self._talk(client)
        finally:
            with self._lock:
                self._clients.discard(client)
                self._upgraded.discard(client)
            client.close()

    def _talk(self, client: socket.socket) -> None:
        if self._stuck("closed"):
            return
        if self._stuck("tls"):
            client.recv(65_536)
            client.sendall(b"no TLS here\r\n\r\n")
            return
        if self._tls is None:
            self._pass_on(client)
            return
        with self._lock:
            self._clients.discard(client)
        tls = self._portal if self.place == "portal" and self._portal is not None else self._tls
        self.met += tls is self._portal
        with tls.wrap_socket(client, server_side=True) as secure:
            with self._lock:
                self._clients.add(secure)
            try:
                self._pass_on(secure)
            finally:
                with self._lock:
                    self._clients.discard(secure)
                    self._upgraded.discard(secure)

    def _pass_on(self, client: socket.socket) -> None:
        head = read_head(client)
        kind, _, status = self.place.partition(" ")
        if kind == "http":
            self.met += 1
            lines = [f"HTTP/1.1 {status} No", f"Content-Length: {len(self.page)}", "Content-Type: text/html"]
            lines += [f"Retry-After: {self.retry_after}"] if self.retry_after else []
            lines += ["Location: https://portal.example/"] if status.startswith("3") else []
            client.sendall("\r\n".join((*lines, "", "")).encode() + self.page)
            return
        is_upgrade = b"\r\nupgrade: websocket" in head.lower()
        if is_upgrade and self._stuck("half"):
            client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgra")
            return
        if not is_upgrade and self._stuck(head.partition(b" ")[0].decode()):
            return
        with connected(self._to) as venue:
            venue.sendall(head)
            if is_upgrade:
                client.sendall(read_head(venue))
                with self._lock:
                    self._upgraded.add(client)
                if self._stuck("upgraded"):
                    _reset(client)
                    return
            self._relay(client, venue, is_upgrade)

    def _relay(self, client: socket.socket, venue: socket.socket, is_upgrade: bool) -> None:
        count = 0
        with selectors.DefaultSelector() as selector:
            for sock in (client, venue):
                selector.register(sock, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    data = _read(key.fileobj)
                    if not data:
                        return
                    if key.fileobj is venue:
                        client.sendall(data)
                        continue
                    count += 1
                    if is_upgrade and self._stuck(f"frame {count}"):
                        _reset(client)
                        return
                    venue.sendall(data)

    def _stuck(self, place: str) -> bool:
        stuck = self.place == place
        self.met += stuck
        return stuck


def _read(sock: Any) -> bytes:
    data: bytes = sock.recv(65_536)
    while isinstance(sock, ssl.SSLSocket) and sock.pending():
        data += sock.recv(65_536)
    return data


def _reset(client: socket.socket) -> None:
    """What a thread that reads of it sees as its end; the close that follows tells the other side."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        socket.socket.shutdown(client, socket.SHUT_RD)
