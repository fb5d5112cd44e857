"""Finds the thread that answers a request.

`Arrivals` accepts connections, reads requests and sends answers; `Guard` admits a request, `Seats` has a
place for it, and `ServiceRoutes` answers it. One thread answers all that needs a status, in turn: askers in
any number wait for it. An answer that may wait for an actor or a venue has a thread until it is there. A tail
is a connection of the websockets package.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Self

from websockets.http11 import Request

from actors import log_queue
from actors.rules.admission import AdmissionLimits, Seats
from actors.runtime import Runtime
from actors.service.arrivals import Arrival, Arrivals
from actors.service.commands import Commands
from actors.service.connection import Client, Limits
from actors.service.draining import Draining
from actors.service.followed_books import FollowedBooks
from actors.service.in_turn import InTurn
from actors.service.listeners import Place, ServiceListener, TcpListener
from actors.service.log_levels import LogLevels
from actors.service.opened import Opened
from actors.service.responses import (
    ReloadAnswer,
    RequestDeclined,
    ServiceRequest,
    ServiceResponse,
    parse_query,
    written,
)
from actors.service.routes import ServiceRoute, ServiceRoutes
from actors.service.switches import Switches
from actors.service.tail import Tail
from actors.settings.schema import ServiceSettings

log = log_queue.logger("actors.service")

LOOK = 0.01  # seconds between two looks whether all requests are answered
POLITE, FORCED = 0.4, 0.5  # seconds that stop() gives clients to end, and their threads after that


class _Slot:
    """One request until its answer is sent, or its tail has ended."""

    def __init__(self, arrival: Arrival[ServiceListener], route: ServiceRoute, asked: ServiceRequest) -> None:
        self.arrival, self.route, self.asked = arrival, route, asked
        self.thread: threading.Thread | None = None  # of its own, if it has one
        self.client: Client | None = None  # of a tail
        self.is_answered = False

    def drain(self, why: str) -> None:
        if self.client is not None:
            self.client.drain(why)


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
        self._draining = Draining(self._present, self._opened.close, end)
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
        self._one_less = threading.Condition(self._lock)
        self._slots: dict[int, _Slot] = {}  # by the number of the connection
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
            answer_within=self._limits.answer_within,
            clients=self._numbers.clients,
            per_client=self._numbers.per_client,
        )
        self._seats = Seats(admission)
        self._arrivals = Arrivals(self._listeners, admission, self._receive)
        self._in_turn = InTurn("service/status")
        self._in_turn.start()
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
        self._arrivals.close()
        for slot in self._present():
            if slot.client is not None:
                slot.client.leave("the service stops")
        self._wait(POLITE)
        for slot in self._present():
            if slot.client is not None:
                slot.client.hang_up()
        self._in_turn.stop()
        self._arrivals.stop()
        deadline = time.monotonic() + FORCED
        self._wait(FORCED)
        self._books.stop()
        self._log_levels.stop()
        threads = [self._in_turn.thread, *(slot.thread for slot in self._present() if slot.thread)]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if left := [thread.name for thread in threads if thread.is_alive()]:
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
        arrived = self._present()
        while time.monotonic() < deadline and not all(slot.is_answered for slot in arrived):
            self._stopping.wait(LOOK)

    # ── a request ──

    def _receive(self, arrival: Arrival[ServiceListener], request: Request) -> ServiceResponse | None:
        """Runs on the thread that listens. None: another thread answers."""
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
        with self._lock:
            if full := self._seats.request(number, caller.client, caller.standing(slot.route.needed)):
                raise RequestDeclined(503, f"too many clients: {full}", ("Retry-After", "1"))
            self._slots[number] = slot
        if slot.route.in_turn:
            self._in_turn.put(partial(self._attend, slot))
            return
        name = f"service/{slot.arrival.caller.name}"
        slot.thread = threading.Thread(target=self._attend, args=(slot,), name=name, daemon=True)
        try:
            slot.thread.start()
        except RuntimeError:
            self._leave(slot)
            text = "too many clients: the system has no thread for one more; try again"
            raise RequestDeclined(503, text, ("Retry-After", "1")) from None

    def _attend(self, slot: _Slot) -> None:
        """Answers one request."""
        answer = self._answer(slot)
        slot.is_answered = True
        if isinstance(answer, Tail):
            self._send_tail(slot, answer)
            return
        head = slot.asked.method == "HEAD"
        try:
            pieces = written(answer, head=head)
        except Exception:
            log.exception("service.request_failed", "The answer of %s could not be written.", slot.route)
            pieces = written(
                ServiceResponse(500, {"error": "an unexpected error; see the log of the service"})
            )
        self._arrivals.answer(slot.arrival, pieces, partial(self._leave, slot))

    def _answer(self, slot: _Slot) -> ServiceResponse | Tail:
        if self._stopping.is_set():
            return ServiceResponse(503, {"error": "the service stops"})
        answer = self._routes.answer(slot.route, slot.asked)
        told = repr(answer) if isinstance(answer, Tail) else answer.status
        log.debug("service.request", "%s %r: %s", slot.asked.method, slot.asked.path, told)
        return answer

    def _send_tail(self, slot: _Slot, tail: Tail) -> None:
        """Returns when it has ended."""
        try:
            head = bytes(slot.arrival.head)
            slot.client = Client(slot.arrival.sock, head, self._limits, tail, self._stopping)
            if self._stopping.is_set():  # it has looked for clients to hang up on, perhaps
                slot.client.hang_up()
            slot.client.attend()
        except (OSError, RuntimeError) as error:  # the client has left, or there is no thread
            log.debug("service.protocol", "A connection has ended: %s", error)
            tail.close("the client has left")
            slot.arrival.sock.close()
        finally:
            self._leave(slot)

    def _leave(self, slot: _Slot) -> None:
        with self._lock:
            del self._slots[slot.arrival.number]
            self._seats.left(slot.arrival.number)
            self._one_less.notify_all()

    # ── ending ──

    def _present(self) -> list[_Slot]:
        """Without that of this thread."""
        here = threading.current_thread()
        with self._lock:
            return [slot for slot in self._slots.values() if slot.thread is not here]

    def _wait(self, seconds: float) -> None:
        """For the ends of the requests that are left."""
        here = threading.current_thread()
        with self._lock:
            self._one_less.wait_for(
                lambda: all(slot.thread is here for slot in self._slots.values()), seconds
            )
