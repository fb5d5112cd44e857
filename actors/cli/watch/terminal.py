"""Which terminals can show the full-screen view, and how signals end it so that the terminal is restored."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final

from actors.cli.signals import HANG_UP, is_gone

GRACE: Final = 5  # seconds from the first signal until the process is killed, if the terminal is stuck
GONE: Final = 129  # the exit code that a shell gives to SIGHUP


def can_be_filled(environ: Mapping[str, str]) -> bool:
    """Whether stdin, stdout and stderr are one terminal that can move its cursor.

    textual reads keys from the first and draws on the last.
    """
    return all(os.isatty(number) for number in (0, 1, 2)) and environ.get("TERM", "") not in {"", "dumb"}


def end_if_gone() -> None:
    """End the process if its terminal has been closed: writing to it may block for ever.

    SIGHUP does so first, unless it is ignored, as under nohup.
    """
    if is_gone(0):
        os._exit(GONE)


class Ended:
    """By which signal; None: by none."""

    by: int | None = None


@contextmanager
def ended_by_signals(end: Callable[[], object]) -> Iterator[Ended]:
    """Ctrl-C, SIGTERM and SIGHUP call `end` in this thread, between any two steps of it.

    A second one, or a terminal that is gone, ends the process at once.
    """
    ended = Ended()

    def handle(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if number in HANG_UP and is_gone(0):
            os.kill(os.getpid(), number)  # there is nothing to restore
        ended.by = number
        if sys.platform != "win32":
            signal.alarm(GRACE)
        end()

    wanted = (signal.SIGINT, signal.SIGTERM, *HANG_UP)
    heeded = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]  # as under nohup
    before = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if sys.platform != "win32":
            signal.alarm(0)
