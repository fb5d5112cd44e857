"""Alpaca's history pages: trades, quotes and bars of a time, by a token from page to page."""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping

from actors.simulators.alpaca.instruments import Listing, Told, grown
from actors.simulators.alpaca.payloads import Stamp
from actors.simulators.alpaca.settings import SimulatedAlpacaSettings
from actors.simulators.base.faults import PendingFaults
from actors.simulators.base.history_faults import HistoryPage, lagged, spoiled

_MINUTE = 60 * 10**9  # ns
_UNITS = {"Min": 1, "T": 1, "Hour": 60, "H": 60, "Day": 1440, "D": 1440}  # minutes
_USUAL, _MOST = 1_000, 10_000  # rows of a page
_LAST = 1 << 63

Query = Mapping[str, str]
Place = tuple[str, int, int]  # a symbol, a time in ns, and how many rows of that very time were sent
Row = tuple[str, Told]  # of a symbol


class History:
    """The pages of one kind of rows at a time. `limit` counts the rows of all symbols together."""

    def __init__(
        self, find: Callable[[str], Listing], pending: PendingFaults, settings: SimulatedAlpacaSettings
    ) -> None:
        self._find, self._pending, self._settings = find, pending, settings

    def page(self, channel: str, symbols: Iterable[str], query: Query) -> Told:
        """The body of an answer. Raises ValueError: a parameter is none."""
        newest_first = query.get("sort", "asc") == "desc"
        start = Stamp.parse(query["start"]).ns if "start" in query else 0
        end = Stamp.parse(query["end"]).ns if "end" in query else _LAST
        limit = int(query.get("limit") or _USUAL)
        if not 1 <= limit <= _MOST:
            raise ValueError(f"limit is 1 to {_MOST}, not {limit}")
        limit = min(limit, self._settings.page_rows or limit)
        listed: list[Row] = []
        for symbol in sorted(symbols):
            rows = [each for each in self._rows(symbol, channel, query) if start <= each["t"].ns <= end]
            rows.sort(key=lambda each: each["t"].ns, reverse=newest_first)
            listed += [(symbol, each) for each in rows]
        return self._cut(channel, listed, limit, query.get("page_token", ""), newest_first)

    def _cut(self, channel: str, listed: list[Row], limit: int, token: str, newest_first: bool) -> Told:
        sign = -1 if newest_first else 1
        places = _places(listed, sign)
        begin = bisect_right(places, _read(token)) if token else 0
        page = HistoryPage(
            rows=tuple(listed[begin : begin + limit]),
            before=tuple(listed[:begin]),
            more=begin + limit < len(listed),
        )
        page = spoiled(page, self._pending)
        kept: dict[str, list[Told]] = {}
        for symbol, told in page.rows:
            kept.setdefault(symbol, []).append(bare(told))
        next_token = None
        if page.more:
            newest = min(begin + limit, len(places)) - 1
            next_token = _written(places[newest]) if newest >= 0 else token or _written(("", 0, 0))
        return {channel: kept, "next_page_token": next_token}

    def _rows(self, symbol: str, channel: str, query: Query) -> list[Told]:
        listing = self._find(symbol)
        if channel != "bars":
            return self._told(listing, channel)
        length = minutes_of(query.get("timeframe", "1Min")) * _MINUTE
        return _bars(self._told(listing, "trades"), self._told(listing, "bars"), length)

    def _told(self, listing: Listing, channel: str) -> list[Told]:
        rows = zip(listing.moments.get(channel, ()), listing.history.get(channel, ()), strict=True)
        return lagged(list(rows), self._pending)


def bare(told: Told) -> Told:
    """A message as the pages have it: the symbol is its key there, and the kind is known."""
    return {name: value for name, value in told.items() if name not in ("T", "S")}


def minutes_of(timeframe: str) -> int:
    """Raises ValueError: it is no timeframe that is played, such as 5Min or 1Hour."""
    digits = timeframe.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    unit = timeframe.removeprefix(digits)
    if not digits.isdecimal() or unit not in _UNITS:
        raise ValueError(f"invalid timeframe: {timeframe}")
    return int(digits) * _UNITS[unit]


def _bars(trades: list[Told], told: list[Told], length: int) -> list[Told]:
    """Bars out of the trades; a minute without trades has the bar that was told of it last."""
    minutes: dict[int, Told] = {each["t"].ns: each for each in told} if length == _MINUTE else {}
    traded: dict[int, Told] = {}
    for each in trades:
        start = each["t"].ns // length * length
        traded[start] = grown(traded.get(start, {}), each["p"], each["s"])
    minutes.update({start: {**bar, "t": Stamp.at(start)} for start, bar in traded.items()})
    return [minutes[start] for start in sorted(minutes)]


def _places(listed: list[Row], sign: int) -> list[Place]:
    """The place of each row, in ascending order."""
    places: list[Place] = []
    for symbol, told in listed:
        at = sign * told["t"].ns
        same = places[-1][2] + 1 if places and places[-1][:2] == (symbol, at) else 1
        places.append((symbol, at, same))
    return places


def _written(place: Place) -> str:
    return base64.urlsafe_b64encode("|".join(map(str, place)).encode()).decode()


def _read(token: str) -> Place:
    """Raises ValueError: it is none of ours."""
    try:
        symbol, at, same = base64.urlsafe_b64decode(token).decode().split("|")
        return symbol, int(at), int(same)
    except ValueError:
        raise ValueError("invalid page_token") from None
