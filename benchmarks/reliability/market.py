"""A venue whose market goes on whether it can be reached or not: each of its events has the next number."""

from __future__ import annotations

import threading
from typing import Any, Self

from benchmarks.shapes import Shape

RATE = 20  # events a second


class Market:
    """A context manager; its venue listens on loopback while entered. Any thread may call its methods.

    What happens while nobody is subscribed is numbered as well: it is what that client misses.
    """

    def __init__(self, shape: Shape[Any]) -> None:
        self.shape = shape
        self.number = 0  # of the newest event
        self._silent = False
        self._lock = threading.Lock()  # an event is numbered and sent, or neither, before something happens
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="market", daemon=True)

    def __enter__(self) -> Self:
        self.shape.start()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._thread.join()
        self.shape.stop()

    def break_off(self) -> None:
        """Every connection is reset, and nobody listens any more."""
        with self._lock:
            self.shape.stop()

    def say_goodbye(self) -> None:
        """As a server that is shut down: a close frame, the end of TCP, and nobody listens any more."""
        venue = self.shape.venue
        with self._lock:
            with venue._lock:
                for peer in list(venue._peers):
                    peer.close(1001)  # RFC 6455, section 7.4.1: going away
                    peer.cut(reset=False)
            self.shape.stop()

    def come_back(self) -> None:
        self.shape.start()

    def drop(self) -> None:
        """A reset of every connection."""
        with self._lock:
            self.shape.venue.drop()

    def fall_silent(self) -> None:
        """No more events; connections stay, and their pings are answered."""
        self._silent = True

    def _go_on(self) -> None:
        while not self._closing.wait(1 / RATE):
            if not self._silent:
                self._tell_next()

    def _tell_next(self) -> None:
        with self._lock:
            number = self.number + 1
            if self.shape.listeners():
                self.shape.venue.send_frame(self.shape.frame(number))
            self.number = number
