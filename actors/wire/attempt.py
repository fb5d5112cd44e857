"""One attempt to connect: its deadline, the socket it owns, how it is cancelled, why it failed."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Final, Self

from actors.reasons import Reason, Retryable, Stopped
from actors.wire.lookups import Lookups

MAX_HEAD: Final = 64 * 1024  # bytes of one HTTP answer's head
TCP: Final = "the TCP connection"  # the phase in which a lost peer was never reached


class ConnectFailed(Exception):  # noqa: N818 - a report with its reason
    """There is no connection; `reason`: why, and whether trying again can help."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.text)


class ConnectCancel:
    """A handle by which another thread ends a connection's socket, whatever it is doing."""

    def __init__(self) -> None:
        self.cancelled = False
        self._held: socket.socket | None = None
        self._lock = threading.Lock()

    def hold(self, sock: socket.socket) -> None:
        """From now on this socket is the one that `cancel` shuts. The caller still owns it.

        Raises:
            ConnectFailed: it was cancelled already; the caller closes the socket.
        """
        with self._lock:
            if self.cancelled:
                raise ConnectFailed(Stopped())
            self._held = sock

    def let_go(self, sock: socket.socket) -> None:
        """Call before closing a held socket: its descriptor may at once be reused."""
        with self._lock:
            if self._held is sock:
                self._held = None

    def cancel(self) -> None:
        """Shut the socket for good. Any thread, any number of times; never raises or waits."""
        with self._lock:
            self.cancelled = True
            if self._held is not None:
                # SSLSocket.shutdown would unhook the TLS layer first, and a reader in another
                # thread would take ciphertext for data.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._held, socket.SHUT_RDWR)


class Attempt:
    """One way in: its deadline, how far it has come, with whom, and the socket it owns.

    Leaving its `with` by an error closes the socket and raises ConnectFailed with the reason.
    """

    def __init__(self, seconds: float, connect_cancel: ConnectCancel, lookups: Lookups) -> None:
        self.lookups = lookups  # of the runtime
        self.phase = ""  # how far it has come, for people
        self.peer = ""  # whom it is dealing with, for people
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._connect_cancel = connect_cancel
        self._sock: socket.socket | None = None

    def remaining(self) -> float:
        """Seconds left. Raises TimeoutError when none is."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def hurry(self, seconds: float) -> None:
        """From now on at most these seconds are left."""
        self._until = min(self._until, time.monotonic() + seconds)

    def send_all(self, sock: socket.socket, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            sock.settimeout(self.remaining())
            rest = rest[sock.send(rest) :]

    def recv(self, sock: socket.socket, size: int) -> bytes:
        sock.settimeout(self.remaining())
        return sock.recv(size)

    def hold(self, sock: socket.socket) -> None:
        """Own this socket, which the connect_cancel may shut, and close the last one."""
        self.close()
        self._sock = sock
        self._connect_cancel.hold(sock)

    def let_go(self) -> None:
        """What it owns is the caller's from now on: open, and not to be shut by the connect_cancel."""
        if self._sock is not None:
            self._connect_cancel.let_go(self._sock)
            self._sock = None

    def close(self) -> None:
        """Close what it owns; an attempt that failed does so by itself."""
        if self._sock is not None:
            self._connect_cancel.let_go(self._sock)
            self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        self.close()
        if isinstance(error, OSError):
            error = ConnectFailed(self.explain(error))
        if isinstance(error, ConnectFailed):
            # `from None`: texts of the libraries may quote headers and answers.
            raise ConnectFailed(Stopped() if self._connect_cancel.cancelled else error.reason) from None

    def explain(self, error: OSError) -> Reason:
        """What a failed call on the network means, in this phase and with this peer."""
        why = error.strerror or type(error).__name__
        match error:
            case ssl.SSLError():
                return Retryable(f"TLS with {self.peer} failed ({error.reason or 'cut off'})", "tls")
            case socket.gaierror():
                return Retryable(f"{self.peer} could not be looked up ({why})", "dns")
            case TimeoutError(errno=None):  # ours; the kernel's has an errno
                text = f"{self.peer}: {self.phase} was not over after {self._seconds:g} s"
                return Retryable(text, "connect_timeout")
            case OSError(errno=errno.EMFILE | errno.ENFILE):
                text = f"no file descriptor is left to connect to {self.peer} ({why})"
                return Retryable(text, "descriptors")
            case ConnectionRefusedError():
                return Retryable(f"{self.peer} refused the connection", "refused")
            case _ if self.phase == TCP:
                return Retryable(f"{self.peer} cannot be reached ({why})", "unreachable")
        return Retryable(f"{self.peer} was lost during {self.phase} ({why})", "handshake")


class Talk:
    """A connected socket, for a library to use: no call on it outlasts the attempt.

    It raises ConnectFailed alone: the libraries would make errors of their own of an OSError.
    """

    def __init__(self, attempt: Attempt, sock: socket.socket) -> None:
        self.attempt = attempt
        self._sock = sock

    def send(self, data: bytes) -> int:
        """All of it: websocket-client sends its request once and does not look at the count."""
        try:
            self.attempt.send_all(self._sock, data)
        except OSError as error:
            raise ConnectFailed(self.attempt.explain(error)) from None
        return len(data)

    sendall = send

    def read(self, size: int) -> bytes:
        """At least one byte, at most `size`."""
        try:
            data = self.attempt.recv(self._sock, size)
        except OSError as error:
            raise ConnectFailed(self.attempt.explain(error)) from None
        if not data:
            text = f"{self.attempt.peer} closed the connection during {self.attempt.phase}"
            raise ConnectFailed(Retryable(text, "handshake"))
        return data

    def read_head(self) -> bytes:
        """An HTTP head up to its blank line, and not a byte of what follows it."""
        head = bytearray()
        while not head.endswith((b"\r\n\r\n", b"\n\n")):
            if len(head) >= MAX_HEAD:
                text = f"{self.attempt.peer} answered with a head of more than {MAX_HEAD} bytes"
                raise ConnectFailed(Retryable(text, "handshake"))
            head += self.read(1)
        return bytes(head)

    def gettimeout(self) -> float | None:
        return self._sock.gettimeout()

    def close(self) -> None:
        """The libraries' wish; the socket is the attempt's to close."""
