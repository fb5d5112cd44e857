"""Listens, and gives each connection a thread.

`Guard` admits a request, `ServiceRoutes` answers it. The protocol is the threaded server of the websockets
package. Connections are accepted here, because the package's own loop ends at the first connection that
cannot be accepted (no descriptor is left, say).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Self, cast

from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from actors import log_queue
from actors.errors import LinewardenError
from actors.http_types import HostPort, is_loopback
from actors.runtime import Runtime
from actors.secret import Secret
from actors.service.access import Guard
from actors.service.connection import Client, Limits
from actors.service.followed_books import FollowedBooks
from actors.service.responses import (
    ReloadAnswer,
    RequestDeclined,
    ServiceRequest,
    ServiceResponse,
    parse_query,
    response,
)
from actors.service.rights import EVERY, Caller
from actors.service.routes import ServiceRoutes
from actors.service.switches import Switches
from actors.service.tail import Tail
from actors.settings.addresses import local_url
from actors.settings.schema import ServiceSettings

log = log_queue.logger("actors.service")

SURPLUS = 16  # clients beyond the limit that get an answer; further ones are closed
PAUSE = 0.2  # seconds until the next try when out of threads or file descriptors
LOOK = 0.01  # seconds between two looks whether all requests are answered
POLITE, FORCED = 0.4, 0.5  # seconds that stop() gives clients to end, and their threads after that

_AGAIN = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, errno.ECONNABORTED}


class ServiceError(LinewardenError):
    """The service cannot listen; the message has the address, the reason and what to do."""


class _Slot:
    """One connection and its thread. The client is set when the thread has begun."""

    def __init__(self, *, surplus: bool) -> None:
        self.surplus = surplus
        self.client: Client | None = None
        self.is_answered = False


class Service:
    """Serves one runtime over HTTP and WebSocket on one port.

    A context manager; leaving it stops it. The runtime is not stopped with it. `reload(plan)` is
    what `POST /reload` calls; None: there is nothing to reload.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: ServiceSettings,
        *,
        reload: Callable[[bool], ReloadAnswer] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._host, self.port = settings.address
        self._token = settings.token
        self._limits = limits or Limits()
        self._switches = Switches(runtime, self.answer_all)
        self._books = FollowedBooks(runtime, self._limits.books, self._limits.book_linger)
        self._routes = ServiceRoutes(runtime, reload, self._switches, self._books)
        self._lock = threading.Lock()
        self._slots: dict[threading.Thread, _Slot] = {}
        self._running = False

    # ── life ──

    def start(self) -> None:
        """Listens when it returns; `port` is then the real one, if it was 0.

        Raises:
            ServiceError: the port is taken, the address is none of this machine, or it lies beyond
                loopback and there is no token.
        """
        if self._running:
            return
        listener = listen(self._host, self.port)
        host, port = listener.getsockname()[:2]
        loopback = is_loopback(host)
        if self._token == _EMPTY or (self._token is None and not loopback):
            listener.close()
            where = HostPort(self._host, self.port)
            raise ServiceError(f"{where} can be reached from other machines: set token in [service]")
        self.port = port
        self._guard = Guard(self._host or host, port, loopback=loopback, token=self._token)
        self._server = serve(
            lambda connection: cast(Client, connection).send_tail(),
            sock=listener,
            compression=None,
            server_header=None,
            process_request=self._answer,
            open_timeout=self._limits.open_within,
            create_connection=cast(type[ServerConnection], self._receive),
        )
        self._waker, wakened = socket.socketpair()
        self._stopping = threading.Event()
        self._running = True
        self._accepting = threading.Thread(
            target=self._accept, args=(listener, wakened), name="service/accept", daemon=True
        )
        self._listener = listener
        self._accepting.start()
        self._switches.begin()
        log.info("service.listening", "Answers at %s", self.url)

    @property
    def url(self) -> str:
        """The address for clients on this machine, such as `http://127.0.0.1:9700`."""
        return local_url(self._host, self.port)

    def stop(self) -> None:
        """Within a second the port is closed, tails are closed with 1001, and threads have ended.

        A thread that is left waits for an actor that does not answer; the log names it.
        """
        with self._lock:
            if not self._running:
                return
            self._running = False
        self._switches.stop()
        self._stopping.set()
        self._waker.send(b"!")
        self._accepting.join()
        self._waker.close()
        _dismiss(self._server)
        for slot in self._present().values():
            if slot.client is not None:
                slot.client.leave("the service stops")
        self._join(POLITE)
        for slot in self._present().values():
            if slot.client is not None:
                slot.client.hang_up()
        self._join(FORCED)
        self._books.stop()
        if left := [thread.name for thread in self._present()]:
            log.warning("service.left_behind", "These threads did not end in time: %s.", ", ".join(left))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer_all(self, seconds: float) -> None:
        """Waits until every request that has arrived by now is answered; for so many seconds at most."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and select.select([self._listener], [], [], 0)[0]:
            self._stopping.wait(LOOK)  # a connection waits to be accepted
        arrived = [slot for slot in self._present().values() if not slot.is_answered]
        while time.monotonic() < deadline and not all(slot.is_answered for slot in arrived):
            self._stopping.wait(LOOK)

    # ── connections ──

    def _accept(self, listener: socket.socket, wakened: socket.socket) -> None:
        """Runs on the thread that listens, until stop()."""
        scarce = False
        with wakened, selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(wakened, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                try:
                    sock, address = listener.accept()
                    self._start(sock, address)
                    scarce = False
                except (OSError, RuntimeError) as error:  # no descriptor, no thread; or the client has left
                    if isinstance(error, OSError) and error.errno in _AGAIN:
                        continue
                    if not scarce:
                        text = "Out of threads or file descriptors: no connection can be accepted now (%s)"
                        log.warning("service.out_of_descriptors", text, error)
                    scarce = True
                    self._stopping.wait(PAUSE)

    def _start(self, sock: socket.socket, address: Any) -> None:
        with self._lock:
            present = len(self._slots)
            if present >= self._limits.clients + SURPLUS:
                sock.close()
                return
            slot = _Slot(surplus=present >= self._limits.clients)
            thread = threading.Thread(
                target=self._attend, args=(sock, address), name=f"service/{address[0]}", daemon=True
            )
            self._slots[thread] = slot
        try:
            thread.start()
        except RuntimeError:
            del self._slots[thread]
            sock.close()
            raise

    def _attend(self, sock: socket.socket, address: Any) -> None:
        """Runs on the thread of one connection."""
        thread = threading.current_thread()
        try:
            self._server.handler(sock, address)
            client = self._slots[thread].client
            if client is not None:
                client.join()
        finally:
            with self._lock:
                self._slots.pop(thread).is_answered = True

    def _receive(self, sock: socket.socket, _protocol: Any, server: Server, **_: Any) -> Client:
        """The library's factory of connections, called on the connection's thread."""
        slot = self._slots[threading.current_thread()]
        slot.client = Client(sock, server, self._limits, surplus=slot.surplus)
        return slot.client

    # ── answering ──

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """None: it becomes a WebSocket, and the client gets its tail."""
        client = cast(Client, connection)
        try:
            answer = self._respond(client, request)
        except RequestDeclined as refused:
            answer = refused.answer
        self._slots[threading.current_thread()].is_answered = True
        path = request.path.partition("?")[0]
        if isinstance(answer, Tail):
            log.debug("service.request", "%s %r: %r", request.method, path, answer)
            client.lend(answer)
            return None
        log.debug("service.request", "%s %r: %d", request.method, path, answer.status)
        return response(answer, head=request.method == "HEAD")

    def _respond(self, client: Client, request: Request) -> ServiceResponse | Tail:
        if client.surplus:
            raise RequestDeclined(503, "too many clients; try again", ("Retry-After", "1"))
        if self._stopping.is_set():
            raise RequestDeclined(503, "the service stops")
        path, _, query = request.path.partition("?")
        self._guard.admit(request.headers)
        known = self._guard.knows(request.headers)
        if not (known or self._routes.is_open(path)):
            self._guard.authenticate(request.headers)
        upgrade = any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))
        caller = Caller(EVERY if known else frozenset(), name=threading.current_thread().name)
        asked = ServiceRequest(request.method, path, parse_query(query), upgrade, known, caller)
        return self._routes.answer(self._routes.route(request.method, path), asked)

    # ── ending ──

    def _present(self) -> dict[threading.Thread, _Slot]:
        here = threading.current_thread()
        with self._lock:
            return {thread: slot for thread, slot in self._slots.items() if thread is not here}

    def _join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in self._present():
            thread.join(max(0.0, deadline - time.monotonic()))


_EMPTY = Secret("")


def listen(host: str, port: int) -> socket.socket:
    """Raises: ServiceError: the address cannot be listened on."""
    try:
        listener = _bind(host, port)
    except OSError as error:
        raise ServiceError(_why_not(HostPort(host, port), error)) from None
    listener.setblocking(False)
    return listener


def _bind(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # IPv6 may be switched off
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    family, _, _, _, address = socket.getaddrinfo(
        host or "0.0.0.0",  # nosec B104
        port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )[0]
    return socket.create_server((str(address[0]), port), family=family, backlog=128)


def _why_not(where: HostPort, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"{where} is not an address of this machine: {error.strerror}; see listen in [service]"
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


def _dismiss(server: Server) -> None:
    """Releases what the library's server holds; its own loop, which would do that, never ran."""
    server.socket_closed.set()
    server.shutdown()
    if sys.platform != "win32":
        server.shutdown_watcher.close()
