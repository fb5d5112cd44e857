"""The other end of a venue, on loopback: WebSocket and HTTP on one port, misbehaving to order.

One thread serves all connections: it reads, keeps the timers and flushes what a slow reader left
over. Whoever has something to say, from any thread, writes to the sockets himself under the one
lock and never waits for a reader; so what `trade()` has said is on its way when `trade()` returns.
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
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal, Self

from websockets.exceptions import ProtocolError
from websockets.frames import Close

from actors.errors import Timeout
from actors.simulators.base.client import Compression, Later, Peer, Reply, Request, binary_frame, text_frame
from actors.simulators.base.faults import Fault, fault, parse

Message = str | bytes
Garbage = Literal["json", "utf8", "binary", "opcode", "nesting", "length"]

_log = logging.getLogger(__name__)

_STEPS_AT_ONCE = 200  # market steps before the sockets are looked at again
_SLICE = 0.05  # seconds between two looks at a predicate that nothing announces
# Below the ephemeral ports: a client that retries while nobody listens on an ephemeral port can
# be given that very port as its own and connect to itself.
_PORTS = range(20_000, 32_000)
# Windows would let two servers listen on one port.
_REUSE = os.name == "posix"
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

    Its methods may be called from any thread. A subclass says what the venue says: `refusal`,
    `serve`, `opened`, `received`, `closed` and `step` are called under the lock.
    """

    name: ClassVar[str]
    path: ClassVar[str] = "/"  # of the WebSocket; what `.url` ends with

    def __init__(
        self,
        port: int = 0,
        *,
        rate: float = 10.0,
        seed: int = 0,
        faults: Iterable[str | Fault] = (),
        inactivity: float = 0.0,
        pings_count: bool = True,
        backlog: int = 1 << 20,
        send_buffer: int = 0,
        compression: Compression = "none",
    ) -> None:
        """What to listen on, how fast the market moves, and how patient the venue is.

        Args:
            port: 0 picks a free one, which stays the same after stop() and start().
            rate: market steps a second; 0: nothing moves by itself.
            seed: the same seed makes the same market.
            faults: armed at the first start, such as `"drop every=5"`.
            inactivity: seconds without a message after which a client is closed; 0: never.
            pings_count: whether protocol pings are a sign of life, too.
            backlog: bytes that may wait for a slow reader before it is cut off.
            send_buffer: bytes that the kernel may hold for a connection; 0: as it likes.
            compression: deflate: messages are compressed for clients that offer permessage-deflate.
        """
        if not rate >= 0:
            raise ValueError(f"rate is steps a second, 0 or more, not {rate!r}")
        self.rate = rate
        self.random = random.Random(seed)
        self.port = port
        self.backlog = backlog
        self.lives = 0  # how many upgrades were ever accepted
        self.sent = 0  # messages
        self.pings = 0  # protocol pings heard
        self.pongs = 0  # and the answers to ours
        self.requests: list[Request] = []  # plain HTTP, and upgrades
        self._seed = seed
        self._inactivity = inactivity
        self._pings_count = pings_count
        self._send_buffer = send_buffer
        self._compression = compression
        self._faults = [parse(each, type(self)) if isinstance(each, str) else each for each in faults]
        self._heard: list[Any] = []
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._peers: dict[Peer, None] = {}  # every connection, oldest first
        self._turns: dict[Peer, float] = {}  # when the last delayed request of each is due
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._selector: selectors.BaseSelector | None = None
        self._listener: socket.socket | None = None
        self._bell: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._helpers: list[threading.Thread] = []
        self.running = False
        # what faults leave behind
        self._mute_new = False
        self._deaf_new = False
        self._flaps, self._flap_code = 0, 1001
        self._refusals: list[Reply] = []
        self._ack_delay = 0.0  # seconds
        self._lost_acks = 0
        self._rejected: set[str] = set()
        self._recurring: list[Fault] = []
        self._triggers: list[tuple[int, Fault]] = []
        self._next_trigger: float = float("inf")
        self._arming = 0  # heal() counts it up, and older timers do nothing more

    # life

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{self.path}"

    @property
    def http_url(self) -> str:
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
            self.port = self._listener.getsockname()[1]
            self._selector = selectors.DefaultSelector()
            self._bell, ear = socket.socketpair()
            self._bell.setblocking(False)
            ear.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
            self._selector.register(ear, selectors.EVENT_READ, lambda _: ear.recv(4096))
            self.running = True
            if self.rate:
                self._keep_stepping(time.monotonic(), 0)
            name = f"simulator-{self.name}-{self.port}"
            self._thread = threading.Thread(target=self._run, args=(ear,), name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Goes away like a process that was killed: no close frames, nobody listens.

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
            if thread is not None and thread is not threading.current_thread():
                thread.join()

    def _bind(self) -> socket.socket:
        tries = [self.port] if self.port else [*random.sample(_PORTS, 20), 0]
        for port in tries:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                if _REUSE:
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", port))
                listener.listen(1024)
                listener.setblocking(False)
            except OSError:
                listener.close()
                if port == tries[-1]:
                    raise
            else:
                return listener
        raise AssertionError("unreachable: the last try raises")

    # what was heard, and waiting for it

    @property
    def heard(self) -> list[Any]:
        """What clients said, over all connections and in order: JSON decoded, the rest as text."""
        with self._lock:
            return list(self._heard)

    def forget_heard(self) -> None:
        """Begins `heard` anew."""
        with self._lock:
            self._heard.clear()

    @property
    def connections(self) -> int:
        """How many WebSockets are open."""
        with self._lock:
            return len(self._open())

    def wait_for(self, predicate: Callable[[], object], timeout: float = 5.0) -> None:
        """Waits until `predicate()` is true; it is asked under the lock, after each change.

        Raises:
            Timeout: it was still false after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not predicate():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Timeout(
                        f"not so after {timeout} s; connections: {len(self._open())}, lives: {self.lives}, "
                        f"sent: {self.sent}, heard: {self._heard}"
                    )
                self._changed.wait(min(left, _SLICE))

    def wait_heard(self, action: str, n: int = 1, timeout: float = 5.0) -> list[Any]:
        """Waits until `n` messages of that kind were heard since the start, and returns them all.

        Raises:
            Timeout: there were fewer after `timeout` seconds.
        """
        found: list[Any] = []

        def enough() -> bool:
            found[:] = [each for each in self._heard if self.kind(each) == action]
            return len(found) >= n

        self.wait_for(enough, timeout)
        return found

    def kind(self, heard: Any) -> str:
        """What `wait_heard` calls this message."""
        return str(heard.get("action", "")) if isinstance(heard, dict) else str(heard)

    # faults

    def arm(self, what: str | Fault) -> None:
        """Plays a fault: now, or when its `after` or `every` says so.

        Raises:
            ConfigError: there is no such fault.
        """
        each = parse(what, type(self)) if isinstance(what, str) else what
        with self._lock:
            if each.after:
                self._triggers.append((self.sent + each.after, each))
                self._next_trigger = min(at for at, _ in self._triggers)
            elif each.every:
                self._recurring.append(each)
                self._repeat(each, self._arming)
            else:
                self._play(each)

    @fault
    def drop(self) -> None:
        """Resets every connection: no close frame. All are closed when it returns."""
        with self._lock:
            for peer in list(self._peers):
                peer.cut()

    @fault
    def close(self, code: int = 1001, reason: str = "") -> None:
        """Says goodbye to every connection.

        Raises:
            ValueError: RFC 6455 does not allow this code in a close frame.
        """
        try:
            Close(code, reason).serialize()
        except ProtocolError as error:
            raise ValueError(f"close code {code}: {error}") from None
        with self._lock:
            for peer in self._open():
                peer.close(code, reason)

    @fault
    def mute(self, new: bool = True) -> None:
        """Answers pings, says nothing else; what it would have said is lost.

        `new`: connections made later are mute as well, until heal().
        """
        with self._lock:
            self._mute_new = self._mute_new or new
            for peer in self._open():
                peer.muted = True

    @fault
    def deaf(self, new: bool = True) -> None:
        """Reads nothing and says nothing, and so does not notice when a client hangs up.

        `new`: connections made later are deaf as well, so that their upgrade gets no answer.
        """
        with self._lock:
            self._deaf_new = self._deaf_new or new
            for peer in self._peers:
                peer.deaf = True
                peer.watch()

    @fault
    def flap(self, n: int = 1, code: int = 1001) -> None:
        """Accepts the next `n` connections and closes each at once. Code 0: without a close frame."""
        with self._lock:
            self._flaps, self._flap_code = n, code

    @fault
    def refuse(self, status: int = 503, retry_after: float = 0.0, n: int = 1) -> None:
        """Answers the next `n` upgrades with this HTTP status. `retry_after`: seconds; 0: not said."""
        said = f"{retry_after:g}"
        headers = {"Retry-After": said} if retry_after else {}
        with self._lock:
            self._refusals += [Reply(status, b"refused", headers)] * n

    @fault
    def delay_ack(self, seconds: float) -> None:
        """Acts on a subscription, and acknowledges it, only so many seconds later."""
        with self._lock:
            self._ack_delay = seconds

    @fault
    def lose_ack(self, n: int = 1) -> None:
        """Acts on the next `n` subscriptions without acknowledging them."""
        with self._lock:
            self._lost_acks += n

    @fault
    def reject(self, key: str) -> None:
        """Refuses subscriptions to this key from now on."""
        with self._lock:
            self._rejected.add(self.canonical(key))

    @fault
    def garbage(self, kind: Garbage = "json") -> None:
        """Sends a frame that does not decode: broken JSON, bytes that are no UTF-8, binary, ...

        `opcode` and `length` break the WebSocket protocol itself.
        """
        self.send_frame(_GARBAGE[kind])

    @fault
    def huge(self, size: int = 2 << 20) -> None:
        """Sends one message of `size` bytes; it is well-formed JSON."""
        padding = b'{"padding":"'
        self.send_frame(text_frame(padding + b"x" * (size - len(padding) - 2) + b'"}'))

    def heal(self) -> None:
        """Ends all lasting faults, and those still to come. What was lost stays lost."""
        with self._lock:
            self._mute_new = self._deaf_new = False
            self._flaps = self._lost_acks = 0
            self._ack_delay = 0.0
            self._next_trigger = float("inf")
            self._arming += 1
            for left in (self._faults, self._refusals, self._rejected, self._recurring, self._triggers):
                left.clear()
            for peer in list(self._peers):
                peer.muted = False
                if peer.deaf:
                    peer.deaf = False
                    peer.watch()
            self._wake()

    def send_raw(self, message: Message) -> None:
        """Sends this to every open connection: text as it is, bytes as a binary message."""
        if isinstance(message, str):
            self.send_frame(text_frame(message.encode()))
        else:
            self.send_frame(binary_frame(message))

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
        if self.sent >= self._next_trigger:
            due = [each for at, each in self._triggers if at <= self.sent]
            self._triggers = [(at, each) for at, each in self._triggers if at > self.sent]
            self._next_trigger = min((at for at, _ in self._triggers), default=float("inf"))
            for each in due:
                self._play(each)

    # what a venue adds

    def refusal(self, request: Request) -> Reply | None:
        """Why this upgrade is not accepted; None: it is."""
        self.requests.append(request)
        if self._refusals:
            return self._refusals.pop(0)
        if not self.serves(request.path):
            return Reply(404, b'{"error":"not found"}')
        return self.objection(request)

    def objection(self, request: Request) -> Reply | None:
        """What the venue has against an upgrade at a path that it serves: a missing token, say."""
        return None

    def serves(self, path: str) -> bool:
        """Whether there is a WebSocket at this path."""
        return path == self.path

    def answer(self, request: Request) -> Reply | Later:
        """The answer to a plain HTTP request."""
        return Reply(404, b'{"error":"not found"}')

    def opened(self, peer: Peer) -> None:
        """A connection was upgraded."""

    def received(self, peer: Peer, message: Message) -> None:
        """A client said something; it stands in `heard` already."""

    def closed(self, peer: Peer) -> None:
        """A connection says no more."""

    def step(self) -> None:
        """The market moves once."""

    def decode(self, message: Message) -> Any:
        """A message as it stands in `heard`."""
        return message

    def canonical(self, key: str) -> str:
        """The one spelling of a key."""
        return key

    # what a venue uses

    def subscription_asked(self, peer: Peer, act: Callable[[], None]) -> None:
        """Acts on a subscription or its end: now, or in its turn when acks are delayed."""
        now = time.monotonic()
        due = max(now + self._ack_delay, self._turns.get(peer, 0.0))
        if due <= now:
            act()
            return
        self._turns[peer] = due
        self.call_later(due - now, lambda: act() if peer.open else None)

    def acknowledge(self, peer: Peer, frames: Iterable[bytes]) -> None:
        """Says that a subscription stands, unless that is to be lost."""
        if self._lost_acks:
            self._lost_acks -= 1
            return
        for frame in frames:
            peer.tell(frame)

    def rejects(self, *keys: str) -> bool:
        """Whether any of these keys is to be refused."""
        return not self._rejected.isdisjoint(keys)

    def feed(
        self, frames: Iterable[Callable[[], object]], per_second: float | None, background: bool
    ) -> None:
        """Calls each of `frames` to say something, paced, or as fast as its readers read.

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
            self._helpers.append(helper)
        helper.start()

    def _keeping_up(self) -> bool:
        return not self.running or all(peer.backlog <= self.backlog // 2 for peer in self._peers)

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
        if self._pings_count:
            peer.heard_at = time.monotonic()
        self._changed.notify_all()

    def ponged(self, peer: Peer) -> None:
        self.pongs += 1
        if self._pings_count:
            peer.heard_at = time.monotonic()
        self._changed.notify_all()

    def serve(self, request: Request) -> Reply | Later:
        self.requests.append(request)
        self._changed.notify_all()
        return self.answer(request)

    def join(self, peer: Peer) -> None:
        self.lives += 1
        self._changed.notify_all()
        peer.muted = self._mute_new
        if self._flaps:
            self._flaps -= 1
            if self._flap_code:
                peer.close(self._flap_code)
            else:
                peer.cut(reset=False)
            return
        if self._inactivity:
            self._watch_inactivity(peer)
        self.opened(peer)

    def left(self, peer: Peer) -> None:
        self._turns.pop(peer, None)
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

    def unwatch(self, sock: socket.socket) -> None:
        if self._selector is not None and sock in self._selector.get_map():
            self._selector.unregister(sock)

    def _open(self) -> list[Peer]:
        return [peer for peer in self._peers if peer.open]

    def _watch_inactivity(self, peer: Peer) -> None:
        left = peer.heard_at + self._inactivity - time.monotonic()
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
            _log.exception("%s: the simulator itself failed; it goes on", self.name)

    def _accept(self, mask: int) -> None:
        assert self._listener is not None
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._send_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
            peer = Peer(self, sock, self._compression)
            peer.deaf = self._deaf_new
            self._peers[peer] = None
            peer.watch()

    def _keep_stepping(self, since: float, done: int) -> None:
        def go() -> None:
            wanted = int((time.monotonic() - since) * self.rate)
            for _ in range(min(wanted - done, _STEPS_AT_ONCE)):
                self.step()
            if wanted - done > _STEPS_AT_ONCE:  # too much to ask of this machine: no debts
                self._keep_stepping(time.monotonic(), 0)
            else:
                self._keep_stepping(since, wanted)

        now = time.monotonic()
        self.call_later(max(since + (done + 1) / self.rate - now, 0.001), go)

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
