"""What a venue is asked for after a loss: the events that its stream did not bring."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Loss(Struct, frozen=True):
    """A stretch of one topic that was not seen. Times are wall clock, nanoseconds, by the venue if known.

    `last`: the last event before it, by the venue's time; None: there was none. `first`: the first one after
    it; None: none has come yet. Neither changes an earlier event.
    """

    since_ns: int
    until_ns: int
    last: Any | None = None
    first: Any | None = None


class Backfilled(Struct, frozen=True):
    """The events of a loss, in the venue's order, without `Loss.last` and `Loss.first`.

    `complete`: ids or sequence numbers join over both seams, and no page may have been cut. Otherwise `why`
    says what is not known, and `reaches_ns` up to where the events are all there are, by the venue's time;
    None: not known. `lags`: `Loss.first` has come by the stream and is not in the list yet; it may be a
    moment later.
    """

    events: tuple[Any, ...]
    complete: bool
    why: str = ""
    reaches_ns: int | None = None
    lags: bool = False
