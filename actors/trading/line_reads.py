"""Reads that the connection of a line asks for. It waits for nothing: what came of them is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from actors import log_queue
from actors.errors import AskFailedError, LinewardenError
from actors.protocol.rest import Call
from actors.trading.asks import ReadAsk
from actors.trading.runtime_requests import RuntimeRequests

log = log_queue.logger("actors.trading")

Told = Callable[[Any], None]  # with the answer, or the error; on any thread


class LineReads:
    """Begins such reads, within the meter of their login. Any thread."""

    def __init__(self, requests: RuntimeRequests) -> None:
        self._requests = requests
        self._opened: set[str] = set()  # feeds whose way to their venue was opened before

    def __call__(self, feed: str, call: Call[Any], seconds: float, told: Told) -> Callable[[], None]:
        """Begins one that has so many seconds. Returns what ends it."""
        read = LineRead(self._requests, feed, call, seconds, told)
        if feed in self._opened:
            read.begin()
            return read.cancel
        try:  # the first one imports an HTTP client and opens the record of the meter
            name = f"requester/{feed}/open"
            threading.Thread(target=self._open, args=(feed, read), name=name, daemon=True).start()
        except RuntimeError as error:
            told(AskFailedError(feed, f"out of threads: {error}", "resources"))
        return read.cancel

    def _open(self, feed: str, read: LineRead) -> None:
        if read.begin():
            self._opened.add(feed)


class LineRead:
    """One of them. Its connection may end it while another thread begins it."""

    def __init__(
        self, requests: RuntimeRequests, feed: str, call: Call[Any], seconds: float, told: Told
    ) -> None:
        self._requests, self._feed, self._call = requests, feed, call
        self._seconds, self._told = seconds, told
        self._ask: ReadAsk | None = None
        self._is_cancelled = False

    def begin(self) -> bool:
        """Returns whether the venue is being asked."""
        try:
            core = self._requests.core(self._feed, None, _is_in_use)
            self._ask = core.tell(self._call, self._seconds, self._told)
        except LinewardenError as error:
            self._told(error)
        except Exception as error:  # the thread of a line must not end by it, and its events wait
            log.exception(
                "request.failed",
                "%s: unexpected error before the venue was asked.",
                self._feed,
                feed=self._feed,
            )
            self._told(AskFailedError(self._feed, f"unexpected error ({type(error).__name__})", "unexpected"))
        if self._is_cancelled:
            self.cancel()
        return self._ask is not None

    def cancel(self) -> None:
        """What comes of it is of no use any more."""
        self._is_cancelled = True
        if self._ask is not None:
            self._ask.give_up(AskFailedError(self._feed, "it is needed no longer", "cancelled"))


def _is_in_use() -> None:
    """The end of the runtime ends its asks."""
