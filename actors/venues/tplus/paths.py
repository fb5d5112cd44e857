"""The streams of tplus: which path each has, what comes in it, and the name of its line.

A socket bears one stream and nothing is asked for in it, so a topic is its line. A line is named
`feed/stream` or `feed/stream-asset`, and that name is all there is to find its path by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from actors.protocol import Topic
from actors.venues.tplus import decoding
from actors.venues.tplus import messages as m
from actors.venues.tplus.decoding import Decode, by_dicts, typed, with_status


class TplusStream(Struct, frozen=True):
    """One kind of stream. `path` names {asset} or {user} where it has them, `decode` reads all that is known.

    `kind` is what nearly all its messages are, and nothing else can be taken for; None: there is no such.
    """

    channel: str
    path: str
    decode: Decode
    kind: type[Any] | None = None
    oms: bool = False  # of the order service, which wants a login; else of the market data service

    @property
    def plainly(self) -> Decode:
        """Reads what is of its kind, alone or in lists."""
        return decoding.plain(self.kind) if self.kind is not None else _refuse

    @property
    def keyed(self) -> bool:
        return "{asset}" in self.path


def _refuse(_: bytes) -> Any:
    raise ValueError("a stream of variants")


_EVERY = (
    TplusStream("orders", "/orders", by_dicts(decoding.order_event), oms=True),
    TplusStream("user_trades", "/trades/user/events/{user}", with_status(m.UserTrade), m.UserTrade, oms=True),
    TplusStream("user_finalized_trades", "/trades/user/{user}", typed(m.UserTrade), m.UserTrade, oms=True),
    TplusStream("positions", "/positions/ws/{user}", typed(m.PositionUpdate), m.PositionUpdate, oms=True),
    TplusStream("account_events", "/account/events/{user}", by_dicts(decoding.account_event), oms=True),
    TplusStream("account_stats", "/account/stats/{user}", by_dicts(decoding.account_stats), oms=True),
    TplusStream("intent", "/intent/ws", typed(m.Intent), m.Intent, oms=True),
    TplusStream("trades", "/trades", typed(m.Trade), m.Trade),
    TplusStream("market_trades", "/trades/{asset}", typed(m.Trade), m.Trade),
    TplusStream("trade_events", "/trades/events", with_status(m.Trade), m.Trade),
    TplusStream("market_trade_events", "/trades/events/{asset}", with_status(m.Trade), m.Trade),
    TplusStream("depth", "/marketdepth/diff/{asset}", decoding.decode_book, m.BookFrame),
    TplusStream("klines", "/klines/diff/{asset}", typed(m.Timebar), m.Timebar),
    TplusStream("ticker", "/ticker/ws/{asset}", typed(m.Ticker), m.Ticker),
    TplusStream("tickers", "/tickers/ws", typed(m.Ticker), m.Ticker),
)
STREAMS: Mapping[str, TplusStream] = {stream.channel: stream for stream in _EVERY}
_BY_SLUG = {channel.replace("_", "-"): channel for channel in STREAMS}


def line_of(topic: Topic) -> str:
    """The line that is this topic's alone."""
    slug = topic.channel.replace("_", "-")
    return f"{topic.feed}/{slug}-{topic.key}" if topic.key else f"{topic.feed}/{slug}"


def topic_of(line: str) -> Topic:
    """The topic whose line it is.

    Raises:
        ValueError: no topic has such a line.
    """
    feed, _, rest = line.partition("/")
    if rest in _BY_SLUG and not STREAMS[_BY_SLUG[rest]].keyed:
        return Topic(feed, _BY_SLUG[rest])
    slug, _, key = rest.rpartition("-")  # no key has a hyphen in it
    if key and slug in _BY_SLUG and STREAMS[_BY_SLUG[slug]].keyed:
        return Topic(feed, _BY_SLUG[slug], key)
    raise ValueError(f"{line} is no line of tplus: a line is named after its stream and asset")
