"""The calls of `Runtime` that a type checker sees in several ways: `subscribe`, `on` and `merge`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, Never, Unpack, overload

from actors.delivery.handlers import check_handler
from actors.delivery.merge import merge
from actors.errors import LinewardenError
from actors.events import Event, Keys, Marker, Option, Received
from actors.feeds.wanted import WantedFeeds
from actors.protocol.channel import DepthChannel, Frequency, Precision, TypedChannel
from actors.rules.calendar import Calendar
from actors.rules.freshness import FreshnessPolicy
from actors.rules.stream_buffer import Policy
from actors.rules.stream_policy import StreamTerms, checked_freshness
from actors.stream import Marked, Stream
from actors.streams import Streams, handle
from actors.supervision.tree import Tree
from actors.timers import check_seconds

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # The types of the events of merged streams; Never: of one that is not given.
    A = TypeVar("A", default=Never)
    B = TypeVar("B", default=Never)
    C = TypeVar("C", default=Never)
    D = TypeVar("D", default=Never)
    E = TypeVar("E", default=Never)
    F = TypeVar("F", default=Never)


class TypedCalls:
    """A part of `Runtime`: what has overloads, so that the rest can be read without them.

    A constant of a channel brings the type of the events, and only the options that it has. Text brings
    `Any`, and any option.
    """

    _tree: Tree
    _streams: Streams
    _wanted: WantedFeeds

    @overload
    def subscribe(
        self, feed: str, channel: TypedChannel[Event], *keys: Keys, **terms: Unpack[StreamTerms]
    ) -> Stream[Event]: ...

    @overload
    def subscribe(
        self,
        feed: str,
        channel: DepthChannel[Event, Precision, Frequency],
        *keys: Keys,
        precision: Precision = ...,
        frequency: Frequency = ...,
        **terms: Unpack[StreamTerms],
    ) -> Stream[Event]: ...

    @overload
    def subscribe(
        self,
        feed: str,
        channel: str,
        *keys: Keys,
        policy: Policy | None = None,
        capacity: int | None = None,
        drop_older_than: float | None = None,
        stale_after: float | None = None,
        max_event_lag: float | None = None,
        calendar: str | Calendar | None = None,
        wait: float | None = None,
        **options: Option,
    ) -> Stream[Any]: ...

    def subscribe(
        self,
        feed: str,
        channel: str | TypedChannel[Any],
        *keys: Keys,
        policy: Policy | None = None,
        capacity: int | None = None,
        drop_older_than: float | None = None,
        stale_after: float | None = None,
        max_event_lag: float | None = None,
        calendar: str | Calendar | None = None,
        wait: float | None = None,
        **options: Option,
    ) -> Stream[Any]:
        """A stream of a feed's channel, for these keys: text or integers, one by one or as one iterable.

        `policy` chooses what a full stream gives up: `block`, `drop_oldest`, `drop_newest` or
        `conflate`; `capacity` is in events. By default market data is `drop_oldest` and account data
        `block`. `wait` seconds at most are spent on the venue's answers. `options` are the
        channel's own, such as `precision="100"`.

        A topic of this stream is stale after `stale_after` seconds without an event, or when its newest
        event was `max_event_lag` seconds old by the venue's time as it came. Both count in the market time
        of `calendar`, a name in `[calendars]` or a `Calendar`. What is left out holds as the config has it.
        The stream contains `Stale` and `Fresh` at their places.

        An event that would be read more than `drop_older_than` seconds after its receipt is given up: it
        counts as dropped, and a `Gap` stands in its place.

        Raises:
            SubscribeError: `wait` was given and some topic was not confirmed. The stream is open.
            LinewardenError: the feed, the channel, a key or an option is not known here; or `wait` was given
                in a thread that reads a full `block` stream of the feed. Nothing was subscribed.
            RuntimeStopped: the runtime has ended.
        """
        self._streams.refuse_wait(wait, feed)
        freshness = self._freshness(feed, stale_after, max_event_lag, calendar)
        stream = self._streams.open(
            feed, channel, keys, options, freshness, policy, capacity, drop_older_than
        )
        self._streams.await_answers(stream, tuple(stream._topics), wait)
        return stream

    @overload
    def on(
        self,
        feed: str,
        channel: TypedChannel[Event],
        *keys: Keys,
        handler: Callable[[Event], object],
        on_marker: Callable[[Marker], object] | None = None,
        inline: bool = False,
        **terms: Unpack[StreamTerms],
    ) -> Stream[Event]: ...

    @overload
    def on(
        self,
        feed: str,
        channel: DepthChannel[Event, Precision, Frequency],
        *keys: Keys,
        handler: Callable[[Event], object],
        on_marker: Callable[[Marker], object] | None = None,
        inline: bool = False,
        precision: Precision = ...,
        frequency: Frequency = ...,
        **terms: Unpack[StreamTerms],
    ) -> Stream[Event]: ...

    @overload
    def on(
        self,
        feed: str,
        channel: str,
        *keys: Keys,
        handler: Callable[[Any], object],
        on_marker: Callable[[Marker], object] | None = None,
        inline: bool = False,
        policy: Policy | None = None,
        capacity: int | None = None,
        drop_older_than: float | None = None,
        stale_after: float | None = None,
        max_event_lag: float | None = None,
        calendar: str | Calendar | None = None,
        wait: float | None = None,
        **options: Option,
    ) -> Stream[Any]: ...

    def on(
        self,
        feed: str,
        channel: str | TypedChannel[Any],
        *keys: Keys,
        handler: Callable[[Any], object],
        on_marker: Callable[[Marker], object] | None = None,
        inline: bool = False,
        policy: Policy | None = None,
        capacity: int | None = None,
        drop_older_than: float | None = None,
        stale_after: float | None = None,
        max_event_lag: float | None = None,
        calendar: str | Calendar | None = None,
        wait: float | None = None,
        **options: Option,
    ) -> Stream[Any]:
        """The same, with a function that is called for each event on a thread of its own.

        `on_marker` is called for each marker, from `Gap` to `Closed`, in its place among the events. A
        handler that raises, `SystemExit` included, is logged with its topic and counted, and goes on with
        the next event. So is one that returns a coroutine.

        `inline=True` calls the handler without a hand-over: on the thread of the line that has brought the
        event, one call at a time over all its lines, once all other streams have theirs. There is no
        buffer: the line reads nothing until the call returns, and a call that does not return within
        `watchdog_timeout` ends the line's connection. The stream that is returned is not read.
        Inside an inline handler `subscribe`, `lifecycle`, `on`, `add`, `remove`, `close`, `status` and
        `latest(timeout=0)` work as ever, `send` is carried out after the call, `stop` begins and returns.
        What may wait for that thread raises LinewardenError: `wait=`, `wait_live`, `rotate`,
        `refresh_token`, and waiting for a stream's events.

        Raises:
            LinewardenError: as `subscribe`; or a handler cannot be called, or no call runs its body, as that
                of a coroutine function, a partial of one, or an object with `async def __call__`; or a
                policy or capacity was given with `inline=True`.
            RuntimeError: the machine is out of threads. Nothing was subscribed.
        """
        self._streams.refuse_wait(wait, feed)
        check_handler(handler)
        if on_marker is not None:
            check_handler(on_marker, "on_marker", "marker")
        freshness = self._freshness(feed, stale_after, max_event_lag, calendar)
        if inline:
            if (policy, capacity, drop_older_than) != (None, None, None):
                raise LinewardenError(
                    "an inline handler has no buffer: policy, capacity and drop_older_than cannot be given "
                    "with inline=True"
                )
            stream = self._streams.open_inline(feed, channel, keys, options, freshness, handler, on_marker)
        else:
            stream = self._streams.open(
                feed, channel, keys, options, freshness, policy, capacity, drop_older_than
            )
            name, failed = f"on/{feed}/{channel}", self._streams.failure_log()
            self._streams.start_handler(stream, lambda: handle(stream, handler, on_marker, failed), name)
        self._streams.await_answers(stream, tuple(stream._topics), wait)
        return stream

    @overload
    def merge(
        self,
        first: Stream[A] = ...,
        second: Stream[B] = ...,
        third: Stream[C] = ...,
        fourth: Stream[D] = ...,
        fifth: Stream[E] = ...,
        /,
        *more: Stream[F],
        markers: Literal[False] = False,
        timeout: float | None = None,
    ) -> Iterator[Received[A | B | C | D | E | F]]: ...

    @overload
    def merge(
        self,
        first: Stream[A] = ...,
        second: Stream[B] = ...,
        third: Stream[C] = ...,
        fourth: Stream[D] = ...,
        fifth: Stream[E] = ...,
        /,
        *more: Stream[F],
        markers: bool,
        timeout: float | None = None,
    ) -> Iterator[Received[A | B | C | D | E | F] | Marked]: ...

    def merge(
        self, *streams: Stream[Any], markers: bool = False, timeout: float | None = None
    ) -> Iterator[Any]:
        """The events of several streams, each as `Received`, in the order of their arrival.

        `markers=True`: also each marker, as `Marked(stream, marker)`. It comes as soon as it is the first of
        its stream: behind the last event before it there, and before what waits in other streams.
        `timeout`: seconds that are waited for each item, at most. It ends when all of the streams have ended.

        Raises:
            StreamClosed: some stream ended, and neither `close()` nor `stop()` asked for it. The events of
                the others come first. With `markers` it is not raised: `Closed` is shown.
            Timeout: nothing came in time. The streams are unharmed: another loop over the same iterator, or
                another call, goes on.
        """
        self._tree.home.check()
        for each in streams:
            if not isinstance(each, Stream):
                kind = type(each).__name__
                raise LinewardenError(
                    f"merge takes streams, each as an argument of its own; a {kind} is none"
                )
        check_seconds("timeout", timeout, optional=True)
        return merge(self._tree.shared.arrivals, *streams, markers=markers, timeout=timeout)

    def _freshness(
        self,
        feed: str,
        stale_after: float | None,
        max_event_lag: float | None,
        calendar: str | Calendar | None,
    ) -> FreshnessPolicy:
        self._tree.check()
        venue, settings = self._streams.spec_of(feed).venue, self._wanted.settings
        return checked_freshness(venue, settings.calendars, stale_after, max_event_lag, calendar)
