"""Gives each request that may be answered a thread.

`Arrivals` accepts connections and reads requests, `Guard` admits a request, `Seats` has a place for it, and
`ServiceRoutes` answers it. A tail is a connection of the websockets package.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Self

from websockets.http11 import Request, Response

from actors import log_queue
from actors.rules.admission import AdmissionLimits, Full, Seats
from actors.runtime import Runtime
from actors.service.arrivals import Arrival, Arrivals
from actors.service.commands import Commands
from actors.service.connection import Client, Limits
from actors.service.draining import Draining
from actors.service.followed_books import FollowedBooks
from actors.service.listeners import Place, ServiceListener, TcpListener
from actors.service.log_levels import LogLevels
from actors.service.opened import Opened
from actors.service.responses import (
    ReloadAnswer,
    RequestDeclined,
    ServiceRequest,
    ServiceResponse,
    parse_query,
    response,
)
from actors.service.routes import ServiceRoute, ServiceRoutes
from actors.service.switches import Switches
from actors.service.tail import Tail
from actors.settings.schema import ServiceSettings

log = log_queue.logger("actors.service")

LOOK = 0.01  # seconds between two looks whether all requests are answered
POLITE, FORCED = 0.4, 0.5  # seconds that stop() gives clients to end, and their threads after that


class _Slot:
    """One request and its thread. The client is set when the thread has begun."""

    def __init__(self, arrival: Arrival[ServiceListener], route: ServiceRoute, asked: ServiceRequest) -> None:
        self.arrival, self.route, self.asked = arrival, route, asked
        self.client: Client | None = None
        self.is_answered = False


class Service:
    """Serves one runtime over HTTP and WebSocket, at a Unix socket and perhaps a port.

    A context manager; leaving it stops it. The runtime is not stopped with it. `reload(plan)` is
    what `POST /reload` calls; None: there is nothing to reload. `end` ends the process after `POST /drain`.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: ServiceSettings,
        *,
        reload: Callable[[bool], ReloadAnswer] | None = None,
        limits: Limits | None = None,
        end: Callable[[], object] | None = None,
    ) -> None:
        self._settings, self._name = settings, runtime.settings.runtime.name
        self._listeners: tuple[ServiceListener, ...] = ()
        self.port = settings.address[1] if settings.listen else 0  # of TCP
        self._limits = limits or Limits()
        self._numbers = settings.limits
        self._switches = Switches(runtime, self.answer_all)
        self._opened = Opened(runtime, self._numbers)
        self._books = FollowedBooks(runtime, self._opened, self._numbers.books, self._limits.book_linger)
        commands = Commands(runtime, self._numbers)
        self._log_levels = LogLevels()
        self._draining = Draining(self._clients, self._opened.close, end)
        self._routes = ServiceRoutes(
            runtime,
            reload,
            self._switches,
            self._books,
            commands,
            self._opened,
            self._log_levels,
            self._draining,
        )
        self._lock = threading.Lock()
        self._slots: dict[threading.Thread, _Slot] = {}
        self._running = False

    # ── life ──

    def start(self) -> None:
        """Listens when it returns; `port` is then the real one, if it was 0.

        Raises:
            ServiceError: its socket or its port is taken, or this user may not listen there.
        """
        if self._running:
            return
        place = Place.of(self._settings, self._name, os.environ)
        self._listeners = place.listeners(self.port)
        for listener in self._listeners:
            if isinstance(listener, TcpListener):
                self.port = listener.port
        self._stopping = threading.Event()
        self._running = True
        admission = AdmissionLimits(
            waiting=self._numbers.waiting,
            waiting_per_address=self._numbers.waiting_per_address,
            within=self._limits.open_within,
            clients=self._numbers.clients,
            per_client=self._numbers.per_client,
        )
        self._seats = Seats(admission)
        self._arrivals = Arrivals(self._listeners, admission, self._receive)
        self._arrivals.start()
        self._switches.begin()
        for listener in self._listeners:
            log.info("service.listening", "Answers at %s", listener.url)

    @property
    def url(self) -> str:
        """The address for clients on this machine, such as `unix:/run/linewarden/linewarden.sock`.

        That of the socket, if there is one; empty before it listens.
        """
        return next((listener.url for listener in self._listeners), "")

    def stop(self) -> None:
        """Within a second the port is closed, tails are closed with 1001, and threads have ended.

        A thread that is left waits for an actor that does not answer; the log names it.
        """
        with self._lock:
            if not self._running:
                return
            self._running = False
        self._switches.stop()
        self._draining.stop()
        self._stopping.set()
        self._arrivals.stop()
        for listener in self._listeners:
            listener.close()
        for slot in self._present().values():
            if slot.client is not None:
                slot.client.leave("the service stops")
        self._join(POLITE)
        for slot in self._present().values():
            if slot.client is not None:
                slot.client.hang_up()
        self._join(FORCED)
        self._books.stop()
        self._log_levels.stop()
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
        self._arrivals.read_all(seconds)
        arrived = list(self._present().values())
        while time.monotonic() < deadline and not all(slot.is_answered for slot in arrived):
            self._stopping.wait(LOOK)

    # ── a request ──

    def _receive(self, arrival: Arrival[ServiceListener], request: Request) -> ServiceResponse | None:
        """Runs on the thread that listens. None: a thread answers."""
        try:
            route, asked = self._judge(arrival, request)
            answer = route.at_once(asked)
            if answer is None:
                self._begin(_Slot(arrival, route, asked))
                return None
        except RequestDeclined as declined:
            answer = declined.answer
        log.debug(
            "service.request", "%s %r: %d", request.method, request.path.partition("?")[0], answer.status
        )
        return answer

    def _judge(
        self, arrival: Arrival[ServiceListener], request: Request
    ) -> tuple[ServiceRoute, ServiceRequest]:
        """Raises: RequestDeclined: this caller may not ask that."""
        path, _, query = request.path.partition("?")
        caller = arrival.listener.admit(arrival.caller, request.headers)
        route = self._routes.route(request.method, path, caller)
        upgrade = any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))
        return route, ServiceRequest(request.method, path, parse_query(query), upgrade, caller)

    def _begin(self, slot: _Slot) -> None:
        """Raises: RequestDeclined: there is no place, or no thread, for this request."""
        caller, number = slot.asked.caller, slot.arrival.number
        thread = threading.Thread(
            target=self._attend, args=(slot,), name=f"service/{slot.arrival.caller.name}", daemon=True
        )
        with self._lock:
            seat = self._seats.request(number, caller.client, caller.standing)
            if isinstance(seat, Full):
                raise RequestDeclined(503, f"too many clients: {seat.sentence}", ("Retry-After", "1"))
            self._slots[thread] = slot
            ended = [each for each in self._slots.values() if each.arrival.number == seat.instead_of]
        for each in ended:
            if each.client is not None:
                each.client.hang_up()
        try:
            thread.start()
        except RuntimeError:
            self._leave(thread)
            text = "too many clients: the system has no thread for one more; try again"
            raise RequestDeclined(503, text, ("Retry-After", "1")) from None

    def _attend(self, slot: _Slot) -> None:
        """Runs on the thread of one connection."""
        number = slot.arrival.number
        try:
            slot.client = Client(
                slot.arrival.sock,
                bytes(slot.arrival.head),
                self._limits,
                answer=lambda client, request: self._answer(client, request, slot),
                answered=lambda: self._note_answered(number),
                stopping=self._stopping,
            )
            if self._stopping.is_set():  # it has looked for clients to hang up on, perhaps
                slot.client.hang_up()
            slot.client.attend()
        except OSError:  # the client has left
            slot.arrival.sock.close()
        finally:
            slot.is_answered = True
            self._leave(threading.current_thread())

    def _answer(self, client: Client, request: Request, slot: _Slot) -> Response | None:
        """None: it becomes a WebSocket, and the client gets its tail."""
        if self._stopping.is_set():
            answer: ServiceResponse | Tail = ServiceResponse(503, {"error": "the service stops"})
        else:
            answer = self._routes.answer(slot.route, slot.asked)
        slot.is_answered = True
        if isinstance(answer, Tail):
            log.debug("service.request", "%s %r: %r", request.method, slot.asked.path, answer)
            client.lend(answer)
            return None
        log.debug("service.request", "%s %r: %d", request.method, slot.asked.path, answer.status)
        return response(answer, head=request.method == "HEAD")

    def _note_answered(self, number: int) -> None:
        with self._lock:
            self._seats.answered(number)

    def _leave(self, thread: threading.Thread) -> None:
        with self._lock:
            slot = self._slots.pop(thread)
            self._seats.left(slot.arrival.number)

    # ── ending ──

    def _present(self) -> dict[threading.Thread, _Slot]:
        here = threading.current_thread()
        with self._lock:
            return {thread: slot for thread, slot in self._slots.items() if thread is not here}

    def _clients(self) -> list[Client]:
        return [slot.client for slot in self._present().values() if slot.client is not None]

    def _join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in self._present():
            thread.join(max(0.0, deadline - time.monotonic()))
