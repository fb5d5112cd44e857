"""O2's markets by name: the list that its REST serves, and what of it is known.

A name is `BASE/QUOTE`, of the symbols in `GET /v1/markets`, in their case; o2-sdk builds it in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from math import inf
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from actors.protocol import HttpRequest
from actors.venues.o2.messages import is_id, normal_id

PATH: Final = "/v1/markets"
TIMEOUT: Final = 5.0  # seconds; less than the usual time for the answer to a subscription
SHOWN: Final = 10  # names in a sentence
RECENT: Final = 60.0  # seconds; a name that a younger list lacks does not exist


class AssetRow(Struct, frozen=True):
    symbol: str


class MarketRow(Struct, frozen=True):
    market_id: str
    base: AssetRow
    quote: AssetRow


class MarketsPage(Struct, frozen=True):
    markets: list[msgspec.Raw]


_decode_page: Callable[[bytes], MarketsPage] = msgspec.json.Decoder(MarketsPage).decode
_decode_row: Callable[[msgspec.Raw], MarketRow] = msgspec.json.Decoder(MarketRow).decode


def is_name(key: str) -> bool:
    """Whether the key of a market is its name: an id has no slash."""
    return "/" in key


class MarketList(Struct, frozen=True):
    """The markets of one answer. `ids`: by name, the market ids that have it."""

    ids: Mapping[str, tuple[str, ...]] = {}

    def id(self, name: str) -> str | None:
        """Returns the id of the one market of this name; None: there is none, or there are several."""
        ids = self.ids.get(name, ())
        return ids[0] if len(ids) == 1 else None

    def mistake(self, name: str) -> str:
        """Returns why this name has no id, for people."""
        ids = self.ids.get(name)
        if ids:
            return f"{len(ids)} markets of o2 are called {name!r}: {', '.join(ids)}. Use one of the ids"
        folded = {each.casefold(): each for each in self.ids}
        near = [folded[each] for each in get_close_matches(name.casefold(), folded, 1)]
        return f"o2 lists no market {name!r}; " + (f"did you mean {near[0]!r}?" if near else _some(self.ids))


class Known(NamedTuple):
    markets: MarketList
    at: float  # when it came, monotonic seconds; -inf: unknown


class KnownMarkets:
    """The last list of one network, shared by the sessions and the requests of a feed.

    Any thread: the list and its time are one value, which is replaced.
    """

    def __init__(self) -> None:
        self._known = Known(MarketList(), -inf)

    def keep(self, markets: MarketList, at: float = -inf) -> None:
        self._known = Known(markets, at)

    def id(self, name: str) -> str | None:
        """Returns the id by the last list; None: it is unknown, or not unique."""
        return self._known.markets.id(name)

    def mistake(self, name: str) -> str:
        """Returns why the last list has no id for this name."""
        return self._known.markets.mistake(name)

    def is_recent(self, now: float) -> bool:
        """Whether the list is younger than `RECENT`; `now` is monotonic seconds."""
        return now - self._known.at < RECENT


def list_request(base: str) -> HttpRequest:
    """Returns the request for the list; `base`: the origin of the network's REST."""
    return HttpRequest("GET", f"{base}{PATH}", timeout=TIMEOUT)


def read_markets(body: bytes) -> MarketList:
    """Returns the markets of an answer; a row that cannot be read is left out.

    Raises:
        ValueError: it is no list of markets.
    """
    ids: dict[str, tuple[str, ...]] = {}
    for raw in _decode_page(body).markets:
        row = _row(raw)
        if row is not None:
            name, id = f"{row.base.symbol}/{row.quote.symbol}", normal_id(row.market_id)
            ids[name] = tuple(dict.fromkeys((*ids.get(name, ()), id)))
    return MarketList(ids)


def _row(raw: msgspec.Raw) -> MarketRow | None:
    try:
        row = _decode_row(raw)
    except msgspec.DecodeError:
        return None
    return row if is_id(row.market_id) else None


def _some(names: Mapping[str, object]) -> str:
    """The first of them, in the order of the list."""
    shown = ", ".join(list(names)[:SHOWN])
    return f"it lists {shown}" + (", …" if len(names) > SHOWN else "") if names else "its list is empty"
