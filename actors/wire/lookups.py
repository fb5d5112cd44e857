"""DNS look-ups, each on a thread of its own: nothing can interrupt `getaddrinfo`.

A host is looked up once at a time. All that ask for it meanwhile share the answer, so a resolver that never
answers costs one thread per host, however many lines try however often.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]  # as getaddrinfo gives it
Answer = Sequence[Address] | OSError

MOST = 64  # look-ups at a time


class Waiter:
    """One that waits for an answer: `bell` ends, or can be shut down by another thread."""

    def __init__(self) -> None:
        self.bell, self._rope = socket.socketpair()
        self.answer: Answer = ()

    def ring(self, answer: Answer) -> None:
        self.answer = answer
        self.close_rope()

    def close_rope(self) -> None:
        with contextlib.suppress(OSError):
            self._rope.close()


class Lookup:
    """A look-up that has not returned, and all that wait for it."""

    def __init__(self, thread: threading.Thread) -> None:
        self.thread = thread
        self.waiters: list[Waiter] = []


class Lookups:
    """The look-ups of one runtime that have not returned, by host. Any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._lock = threading.Lock()
        self._by_host: dict[str, Lookup] = {}
        self._most = most

    def join(self, host: str, look: Callable[[], Answer]) -> Waiter:
        """A place among those that wait for this host; `look` is run on a thread if none is looked up yet.

        Raises:
            RuntimeError: the system is out of threads, or too many look-ups have not returned.
        """
        waiter = Waiter()
        try:
            with self._lock:
                lookup = self._by_host.get(host) or self._start(host, look)
                lookup.waiters.append(waiter)
        except RuntimeError:
            waiter.bell.close()
            waiter.close_rope()
            raise
        return waiter

    def leave(self, host: str, waiter: Waiter) -> None:
        """It waits no longer, whether or not it has its answer."""
        with self._lock:
            lookup = self._by_host.get(host)
            if lookup is not None and waiter in lookup.waiters:
                lookup.waiters.remove(waiter)
        waiter.close_rope()

    def running(self) -> tuple[threading.Thread, ...]:
        """Returns the threads that have begun. Only their own return ends them."""
        with self._lock:
            return tuple(lookup.thread for lookup in self._by_host.values() if lookup.thread.ident)

    def _start(self, host: str, look: Callable[[], Answer]) -> Lookup:
        if len(self._by_host) >= self._most:
            raise RuntimeError(f"{self._most} DNS look-ups have not returned")
        thread = threading.Thread(target=self._run, args=(host, look), name=f"dns/{host}", daemon=True)
        lookup = self._by_host[host] = Lookup(thread)
        try:
            thread.start()
        except RuntimeError:
            del self._by_host[host]
            raise
        return lookup

    def _run(self, host: str, look: Callable[[], Answer]) -> None:
        answer: Answer = ()
        try:
            answer = look()
        finally:
            with self._lock:
                waiters = self._by_host.pop(host).waiters
            for waiter in waiters:
                waiter.ring(answer)
