"""DNS look-ups, each on a thread of its own: nothing can interrupt `getaddrinfo`."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Lookups:
    """The look-ups of one runtime that have not returned. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def start(self, host: str, ask: Callable[[], None]) -> None:
        """Run `ask` on a thread that is named after this host.

        Raises:
            RuntimeError: the system is out of threads.
        """
        thread = threading.Thread(target=self._run, args=(ask,), name=f"dns/{host}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._forget(thread)
            raise

    def running(self) -> tuple[threading.Thread, ...]:
        """Returns the threads that have begun. Only their own return ends them."""
        with self._lock:
            return tuple(thread for thread in self._threads if thread.ident)

    def _run(self, ask: Callable[[], None]) -> None:
        try:
            ask()
        finally:
            self._forget(threading.current_thread())

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock:
            self._threads.discard(thread)
