"""Signals that end or reload a command: Ctrl-C, SIGTERM, SIGHUP."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HANG_UP = [] if sys.platform == "win32" else [signal.SIGHUP]
SLICE = 0.05  # seconds between two looks at whether to end


class Ending:
    """Whether the process was told to end or to reload.

    Plain flags: a lock in a signal handler may hang.
    """

    def __init__(self) -> None:
        self.told = False
        self._hung_up = False
        self._terminals = [number for number in (0, 1, 2) if os.isatty(number)]

    def handle(self, number: int, _: FrameType | None) -> None:
        if number in HANG_UP:
            self._hung_up = True
        else:
            self.told = True
            signal.signal(number, signal.SIG_DFL)

    def end(self) -> None:
        """As SIGTERM; any thread may call."""
        self.told = True

    def take_hang_up(self) -> bool:
        """Whether SIGHUP has arrived since the last call. If the terminal is gone, it ends the process."""
        hung_up, self._hung_up = self._hung_up, False
        if hung_up and any(map(is_gone, self._terminals)):
            for number in HANG_UP:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
        return hung_up


def is_gone(terminal: int) -> bool:
    """Whether this open file was a terminal that has been closed."""
    try:
        os.get_terminal_size(terminal)
    except OSError:
        return True
    return False


@contextmanager
def endings(*others: signal.Signals) -> Iterator[Ending]:
    """Ctrl-C and SIGTERM ask for the end. A second one ends the process at once."""
    ending = Ending()
    wanted = (signal.SIGINT, signal.SIGTERM, *others)
    before = {number: signal.signal(number, ending.handle) for number in wanted}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
