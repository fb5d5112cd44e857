"""O2's history pages: the trades of a market, and bars that are made of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from actors.simulators.base.client import RequestRefused
from actors.simulators.base.faults import PendingFaults
from actors.simulators.base.history_faults import HistoryPage, lagged, spoiled
from actors.simulators.o2.payloads import INVALID
from actors.simulators.o2.settings import SimulatedO2Settings

_KEPT = 10_000  # trades of a market
_USUAL, _MOST = 20, 50  # trades of a page
_MOST_BARS = 5_000
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

Told = dict[str, Any]


class Host(Protocol):
    """What the history needs of the simulator."""

    settings: SimulatedO2Settings
    pending: PendingFaults


class History:
    """The trades of all markets, by market, each with the time at which it was told."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._trades: dict[str, deque[tuple[float, Any]]] = {}

    def remember(self, market: str, told: Any) -> None:
        """A trade was told."""
        kept = self._trades.setdefault(market, deque(maxlen=_KEPT))
        kept.append((time.monotonic(), told))

    def trades(self, market: str, query: Mapping[str, str]) -> Any:
        """The body of an answer. Raises RequestRefused: a parameter is none."""
        count = int(query.get("count", _USUAL))
        has_start = {name in query for name in ("start_timestamp", "start_trade_id")}
        if not 1 <= count <= _MOST or len(has_start) == 2:
            raise RequestRefused(INVALID, "invalid trade count or start")
        listed = self._listed(market)
        if query.get("direction", "desc") == "desc":
            listed.reverse()
        begin = self._start(listed, query) if has_start == {True} else 0
        page = HistoryPage(tuple(listed[begin : begin + count]), tuple(listed[:begin]))
        return self._body("trades", list(spoiled(page, self._host.pending).rows))

    def bars(self, market: str, query: Mapping[str, str]) -> Any:
        """The body of an answer. Raises RequestRefused: a parameter is none."""
        length = _length(query.get("resolution", ""))
        start, end = int(query.get("from", 0)), int(query.get("to", 1 << 62))
        made: dict[int, Told] = {}
        for told in self._listed(market):
            opening = int(told["timestamp"]) // length * length
            if start <= opening <= end:
                made[opening] = _grown(made.get(opening), opening, int(told["price"]), int(told["quantity"]))
        if len(made) > _MOST_BARS:
            raise RequestRefused(INVALID, "too many bars")
        rows = [{name: str(value) for name, value in made[each].items()} for each in sorted(made)]
        listed = [row | {"time": int(row["time"])} for row in rows]
        return self._body("bars", list(spoiled(HistoryPage(tuple(listed)), self._host.pending).rows))

    def _listed(self, market: str) -> list[Told]:
        """Oldest first."""
        rows = lagged(list(self._trades.get(market, ())), self._host.pending)
        return sorted(map(msgspec.to_builtins, rows), key=lambda told: int(told["timestamp"]))

    def _start(self, listed: list[Told], query: Mapping[str, str]) -> int:
        wanted = query["start_timestamp"], query["start_trade_id"]
        places = [(str(told["timestamp"]), str(told["trade_id"])) for told in listed]
        if wanted not in places:
            raise RequestRefused(5000, "trade not found")
        return places.index(wanted) + (not self._host.settings.start_belongs)

    def _body(self, name: str, rows: list[Told]) -> Any:
        return rows if self._host.settings.bare_lists else {name: rows}


def _length(resolution: str) -> int:
    """In milliseconds."""
    number, unit = resolution[:-1], resolution[-1:]
    if not number.isdecimal() or unit not in _SECONDS:
        raise RequestRefused(INVALID, "invalid resolution")
    return int(number) * _SECONDS[unit] * 1_000


def _grown(bar: Told | None, opening: int, price: int, quantity: int) -> Told:
    if bar is None:
        prices = dict.fromkeys(("open", "high", "low", "close"), price)
        return {"time": opening, **prices, "volume": quantity}
    return bar | {
        "high": max(bar["high"], price),
        "low": min(bar["low"], price),
        "close": price,
        "volume": bar["volume"] + quantity,
    }
