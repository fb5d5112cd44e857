"""Calls that would wait for the thread that makes them.

A thread that calls an inline handler is the line's own. A thread that reads a full `block` stream keeps the
lines of that stream from reading until it takes the next event. Neither can wait for what those lines bring.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from actors.errors import LinewardenError, Timeout

if TYPE_CHECKING:
    from threading import RLock

    from actors.delivery.inlet import Inlet

SLICE: Final = 0.05  # seconds after which a wait looks again whether its own thread holds the line


class WaitRefusedError(LinewardenError):
    """The call would wait for the thread that makes it."""


class _Here(threading.local):
    """What this thread does."""

    def __init__(self) -> None:
        self.calls_handlers = False  # inline ones
        self.handles: Inlet | None = None  # it calls the handler of this stream, and does nothing else
        self.reads: WeakSet[Inlet] = WeakSet()  # `block` streams that it has read


_here = _Here()


def calls_handlers() -> bool:
    """Whether this thread is calling an inline handler."""
    return _here.calls_handlers


def set_calls_handlers(calls: bool) -> None:
    """Whether this thread calls inline handlers from now on."""
    _here.calls_handlers = calls


def handles(inlet: Inlet) -> None:
    """From now on this thread calls the handler of this stream, and does nothing else."""
    _here.handles = inlet


def note_reader(inlet: Inlet) -> None:
    """This thread reads a `block` stream, which another one may have read before."""
    inlet.reader = threading.get_ident()
    _here.reads.add(inlet)


def is_reader() -> bool:
    """Whether this thread reads a `block` stream, or did."""
    return bool(_here.reads)


def refuse_to_wait(what: str, feed: str | None = None, runtime: object = None) -> None:
    """For a call that may wait for what lines of this feed of a runtime read; None: of any feed.

    Raises:
        WaitRefusedError: inside an inline handler; or this thread reads a full `block` stream of that feed.
    """
    refuse_inline(what)
    full = _full_stream(feed, runtime)
    if full is not None:
        raise WaitRefusedError(f"{what} is refused while {_holds(full)}. Call it from another thread")


def reading_slice(feed: str | None, runtime: object = None) -> float | None:
    """Seconds that this thread may wait for an event of this feed before it asks again; None: no limit.

    `feed` is None where no line brings the event. `runtime`: as inlets have it.

    Raises:
        WaitRefusedError: inside an inline handler.
        Timeout: this thread calls the handler of a full `block` stream of that feed.
    """
    refuse_inline("waiting for a stream's events")
    own = _here.handles
    if own is None or own.policy != "block" or (own.feed, own.runtime) != (feed, runtime):
        return None
    if own.pauses:
        raise Timeout(f"no event of {feed} can come while {_holds(own)}")
    return SLICE


def wait_for(condition: threading.Condition, lock: RLock, seconds: float | None) -> None:
    """Wait until the condition of this lock is notified, holding the lock before and after.

    A signal handler that raises while `Condition.wait` gives up the lock leaves it given up.
    """
    try:
        condition.wait(seconds)
    except BaseException:
        try:
            condition.notify(0)  # notifies none, and raises where the lock is not held
        except RuntimeError:
            lock.acquire()
        raise


def refuse_inline(what: str) -> None:
    """Raises WaitRefusedError inside an inline handler."""
    if _here.calls_handlers:
        raise WaitRefusedError(
            f"{what} is refused inside an inline handler: it may wait for the thread that calls the handler. "
            "Call it from a thread of your own, or use a handler without inline=True"
        )


def _full_stream(feed: str | None, runtime: object) -> Inlet | None:
    me = threading.get_ident()
    for inlet in _here.reads:
        if inlet.reader == me and inlet.pauses and inlet.runtime is runtime and feed in (None, inlet.feed):
            return inlet
    return None


def _holds(inlet: Inlet) -> str:
    return (
        f"this thread reads the block stream {inlet.feed}/{inlet.channel}, which is full: its lines read "
        "nothing until it takes the next event"
    )
