"""Work that one thread does, one piece after the other: askers in any number run one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class InTurn:
    """Any thread may call. A piece of work must not raise."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def put(self, work: Callable[[], object]) -> None:
        self._work.put(work)

    def stop(self) -> None:
        """Ends behind what has been put; does not wait for that."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
