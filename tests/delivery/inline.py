"""Inline handlers without a runtime."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from actors.delivery.inline import Handlers, InlineInlet
from actors.events import Closed, Gap, Lifecycle, Marker, Topic


class Called:
    """What a handler was called with, and by which threads."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.threads: list[str] = []
        self.failed: list[Topic | Marker] = []
        self._changed = threading.Condition()

    def __call__(self, item: Any) -> None:
        with self._changed:
            self.words.append(_word(item))
            self.threads.append(threading.current_thread().name)
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.words) >= count, 10), self.words


def inline_inlet(
    called: Called,
    *,
    handler: Callable[[Any], object] | None = None,
    markers: bool = True,
    notify: Callable[[InlineInlet], None] = lambda _: None,
    id: int = 1,
) -> InlineInlet:
    handlers = Handlers(handler or called, called if markers else None, called.failed.append)
    inlet = InlineInlet(id, "o2", "trades", handlers, notify, deltas=False)
    inlet.set_topics(2)
    return inlet


def _word(item: Any) -> str:
    match item:
        case Lifecycle(state=state):
            return state
        case Gap(topic=topic):
            return f"gap in {topic.key}"
        case Closed():
            return "closed"
        case _:
            return str(item)
