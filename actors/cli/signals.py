"""How a command is told to end: Ctrl-C, SIGTERM, or a terminal that is gone."""

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
    """Whether the process was told to end, or to reload.

    Plain flags: a lock in a signal's handler may hang.
    """

    def __init__(self) -> None:
        self.told = False
        self._hung_up = False
        self._terminals = [number for number in (0, 1, 2) if os.isatty(number)]

    def hear(self, number: int, _: FrameType | None) -> None:
        if number in HANG_UP:
            self._hung_up = True
        else:
            self.told = True
            signal.signal(number, signal.SIG_DFL)

    def take_hang_up(self) -> bool:
        """Whether SIGHUP has come since. Where it means that the terminal is gone, it ends the process."""
        hung_up, self._hung_up = self._hung_up, False
        if hung_up and any(map(_is_gone, self._terminals)):
            for number in HANG_UP:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
        return hung_up


def _is_gone(terminal: int) -> bool:
    try:
        os.get_terminal_size(terminal)
    except OSError:
        return True
    return False


@contextmanager
def endings(*others: signal.Signals) -> Iterator[Ending]:
    """Ctrl-C and SIGTERM ask for the end; asked a second time, the process ends there and then."""
    ending = Ending()
    wanted = (signal.SIGINT, signal.SIGTERM, *others)
    before = {number: signal.signal(number, ending.hear) for number in wanted}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
