"""Order books that are followed: one stream and one thread for each, and a view for any thread."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import structs

from actors import log_queue
from actors.delivery.waits import SLICE, is_reader
from actors.errors import LinewardenError, StreamClosed, SubscribeError, Timeout
from actors.events import Closed, Gap, Key, Lifecycle, Marker, Option, Received, Topic
from actors.protocol.prices import BookUpdate
from actors.rules.freshness import NO_POLICY
from actors.rules.order_book import FIRST, Book, BookView
from actors.rules.stream_buffer import Policy
from actors.rules.topics import key_of, topics_of
from actors.status import Status
from actors.stream import Stream
from actors.streams import Streams, end_unused

log = log_queue.logger("actors.market.order_books")

LOOK_AGAIN = 1.0  # seconds: how often a caller that waits for a book checks it

REJECTED: Final = "rejected: "  # begins the reason of a view whose subscription the venue has rejected

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
        self._changed = threading.Condition()  # notified when the book is synced, and at its end

    def view(self, depth: int | None = None) -> BookView:
        """As it is now; the same object until something happens."""
        with self._changed:
            self._distrust_a_cut()
            view = self._views.get(depth)
            if view is None:
                view = self._views[depth] = self._book.view(depth)
            return view

    def wait(self, seconds: float) -> None:
        """Until it is synced or has ended, for at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._book.synced or self.ended is not None, seconds)

    @property
    def trouble(self) -> str:
        """Why it is syncing; empty: it is synced. Takes no lock."""
        return "" if self._book.synced else self._book.reason

    @property
    def ended(self) -> str | None:
        """Why its stream has ended; None: it has not."""
        return self.stream.end_reason

    def follow(self) -> None:
        """On its own thread, until the stream ends."""
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
        except (
            BaseException
        ) as error:  # of a venue of yours: `sys.exit()` must not leave a book without its thread
            self._fail(f"an event could not be applied ({type(error).__name__}: {error})")
        if self._book.synced and not was_synced:
            self._changed.notify_all()

    def _fail(self, reason: str) -> None:
        self.stream._inlet.handler_errors += 1
        if self._book.reason != reason:  # else every event of a venue that is misread fills the log
            log.exception(
                "book.unknown",
                "The book %s is unknown until the next snapshot: %s.",
                self.topic,
                reason,
                feed=self.topic.feed,
            )
        self._book.lose(reason)

    def _mark(self, marker: Marker) -> None:
        match marker:
            case Lifecycle(state="connected" | "restored"):  # a snapshot follows, or the gap before one
                if not self._book.synced:
                    self._book.lose(FIRST)
            case Lifecycle(line=line, state=state, reason=reason):
                self._book.lose(f"{line} is {state}" + (f": {reason}" if reason else ""))
            case Gap(reason=reason):
                self._book.lose(f"a gap in its events ({reason})")
            case Closed(reason=reason):
                self._book.lose(reason)
                self._changed.notify_all()

    def _distrust_a_cut(self) -> None:
        """A stream that overflowed shows its gap when its topic starts again, which may take a while."""
        if self._book.synced and self.stream.is_cut:
            self._views.clear()
            self._book.lose("a gap in its events (overflow)")


class OrderBooks:
    """The books that a runtime follows: each from the first look at it. Any thread."""

    def __init__(self, streams: Streams, status: Callable[[], Status]) -> None:
        self._streams, self._status = streams, status
        self._books: dict[Topic, FollowedBook] = {}
        weakref.finalize(self, end_unused, self._books.values(), "book/end").atexit = False
        self._opening = threading.RLock()

    def view(
        self, feed: str, key: Key, options: Mapping[str, Option], depth: int | None, wait: float | None
    ) -> BookView:
        """What `Runtime.book` answers."""
        if depth is not None and not isinstance(depth, int):
            raise LinewardenError(f"depth is a number of levels, and {depth!r} is none")
        if depth is not None and depth < 1:
            raise ValueError(f"a depth of {depth} shows no level; it must be at least 1")
        followed = self._followed(feed, key, options)
        if wait is not None:
            return self._await(followed, depth, wait)
        view = followed.view(depth)
        return view if view.synced else self._with_refusal(view)

    def forget(self, feed: str, key: Key, options: Mapping[str, Option]) -> None:
        """What `Runtime.forget_book` does."""
        topic = self.topic(feed, key, options)
        with self._opening:
            followed = self._books.pop(topic, None)
        if followed is not None:
            followed.stream.close()

    def look(self, topic: Topic) -> tuple[Stream[Any], str] | None:
        """The stream of a book, and why that is syncing, if it is; None: it is not followed. No lock."""
        followed = self._books.get(topic)
        return None if followed is None else (followed.stream, followed.trouble)

    def _followed(self, feed: str, key: Key, options: Mapping[str, Option]) -> FollowedBook:
        topic = self.topic(feed, key, options)
        followed = self._books.get(topic)
        if followed is not None and followed.ended is None:
            return followed
        with self._opening:
            followed = self._books.get(topic)
            if followed is None or followed.ended is not None:  # it may have left with its feed
                followed = self._books[topic] = self._follow(topic, key, options)
            return followed

    def _follow(self, topic: Topic, key: Key, options: Mapping[str, Option]) -> FollowedBook:
        venue = self._streams.spec_of(topic.feed).venue
        channel = venue.channel(topic.channel)
        # Where the venue can resend a book whole, being late shall cost this book and not its line.
        policy: Policy | None = "drop_oldest" if channel.resyncable or not channel.deltas else None
        stream = self._streams.open(
            topic.feed, topic.channel, (key,), options, NO_POLICY, policy, CAPACITY, stays=True
        )
        followed = FollowedBook(topic, stream, _reader(self._streams, topic.feed))
        self._streams.start_handler(stream, followed.follow, f"book/{topic}")
        return followed

    def topic(self, feed: str, key: Key, options: Mapping[str, Option]) -> Topic:
        """That of the book of this key. Raises LinewardenError: the venue has no such book."""
        venue = self._streams.spec_of(feed).venue
        if not venue.book_channel:
            known = ", ".join(sorted(venue.channels))
            raise LinewardenError(
                f"{feed}: venue {venue.name!r} has no channel that makes an order book; it has: {known}"
            )
        text = key_of(venue, key)
        if text.strip() == "*":
            raise LinewardenError(f"{feed}: an order book has one key, and '*' means many")
        return topics_of(venue, venue.channel(venue.book_channel), (text,), options)[0]

    def _await(self, followed: FollowedBook, depth: int | None, wait: float) -> BookView:
        deadline = time.monotonic() + wait
        while not (view := followed.view(depth)).synced:
            if (left := deadline - time.monotonic()) <= 0:
                raise Timeout(self._unsynced(followed, wait))
            self._streams.refuse_wait(wait, followed.topic.feed)
            states = self._streams.answers(followed.topic.feed, (followed.topic,), left)
            if (ended := followed.ended) is not None:
                self._streams.check()  # raises where the runtime has ended
                raise StreamClosed(ended, f"the book {followed.topic}")
            if states is not None and any(state.state == "rejected" for state in states.values()):
                raise SubscribeError(followed.stream, states)
            if states is not None:
                look_again = SLICE if is_reader() else LOOK_AGAIN
                followed.wait(max(0.0, min(deadline - time.monotonic(), look_again)))
        return view

    def _unsynced(self, followed: FollowedBook, wait: float) -> str:
        topic = followed.topic
        text = f"the book {topic} is not synced within {wait:g} s: {followed.view(1).reason}"
        for name, line in self._status().lines().items():
            for subscription in line.topics:
                if subscription.topic == str(topic):
                    return f"{text}; line {name} is {line.state}, the subscription {subscription.state.state}"
        return f"{text}; no line carries its subscription"

    def _with_refusal(self, view: BookView) -> BookView:
        """Raises where the venue has rejected the book."""
        state = self._streams.states((view.topic,)).get(view.topic)
        if state is not None and state.state == "rejected":
            return structs.replace(view, reason=f"{REJECTED}{state.reason}")
        return view


def _reader(streams: Streams, feed: str) -> Callable[[Any], BookUpdate | None]:
    """How events of this feed change a book. It keeps no runtime in use."""
    reference = weakref.ref(streams)

    def read(event: Any) -> BookUpdate | None:
        if (streams := reference()) is None:
            return None
        try:
            venue = streams.spec_of(feed).venue  # each time: a reload may have given the feed another venue
        except LinewardenError:  # a reload has removed the feed; its streams end
            return None
        return venue.book_update(event)

    return read
