"""Handlers of bars: each has a thread of its own, so it may ask the runtime for anything."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from actors import log_queue
from actors.delivery.handlers import check_result
from actors.protocol.formatting import counted
from actors.rules.bars.frame import BarEvent, Name

log = log_queue.logger("actors.market.bars")

MOST: Final = 10_000  # events that wait for a handler; then the oldest are dropped


class BarHandler:
    """Calls a handler with what happens to bars, one event at a time. What `runtime.on_bar` returns.

    `dropped`: events that a slow handler has not got. `errors`: calls that raised, which are logged.
    """

    def __init__(
        self,
        name: str,
        names: frozenset[Name],
        handler: Callable[[BarEvent], object],
        holder: object,
    ) -> None:
        self.name, self.dropped, self.errors = name, 0, 0
        self._names = names
        self._handler, self._holder = handler, holder
        self._waiting: deque[BarEvent] = deque()
        self._changed = threading.Condition()
        self._is_closed = self._is_finished = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def put(self, name: Name, event: BarEvent) -> None:
        """Hands it an event of the frame with this name, if it is told of that."""
        if name not in self._names:
            return
        with self._changed:
            if len(self._waiting) >= MOST:
                self._waiting.popleft()
                self.dropped += 1
                if self.dropped == 1:
                    log.warning(
                        "handler.slow",
                        "%s is slow: its oldest events are dropped. This is logged once.",
                        self.name,
                    )
            self._waiting.append(event)
            self._changed.notify()

    def close(self) -> None:
        """It is called no more, once the present call has returned. What waits is dropped."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def __enter__(self) -> BarHandler:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def finish(self) -> None:
        """Its bars have ended: what waits is still delivered."""
        with self._changed:
            self._is_finished = True
            self._changed.notify()

    @property
    def is_closed(self) -> bool:
        """Whether it is called no more."""
        return self._is_closed

    def __repr__(self) -> str:
        state = "closed" if self._is_closed or self._is_finished else "open"
        mistakes = f"{counted(self.errors, 'error')}, {self.dropped:,} dropped"
        return f"<BarHandler {self.name.removeprefix('on_bar/')}: {state}, {mistakes}>"

    def _next(self) -> BarEvent | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed or self._is_finished)
            return None if self._is_closed or not self._waiting else self._waiting.popleft()

    def _run(self) -> None:
        while (event := self._next()) is not None:
            try:
                check_result(self._handler(event))
            except BaseException:  # `sys.exit()` in a handler ends nothing but its call
                self.errors += 1
                log.exception("handler.failed", "%s failed; it goes on with the next bar.", self.name)
        self._is_closed, self._holder = True, None
