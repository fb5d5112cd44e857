"""Prices that a program puts for feeds of its runtime, by hand or from a vendor of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from actors.errors import LinewardenError
from actors.events import Key
from actors.feed_spec import Feeds, FeedSpec
from actors.rules.foreign_price import FeedPrices, GivenPrice, check_source, order_of
from actors.rules.latest_price import Candidates, symbol_of
from actors.timers import Clock, check_seconds

NONE: Final = FeedPrices()


class ForeignPrices:
    """Of all feeds of a runtime. Any thread; `lock` is held for moments.

    They are in no line, cell or stream, so they are no event and no mark, and make nothing fresh.
    """

    def __init__(self, spec_of: Callable[[str], FeedSpec], clock: Clock) -> None:
        self._spec_of, self._clock = spec_of, clock
        self.lock = threading.Lock()
        self._feeds: dict[str, tuple[object, FeedPrices]] = {}  # with the feed's kind of venue

    def put(self, feed: str, key: Key, given: GivenPrice, source: str, ttl: float | None) -> None:
        """What `Runtime.put_price` does."""
        check_source(source)
        check_seconds("ttl", ttl, optional=True)
        if ttl is not None and ttl <= 0:
            raise LinewardenError(f"ttl is the seconds for which the price counts, and {ttl!r} are none")
        symbol = symbol_of(self._spec_of(feed).venue, key)
        price = given.price(symbol, self._clock.wall_ns())
        with self.lock:
            kind = self._spec_of(feed).kind  # a change of the config forgets under this lock, and after it
            known, prices = self._feeds.get(feed, (kind, NONE))
            if known is not kind or prices is NONE:
                _, prices = self._feeds[feed] = kind, FeedPrices()
            now = self._clock.monotonic()
            prices.put(source, price, now, None if ttl is None else now + ttl)

    def order(self, spec: FeedSpec) -> list[str]:
        """The sources of a feed, the one that is asked first before the others."""
        with self.lock:
            return order_of(spec.price_sources, self._prices(spec).sources)

    def candidates(self, spec: FeedSpec, source: str, symbol: str) -> Candidates:
        """What is kept of a symbol from a source."""
        with self.lock:
            return self._prices(spec).candidates(source, symbol)

    def keep_only(self, feeds: Feeds | Mapping[str, FeedSpec]) -> None:
        """Forgets those of feeds that are gone, or have another venue."""
        with self.lock:
            for feed, (kind, _) in list(self._feeds.items()):
                if feed not in feeds or feeds[feed].kind is not kind:
                    del self._feeds[feed]

    def _prices(self, spec: FeedSpec) -> FeedPrices:
        kind, prices = self._feeds.get(spec.venue.feed, (spec.kind, NONE))
        return prices if kind is spec.kind else NONE
