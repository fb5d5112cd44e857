"""Opens, changes and closes streams for user threads."""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, Protocol, cast

from actors import log_queue
from actors.calls import CALL, answer_of, answer_of_lines, ask
from actors.delivery.failure_log import FailureLog
from actors.delivery.handlers import check_result
from actors.delivery.inlet import Inlet
from actors.delivery.inline import Handlers, InlineInlet
from actors.delivery.notifier import Notifier
from actors.delivery.waits import WaitRefusedError, handles, refuse_to_wait
from actors.errors import LinewardenError, RuntimeStopped, StreamClosed, SubscribeError, Timeout
from actors.events import (
    LIFECYCLE,
    Freshness,
    Keys,
    Lifecycle,
    Option,
    Received,
    SubscriptionState,
    Topic,
)
from actors.feed_spec import FeedSpec
from actors.messages import AwaitAnswers, FollowLines, LeaveTopics, OpenStream, ReadMail
from actors.protocol.channel import TypedChannel
from actors.protocol.venue import Channel
from actors.rules.freshness import FreshnessPolicy, blind, worst_of
from actors.rules.stream_buffer import Policy
from actors.rules.stream_policy import checked_age, checked_policy
from actors.rules.topics import options_of, topics_of
from actors.stream import InlineStream, LifecycleStream, Stream, ToldStream
from actors.supervision.forks import Home
from actors.supervision.freshness import FreshnessLooks
from actors.supervision.tree import Tree
from actors.timers import check_seconds, lock_timeout, seconds_left

log = log_queue.logger("actors.streams")

ALL_FEEDS = "*"  # the feed of a stream that tells of all lines
WORDS = 1_000  # that a stream of lifecycle events holds
SHOWN = 0.5  # seconds that a call waits until the status shows what came of it


class Streams:
    """The streams of one runtime, and the threads that handle their events. Any thread."""

    def __init__(self, tree: Tree, spec_of: Callable[[str], FeedSpec], looks: FreshnessLooks) -> None:
        roles, self._looks = tree.roles, looks
        self._dispatcher, self._registry = roles.named("dispatcher"), roles.named("registry")
        self._supervisor = roles.named("supervisor")
        self._cells, self._home, self._now = tree.shared.cells, tree.home, tree.clock.monotonic
        self.spec_of, self.check, self._note_change = spec_of, tree.check, tree.shared.note_change
        self._lock = threading.RLock()  # a signal handler may stop what its thread was just asking
        self._ids = itertools.count(1)
        self._streams: dict[int, weakref.ref[Stream[Any]]] = {}
        self._inlets: dict[int, Inlet] = {}
        self._handlers: dict[int, threading.Thread] = {}
        self._notifier = Notifier()

    # ── opening and changing ──

    def open(
        self,
        feed: str,
        channel: str | TypedChannel[Any],
        keys: Sequence[Keys],
        options: Mapping[str, Option],
        freshness: FreshnessPolicy,
        policy: Policy | None,
        capacity: int | None,
        drop_older_than: float | None = None,
        *,
        stays: bool = False,
    ) -> Stream[Any]:
        """A new stream, wanted by the registry when this returns.

        `stays`: of a view of the runtime. It stays where all lines have failed, and keeps no runtime in use.

        Raises:
            LinewardenError: the feed, the channel, a key or an option is not known here.
            RuntimeStopped: the runtime has ended.
        """
        options = options_of(channel, options)
        spec, declared, topics = self._asked(feed, channel, keys, options)
        policy, capacity = checked_policy(feed, declared, policy, capacity)
        oldest = checked_age(feed, declared, policy, drop_older_than)
        inlet = Inlet(
            next(self._ids),
            feed,
            declared.name,
            policy,
            capacity,
            deltas=declared.deltas,
            freshness=freshness,
            drop_older_than=oldest,
            now=self._now,
            stays=stays,
        )
        control = ViewControl(self) if stays else self
        return self._open(Stream(inlet, control, spec.kind, options), topics)

    def open_view(self, feed: str, name: str, topics: Sequence[Topic], capacity: int) -> Stream[Any]:
        """A new stream of topics of several channels, of a view of the runtime: see `stays` of `open`.

        `name`: what people read as its channel. Raises as `open` does.
        """
        self.check()
        spec = self.spec_of(feed)
        inlet = Inlet(
            next(self._ids),
            feed,
            name,
            "drop_oldest",  # being late shall cost the view, and not its line
            capacity,
            deltas=False,
            now=self._now,
            stays=True,
            channels={topic.channel for topic in topics},
        )
        return self._open(Stream(inlet, ViewControl(self), spec.kind), topics)

    def open_told(self, feed: str, name: str, capacity: int) -> Stream[Any]:
        """A new stream of what the runtime itself tells of a feed: no line brings its events.

        It ends with the feed. Raises as `open` does.
        """
        self.check()
        inlet = Inlet(next(self._ids), feed, name, "drop_oldest", capacity, deltas=False, now=self._now)
        stream: Stream[Any] = ToldStream(inlet, self, self.spec_of(feed).kind)
        self._register(stream)
        self._note_change()
        return stream

    def open_lifecycle(self, target: str | None, feed: str | None) -> Stream[Lifecycle]:
        """A new stream of the lifecycle events of a feed, a line of `feed`, or of all lines.

        Raises:
            LinewardenError: there is no such feed or line.
            RuntimeStopped: the runtime has ended.
        """
        self.check()
        feed = feed or ALL_FEEDS
        inlet = Inlet(next(self._ids), feed, LIFECYCLE, "drop_oldest", WORDS, deltas=False, now=self._now)
        inlet.leave = partial(self._supervisor.tell, LeaveTopics(inlet.id))
        stream = LifecycleStream(inlet, LifecycleControl(self._forgetting(inlet)))
        try:
            ask(self._supervisor, FollowLines(inlet, target))
            self._register(stream)
        except BaseException:
            inlet.leave()
            raise
        self._note_change()
        return stream

    def open_inline(
        self,
        feed: str,
        channel: str | TypedChannel[Any],
        keys: Sequence[Keys],
        options: Mapping[str, Option],
        freshness: FreshnessPolicy,
        handler: Callable[[Any], object],
        on_marker: Callable[[Any], object] | None,
    ) -> Stream[Any]:
        """The same without a buffer: the threads of its lines call the handler.

        Raises:
            RuntimeError: the machine is out of threads. Nothing was subscribed.
        """
        options = options_of(channel, options)
        spec, declared, topics = self._asked(feed, channel, keys, options)
        if on_marker is not None:
            self._notifier.start()
        handlers = Handlers(handler, on_marker, self.failure_log())
        notify = self._notifier.notify
        inlet = InlineInlet(
            next(self._ids),
            feed,
            declared.name,
            handlers,
            notify,
            deltas=declared.deltas,
            freshness=freshness,
        )
        stream: Stream[Any] = InlineStream(inlet, self, spec.kind, options)
        inlet.owner = stream
        return self._open(stream, topics)

    def _asked(
        self,
        feed: str,
        channel: str | TypedChannel[Any],
        keys: Sequence[Keys],
        options: Mapping[str, Option],
    ) -> tuple[FeedSpec, Channel, tuple[Topic, ...]]:
        self.check()
        spec = self.spec_of(feed)
        declared = spec.venue.channel(channel)
        return spec, declared, topics_of(spec.venue, declared, keys, options)

    def _open(self, stream: Stream[Any], topics: Sequence[Topic]) -> Stream[Any]:
        stream._inlet.leave = partial(self._dispatcher.tell, LeaveTopics(stream.id))
        self._register(stream)
        try:
            self.want(stream, topics)
        except BaseException:
            self.close(stream)  # half-subscribed is not subscribed
            raise
        return stream

    def _register(self, stream: Stream[Any]) -> None:
        with self._lock:
            self.check()
            spec = None if stream.feed == ALL_FEEDS else self.spec_of(stream.feed)
            if not _may_stay(stream, spec):  # a reload came between, and did not see it
                raise StreamClosed(_removed(stream.feed), stream._inlet)
            self._streams[stream.id] = weakref.ref(stream)
            self._inlets[stream.id] = stream._inlet
            stream._inlet.runtime = self._cells
        # A stream that the program has dropped is closed, else its topics would stay subscribed for ever.
        weakref.finalize(stream, self._forgetting(stream._inlet)).atexit = False

    def _forgetting(self, inlet: Inlet) -> Callable[[], None]:
        """It holds no runtime."""
        return partial(_forget, self._home, inlet.id, self._inlets, self._streams, self._note_change)

    def want(self, stream: Stream[Any], topics: Sequence[Topic]) -> None:
        """Returns when each of these lies on a line, or none can take it."""
        self.check()
        with stream._changing:
            if stream.id not in self._inlets:
                raise StreamClosed("closed by its reader", stream._inlet)
            for topic in topics:
                stream._topics[topic] = None
            stream._inlet.set_topics(len(stream._topics))
            question = self._dispatcher.ask(OpenStream(stream._inlet, tuple(topics)))
        try:
            text = f"{stream.feed}/{stream.channel} was not placed within {CALL:g} s; it goes on"
            answer_of(question, CALL, text)
        finally:
            self._note_change()

    def widen(self, stream: Stream[Any], keys: Sequence[Keys], wait: float | None) -> None:
        self.refuse_wait(wait, stream.feed)
        topics = self._topics(stream, keys)
        self.want(stream, topics)
        self.await_answers(stream, topics, wait)

    def narrow(self, stream: Stream[Any], keys: Sequence[Keys]) -> None:
        topics = self._topics(stream, keys)
        with stream._changing:
            gone = [topic for topic in topics if stream._topics.pop(topic, topic) is None]
            stream._inlet.set_topics(len(stream._topics))
            stream._inlet.removals += bool(gone)
            self._dispatcher.tell(LeaveTopics(stream.id, tuple(gone)))
        self._note_change()

    def close(self, stream: Stream[Any]) -> None:
        self._close(stream._inlet, "closed by its reader", quiet=True)

    def _close(self, inlet: Inlet, reason: str, *, quiet: bool) -> None:
        with self._lock:
            known = self._inlets.pop(inlet.id, None)
            self._streams.pop(inlet.id, None)
            self._handlers.pop(inlet.id, None)
        inlet.close(reason, quiet=quiet)
        if known is not None:
            inlet.leave()
        self._note_change()

    def leave(self, feeds: Mapping[str, FeedSpec]) -> None:
        """The streams whose feed, venue or channel these specs no longer have are ended."""
        with self._lock:
            streams = [stream for reference in self._streams.values() if (stream := reference()) is not None]
        for stream in streams:
            if not _may_stay(stream, feeds.get(stream.feed)):
                self._close(stream._inlet, _removed(stream.feed), quiet=False)

    def inlets(self) -> Collection[Inlet]:
        """Of the streams that are open."""
        return [inlet for inlet in self._inlets.copy().values() if inlet.end is None]

    def end(self, reason: str, *, quiet: bool) -> None:
        """The runtime has ended: every stream gets `Closed`."""
        with self._lock:
            ending = list(self._inlets.values())
            self._inlets.clear()
            self._streams.clear()
        for inlet in ending:
            inlet.close(reason, quiet=quiet)
        self._notifier.stop()

    # ── waiting for answers ──

    def refuse_to_wait(self, what: str, feed: str | None = None) -> None:
        """For a call that may wait for what lines of this feed read; None: of any feed of this runtime.

        Raises:
            WaitRefusedError: this thread keeps them from reading.
        """
        refuse_to_wait(what, feed, self._cells)

    def refuse_wait(self, wait: float | None, feed: str) -> None:
        """The same for the argument `wait`; None: nothing is waited for.

        Raises:
            WaitRefusedError: this thread keeps the lines of the feed from reading.
            LinewardenError: it is no time.
        """
        check_seconds("wait", wait, optional=True)
        if wait is not None:
            self.refuse_to_wait(f"wait={wait:g}", feed)

    def await_answers(self, stream: Stream[Any], topics: tuple[Topic, ...], wait: float | None) -> None:
        """Wait until every topic is confirmed or rejected; None: not at all.

        Raises:
            SubscribeError: that takes longer than `wait` seconds, or some topic was rejected; or this
                thread reads a full `block` stream of the feed meanwhile.
        """
        if wait is None:
            return
        self._check_open(stream)
        try:
            states = self.answers(stream.feed, topics, wait) or self.states(topics)
        except WaitRefusedError as refused:
            raise SubscribeError(stream, self.states(topics), str(refused)) from None
        with contextlib.suppress(Timeout, RuntimeStopped):  # the line is shown as live, if it is
            ask(self._supervisor, ReadMail(), SHOWN)
        self._note_change()
        self._check_open(stream)
        if any(state.state != "confirmed" for state in states.values()):
            raise SubscribeError(stream, states, self._why_unanswered(states))

    def _why_unanswered(self, states: Mapping[Topic, SubscriptionState]) -> str:
        """What keeps the venue from answering: the lines that are down, each reason once."""
        waiting = (topic for topic, state in states.items() if state.state in {"desired", "sent"})
        looks = (self._looks.topic(topic, None, None) for topic in waiting)
        return "; ".join(dict.fromkeys(look.text for look in looks if look.cause == "not_live"))

    def _check_open(self, stream: Stream[Any]) -> None:
        """Raises StreamClosed with the reason if it has ended."""
        if (reason := stream.end_reason) is not None:
            raise StreamClosed(reason, stream._inlet)

    def answers(
        self, feed: str, topics: tuple[Topic, ...], seconds: float
    ) -> dict[Topic, SubscriptionState] | None:
        """The states of these topics of a feed once all are answered; None: that takes too long.

        Raises:
            WaitRefusedError: this thread reads a `block` stream of the feed, which is full or becomes full.
        """
        self.check()
        question = self._registry.ask(AwaitAnswers(topics))
        try:
            refuse = partial(self.refuse_to_wait, f"wait={seconds:g}", feed)
            told = answer_of_lines(question, seconds, refuse)
        except Timeout:
            return None
        return cast("dict[Topic, SubscriptionState]", told)

    def states(self, topics: Iterable[Topic]) -> dict[Topic, SubscriptionState]:
        """How far each of these has come. Asks no actor."""
        return self._cells.states(topics)

    def _topics(self, stream: Stream[Any], keys: Sequence[Keys]) -> tuple[Topic, ...]:
        venue = self.spec_of(stream.feed).venue
        return topics_of(venue, venue.channel(stream.channel), keys, stream._options)

    # ── freshness ──

    def fresh(self, stream: Stream[Any], max_age: float | None) -> Freshness:
        """The topic of this stream that is worst off, by the stream's own policy."""
        if (reason := stream.end_reason) is not None:
            return blind("closed_stream", f"it is closed: {reason}", stream._inlet)
        look, own = self._looks.topic, stream._inlet.freshness
        return worst_of((topic, look(topic, own, max_age)) for topic in self.topics_of(stream))

    def topics_of(self, stream: Stream[Any]) -> Collection[Topic]:
        """Those that it is subscribed to.

        Raises:
            LinewardenError: no line brings its events.
        """
        if isinstance(stream, LifecycleStream | ToldStream):
            raise _without_data(stream)
        return stream._topics.copy()

    # ── handlers ──

    def failure_log(self) -> FailureLog:
        """Of the handlers of one stream."""
        return FailureLog(log, self._now)

    def start_handler(self, stream: Stream[Any], run: Callable[[], None], name: str) -> None:
        """Run this on a thread of its own, until the stream ends. A stream whose thread ends is closed.

        The thread keeps the runtime in use, except that of a view.

        Raises:
            RuntimeError: the machine is out of threads. The stream has been closed.
        """
        close = _closing_weakly(self) if stream._inlet.stays else self._close
        arguments = (self._home, stream, run, close)
        thread = threading.Thread(target=_run_handler, args=arguments, name=name, daemon=True)
        self._handlers[stream.id] = thread
        try:
            thread.start()
        except RuntimeError:
            stream.close()  # the thread, which cannot be joined, is forgotten with it
            raise

    def join(self, deadline: float, others: Iterable[threading.Thread]) -> tuple[str, ...]:
        """What may be left: a handler that does not return, or one of `others`."""
        me = threading.current_thread()
        running = [thread for thread in self._handlers.values() if thread.ident]  # another is just starting
        if self._notifier.thread is not None:
            running.append(self._notifier.thread)
        threads = [thread for thread in (*running, *others) if thread is not me]
        for thread in threads:
            thread.join(lock_timeout(seconds_left(deadline)))
        return tuple(thread.name for thread in threads if thread.is_alive())


class Close(Protocol):
    """Closes an inlet with a reason; `quiet`: iteration just ends."""

    def __call__(self, inlet: Inlet, reason: str, *, quiet: bool) -> None: ...


def _closing_weakly(streams: Streams) -> Close:
    reference = weakref.ref(streams)

    def close(inlet: Inlet, reason: str, *, quiet: bool) -> None:
        if (streams := reference()) is not None:
            streams._close(inlet, reason, quiet=quiet)

    return close


def _run_handler(home: Home, stream: Stream[Any], run: Callable[[], None], close: Close) -> None:
    """On the handler's thread. No stream is left open without its reader."""
    handles(stream._inlet)
    reason = "its handler has ended"
    try:
        with contextlib.suppress(LinewardenError):
            run()
    except BaseException as error:
        reason = f"the thread of its handler failed ({type(error).__name__}: {error})"
        stream._inlet.handler_errors += 1
        log.exception(
            "handler.ended",
            "%s/%s: %s; the stream is closed.",
            stream.feed,
            stream.channel,
            reason,
            feed=stream.feed,
        )
    finally:
        if not home.is_left:  # a stream that has ended is forgotten
            close(stream._inlet, reason, quiet=False)


def _may_stay(stream: Stream[Any], spec: FeedSpec | None) -> bool:
    """Whether this spec of its feed still has the venue and the channel of the stream."""
    if isinstance(stream, LifecycleStream):
        return stream.feed == ALL_FEEDS or spec is not None
    if spec is None or spec.kind is not stream._kind:
        return False
    return isinstance(stream, ToldStream) or all(map(spec.venue.offers, stream._inlet.channels))


def _removed(feed: str) -> str:
    return f"feed {feed} was removed from the config"


def handle(
    stream: Stream[Any],
    handler: Callable[[Any], object],
    on_marker: Callable[[Any], object] | None,
    failed: FailureLog,
) -> None:
    """On the handler's own thread, until the stream ends."""
    items = stream.with_meta() if on_marker is None else stream.items()
    for item in items:
        try:
            if isinstance(item, Received):
                check_result(handler(item.event))
            elif on_marker is not None:
                check_result(on_marker(item))
        except BaseException:  # `sys.exit()` in a handler must not leave a stream without its reader
            stream._inlet.handler_errors += 1
            failed(item.topic if isinstance(item, Received) else item)


class ViewControl:
    """What the stream of a view needs of its runtime, which may be collected while the stream is read."""

    def __init__(self, streams: Streams) -> None:
        self._reference = weakref.ref(streams)

    def _streams(self) -> Streams:
        if (streams := self._reference()) is None:
            raise RuntimeStopped("the runtime is no longer in use")
        return streams

    def close(self, stream: Stream[Any]) -> None:
        self._streams().close(stream)

    def widen(self, stream: Stream[Any], keys: Sequence[Keys], wait: float | None) -> None:
        self._streams().widen(stream, keys, wait)

    def narrow(self, stream: Stream[Any], keys: Sequence[Keys]) -> None:
        self._streams().narrow(stream, keys)

    def states(self, topics: Iterable[Topic]) -> dict[Topic, SubscriptionState]:
        return self._streams().states(topics)

    def fresh(self, stream: Stream[Any], max_age: float | None) -> Freshness:
        return self._streams().fresh(stream, max_age)


class View(Protocol):
    """Something that a runtime keeps from a stream."""

    stream: Stream[Any]


def end_unused(views: Collection[View], name: str) -> None:
    """From the garbage collector, where no lock of a stream may be taken: the runtime is no longer in use.

    `name`: of the thread that closes their streams.
    """
    inlets = [view.stream._inlet for view in views if not view.stream._home.is_left]
    ending = [inlet for inlet in inlets if inlet.end is None]
    if ending:
        threading.Thread(target=_end_unused, args=(ending,), name=name, daemon=True).start()


def _end_unused(inlets: Iterable[Inlet]) -> None:
    for inlet in inlets:
        inlet.close("the runtime is no longer in use", quiet=True)


class LifecycleControl:
    """What a stream of lifecycle events needs of its runtime, which may end and be collected before it."""

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget

    def close(self, stream: Stream[Any]) -> None:
        stream._inlet.close("closed by its reader", quiet=True)
        self._forget()

    def widen(self, stream: Stream[Any], keys: Sequence[Keys], wait: float | None) -> NoReturn:
        raise LinewardenError(f"{stream.feed}/{stream.channel} has no keys: it tells the states of lines")

    def narrow(self, stream: Stream[Any], keys: Sequence[Keys]) -> NoReturn:
        self.widen(stream, keys, None)

    def states(self, topics: Iterable[Topic]) -> dict[Topic, SubscriptionState]:
        return {}

    def fresh(self, stream: Stream[Any], max_age: float | None) -> NoReturn:
        raise _without_data(stream)


def _without_data(stream: Stream[Any]) -> LinewardenError:
    return LinewardenError(
        f"{stream.feed}/{stream.channel} has no data that could be fresh: no line brings its events. "
        "Ask a stream of data, or runtime.fresh() about a feed"
    )


def _forget(
    home: Home,
    id: int,
    inlets: dict[int, Inlet],
    streams: dict[int, Any],
    note_change: Callable[[], None],
) -> None:
    """From the garbage collector: takes no lock that a thread may hold for long."""
    if home.is_left:
        return
    streams.pop(id, None)
    if (inlet := inlets.pop(id, None)) is not None:
        inlet.leave()
        note_change()
