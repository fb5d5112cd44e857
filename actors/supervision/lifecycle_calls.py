"""The calls of a runtime about the lives of its lines."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from actors import log_queue
from actors.delivery.handlers import check_handler, check_result
from actors.events import Lifecycle, Restored
from actors.rules.restorations import Restorations
from actors.stream import Stream
from actors.streams import Streams
from actors.supervision.state import SharedState
from actors.supervision.tree import Tree

log = log_queue.logger("actors.supervision.restored")


class LifecycleCalls:
    """A part of `Runtime`, which has its tree and its streams."""

    _tree: Tree
    _streams: Streams

    def lifecycle(self, target: str | None = None) -> Stream[Lifecycle]:
        """The states of lines as events: of a feed, of a line, or of all; first the present state of each.

        One event per change, in the order in which it happened to that line: `connecting`, `connected`,
        `disconnected`, `reconnecting`, `restored`, `failed`, `paused`. `connected` and `restored` mean that
        the line is live: every subscription is answered. Lines are told of with and without topics.

        The stream is `drop_oldest` with a capacity of 1,000 events; the topic of an event, and of the `Gap`
        of those that were dropped, is `(feed, "lifecycle", line)`. `merge` takes it with other streams. It
        ends when the feed is removed, or with the runtime, and does not keep the runtime in use.

        Raises:
            LinewardenError: there is no such feed or line.
            Timeout: the supervisor does not answer.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        return self._streams.open_lifecycle(target, self._feed_of(target))

    def on_restored(
        self, target: str | None = None, *, handler: Callable[[Restored], object]
    ) -> Stream[Lifecycle]:
        """Calls a handler after each restore of a line: of a feed, of one line, or of all. See `Restored`.

        It is for what has to be asked for again over HTTP after a loss. It has a thread of its own, so it may
        ask the runtime for anything, and wait. A line is told of once it is live again, with every
        subscription answered; not when it is live for the first time. One call at a time: restores of a line
        that come meanwhile are told as one. If a line is lost again before its call, the call comes after its
        next restore; a call that has begun is not interrupted, and another one follows. An exception is
        logged and counted (`handler_errors`), and the next call comes.

        Returns the stream of states that it follows: `close()` ends it, as does the end of the feed or the
        runtime. It keeps the runtime in use until then.

        Raises:
            LinewardenError: there is no such feed or line, or `handler` cannot be called.
            Timeout: the supervisor does not answer.
            RuntimeError: the machine is out of threads.
            RuntimeStopped: the runtime has ended.
        """
        check_handler(handler, "a handler", "Restored")
        stream, shared = self.lifecycle(target), self._tree.shared
        name = f"on_restored/{target or 'all'}"
        self._streams.start_handler(stream, lambda: tell_restored(stream, shared, handler), name)
        return stream

    def _feed_of(self, target: object) -> str | None:
        """Of a feed or a line; None: of no one feed, or of what is no name."""
        if not isinstance(target, str):
            return None
        line = self._tree.shared.lines.get(target)
        return target if line is None else line.feed


def tell_restored(
    stream: Stream[Lifecycle], shared: SharedState, handler: Callable[[Restored], object]
) -> None:
    """On the handler's own thread, until the stream ends."""

    def is_live(line: str) -> bool:
        view = shared.lines.get(line)
        return view is not None and view.live_at is not None

    restorations = Restorations()
    for item in stream.items():
        restorations.take(item)
        # What has happened to its line meanwhile is taken before a call.
        while not stream.queued and (restored := restorations.next(is_live)) is not None:
            topics = tuple(topic for topic, _ in shared.cells.topics_of(restored.line))
            _call(stream, handler, structs.replace(restored, topics=topics))


def _call(stream: Stream[Lifecycle], handler: Callable[[Restored], object], restored: Restored) -> None:
    try:
        check_result(handler(restored))
    except BaseException:  # `sys.exit()` in a handler ends nothing but its call
        stream._inlet.handler_errors += 1
        log.exception(
            "handler.failed",
            "on_restored of %s failed; it is called again after the next restore.",
            restored.line,
            line=restored.line,
        )
