"""A mailbox that reads a socket, too: bytes arrive as messages, as they do in an Erlang process.

`{active, true}` is watching the socket, `{active, false}` is not watching it, which is the
back-pressure. It goes in rounds: one read of the socket, then the letters that lie there when it is
done, then what was read. So a letter that was put before bytes arrived is taken before them, and
neither letters nor bytes can keep the other waiting. Where no letter lies there, bytes go to the actor's
`handle` at once: a message on its way through Pykka costs a third of the time of one event.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from actors.messages import LoginOverdue, LookAgain
from actors.reasons import Reason, Retryable
from actors.wire.kernel_bytes import kernel_bytes
from actors.wire.poller import READABLE, WRITABLE, new_poller

# Bytes that one read may bring. The larger buffer costs an mmap, so it is used only after a full read.
READ, READ_MORE = 64 * 1024, 256 * 1024
BACKLOG = 64 * 1024  # bytes that wait to be sent, beyond which no further sending is tried at once
RECORD = 16 * 1024  # bytes: what a TLS record holds at most (RFC 8446, 5.1)
# Bounds of what is still read when the ending of the connection is decided: bytes, and seconds of reading.
REST, REST_FOR = 64 * 2**20, 5.0
READS_FIRST = 0.1  # seconds that a frame may wait while there is more to read
WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


Letter = TypeVar("Letter")


class ReadState(Protocol):
    """How far the socket has been read. The actor's own thread writes, any thread reads.

    The two moments are equal while nothing is known to wait.
    """

    read_begun_at: float  # monotonic seconds: the first read since the socket was last at its end
    read_to_end_at: float  # monotonic seconds: what had been received by then has been read, and handled


class NoSocket:
    """The state until a socket is open."""

    read_begun_at = read_to_end_at = 0.0


class SocketInbox(Generic[Letter]):
    """One actor's mail and its socket. Any thread puts; the actor's own does all the rest."""

    def __init__(
        self, send_bound: int, letter: Callable[[object], Letter], refuse: Callable[[Letter], None]
    ) -> None:
        self._letters: deque[Letter] = deque()
        self._letter, self._refuse = letter, refuse  # `letter` makes one of what the socket brought
        self._lock = threading.RLock()  # between put and close only; a signal handler may put
        self._closed = False
        self._left = 0  # letters of this round that have not been taken
        self._from_socket: FromSocket | None = None  # what this round's read brought
        self._poller = new_poller()
        self._poll = self._poller.poll
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        self._wake_fd = self._wake_in.fileno()
        self._poller.register(self._wake_fd, READABLE)
        self._asleep = False
        self._state: ReadState = NoSocket()
        self.serial = 0  # turns of the reader: letters taken and reads of the socket
        self.given: Letter | None = None  # the last letter that was taken
        self._socket: socket.socket | None = None
        self._fd = -1  # its
        self._wanted = 0  # what the poller is to report of it; 0: the poller does not have it
        self._is_tls = False  # it is an `ssl.SSLSocket`
        self._handle: Callable[[bytes], bool] | None = None
        self._watched = True
        self._look_again: float | None = None  # seconds after which a wait is over without a letter
        self._size = READ
        self._held_back: OSError | None = None  # an error behind bytes that are delivered first
        self._maybe_more = False  # the last read filled its buffer, or TLS may hold bytes back
        self._unread_since = 0.0  # monotonic seconds, if the next read may bring what came long before it
        self._outgoing = bytearray()
        self._send_bound = send_bound
        self._broken: SocketLost | None = None  # nothing can be sent any more; comes when all is read
        self._last: FromSocket | None = None  # comes behind what has been received
        self._rest, self._rest_for = 0, 0.0  # bytes and seconds that may still be read before either
        self._rest_until: float | None = None  # monotonic seconds
        self._send_by: float | None = None  # monotonic seconds: what is unsent waits for reads until then
        self._now: Callable[[], float] = float

    # ── mail ──

    def put(self, envelope: Letter) -> None:
        with self._lock:
            if not self._closed:
                self._letters.append(envelope)
                if self._asleep:
                    self._wake()
                return
        self._refuse(envelope)

    def _wake(self) -> None:
        self._asleep = False
        with contextlib.suppress(*WOULD_BLOCK):  # full: it is awake already
            self._wake_out.send(b"\0")

    def empty(self) -> bool:
        return True  # what is unread at the end is for `close`, which refuses it letter by letter

    @property
    def busy(self) -> bool:
        """A letter is in hand, or mail waits. Any thread."""
        return not self._asleep or bool(self._letters)

    def get(self) -> Letter:
        """The next letter, or what the socket brought. Never raises: Pykka could not handle it."""
        while True:
            self.serial += 1
            if self._left:
                self._left -= 1
                self.given = self._letters.popleft()
                return self.given
            if self._from_socket is not None:
                message, self._from_socket = self._from_socket, None
                return self._letter(message)
            found: bytes | FromSocket | None
            try:
                found = self._wait()
            except Exception as error:
                found = self._lose(f"{type(error).__name__}: {error}")
            self._left = len(self._letters)
            if not isinstance(found, bytes):
                self._from_socket = found
            elif self._left or self._handle is None:
                self._from_socket = BytesReceived(found)
            else:
                try:
                    if not self._handle(found):
                        self._from_socket = HandlingEnded()
                except BaseException as error:  # the actor raises it, where Pykka can handle it
                    self._from_socket = HandlingEnded(error)

    def close(self) -> None:
        """The actor has ended: nothing is watched any more, unread letters are refused."""
        with self._lock:
            self._closed = True
            unread = list(self._letters)
            self._letters.clear()
        for envelope in unread:
            self._refuse(envelope)
        self._poller.close()
        self._wake_in.close()
        self._wake_out.close()

    # ── the socket ──

    def open(
        self,
        sock: socket.socket,
        now: Callable[[], float],
        handle: Callable[[bytes], bool] | None = None,
        state: ReadState | None = None,
    ) -> None:
        """Read this non-blocking socket from now on. `now` returns monotonic seconds.

        `handle` is given bytes for which no letter waits, in `get`; it returns whether the actor goes on.
        How far it was read is written to `state`.
        """
        self._socket, self._handle, self._fd = sock, handle, sock.fileno()
        self._state = state or NoSocket()
        self._now = now
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        if self._is_tls:  # the handshake may have read ahead
            self._maybe_more, self._state.read_begun_at = True, now()
        self._update()

    def look_again_in(self, seconds: float | None) -> None:
        """A wait of so many seconds ends with `LookAgain`; None: it lasts until something comes."""
        self._look_again = seconds

    def watch(self, watched: bool) -> None:
        """Whether to read. Unwatched, the peer's window fills and it has to wait."""
        self._watched = watched
        if not watched:
            self.note_stall(self._now())
        self._rest_until = None  # seconds without reading do not count
        self._update()

    def send(self, data: bytes, *, at_once: bool = False) -> bool:
        """Send without blocking; what the peer does not take yet is kept, up to the bound.

        It waits for a moment while there is more to read, unless it is sent `at_once`.
        False: the connection takes nothing any more. `SocketLost` comes behind what has been received.
        """
        if self._socket is None or self._broken is not None:
            return False
        self._outgoing += data
        # Behind much that waits there is nothing to try: the poller reports when there is room.
        if len(self._outgoing) <= len(data) + BACKLOG:
            if not at_once and self.has_unread and self._may_wait():
                self._update()
            else:
                self._flush()
        if len(self._outgoing) > self._send_bound:
            text = f"the venue reads too slowly: over {self._send_bound} bytes wait to be sent"
            self._break(SocketLost(Retryable(text, "send_buffer")))
        return self._broken is None

    def read_to_end(self, last: FromSocket, seconds: float) -> bool:
        """Bring `last` behind what has been received. It is read for at most so many seconds.

        False: no socket is read, and `last` does not come.
        """
        if self._socket is None or not self._watched:
            return False
        if self._last is None:
            self._last = last
            self._read_on(seconds)
        return True

    @property
    def is_broken(self) -> bool:
        """Nothing can be sent any more; what has been received is read, and then comes `SocketLost`."""
        return self._broken is not None

    @property
    def has_unread(self) -> bool:
        """Whether bytes, or the end, of a socket that is watched wait for a later round."""
        if self._from_socket is not None or self._maybe_more:
            return True
        if not self._wanted & READABLE:
            return False
        return any(fd == self._fd and events & ~WRITABLE for fd, events in self._poll(0, 2))

    def note_end(self) -> None:
        """Write to the state that all was read up to now, if nothing waits. A quiet socket needs it."""
        now = self._now()  # before the look: bytes may have come since
        if self._wanted & READABLE and not self.has_unread:
            self._state.read_begun_at = self._state.read_to_end_at = now
            self._unread_since = 0.0

    def note_stall(self, since: float) -> None:
        """Nothing is read since then: what waits when it is read again counts from that moment."""
        self._unread_since = self._unread_since or since

    @property
    def kernel_bytes(self) -> int | None:
        """Bytes that wait in the kernel; None: there is no socket, or the system does not tell."""
        return None if self._socket is None else kernel_bytes(self._fd)

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken yet."""
        return len(self._outgoing)

    def forget(self) -> None:
        """Stop reading the socket; closing it is its owner's."""
        if self._wanted:
            self._wanted = 0
            with contextlib.suppress(OSError, KeyError, ValueError):  # it was closed before
                self._poller.unregister(self._fd)
        self._socket = None
        self._maybe_more = False
        self._outgoing.clear()

    def _update(self) -> None:
        """Bring the poller in line; a socket nothing is wanted of is not in it at all."""
        if self._socket is None:
            return
        wanted = READABLE if self._watched else 0
        wanted |= WRITABLE if self._outgoing else 0
        if wanted == self._wanted:
            return
        if not self._wanted:
            self._poller.register(self._fd, wanted)
        elif not wanted:
            self._poller.unregister(self._fd)
        else:
            self._poller.modify(self._fd, wanted)
        self._wanted = wanted

    def _wait(self) -> bytes | FromSocket | None:
        if self._maybe_more and self._watched and self._socket is not None:
            if self._outgoing and not self._may_wait():
                self._flush()
            found = self._read() if not self._rest_for else self._read_rest()
            if found is not None:
                return found
        if not self._maybe_more and not self._unread_since:
            self._state.read_to_end_at = self._state.read_begun_at
        self._asleep = True  # before the look at the letters: later ones wake it
        wait = 0 if self._letters else self._look_again
        ready = self._poll(wait, 2)
        self._asleep = False
        if not ready and wait:
            return LookAgain()
        for fd, events in ready:  # with an error or a hang-up it is tried what is wanted: that fails
            if fd == self._wake_fd:
                with contextlib.suppress(*WOULD_BLOCK):
                    self._wake_in.recv(4096)
                continue
            is_readable = self._wanted & READABLE and events & ~WRITABLE
            if self._wanted & WRITABLE and events & ~READABLE and not (is_readable and self._may_wait()):
                self._flush()
                if self._broken is not None:
                    return None
            if is_readable and (found := self._read()) is not None:
                return found
        return None

    def _read_on(self, seconds: float) -> None:
        """Until nothing more is there, for at most so many seconds."""
        self._rest, self._rest_for, self._rest_until = REST, seconds, None
        self._maybe_more = True

    def _read_rest(self) -> bytes | FromSocket | None:
        """What has been received, and at its end what comes behind it."""
        if self._rest_until is None:
            self._rest_until = self._now() + self._rest_for
        found = self._read() if self._rest > 0 and self._now() < self._rest_until else None
        if isinstance(found, bytes):
            self._rest -= len(found)
            self._maybe_more = True
        return self._end_of_rest() if found is None else found

    def _end_of_rest(self) -> FromSocket | None:
        last, self._last, self._rest_for = self._last, None, 0.0
        if self._broken is not None:
            self.forget()
            return last if isinstance(last, SocketLost) else self._broken
        return last

    def _read(self) -> bytes | FromSocket | None:
        if not self._maybe_more:
            # The time of before the read: later bytes may not be in it.
            self._state.read_begun_at = self._unread_since or self._now()
        self._unread_since = 0.0
        try:
            if self._is_tls:
                data = self._records()
            else:
                data = self._socket.recv(self._size)  # type: ignore[union-attr]
                self._maybe_more = len(data) == self._size
                self._size = READ_MORE if len(data) >= READ else READ
        except WOULD_BLOCK:
            self._maybe_more = False
            return None
        except OSError as error:
            return self._lose(error.strerror or str(error))
        if not data:
            return self._lose("the venue closed the connection without a close frame", "eof")
        return data

    def _records(self) -> bytes:
        """TLS reads a record at a time, and keeps whole ones back that no poller reports.

        So they are read until it would block: many small ones are one message, as on a plain socket.
        """
        sock = self._socket
        assert sock is not None
        if self._held_back is not None:
            raise self._held_back
        pieces = [sock.recv(RECORD)]
        size = len(pieces[0])
        self._maybe_more = True
        while pieces[-1] and size < READ:
            try:
                pieces.append(sock.recv(RECORD))
            except WOULD_BLOCK:
                self._maybe_more = False
                break
            except OSError as error:
                self._held_back = error
                break
            size += len(pieces[-1])
        return b"".join(pieces)

    def _may_wait(self) -> bool:
        """Whether what is unsent may wait until all that is there has been read.

        A peer that has hung up answers a frame with RST, and with that drops what it could not send yet.
        """
        if self._send_by is None:
            self._send_by = self._now() + READS_FIRST
        return self._now() < self._send_by

    def _flush(self) -> None:
        assert self._socket is not None
        self._send_by = None
        try:
            while self._outgoing:
                sent = self._socket.send(self._outgoing)
                del self._outgoing[:sent]
        except WOULD_BLOCK:
            pass
        except OSError as error:
            self._break(SocketLost(Retryable(error.strerror or str(error), "lost")))
        self._update()

    def _break(self, lost: SocketLost) -> None:
        """Nothing is sent from now on. What the kernel holds is read first; it may contain a close frame."""
        self._broken = lost
        self._outgoing.clear()
        self._read_on(REST_FOR)

    def _lose(self, text: str, code: str = "lost") -> SocketLost:
        self.forget()
        for known in (self._last, self._broken):  # the ending was decided before
            if isinstance(known, SocketLost):
                return known
        return SocketLost(Retryable(text, code))


class BytesReceived(Struct, frozen=True):
    """From its own inbox."""

    data: bytes


class SocketLost(Struct, frozen=True):
    """From its own inbox: the connection has ended, or is to end, and what it had received has been read."""

    reason: Reason


class HandlingEnded(Struct, frozen=True):
    """From its own inbox: the actor has ended while it handled bytes, or fails with this error."""

    error: BaseException | None = None


FromSocket = BytesReceived | SocketLost | LookAgain | LoginOverdue | HandlingEnded
