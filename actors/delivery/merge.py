"""Several streams read as one, in the order in which their events arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal, overload

from actors.delivery.arrivals import Arrivals
from actors.delivery.inlet import Waker
from actors.delivery.waits import reading_slice, wait_for
from actors.errors import StreamClosed, Timeout
from actors.events import Received
from actors.rules.stream_buffer import Place
from actors.stream import SLICE, Deadline, Marked, Reading, Stream

NAMED = 5  # streams, in the text of a `Timeout`

Item = Received[Any] | Marked


@overload
def merge(
    arrivals: Arrivals, *streams: Stream[Any], markers: Literal[False] = False, timeout: float | None = None
) -> Iterator[Received[Any]]: ...


@overload
def merge(
    arrivals: Arrivals, *streams: Stream[Any], markers: bool, timeout: float | None = None
) -> Iterator[Item]: ...


def merge(
    arrivals: Arrivals, *streams: Stream[Any], markers: bool = False, timeout: float | None = None
) -> Iterator[Any]:
    """The events of several streams in the order of their arrival, as long as any of them lives.

    `markers`: markers, too, each as `Marked`. A marker comes as soon as it is the first of its stream: behind
    the last event before it there, and before what waits in other streams. `timeout`: seconds that are waited
    for each item, at most.

    Raises:
        StreamClosed: some stream ended, and neither `close()` nor `stop()` asked for it. The events of
            the others come first. With `markers` it is not raised: each `Closed` is shown.
        Timeout: nothing came in time. The streams are unharmed, and iteration can go on.
    """
    return Reading(partial(_read, arrivals, streams, markers=markers, timeout=timeout))


def _read(
    arrivals: Arrivals, streams: Sequence[Stream[Any]], *, markers: bool, timeout: float | None
) -> Iterator[Item]:
    waker = Waker()
    try:
        for stream in streams:
            stream._home.check()
            with stream._inlet.lock:
                stream._inlet.wakers = (*_present(stream._inlet.wakers), waker)
        arrivals.enter(waker)
        yield from Merge(arrivals, streams, waker, timeout).items(markers=markers)
    finally:
        waker.is_over = True
        if not any(stream._home.is_left for stream in streams):  # else their locks may be held for ever
            arrivals.leave()
            for stream in streams:
                with stream._inlet.lock:
                    stream._inlet.wakers = _present(stream._inlet.wakers)


def _present(wakers: tuple[Waker, ...]) -> tuple[Waker, ...]:
    return tuple(waker for waker in wakers if not waker.is_over)


class Merge:
    """One reading of several streams. One thread."""

    def __init__(
        self, arrivals: Arrivals, streams: Sequence[Stream[Any]], waker: Waker, timeout: float | None
    ) -> None:
        self._arrivals, self._waker, self._timeout = arrivals, waker, timeout
        self._streams = list(streams)  # those that have not ended
        self._ended: StreamClosed | None = None
        self._silence: Deadline | None = None  # of the wait for the next item, once it has begun

    def items(self, *, markers: bool) -> Iterator[Item]:
        while self._streams:
            self._leave_ended()
            found = _first(self._streams)
            if found is None:
                self._wait_for_any()
            elif self._is_complete(found[0]):
                again = _first(self._streams)  # one that came before it may have been put meanwhile
                if again is None or again[0] > found[0]:  # it was given up, and others may come first
                    continue
                stream = again[1]
                # No call with the item in hand: there a signal handler may raise. None: it was given up.
                for item in stream._handing_over_at(again[0], Marked):
                    if markers or item.__class__ is Received:
                        self._silence = None
                        yield item
        if self._ended is not None and not markers:
            raise self._ended

    def _leave_ended(self) -> None:
        for stream in self._streams.copy():
            try:
                is_over = stream._is_over()
            except StreamClosed as closed:
                is_over, self._ended = True, closed
            if is_over:
                self._streams.remove(stream)

    def _wait_for_any(self) -> None:
        """Wait until a stream has something, or has ended."""
        if self._streams:
            sources = [(each._source, each._inlet.runtime) for each in self._streams]
            slices = [seconds for source in sources if (seconds := reading_slice(*source)) is not None]
            self._waker.wait(self._wait_time(min(slices, default=SLICE)))

    def _is_complete(self, place: Place) -> bool:
        """Whether no stream may still get something that came before this. If not, waits until one did."""
        with self._arrivals.lock:
            if self._arrivals.is_complete(place[0]):
                return True
            wait_for(self._arrivals.changed, self._arrivals.lock, self._wait_time(SLICE))
            return False

    def _wait_time(self, at_most: float | None) -> float | None:
        """Of the next wait.

        Raises:
            Timeout: there was no item for as long as the reader waits.
        """
        if self._silence is None:
            self._silence = Deadline(self._timeout)
        if self._silence.is_over:
            names = [f"{each.feed}/{each.channel}" for each in self._streams]
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            raise Timeout(f"nothing on {', '.join(names[:NAMED])}{more} within {self._timeout} s")
        return self._silence.wait_time(at_most)


def _first(streams: list[Stream[Any]]) -> tuple[Place, Stream[Any]] | None:
    waiting = [(place, stream) for stream in streams if (place := stream._peek()) is not None]
    return min(waiting, key=lambda pair: pair[0], default=None)
