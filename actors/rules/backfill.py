"""One loss of one topic: what the venue is asked for, what waits meanwhile, and how the stream goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from enum import Enum, auto
from typing import Any, Final

from msgspec import Struct

from actors.events import Gap, Repaired, Topic
from actors.protocol.backfill import Backfilled, Loss
from actors.protocol.venue import Channel

ACCOUNT_HOLD: Final = 2.0  # seconds for which events of an account channel wait at most
LONGEST_HOLD: Final = 10.0  # and those of other channels
ASK_AGAIN: Final = 0.5  # seconds after an answer whose list lagged behind the stream
HELD_EVENTS: Final = 100_000  # of all topics of a line: beyond that, one of them waits no longer
HELD_BYTES: Final = 32 * 1_048_576

KeyOf = Callable[[Any], Hashable | None]


class BackfillPolicy(Struct, frozen=True):
    """Which channels of a feed are back-filled, and for how many seconds live events wait for that.

    `channels`: all that can be (True), none (False), those with these names, or those of accounts (None).
    """

    channels: bool | tuple[str, ...] | None = None
    hold: float = ACCOUNT_HOLD

    def seconds(self, channel: Channel) -> float:
        """For how long live events of this channel wait; 0.0: the channel is not back-filled."""
        if not channel.backfill or channel.deltas or not self._names(channel):
            return 0.0
        return min(self.hold, ACCOUNT_HOLD) if channel.account else self.hold

    def _names(self, channel: Channel) -> bool:
        if isinstance(self.channels, tuple):
            return channel.name in self.channels
        return channel.account if self.channels is None else self.channels


NEVER: Final = BackfillPolicy(channels=False)


class HeldEvents(Struct, frozen=True):
    """The events of one topic in one batch, which wait."""

    events: list[Any]
    received_ns: int
    at: float  # monotonic seconds
    size: int  # bytes, in proportion


class FillState(Enum):
    DUE = auto()  # the venue is to be asked
    ASKED = auto()  # without the first event after the loss, which had not come yet
    AWAITS_FIRST = auto()  # the answer leaves a seam open; with that event the venue is asked once more
    ASKED_TO_FIRST = auto()  # with that event
    AWAITS_LIST = auto()  # which did not have that event yet; a moment later the venue is asked once more
    ASKED_AGAIN = auto()
    OVER = auto()


class FillEvent(Enum):
    ASKS = auto()
    ASKS_TO_FIRST = auto()
    ASKS_AGAIN = auto()
    FIRST = auto()  # the first event after the loss came, and waits
    WHOLE = auto()  # a complete answer
    PART = auto()  # another one, and the first event has not come
    PART_AND_FIRST = auto()  # another one, and the first event has come
    LAGS = auto()  # another one, of a list that does not have the first event yet
    FINAL_PART = auto()  # another one, and no question can complete it
    FAILED = auto()  # no answer comes
    ENDED = auto()  # nothing is waited for any more


# What else happens in a state has no place there.
NEXT: Final[dict[tuple[FillState, FillEvent], FillState]] = {
    (FillState.DUE, FillEvent.ASKS): FillState.ASKED,
    (FillState.DUE, FillEvent.ASKS_TO_FIRST): FillState.ASKED_TO_FIRST,
    (FillState.DUE, FillEvent.FIRST): FillState.DUE,
    (FillState.DUE, FillEvent.FAILED): FillState.OVER,
    (FillState.DUE, FillEvent.ENDED): FillState.OVER,
    (FillState.ASKED, FillEvent.FIRST): FillState.ASKED,
    (FillState.ASKED, FillEvent.WHOLE): FillState.OVER,
    (FillState.ASKED, FillEvent.PART): FillState.AWAITS_FIRST,
    (FillState.ASKED, FillEvent.PART_AND_FIRST): FillState.DUE,
    (FillState.ASKED, FillEvent.FINAL_PART): FillState.OVER,
    (FillState.ASKED, FillEvent.FAILED): FillState.OVER,
    (FillState.ASKED, FillEvent.ENDED): FillState.OVER,
    (FillState.AWAITS_FIRST, FillEvent.FIRST): FillState.DUE,
    (FillState.AWAITS_FIRST, FillEvent.ENDED): FillState.OVER,
    (FillState.ASKED_TO_FIRST, FillEvent.WHOLE): FillState.OVER,
    (FillState.ASKED_TO_FIRST, FillEvent.LAGS): FillState.AWAITS_LIST,
    (FillState.ASKED_TO_FIRST, FillEvent.FINAL_PART): FillState.OVER,
    (FillState.ASKED_TO_FIRST, FillEvent.FAILED): FillState.OVER,
    (FillState.ASKED_TO_FIRST, FillEvent.ENDED): FillState.OVER,
    (FillState.AWAITS_LIST, FillEvent.ASKS_AGAIN): FillState.ASKED_AGAIN,
    (FillState.AWAITS_LIST, FillEvent.FAILED): FillState.OVER,
    (FillState.AWAITS_LIST, FillEvent.ENDED): FillState.OVER,
    (FillState.ASKED_AGAIN, FillEvent.WHOLE): FillState.OVER,
    (FillState.ASKED_AGAIN, FillEvent.FINAL_PART): FillState.OVER,
    (FillState.ASKED_AGAIN, FillEvent.FAILED): FillState.OVER,
    (FillState.ASKED_AGAIN, FillEvent.ENDED): FillState.OVER,
}
ANSWERED: Final = (FillState.AWAITS_FIRST, FillState.AWAITS_LIST)


class Fill:
    """The back-fill of one loss. One thread. `until`: monotonic seconds, at which it is given up.

    `last`: the event that the venue is asked from. `before`: keys of events that were delivered. `joins`:
    whether an event can be the first one after the loss, up to which the venue is asked.
    """

    def __init__(
        self,
        topic: Topic,
        since_ns: int,
        last: Any | None,
        until: float,
        *,
        before: frozenset[Hashable] = frozenset(),
        joins: Callable[[Any], bool] = lambda _: True,
    ) -> None:
        self.topic, self.until = topic, until
        self.first: Any | None = None  # event after the loss; None: it has not come yet
        self._before, self._joins = before, joins
        self._again_at = math.inf
        self.state = FillState.DUE
        self.held: list[HeldEvents] = []  # in their order
        self.count = self.size = 0  # events and bytes that are held
        self.since_ns, self._last = since_ns, last
        self._until_ns = since_ns  # of the last question
        self._answer: Backfilled | None = None
        self._why = ""

    @property
    def is_over(self) -> bool:
        return self.state is FillState.OVER

    @property
    def is_due(self) -> bool:
        """Whether the venue is to be asked now."""
        return self.state is FillState.DUE

    @property
    def due_at(self) -> float:
        """When the venue is to be asked, monotonic seconds; infinity: when something has come."""
        if self.state is FillState.AWAITS_LIST:
            return self._again_at
        return -math.inf if self.is_due else math.inf

    @property
    def is_complete(self) -> bool:
        return self._answer is not None and self._answer.complete

    def ask(self, until_ns: int) -> Loss:
        """What the venue is to be asked for now."""
        self._until_ns = max(until_ns, self.since_ns)
        if self.state is FillState.AWAITS_LIST:
            self._move(FillEvent.ASKS_AGAIN)
        else:
            self._move(FillEvent.ASKS if self.first is None else FillEvent.ASKS_TO_FIRST)
        return Loss(self.since_ns, self._until_ns, self._last, self.first)

    def hold(self, held: HeldEvents) -> None:
        self.held.append(held)
        self.count += len(held.events)
        self.size += held.size
        if self.first is None:
            self.first = next(filter(self._joins, held.events), None)
            if self.first is not None:
                self._move(FillEvent.FIRST)

    def answered(self, answer: Backfilled, now: float) -> None:
        former = self._answer
        if former is None or answer.complete or len(answer.events) >= len(former.events):
            self._answer = answer
        if answer.complete:
            self._move(FillEvent.WHOLE)
        elif self.state is FillState.ASKED_TO_FIRST and answer.lags and now + ASK_AGAIN < self.until:
            self._again_at = now + ASK_AGAIN
            self._move(FillEvent.LAGS)
        elif self._last is None or self.state is not FillState.ASKED:
            self._move(FillEvent.FINAL_PART)
        else:
            self._move(FillEvent.PART if self.first is None else FillEvent.PART_AND_FIRST)

    def failed(self, why: str) -> None:
        self._why = why
        self._move(FillEvent.FAILED)

    def end(self, why: str) -> None:
        """Nothing is waited for any more; what a former answer brought counts."""
        self._why = why
        self._move(FillEvent.ENDED)

    def expire(self, seconds: float) -> None:
        """Its time is over: so many seconds."""
        self.end("" if self.state in ANSWERED else f"the venue did not answer within {seconds:g} s")

    def brought(self, key_of: KeyOf) -> tuple[list[Any], int]:
        """The events of the answer, and how many others were left out.

        Left out is what was delivered before the loss, what came twice or waits, and what lies behind the
        first event that waits: the stream brings that.
        """
        given = () if self._answer is None else self._answer.events
        waiting = [(key_of(event), event) for each in self.held for event in each.events]
        held = {key for key, event in waiting if key is not None and self._joins(event)}
        last = None if self._last is None else key_of(self._last)
        events: list[Any] = []
        known = {key for key, _ in waiting} | self._before
        for event in given:
            key = key_of(event)
            if key is None:
                events.append(event)
            elif key in held:
                break
            elif key == last:
                events.clear()  # what stands before it was delivered before it
            elif key not in known:
                events.append(event)
                known.add(key)
        return events, len(given) - len(events)

    def repaired(self, gap: Gap, count: int) -> Repaired:
        """What follows the events that were brought."""
        if self.is_complete:
            return Repaired(gap, count, True)
        answer = self._answer
        texts = ("" if answer is None else answer.why, self._why)
        text = "; ".join(filter(None, dict.fromkeys(texts)))
        since_ns, until_ns = min(gap.since_ns, self.since_ns), max(gap.until_ns, self._until_ns)
        if answer is not None and answer.reaches_ns is not None:
            since_ns = min(max(since_ns, answer.reaches_ns), until_ns)
        return Repaired(gap, count, False, text, since_ns, until_ns)

    def _move(self, event: FillEvent) -> None:
        self.state = NEXT[self.state, event]


class Known(Struct, frozen=True):
    """Keys of events that the venue was asked for: its stream may bring them a moment later."""

    keys: frozenset[Hashable]
    until: float  # monotonic seconds
