"""Streams without a runtime, and a line that fills them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from actors import stream
from actors.delivery import arrivals, inlet, merge
from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.inlet import Inlet, Put
from actors.events import Freshness, Keys, SubscriptionState, Topic
from actors.rules import stream_buffer
from actors.rules.stream_buffer import FifoBuffer, Origin, Policy
from actors.stream import Stream
from tests.support.batches import Pair, batch_of

WATCHED = (arrivals, inlet, stream_buffer, merge, stream)
A = Topic("o2", "trades", "A")


class Event(NamedTuple):
    batch: int
    place: int
    name: str


class Control:
    """A runtime's answers to its streams."""

    def widen(self, stream: Stream[Any], keys: Sequence[Keys], wait: float | None) -> None: ...
    def narrow(self, stream: Stream[Any], keys: Sequence[Keys]) -> None: ...

    def close(self, stream: Stream[Any]) -> None:
        stream._inlet.close("close() was called", quiet=True)

    def fresh(self, stream: Stream[Any], max_age: float | None) -> Freshness:
        return Freshness("unknown", "not_subscribed")

    def states(self, topics: Iterable[Topic]) -> dict[Topic, SubscriptionState]:
        return {}


def make(
    policy: Policy = "block", capacity: int = 100, *, deltas: bool = False, handful: int = 0
) -> tuple[Stream[Any], Inlet]:
    """`handful`: how many events a reader takes at once, at most."""
    made = Inlet(1, "o2", "trades", policy, capacity, deltas=deltas)
    if handful and isinstance(made.buffer, FifoBuffer):
        made.buffer.handful = handful
    return Stream[Any](made, Control()), made


def end(*inlets: Inlet) -> None:
    for each in inlets:
        each.close("over", quiet=True)


class Writer:
    """One epoch of a line."""

    def __init__(self, arrivals: Arrivals | None = None) -> None:
        self.arrivals = arrivals or Arrivals()
        self.right = Right()

    def put(self, inlet: Inlet, *events: Any) -> Put:
        """One batch for one stream."""
        pairs = [(A, event) for event in events]
        return inlet.put(self.right, batch_of(pairs, Origin(1, 1, 1)), now=0.0)

    def deliver(self, *events: tuple[Inlet, str], begun: int = 0) -> None:
        """One batch for several streams. It may have begun already, and has that number then."""
        number = begun or self.arrivals.begin(self.right)
        shares: dict[Inlet, list[Event]] = {}
        for place, (into, name) in enumerate(events):
            shares.setdefault(into, []).append(Event(number, place, name))
        for into, share in shares.items():
            pairs: list[Pair] = [(A, event) for event in share]
            places = [event.place for event in share]
            into.put(self.right, batch_of(pairs, Origin(1, 1, number), places), now=0.0)
        self.arrivals.end(self.right)
