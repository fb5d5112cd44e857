"""A handler that fails: counted, logged, called again; and a breaker of your own where it should rest.

    python examples/migrating/project_x_py/failing_handler.py

Their circuit breaker guards callbacks against each other. Here each handler has a thread and a buffer
of its own, so one that fails or hangs harms no other. A rest with a fallback is a few lines in the
handler itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from project_x_suite import WAIT, trading_suite

from actors.venues import projectx

Handler = Callable[[projectx.Quote], None]


class Breaker:
    """Calls a handler; after `limit` failures in a row it calls `fallback` instead, for `rest` seconds."""

    def __init__(self, handler: Handler, fallback: Handler, limit: int = 3, rest: float = 0.3) -> None:
        self._handler, self._fallback, self._limit, self._rest = handler, fallback, limit, rest
        self._failures, self._until = 0, 0.0
        self.opened = 0

    def __call__(self, quote: projectx.Quote) -> None:
        if time.monotonic() < self._until:
            self._fallback(quote)
            return
        try:
            self._handler(quote)
        except Exception:
            self._failures += 1
            if self._failures >= self._limit:
                self._failures, self._until, self.opened = 0, time.monotonic() + self._rest, self.opened + 1
            raise  # it is logged and counted by the stream
        self._failures = 0


def main() -> None:
    logging.getLogger("actors").setLevel(logging.CRITICAL)  # each failure would be logged with its topic
    failures, rested, healthy = threading.Semaphore(0), threading.Event(), threading.Event()

    def fail(_quote: projectx.Quote) -> None:
        failures.release()
        raise ConnectionError("the database is away")

    def fall_back(_quote: projectx.Quote) -> None:
        rested.set()

    def count(_quote: projectx.Quote) -> None:
        healthy.set()

    with trading_suite("NQ") as suite:
        contract = suite["NQ"].contract.id
        breaker = Breaker(fail, fall_back)
        guarded = suite.runtime.on("projectx", projectx.QUOTES, contract, handler=breaker)
        beside = suite.runtime.on("projectx", projectx.QUOTES, contract, handler=count)
        for _ in range(4):  # three, and one after the rest
            failures.acquire(timeout=WAIT)
        print(f"failures are counted: {guarded.handler_errors >= 3}; it rested: {rested.wait(WAIT)}")
        print(f"opened: {breaker.opened >= 1}; the handler beside it was called: {healthy.wait(WAIT)}")
        print(f"the stream is open: {not guarded.closed}; errors beside it: {beside.handler_errors}")


if __name__ == "__main__":
    main()
