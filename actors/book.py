"""An order book that is followed: one stream, one thread, and a view for whoever asks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from actors.events import Closed, Gap, Lifecycle, Marker, Received, Topic
from actors.rules.book import Book, BookView
from actors.rules.mailbox import Line
from actors.rules.venue import BookUpdate
from actors.stream import Stream

log = logging.getLogger("actors.book")

CAPACITY = 50_000  # events that may wait for the thread: about half a second of its work


class FollowedBook:
    """Keeps a book in line with its stream, on a thread of its own. Any thread may look.

    It ends with its stream.
    """

    def __init__(self, topic: Topic, stream: Stream[Any], read: Callable[[Any], BookUpdate | None]) -> None:
        self.topic = topic
        self.stream = stream
        self._read = read
        self._book = Book(topic)
        self._views: dict[int | None, BookView] = {}  # by depth, since the last update
        self._changed = threading.Condition()  # told when the book is synced, or at its end
        self.thread = threading.Thread(target=self._follow, name=f"book/{topic}", daemon=True)

    def view(self, depth: int | None = None) -> BookView:
        """As it is now; the same object until something happens."""
        with self._changed:
            self._distrust_a_cut()
            view = self._views.get(depth)
            if view is None:
                view = self._views[depth] = self._book.view(depth)
            return view

    def wait(self, seconds: float) -> None:
        """Until it is synced or has ended, for so many seconds at the most."""
        with self._changed:
            self._changed.wait_for(lambda: self._book.synced or self.ended is not None, seconds)

    @property
    def ended(self) -> str | None:
        """Why its stream has ended; None: it has not."""
        end = self.stream._end
        return None if end is None else end.reason

    def _follow(self) -> None:
        for item in self.stream.items():
            with self._changed:
                self._views.clear()
                if isinstance(item, Received):
                    self._update(item)
                else:
                    self._mark(item)

    def _update(self, received: Received[Any]) -> None:
        was_synced = self._book.synced
        try:
            update = self._read(received.event)
            if update is not None:
                self._book.apply(update, received.received_ns, received.epoch)
        except Exception as error:
            self._fail(f"an event could not be applied ({type(error).__name__}: {error})")
        if self._book.synced and not was_synced:
            self._changed.notify_all()

    def _fail(self, reason: str) -> None:
        self.stream.handler_errors += 1
        if self._book.reason != reason:  # else every event of a venue that is misread fills the log
            log.exception("The book %s is lost until a whole one comes: %s.", self.topic, reason)
        self._book.lose(reason)

    def _mark(self, marker: Marker) -> None:
        match marker:
            case Lifecycle(state="connected" | "restored"):
                pass  # a whole book follows, or the gap that says that it will
            case Lifecycle(line=line, state=state, reason=reason):
                self._book.lose(f"{line} is {state}" + (f": {reason}" if reason else ""))
            case Gap(reason=reason):
                self._book.lose(f"a gap in its events ({reason})")
            case Closed(reason=reason):
                self._book.lose(reason)
                self._changed.notify_all()

    def _distrust_a_cut(self) -> None:
        """A stream that overflowed shows its gap when its topic starts anew, which may take a while."""
        mailbox = self.stream._mailbox
        if self._book.synced and isinstance(mailbox, Line) and mailbox.cut:
            self._views.clear()
            self._book.lose("a gap in its events (overflow)")
