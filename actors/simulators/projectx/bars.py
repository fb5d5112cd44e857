"""Bars, made of a contract's trades: newest first, none for a time without trades."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from actors.simulators.projectx import forms
from actors.simulators.projectx.clock import VenueClock
from actors.simulators.projectx.codes import VenueRefusal
from actors.simulators.projectx.instruments import Listing, Print
from actors.simulators.projectx.payloads import Row

_MOST = 20_000  # bars of an answer, as documented
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)

# ProjectX, "AggregateBarUnit": seconds, minutes and hours align to the clock, days to midnight UTC.
_LENGTHS = {1: timedelta(seconds=1), 2: _MINUTE, 3: timedelta(hours=1), 4: _DAY, 5: timedelta(weeks=1)}
_MONTH = 6


class BarSettings(Protocol):
    """Days of depth, and the most bars of an answer."""

    past: float
    minute_depth: float
    hour_depth: float
    bars_cap: int
    seed: int


class Bars:
    """Bars of all contracts, out of their trades and of those that are made up for the time before."""

    def __init__(self, settings: BarSettings, clock: VenueClock) -> None:
        self._settings = settings
        self._clock = clock
        self._past: dict[str, list[Print]] = {}

    def of(self, listing: Listing, asked: forms.Bars) -> list[Row]:
        """The newest of a time, newest first. Raises VenueRefusal: unit, number or limit are none."""
        start_of, end_of = _spans(asked.unit, asked.unit_number)
        if not 1 <= asked.limit <= _MOST:
            raise VenueRefusal("limit")
        now = self._clock.now()
        depth = self._settings.minute_depth if asked.unit <= 2 else self._settings.hour_depth
        start = max(forms.utc(asked.start_time), now - timedelta(days=depth))
        end = forms.utc(asked.end_time)
        made: dict[datetime, Row] = {}
        for moment, ticks, volume in self._prints(listing):
            opening = start_of(moment)
            if start <= opening <= end and (asked.include_partial_bar or end_of(opening) <= now):
                _add(made, opening, ticks, volume)
        newest = sorted(made, reverse=True)[: min(asked.limit, self._settings.bars_cap)]
        return [_row(listing, opening, made[opening]) for opening in newest]

    def _prints(self, listing: Listing) -> Iterable[Print]:
        if self._settings.past and listing.id not in self._past:
            self._past[listing.id] = _made_up(listing, self._settings.past, self._settings.seed)
        yield from self._past.get(listing.id, ())
        yield from listing.tape


def _spans(unit: int, number: int) -> tuple[Callable[[datetime], datetime], Callable[[datetime], datetime]]:
    """What gives the opening of the bar of a moment, and the end of a bar."""
    if number < 1:
        raise VenueRefusal("unit_number")
    if unit == _MONTH:
        return (
            lambda moment: _month(_months(moment) // number * number),
            lambda opening: _month(_months(opening) + number),
        )
    if unit not in _LENGTHS:
        raise VenueRefusal("unit")
    length = _LENGTHS[unit] * number
    first = _MONDAY if unit == 5 else _EPOCH
    return lambda moment: first + (moment - first) // length * length, lambda opening: opening + length


def _months(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _month(months: int) -> datetime:
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _add(made: dict[datetime, Row], opening: datetime, ticks: int, volume: int) -> None:
    bar = made.get(opening)
    if bar is None:
        made[opening] = {"o": ticks, "h": ticks, "l": ticks, "c": ticks, "v": volume}
        return
    bar["h"], bar["l"], bar["c"] = max(bar["h"], ticks), min(bar["l"], ticks), ticks
    bar["v"] += volume


def _row(listing: Listing, opening: datetime, bar: Mapping[str, int]) -> Row:
    prices = {key: listing.price(bar[key]) for key in "ohlc"}
    return {"t": f"{opening:%Y-%m-%dT%H:%M:%S}+00:00", **prices, "v": bar["v"]}


def _made_up(listing: Listing, days: float, seed: int) -> list[Print]:
    """A trade a minute up to the first real one, on most minutes; it walks to where the market began."""
    chance = random.Random(f"{seed}/{listing.id}/past")
    newest = listing.began
    price, made = listing.began_at, []
    for minute in range(1, int(days * 1_440)):
        price = max(1, price + chance.choice((-2, -1, 0, 1, 2)))
        if chance.random() < 0.9:
            made.append((newest - minute * _MINUTE, price, chance.randint(1, 40)))
    return made[::-1]
