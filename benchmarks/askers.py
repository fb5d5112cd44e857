"""Programs that ask a service for its status: `python -m benchmarks.askers URL HOW_MANY SECONDS`.

Each asks once a second, all at the same moment, and reads the whole answer. URL is `http://HOST:PORT` or
`unix:/PATH`.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Sequence
from statistics import median
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

PERIOD = 1.0  # seconds between two questions of one
PATIENCE = 30.0  # seconds for an answer
REQUEST = b"GET /status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"


class Asked(Struct, frozen=True):
    """What became of the questions: 503 is an answer that declines. Seconds are of those with a status."""

    answered: int
    declined: int
    failed: int
    median_s: float
    slowest_s: float


def ask(url: str) -> tuple[int, bytes]:
    """The code and the body of one answer.

    Raises:
        OSError, ValueError: there is none.
    """
    with _connected(url) as sock:
        sock.sendall(REQUEST % (urlsplit(url).netloc or "localhost").encode())
        pieces = []
        while piece := sock.recv(1 << 20):
            pieces.append(piece)
    head, _, body = b"".join(pieces).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def _connected(url: str) -> socket.socket:
    if url.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(url.removeprefix("unix:"))
        return sock
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 80), timeout=PATIENCE)


def ask_together(url: str, how_many: int, seconds: float) -> Asked:
    told: list[tuple[int, float]] = []
    begun = time.monotonic()

    def go_on() -> None:
        for turn in range(int(seconds / PERIOD)):
            time.sleep(max(0.0, begun + turn * PERIOD - time.monotonic()))
            asked_at = time.monotonic()
            try:
                code, _ = ask(url)
            except (OSError, ValueError, IndexError):
                code = 0
            told.append((code, time.monotonic() - asked_at))

    askers = [threading.Thread(target=go_on) for _ in range(how_many)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    took = [passed for code, passed in told if code == 200]
    codes = [code for code, _ in told]
    failed = sum(code not in {200, 503} for code in codes)
    return Asked(len(took), codes.count(503), failed, median(took or [0.0]), max(took, default=0.0))


def main(arguments: Sequence[str]) -> None:
    url, how_many, seconds = arguments
    sys.stdout.buffer.write(msgspec.json.encode(ask_together(url, int(how_many), float(seconds))))


if __name__ == "__main__":
    main(sys.argv[1:])
