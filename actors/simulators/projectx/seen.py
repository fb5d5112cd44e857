"""What clients asked of the REST and what came of it, as a test counts it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from actors.simulators.base.history import BoundedDict
from actors.simulators.projectx.meters import Meter
from actors.simulators.projectx.payloads import Row

_REMEMBERED = 100_000  # orders, and tags


class PlacedOrder(Struct, frozen=True):
    """An order that came to be because a client placed it."""

    order_id: int
    account: int
    contract: str
    tag: str | None
    type: int
    side: int
    size: int
    at: float  # monotonic


class _Tag(Struct):
    customTag: str | None = None  # noqa: N815  (as the wire has it)


_tag = msgspec.json.Decoder(_Tag).decode


class Seen:
    """Counts; any thread may read them. `placed`: all orders that were placed, oldest first."""

    def __init__(self, meters: Mapping[str, Meter]) -> None:
        self.placed: deque[PlacedOrder] = deque(maxlen=_REMEMBERED)
        self.requests: Counter[str] = Counter()  # by page: those that came, whatever became of them
        self.taken: Counter[str] = Counter()  # by page: those that took effect, and were not refused
        self.in_flight = 0  # requests that came and whose answer is not sent yet
        self.most_in_flight = 0
        self._meters = meters
        self._by_tag: dict[str, int] = BoundedDict(_REMEMBERED)
        self._asked: dict[str, int] = BoundedDict(_REMEMBERED)

    def most_in_window(self, meter: str = "rest") -> int:
        """The largest number of requests in any window of `rest` or `bars`, refused ones among them."""
        return self._meters[meter].most

    def orders(self, tag: str) -> int:
        """How many orders with this tag came to be: 2 or more, and one was placed twice."""
        return self._by_tag.get(tag, 0)

    def asked(self, tag: str) -> int:
        """How many requests to place an order with this tag came, whatever became of them."""
        return self._asked.get(tag, 0)

    @property
    def placed_twice(self) -> list[str]:
        """The tags of which there is more than one order."""
        return [tag for tag, orders in self._by_tag.items() if orders > 1]

    # what the venue tells

    def came(self, page: str, body: bytes) -> None:
        self.requests[page] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if page == "Order/place" and (tag := _tag_in(body)):
            self._asked[tag] = self._asked.get(tag, 0) + 1

    def answered(self) -> None:
        self.in_flight -= 1

    def order(self, row: Row) -> None:
        """An order came to be."""
        terms = (row["accountId"], row["contractId"], row["customTag"], row["type"], row["side"], row["size"])
        self.placed.append(PlacedOrder(row["id"], *terms, time.monotonic()))
        if tag := row["customTag"]:
            self._by_tag[tag] = self._by_tag.get(tag, 0) + 1


def _tag_in(body: bytes) -> str | None:
    try:
        return _tag(body).customTag
    except msgspec.DecodeError:
        return None
