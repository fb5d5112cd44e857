"""The other end of a venue, on loopback: WebSocket and HTTP on one port, misbehaving to order.

One thread serves all connections: it reads, keeps the timers and flushes what a slow reader left
over. A method that sends something writes to the sockets in its caller's thread, under the one lock,
and never waits for a reader: what `trade()` sends is on its way when `trade()` returns.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import random
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from websockets.exceptions import ProtocolError
from websockets.frames import Close

from actors.errors import Timeout
from actors.simulators.base import faults
from actors.simulators.base.client import (
    HttpReply,
    Later,
    Peer,
    Request,
    binary_frame,
    retry_header,
    text_frame,
)
from actors.simulators.base.faults import Fault, New, PendingFaults, RetryAfter, Status, Times, fault, waiting
from actors.simulators.base.random_market import Market
from actors.simulators.base.settings import SimulatorSettings, given

Message = str | bytes
Garbage = Literal["json", "utf8", "binary", "opcode", "nesting", "length"]
GarbageKind = Annotated[
    Garbage,
    "json: broken; nesting: deep; binary: no JSON; utf8, opcode and length break the WebSocket protocol,"
    " and the client closes",
]
CloseCode = Annotated[int, "of the close frame: RFC 6455, section 7.4"]
CloseCodeOrNone = Annotated[int, "of the close frame; 0: none is sent"]
Reason = Annotated[str, "of the close frame"]

_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder().decode

_STEPS_AT_ONCE = 200  # market steps before the sockets are looked at again
_TOLD = 20  # messages that an error lists
_SLICE = 0.05  # seconds between two looks at a predicate that nothing announces
# Below the ephemeral ports: a client that retries while an ephemeral port has no listener can
# be given that very port as its own and connect to itself.
_PORTS = range(20_000, 32_000)
_BACKLOG = 1024  # connections that are not accepted yet
_NOT_FOUND = HttpReply(404, b'{"error":"not found"}')
_GARBAGE: Mapping[str, bytes] = {
    "json": text_frame(b'{"action":"subscribe_trades","market_id":'),
    "utf8": text_frame(b'{"action":"\xff\xfe"}'),
    "binary": binary_frame(b"\x00\x01\x02\x03"),
    "opcode": b"\x83\x02{}",  # a frame of a kind that RFC 6455 reserves: section 5.2
    "nesting": text_frame(b"[" * 100_000),
    "length": b"\x81\x7f" + b"\xff" * 8,  # announces 2**64-1 bytes, and the first bit must be 0
}


class Simulator:
    """The other end of a venue: a context manager that listens on loopback while entered.

    Its methods may be called from any thread. A subclass says what the venue says: `objection`,
    `answer`, `opened`, `received`, `closed` and `step` are called under the lock. What it remembers is
    bounded: `heard` and `requests` have the newest `settings.history` entries.
    """

    name: ClassVar[str]
    path: ClassVar[str] = "/"  # of the WebSocket; what `.url` ends with
    verb: ClassVar[str] = "action"  # the member of a client's message by which `wait_heard` knows it
    Settings: ClassVar[type[SimulatorSettings]] = SimulatorSettings

    settings: SimulatorSettings

    @given(SimulatorSettings)
    def __init__(self, settings: SimulatorSettings) -> None:
        self.set_up(settings)

    def set_up(self, settings: SimulatorSettings) -> None:
        """The state of every simulator: what a constructor does first."""
        self.settings = settings
        self.port = settings.port
        self.random = random.Random(settings.seed)
        self.lives = 0  # how many upgrades were ever accepted
        self.accepted = 0  # TCP connections, whatever they were for
        self.sent = 0  # messages
        self.pings = 0  # protocol pings received
        self.pongs = 0  # and the answers to ours
        self.pending = PendingFaults()
        self._faults = [
            faults.parse(each, type(self)) if isinstance(each, str) else each for each in settings.faults
        ]
        self._heard: deque[Any] = deque(maxlen=settings.history)
        self._requests: deque[Request] = deque(maxlen=settings.history)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._peers: dict[Peer, None] = {}  # every connection, oldest first
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._selector: selectors.BaseSelector | None = None
        self._listener: socket.socket | None = None
        self._bell: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._helpers: list[threading.Thread] = []
        self.running = False
        self._recurring: list[Fault] = []
        self._triggers: list[tuple[int, int, Fault]] = []  # a heap, by the number of messages sent
        self._arming = 0  # heal() counts it up, and older timers do nothing more

    # life

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where a feed connects: the `url` in its config."""
        return f"ws://127.0.0.1:{self.port}{self.path}"

    @property
    def http_url(self) -> str:
        """What the paths of plain HTTP stand under, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listens, for the first time or again after stop(), on the same port.

        Raises:
            OSError: the port is taken.
        """
        with self._lock:
            if self.running:
                return
            self._timers.clear()
            for each in self._recurring:
                self._repeat(each, self._arming)
            while self._faults:
                self.arm(self._faults[0])
                del self._faults[0]
            self._listener = self._bind()
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._selector = selectors.DefaultSelector()
            self._bell, ear = socket.socketpair()
            self._bell.setblocking(False)
            ear.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
            self._selector.register(ear, selectors.EVENT_READ, lambda _: ear.recv(4096))
            self.running = True
            self._keep_stepping(time.monotonic(), 0)
            name = f"simulator-{self.name}-{self.port}"
            self._thread = threading.Thread(target=self._run, args=(ear,), name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends like a process that was killed: no close frames, and no listener.

        When it returns, all sockets are closed and all threads have ended. What was heard stays.
        """
        with self._lock:
            if not self.running:
                return
            self.running = False
            self._changed.notify_all()
            self._wake()
            threads = [self._thread, *self._helpers]
            self._helpers = []
        for thread in threads:
            if thread is None or thread.ident is None:  # an interrupt came before it was started
                continue
            if thread is not threading.current_thread():
                thread.join()

    def _bind(self) -> socket.socket:
        for port in [] if self.port else random.sample(_PORTS, 20):
            with contextlib.suppress(OSError):
                return socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        try:
            return socket.create_server(("127.0.0.1", self.port), backlog=_BACKLOG)
        except OSError as error:
            cause = os.strerror(error.errno or 0)  # its own text names the address once more
            raise OSError(error.errno, f"port {self.port}: {cause}; choose another port") from None

    # what was heard, and waiting for it

    @property
    def heard(self) -> list[Any]:
        """The newest messages of clients, over all connections and in order: JSON objects are decoded."""
        with self._lock:
            return list(self._heard)

    @property
    def requests(self) -> list[Request]:
        """The newest HTTP requests, upgrades among them, in order."""
        with self._lock:
            return list(self._requests)

    def forget_heard(self) -> None:
        """Empties `heard`."""
        with self._lock:
            self._heard.clear()

    @property
    def connections(self) -> int:
        """How many WebSockets are open."""
        with self._lock:
            return len(self._open())

    @property
    def http_connections(self) -> int:
        """How many connections are open that are no WebSockets: those that clients keep for requests."""
        with self._lock:
            return sum(not peer.upgraded for peer in self._peers)

    def wait_for(self, predicate: Callable[[], object], timeout: float = 20.0) -> None:
        """Waits until `predicate()` is true; it is asked under the lock, after each change.

        Raises:
            Timeout: it was still false after `timeout` seconds.
        """
        self._wait_for(predicate, timeout, lambda: "not so")

    def _wait_for(self, predicate: Callable[[], object], timeout: float, missing: Callable[[], str]) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            while not predicate():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Timeout(
                        f"{missing()} after {timeout} s; connections: {len(self._open())}, "
                        f"lives: {self.lives}, sent: {self.sent}, {len(self._heard)} messages heard, "
                        f"the newest: {list(self._heard)[-_TOLD:]}"
                    )
                self._changed.wait(min(left, _SLICE))

    def wait_heard(self, action: str, n: int = 1, timeout: float = 20.0) -> list[Any]:
        """Waits until `heard` has `n` messages of that kind, and returns them all.

        Raises:
            Timeout: there were fewer after `timeout` seconds. Its text lists the kinds of those that came.
        """
        found: list[Any] = []

        def enough() -> bool:
            found[:] = [each for each in self._heard if action in self.kinds(each)]
            return len(found) >= n

        def missing() -> str:
            kinds = dict.fromkeys(kind for each in self._heard for kind in self.kinds(each))
            return f"{len(found)} of {n} messages of kind {action!r}, and kinds {list(kinds)}"

        self._wait_for(enough, timeout, missing)
        return found

    def kinds(self, heard: Any) -> tuple[str, ...]:
        """The names by which `wait_heard` finds this message."""
        return (self.kind(heard),)

    def kind(self, heard: Any) -> str:
        """The name by which `wait_heard` finds this message, where it has one."""
        return str(heard.get(self.verb, "")) if isinstance(heard, dict) else str(heard)

    # the market

    def steps(self, n: int = 1) -> None:
        """Moves the market `n` times, at once."""
        with self._lock:
            for _ in range(n if self.settings.market else 0):
                self.step()

    def number_trades(
        self,
        key: str,
        count: int,
        per_second: float | None = None,
        *,
        background: bool = False,
        batch: int = 1,
    ) -> range:
        """Trades numbered 1, 2, 3, ... in each market, sent whether a client is subscribed or not.

        `key` is the venue's own: a market, asset, symbol or contract. `batch` trades are sent together, in
        one message where the venue has such; `per_second` counts trades. Without a pace it goes as fast as
        its slowest reader. Returns the numbers; in the background they are still to come.
        """
        with self._lock:
            market, send = self.numbering(key)
            first = market.traded + 1
            market.traded += count
        numbers = range(first, first + count)
        batches = (numbers[at : at + batch] for at in range(0, count, batch))
        pace = per_second / batch if per_second else None
        self.feed((partial(send, some) for some in batches), pace, background)
        return numbers

    # faults

    def arm(self, what: str | Fault) -> None:
        """Plays a fault: now, or when its `after` or `every` says so.

        Raises:
            ConfigError: there is no such fault.
        """
        each = faults.parse(what, type(self)) if isinstance(what, str) else what
        with self._lock:
            if each.after:
                heapq.heappush(self._triggers, (self.sent + each.after, next(self._serial), each))
            elif each.every:
                self._recurring.append(each)
                self._repeat(each, self._arming)
            else:
                self._play(each)

    @fault
    def drop(self) -> None:
        """Resets every connection: no close frame. All are closed when it returns."""
        for peer in list(self._peers):
            peer.cut()

    @fault
    def close(self, code: CloseCode = 1001, reason: Reason = "") -> None:
        """Closes every connection with a close frame.

        Raises:
            ValueError: RFC 6455 does not allow this code in a close frame.
        """
        self._close(self._peers, code, reason)

    def _close(self, peers: Iterable[Peer], code: int, reason: str) -> None:
        try:
            Close(code, reason).serialize()
        except ProtocolError as error:
            raise ValueError(f"close code {code}: {error}") from None
        for peer in list(peers):
            peer.close(code, reason)

    @fault
    def mute(self, new: New = True) -> None:
        """Answers pings and sends nothing else; what it would have sent is lost."""
        if new:
            self.pending.set("mute")
        for peer in self._open():
            peer.muted = True

    @fault
    def deaf(self, new: New = True) -> None:
        """Reads nothing and sends nothing, and so does not notice when a client hangs up.

        The upgrade of a new connection gets no answer.
        """
        self._deafen(self._peers, new)

    def _deafen(self, peers: Iterable[Peer], new: bool) -> None:
        if new:
            self.pending.set("deaf")
        for peer in peers:
            peer.deaf = True
            peer.watch()

    @fault
    def flap(self, n: Times = 1, code: CloseCodeOrNone = 1001) -> None:
        """Accepts the next `n` connections and closes each at once."""
        self.pending.set("flap", times=n, what=code)

    @waiting
    def refuse(self, status: Status = 503, retry_after: RetryAfter = 0.0, n: Times = 1) -> HttpReply:
        """Answers the next `n` upgrades with this HTTP status."""
        return HttpReply(status, b"refused", retry_header(retry_after))

    @fault
    def delay_ack(self, seconds: Annotated[float, "of the delay"]) -> None:
        """Acts on a subscription, and acknowledges it, only after a delay."""
        self.pending.set("delay_ack", what=seconds)

    @waiting
    def lose_ack(self, n: Times = 1) -> None:
        """Acts on the next `n` subscriptions without acknowledging them."""

    @fault
    def reject(self, key: Annotated[str, "a key, or a channel"]) -> None:
        """Refuses subscriptions to this key from now on."""
        self.pending.set("reject", self.canonical(key))

    @fault
    def garbage(self, kind: GarbageKind = "json") -> None:
        """Sends a frame that does not decode."""
        self.send_frame(_GARBAGE[kind])

    @fault
    def huge(self, size: Annotated[int, "bytes"] = 2 << 20) -> None:
        """Sends one long message, which is well-formed JSON."""
        padding = b'{"padding":"'
        self.send_frame(text_frame(padding + b"x" * (size - len(padding) - 2) + b'"}'))

    def heal(self) -> None:
        """Ends all lasting faults, and those still to come. What was lost stays lost."""
        with self._lock:
            self.pending.clear()
            self._arming += 1
            for left in (self._faults, self._recurring, self._triggers):
                left.clear()
            for peer in list(self._peers):
                peer.muted = peer.deaf = False
                peer.watch()
            self._wake()

    def send_raw(self, message: Message) -> None:
        """Sends this to every open connection: text as it is, bytes as a binary message."""
        self.send_frame(text_frame(message.encode()) if isinstance(message, str) else binary_frame(message))

    def send_frame(self, frame: bytes) -> None:
        """Sends these bytes to every open connection, whatever they are."""
        with self._lock:
            for peer in self._open():
                peer.tell(frame)

    def _repeat(self, each: Fault, arming: int) -> None:
        def again() -> None:
            if self._arming == arming:
                self._play(each)
                self._repeat(each, arming)

        self.call_later(each.every, again)

    def _play(self, each: Fault) -> None:
        getattr(self, each.name)(**each.arguments)

    def count(self) -> None:
        """One more message was sent: is it the one that a fault waits for?"""
        self.sent += 1
        while self._triggers and self._triggers[0][0] <= self.sent:
            self._play(heapq.heappop(self._triggers)[-1])

    # what a venue adds

    def refusal(self, request: Request) -> HttpReply | None:
        """Why this upgrade is not accepted; None: it is."""
        self._requests.append(request)
        refused: HttpReply | None = self.pending.take("refuse")
        if refused is None and not self.serves(request.path):
            return _NOT_FOUND
        return refused or self.objection(request)

    def objection(self, request: Request) -> HttpReply | None:
        """What the venue has against an upgrade at a path that it serves: a missing token, say."""
        return None

    def serves(self, path: str) -> bool:
        """Whether there is a WebSocket at this path."""
        return path == self.path

    def answer(self, request: Request) -> HttpReply | Later:
        """The answer to a plain HTTP request."""
        return _NOT_FOUND

    def opened(self, peer: Peer) -> None:
        """A connection was upgraded."""

    def received(self, peer: Peer, message: Message) -> None:
        """A client said something; it stands in `heard` already."""

    def closed(self, peer: Peer) -> None:
        """A connection says no more."""

    def step(self) -> None:
        """The market moves once."""

    def numbering(self, key: str) -> tuple[Market, Callable[[range], None]]:
        """The market whose trades `number_trades` numbers, and what sends those of some numbers."""
        raise NotImplementedError(f"{self.name} has no numbered trades")

    def decode(self, message: Message) -> Any:
        """A message as it stands in `heard`: JSON objects are decoded."""
        try:
            return _decode(message) if isinstance(message, str) and message[:1] == "{" else message
        except msgspec.DecodeError:
            return message

    def canonical(self, key: str) -> str:
        """The one spelling of a key."""
        return key

    # what a venue uses

    def subscription_asked(self, peer: Peer, act: Callable[[], None]) -> None:
        """Acts on a subscription or its end: now, or in its turn when acks are delayed."""
        now = time.monotonic()
        due = max(now + (self.pending.get("delay_ack") or 0.0), peer.turn)
        if due <= now:
            act()
            return
        peer.turn = due
        self.call_later(due - now, lambda: act() if peer.open else None)

    def acknowledge(self, peer: Peer, frames: Iterable[bytes]) -> None:
        """Says that a subscription stands, unless that is to be lost."""
        if self.pending.take("lose_ack"):
            return
        for frame in frames:
            peer.tell(frame)

    def rejects(self, *keys: str) -> bool:
        """Whether any of these keys is to be refused."""
        return bool(self.pending) and any(self.pending.get("reject", key) for key in keys)

    def feed(
        self, frames: Iterable[Callable[[], object]], per_second: float | None, background: bool
    ) -> None:
        """Calls each of `frames` to send something, paced, or as fast as its readers read.

        Without a pace it waits for slow readers, up to 10 s each time, so that none is cut off.
        """

        def run() -> None:
            begun = time.monotonic()
            for number, say in enumerate(frames):
                with self._changed:
                    if per_second:
                        while self.running and (left := begun + number / per_second - time.monotonic()) > 0:
                            self._changed.wait(left)
                    else:
                        self._changed.wait_for(self._keeping_up, timeout=10.0)
                    if not self.running:
                        return
                    say()
                if number % 64 == 63 and not per_second:
                    time.sleep(0.0001)  # the lock is not fair: let others have it

        if not background:
            run()
            return
        helper = threading.Thread(target=run, name=f"simulator-{self.name}-feed", daemon=True)
        with self._lock:
            self._helpers = [*(each for each in self._helpers if each.is_alive()), helper]
        helper.start()

    def _keeping_up(self) -> bool:
        return not self.running or all(peer.backlog <= self.settings.backlog // 2 for peer in self._peers)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Calls back after so many seconds, on the server's thread and under the lock."""
        with self._lock:
            heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._serial), call))
            if self._timers[0][2] is call:
                self._wake()

    # what connections tell

    def hear(self, peer: Peer, payload: bytes, binary: bool) -> None:
        message = payload if binary else payload.decode(errors="replace")
        self._heard.append(self.decode(message))
        self.received(peer, message)
        self._changed.notify_all()

    def pinged(self, peer: Peer) -> None:
        self.pings += 1
        self._note_life(peer)

    def ponged(self, peer: Peer) -> None:
        self.pongs += 1
        self._note_life(peer)

    def _note_life(self, peer: Peer) -> None:
        if self.settings.pings_count:
            peer.heard_at = time.monotonic()
        self._changed.notify_all()

    def serve(self, request: Request) -> HttpReply | Later:
        self._requests.append(request)
        self._changed.notify_all()
        return self.answer(request)

    def join(self, peer: Peer) -> None:
        self.lives += 1
        self._changed.notify_all()
        peer.muted = bool(self.pending.get("mute"))
        code: int | None = self.pending.take("flap")
        if code is not None:
            peer.end(code, reset=False)
            return
        if self.settings.inactivity:
            self._watch_inactivity(peer)
        self.opened(peer)

    def left(self, peer: Peer) -> None:
        self.closed(peer)
        self._changed.notify_all()

    def forget(self, peer: Peer) -> None:
        self._peers.pop(peer, None)

    def announce(self) -> None:
        self._changed.notify_all()

    def watch(self, sock: socket.socket, events: int, call: Callable[[int], None]) -> None:
        if self._selector is None:
            return
        known = sock in self._selector.get_map()
        if known and events:
            self._selector.modify(sock, events, call)
        elif events:
            self._selector.register(sock, events, call)
        elif known:
            self._selector.unregister(sock)
        self._wake()

    def _open(self) -> list[Peer]:
        return [peer for peer in self._peers if peer.open]

    def _watch_inactivity(self, peer: Peer) -> None:
        left = peer.heard_at + self.settings.inactivity - time.monotonic()
        if not peer.open:
            return
        if left > 0:
            self.call_later(left, lambda: self._watch_inactivity(peer))
        else:
            peer.close(1001, "inactivity")

    # the server's thread

    def _run(self, ear: socket.socket) -> None:
        selector = self._selector
        assert selector is not None
        try:
            while True:
                with self._lock:
                    if not self.running:
                        return
                    wait = self._timers[0][0] - time.monotonic() if self._timers else None
                try:
                    ready = selector.select(wait if wait is None else max(0.0, wait))
                except OSError:  # Windows: a socket was closed under select()
                    continue
                with self._lock:
                    if not self.running:
                        return
                    for key, mask in ready:
                        self._guard(partial(key.data, mask))
                    self._tick()
        finally:
            self._shut_down(ear)

    def _tick(self) -> None:
        now = time.monotonic()
        due = []
        while self._timers and self._timers[0][0] <= now:
            due.append(heapq.heappop(self._timers)[2])
        for call in due:
            self._guard(call)

    def _guard(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BlockingIOError:
            pass
        except Exception:
            _log.exception(
                "%s: the simulator itself failed; it goes on", self.name, extra={"event": "simulator.failed"}
            )

    def _accept(self, mask: int) -> None:
        assert self._listener is not None
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.settings.send_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.settings.send_buffer)
            peer = Peer(self, sock, self.settings.compression)
            peer.deaf = bool(self.pending.get("deaf"))
            self._peers[peer] = None
            peer.watch()

    def _keep_stepping(self, since: float, done: int) -> None:
        def go() -> None:
            wanted = int((time.monotonic() - since) * self.settings.rate)
            self.steps(min(wanted - done, _STEPS_AT_ONCE))
            if wanted - done > _STEPS_AT_ONCE:  # too much to ask of this machine: no debts
                self._keep_stepping(time.monotonic(), 0)
            else:
                self._keep_stepping(since, wanted)

        if not self.settings.rate:
            return
        now = time.monotonic()
        self.call_later(max(since + (done + 1) / self.settings.rate - now, 0.001), go)

    def _wake(self) -> None:
        if self._bell is not None and threading.current_thread() is not self._thread:
            with contextlib.suppress(OSError):
                self._bell.send(b"\0")

    def _shut_down(self, ear: socket.socket) -> None:
        with self._lock:
            self.running = False
            for peer in list(self._peers):
                peer.cut()
            self._timers.clear()
            for sock in (self._listener, self._bell, ear):
                if sock is not None:
                    sock.close()
            if self._selector is not None:
                self._selector.close()
            self._listener = self._bell = self._selector = None
            self._changed.notify_all()
