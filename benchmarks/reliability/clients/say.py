"""What a client says: a JSON object a line, of one kind each. It knows nothing of Linewarden.

`heard`: the number of an event. `told`: what the library told the program. `logged`: a warning or worse in
its log. `raised`: the handler is about to raise, as it was asked to. `ended`: the library's own loop is over.
Only the standard library is used: it runs in the virtualenv of any library.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from dataclasses import dataclass
from typing import Any

LIFE = 400.0  # seconds
WORDS = 200  # characters of a text

_lock = threading.Lock()


@dataclass(frozen=True)
class Asked:
    """Heard on standard input. The handler raises once, at the event `raise_at`; 0: never."""

    shape: str
    address: dict[str, Any]
    raise_at: int


def say(**what: Any) -> None:
    with _lock:
        sys.stdout.write(f"\n{json.dumps(what)}\n")  # a library may have left half a line
        sys.stdout.flush()


class Logged(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(logged=f"{record.name}: {record.getMessage()}"[:WORDS])


def asked() -> Asked:
    """What this client is to do. It ends by itself after a while: who started it may be gone."""
    end = threading.Timer(LIFE, os._exit, (1,))
    end.daemon = True
    end.start()
    logging.getLogger().addHandler(Logged(logging.WARNING))
    return Asked(**json.load(sys.stdin))


class Handler:
    """The program's own handler: it says what it hears, and raises once where it is asked to."""

    def __init__(self, raise_at: int) -> None:
        self._raise_at = raise_at
        self._count = 0

    def __call__(self, number: Any) -> None:
        self._count += 1
        if self._count == self._raise_at:
            say(raised=int(number))
            raise RuntimeError("a defect of the program")
        say(heard=int(number))
