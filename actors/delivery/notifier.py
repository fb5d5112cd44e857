"""Calls the `on_marker` of inline handlers where no connection holds the line."""

from __future__ import annotations

import queue
import threading
import weakref

from actors.delivery.arrivals import Right
from actors.delivery.inline import InlineInlet
from actors.delivery.waits import set_calls_handlers

Told = queue.SimpleQueue[InlineInlet | None]  # None: it is to end


class Notifier:
    """One thread of a runtime, from the first handler that wants markers to the runtime's end. Any thread.

    A handler that never returns delays the markers of the others only until their lines are back: a
    line's thread passes on what waits before its own.
    """

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._told: Told = queue.SimpleQueue()
        self._starting = threading.Lock()
        weakref.finalize(self, self._told.put, None).atexit = False

    def start(self) -> None:
        """Once; later calls do nothing.

        Raises:
            RuntimeError: the machine is out of threads.
        """
        with self._starting:
            if self.thread is None:
                thread = threading.Thread(target=_run, args=(self._told,), name="on/markers", daemon=True)
                thread.start()
                self.thread = thread

    def notify(self, inlet: InlineInlet) -> None:
        """Something waits there to be told. Never blocks."""
        self._told.put(inlet)

    def stop(self) -> None:
        """End the thread, once all that waits has been told."""
        self._told.put(None)


def _run(told: Told) -> None:
    set_calls_handlers(True)
    right = Right(makes_calls=False)
    is_ending = False
    while not (is_ending and told.empty()):
        is_ending = _tell_next(told, right) or is_ending


def _tell_next(told: Told, right: Right) -> bool:
    """Whether it is to end. What is busy goes behind the others."""
    inlet = told.get()
    if inlet is not None and not inlet.tell(right):
        told.put(inlet)
    return inlet is None
