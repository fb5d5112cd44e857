"""The books of streams and lines, and an order book as a reader of a stream keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors import Runtime
from actors.rules.books import StreamStatus
from actors.status import Counters, Status
from actors.venues.o2 import DepthChange, DepthSnapshot, Level
from tests.support.runtimes import until

Levels = dict[int, int]  # quantity by price


class Book:
    """What a reader makes of a depth stream: a snapshot, then signed quantities to add."""

    def __init__(self) -> None:
        self.bids: Levels = {}
        self.asks: Levels = {}

    def hear(self, event: DepthSnapshot | DepthChange) -> None:
        if isinstance(event, DepthSnapshot):
            self.bids = {level.price: level.quantity for level in event.bids}
            self.asks = {level.price: level.quantity for level in event.asks}
        else:
            _add(self.bids, event.bids)
            _add(self.asks, event.asks)

    @property
    def sides(self) -> tuple[Levels, Levels]:
        """As `SimulatedO2.book` gives them."""
        return self.bids, self.asks


def _add(levels: Levels, changes: tuple[Level, ...]) -> None:
    for level in changes:
        quantity = levels.get(level.price, 0) + level.quantity
        if quantity > 0:
            levels[level.price] = quantity
        else:
            levels.pop(level.price, None)


def line_balances(counters: Counters) -> bool:
    ended = counters.routed + counters.unrouted + counters.quarantined + counters.duplicates + counters.lost
    return counters.decoded == ended and counters.in_flight == 0


def stream_balances(stream: StreamStatus) -> bool:
    return stream.received == stream.delivered + stream.dropped + stream.conflated + stream.queued


def balanced(status: Status) -> bool:
    """Nothing is on its way, and every book adds up."""
    lines: Mapping[str, Counters] = {name: line.counters for name, line in status.lines().items()}
    return all(map(line_balances, lines.values())) and all(map(stream_balances, status.streams))


def decoded(count: int, line: str = "o2") -> Callable[[Status], bool]:
    """So many events have come in over that line, and all of them have gone where they belong."""
    return lambda status: status.lines()[line].counters.decoded >= count and balanced(status)


def settle(runtime: Runtime) -> Status:
    """Quiescence: nothing is on its way any more."""
    return until(runtime, balanced)
