"""How `runtime.latest` is answered: by the stream, by what a program has put, by the venue over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import chain
from typing import Final, Literal, cast

from msgspec import Struct, structs

from actors.actor import Address
from actors.calls import answer_of
from actors.delivery.cells import Cells
from actors.errors import StalePriceError, Timeout
from actors.events import Key, Tried
from actors.messages import AskLatest, LatestTold
from actors.protocol.numbers import known_time
from actors.protocol.prices import Number, Price
from actors.protocol.venue import Venue
from actors.rules.latest_price import (
    REST,
    STREAM,
    Candidates,
    LatestPrice,
    in_words,
    one,
    sides,
    symbol_of,
)
from actors.timers import Clock, check_seconds

# Why a venue brought no price, where the words are not the venue's.
CANNOT_ASK: Final = "the venue cannot be asked for it"
NOT_ASKED: Final = "not asked"
NO_ANSWER: Final = "no answer in time"
OWN_WORDS: Final = frozenset({CANNOT_ASK, NOT_ASKED, NO_ANSWER})


class StreamPrice(Struct, frozen=True):
    """The newest price of a symbol that a stream has brought. `of`: "trade", or "mid" of bid and ask."""

    price: Decimal
    of: Literal["trade", "mid"]
    at: float  # monotonic seconds of its receipt
    venue_ns: int | None  # the venue's time; None: it named none

    def age(self, now: float, now_ns: int) -> float:
        """Seconds since its receipt, or since the venue's time, whichever is longer ago."""
        venue_age = 0.0 if self.venue_ns is None else (now_ns - self.venue_ns) / 1e9
        return max(0.0, now - self.at, venue_age)


def _none(source: str, _symbol: str) -> Candidates:
    return Candidates(source)


class LatestPrices:
    """Reads what the lines keep, and asks the requester. Any thread may ask, and waits on its own."""

    def __init__(self, cells: Cells, requester: Address, clock: Clock) -> None:
        self._cells, self._requester = cells, requester
        self._clock = clock

    def latest(
        self,
        venue: Venue,
        key: Key,
        max_age: float,
        timeout: float,
        order: Sequence[str] = (STREAM, REST),
        foreign: Callable[[str, str], Candidates] = _none,
    ) -> LatestPrice:
        """From the first source in this order that has it; `foreign` gives what others than ours have.

        Raises StalePriceError, LinewardenError for what cannot be asked, RuntimeStopped.
        """
        check_seconds("max_age", max_age)
        check_seconds("timeout", timeout)
        symbol = symbol_of(venue, key)
        tried: dict[str, list[Tried]] = {}
        again = [each for each in order if each != REST]  # the venue may have taken a while
        for source in (*order, *again):
            if source == REST:
                answer, tried[source] = self._asked_for(venue, symbol, max_age, timeout)
            else:
                kept = self._candidates(venue, symbol) if source == STREAM else foreign(source, symbol)
                answer, tried[source] = self._judge(kept, venue, symbol, max_age)
            if answer is not None:
                return structs.replace(answer, tried=tuple(chain.from_iterable(tried.values())))
        told = list(chain.from_iterable(tried.values()))
        sentence = f"{venue.feed}: no price of {symbol} from the last {max_age:g} s. {in_words(told)}."
        raise StalePriceError(sentence, told)

    def newest(self, venue: Venue, symbol: str) -> StreamPrice | None:
        """The newest price that a stream has brought, however old; None: none has. The venue is not asked."""
        found = self._candidates(venue, symbol)
        trade, quote = found.trade, found.quote
        last = None if trade is None else one("last", trade.price.last, None).get("last")
        if trade is not None and last is not None and (quote is None or not trade.older_than(quote)):
            return StreamPrice(_exact(last), "trade", trade.at, known_time(trade.venue_ns))
        shown = {} if quote is None else sides(quote.price)
        if quote is not None and shown.keys() >= {"bid", "ask"}:
            middle = (_exact(shown["bid"]) + _exact(shown["ask"])) / 2
            return StreamPrice(middle, "mid", quote.at, known_time(quote.venue_ns))
        if trade is None or last is None:
            return None
        return StreamPrice(_exact(last), "trade", trade.at, known_time(trade.venue_ns))

    def _candidates(self, venue: Venue, symbol: str) -> Candidates:
        candidates = Candidates(STREAM)
        for last_events in self._cells.last_events_of_feed(venue.feed):
            if last_events.prices.are_of(venue):
                candidates.read(last_events.prices.kept(symbol), venue)
        return candidates

    def _asked_for(
        self, venue: Venue, symbol: str, max_age: float, timeout: float
    ) -> tuple[LatestPrice | None, list[Tried]]:
        if venue.latest(symbol) is None:
            return None, [Tried(REST, None, CANNOT_ASK)]
        if timeout <= 0:
            return None, [Tried(REST, None, NOT_ASKED)]
        told = self._ask(venue, symbol, timeout)
        if told is None:
            return None, [Tried(REST, None, NO_ANSWER)]
        if not isinstance(told.outcome, Price):
            return None, [Tried(REST, None, told.outcome.text)]
        candidates = Candidates(REST)
        candidates.add(told.outcome, told.at)
        return self._judge(candidates, venue, symbol, max_age)

    def _ask(self, venue: Venue, symbol: str, timeout: float) -> LatestTold | None:
        """What came of it; None: that takes too long."""
        with suppress(Exception):  # the requester imports it as well, and reports a failure
            import actors.wire.http_client  # noqa: F401 - the first import takes longer than a short timeout
        question = AskLatest(venue, symbol, self._clock.monotonic() + timeout)
        try:
            return cast(LatestTold, answer_of(self._requester.ask(question), timeout))
        except Timeout:
            return None

    def _judge(
        self, candidates: Candidates, venue: Venue, symbol: str, max_age: float
    ) -> tuple[LatestPrice | None, list[Tried]]:
        """What of it is fresh now; None: nothing."""
        now, now_ns = self._clock.monotonic(), self._clock.wall_ns()
        fields, tried = candidates.weigh(max_age, now, now_ns)
        if not fields:
            return None, tried
        return LatestPrice(feed=venue.feed, symbol=symbol, source=candidates.source, **fields), tried


def _exact(number: Number) -> Decimal:
    """A venue's float is taken as it is written."""
    return Decimal(str(number)) if isinstance(number, float) else Decimal(number)
