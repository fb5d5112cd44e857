"""Several streams read as one, in the order in which their events arrived."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from actors.delivery.arrivals import Arrivals
from actors.delivery.inlet import Waker
from actors.delivery.waits import reading_slice
from actors.errors import StreamClosed
from actors.events import Received
from actors.rules.stream_buffer import Place
from actors.stream import SLICE, Stream


def merge(arrivals: Arrivals, *streams: Stream[Any]) -> Iterator[Received[Any]]:
    """The events of several streams in the order of their arrival, as long as any of them lives.

    Raises:
        StreamClosed: some stream ended, and neither `close()` nor `stop()` asked for it. The events of
            the others come first.
    """
    waker = Waker()
    for stream in streams:
        stream._home.check()
        with stream._inlet.ready:
            stream._inlet.wakers = (*stream._inlet.wakers, waker)
    arrivals.enter()
    try:
        yield from _merged(arrivals, list(streams), waker)
    finally:
        if not any(stream._home.is_left for stream in streams):  # else their locks may be held for ever
            arrivals.leave()
            for stream in streams:
                with stream._inlet.ready:
                    others = tuple(other for other in stream._inlet.wakers if other is not waker)
                    stream._inlet.wakers = others


def _merged(arrivals: Arrivals, streams: list[Stream[Any]], waker: Waker) -> Iterator[Received[Any]]:
    ended: StreamClosed | None = None
    while streams:
        for stream in streams.copy():
            try:
                is_over = stream._is_over()
            except StreamClosed as closed:
                is_over, ended = True, closed
            if is_over:
                streams.remove(stream)
        found = _first(streams)
        if found is None:
            if streams:
                slices = [seconds for each in streams if (seconds := reading_slice(each.feed)) is not None]
                waker.wait(min(slices, default=SLICE))
        elif _is_complete(arrivals, found[0]):
            again = _first(streams)  # one that came before it may have been put meanwhile
            if again is not None and again[0] <= found[0]:  # else it was given up, and others may come first
                with contextlib.suppress(LookupError):  # it was a marker; or it was given up meanwhile
                    yield again[1]._take_at(again[0])
    if ended is not None:
        raise ended


def _first(streams: list[Stream[Any]]) -> tuple[Place, Stream[Any]] | None:
    waiting = [(place, stream) for stream in streams if (place := stream._peek()) is not None]
    return min(waiting, key=lambda pair: pair[0], default=None)


def _is_complete(arrivals: Arrivals, place: Place) -> bool:
    """Whether no stream may still get something that came before this. If not, waits until one did."""
    with arrivals.changed:
        if arrivals.is_complete(place[0]):
            return True
        arrivals.changed.wait(SLICE)
        return False
