"""The order books that requests have begun to follow: a bounded number, each until no request asks for it.

A book costs a subscription at the venue, a stream and a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

from msgspec import Struct

from actors import log_queue
from actors.errors import LinewardenError
from actors.events import Topic
from actors.rules.order_book import BookView
from actors.runtime import Runtime
from actors.service.opened import Opened
from actors.service.responses import RequestDeclined
from actors.timers import SystemClock

log = log_queue.logger("actors.service.books")

PERIOD: Final = 1.0  # seconds between two looks whether a book is still read
CONFIGURED: Final = 256  # books of topics that the config names: a thread each, and nothing at the venue


class Reading(Struct):
    """A book that a request has begun to follow."""

    key: str  # as given
    options: Mapping[str, str]
    is_configured: bool  # the config names its topic
    last: float  # when it was asked for, monotonic seconds


class FollowedBooks:
    """At most `most` books are followed; each ends `linger` seconds after the last look. Any thread may look.

    Books of topics that the config names have a bound of their own, so requests for other keys, which may
    come from visitors of a web page, do not keep the operator's books from being shown.
    Books that the runtime follows for another reason are shown, too, and are not ended here.
    """

    def __init__(
        self,
        runtime: Runtime,
        opened: Opened,
        most: int,
        linger: float,
        *,
        monotonic: Callable[[], float] = SystemClock.monotonic,
    ) -> None:
        self._runtime, self._opened = runtime, opened
        self._most, self._linger, self._monotonic = most, linger, monotonic
        self._readings: dict[Topic, Reading] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None  # while a book is followed

    def view(
        self, topic: Topic, key: str, depth: int, wait: float | None, options: Mapping[str, str]
    ) -> BookView:
        """The book as it is now; the first look begins to follow it. `wait` as of `Runtime.book`.

        Raises:
            RequestDeclined: so many books are followed already, or so many lines are open for requests.
            LinewardenError: as `Runtime.book` does.
        """
        self._note(topic, key, options)
        return self._runtime.book(topic.feed, key, depth=depth, wait=wait, **options)

    def _note(self, topic: Topic, key: str, options: Mapping[str, str]) -> None:
        with self._lock:
            reading = self._readings.get(topic)
            if reading is not None:
                reading.last = self._monotonic()
            elif not self._is_followed(topic):
                is_configured = topic in self._runtime._spec_of(topic.feed).wanted
                self._refuse_too_many(topic, is_configured)
                self._opened.begin_book(topic)
                self._readings[topic] = Reading(key, options, is_configured, self._monotonic())
                self._watch()

    def _refuse_too_many(self, topic: Topic, is_configured: bool) -> None:
        most, of_config = (CONFIGURED, " of the config") if is_configured else (self._most, "")
        if sum(each.is_configured == is_configured for each in self._readings.values()) < most:
            return
        text = (
            f"{topic}: not followed: requests follow {most} order books{of_config} already; one ends "
            f"{self._linger:g} s after the last request for it"
        )
        raise RequestDeclined(503, text, ("Retry-After", str(round(self._linger))))

    def _is_followed(self, topic: Topic) -> bool:
        """Whether the runtime follows it for another reason."""
        found = self._runtime._books.look(topic)
        return found is not None and found[0].end_reason is None

    def of_requests(self) -> Collection[Topic]:
        """The topics that nothing but requests follows.

        Each answer says how its book stands. What a visitor asks for does not make a feed stale for others.
        It takes no lock: an actor that does not answer may hold that up, and the status is wanted then.
        """
        readings = self._readings.copy().items()
        found = {topic for topic, reading in readings if not reading.is_configured}
        if not found:
            return found
        inlets = self._runtime._streams.inlets()
        return {topic for topic in found if sum(topic in inlet.wanted for inlet in inlets) <= 1}

    def _watch(self) -> None:
        if self._thread is None and not self._stopped.is_set():
            self._thread = threading.Thread(target=self._run, name="service/books", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(PERIOD):
            self.end_unread()
            with self._lock:
                if not self._readings:
                    self._thread = None
                    return

    def end_unread(self) -> None:
        """Ends the books that no request has asked for in `linger` seconds."""
        with self._lock:
            due = self._monotonic() - self._linger
            for topic in [topic for topic, reading in self._readings.items() if reading.last <= due]:
                self._end(topic)

    def _end(self, topic: Topic) -> None:
        reading = self._readings.pop(topic)
        self._opened.end_book(topic)
        log.debug(
            "book.released",
            "%s is followed no longer: no request has asked for it for %g s.",
            topic,
            self._linger,
            feed=topic.feed,
        )
        with suppress(LinewardenError):  # its feed, or the runtime, has ended
            self._runtime.forget_book(topic.feed, reading.key, **reading.options)

    def stop(self) -> None:
        """Ends all of them."""
        self._stopped.set()
        with self._lock:
            for topic in list(self._readings):
                self._end(topic)
            thread = self._thread
        if thread is not None:
            thread.join(PERIOD)
