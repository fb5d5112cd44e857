"""Alpaca's channels: their names, each with the type of its events."""

from __future__ import annotations

from collections.abc import Mapping

from actors.protocol import Channel, TypedChannel
from actors.venues.alpaca import messages as m
from actors.venues.alpaca.account_messages import TradeUpdate

TRADES: TypedChannel[m.Trade] = TypedChannel("alpaca", "trades")
QUOTES: TypedChannel[m.Quote] = TypedChannel("alpaca", "quotes")
BARS: TypedChannel[m.Bar] = TypedChannel("alpaca", "bars")
UPDATED_BARS: TypedChannel[m.UpdatedBar] = TypedChannel("alpaca", "updated_bars")
DAILY_BARS: TypedChannel[m.DailyBar] = TypedChannel("alpaca", "daily_bars")
STATUSES: TypedChannel[m.Status] = TypedChannel("alpaca", "statuses")
LULDS: TypedChannel[m.Luld] = TypedChannel("alpaca", "lulds")
IMBALANCES: TypedChannel[m.Imbalance] = TypedChannel("alpaca", "imbalances")
CORRECTIONS: TypedChannel[m.Correction] = TypedChannel("alpaca", "corrections")
CANCEL_ERRORS: TypedChannel[m.CancelError] = TypedChannel("alpaca", "cancel_errors")
ORDERBOOKS: TypedChannel[m.OrderBook] = TypedChannel("alpaca", "orderbooks")
PRICING: TypedChannel[m.Pricing] = TypedChannel("alpaca", "pricing")
NEWS: TypedChannel[m.News] = TypedChannel("alpaca", "news")
TRADE_UPDATES: TypedChannel[TradeUpdate] = TypedChannel("alpaca", "trade_updates")

_KEY = "symbol, or * for all"


CHANNELS: Mapping[str, Channel] = {
    channel.name: channel
    for channel in (
        # Options have no ids, and no history that can be joined: `Alpaca.backfill` has none for them.
        Channel(str(TRADES), m.Trade, "prints", key=_KEY, unique=True, backfill=True),
        Channel(str(QUOTES), m.Quote, "the best bid and ask", key=_KEY),
        Channel(str(BARS), m.Bar, "minute bars", key=_KEY, unique=True, backfill=True),
        Channel(str(UPDATED_BARS), m.UpdatedBar, "minute bars once more, with late trades", key=_KEY),
        Channel(str(DAILY_BARS), m.DailyBar, "the day's bar, each minute", key=_KEY),
        Channel(str(STATUSES), m.Status, "stocks: halts and resumes", key=_KEY),
        Channel(str(LULDS), m.Luld, "stocks: limit up and limit down", key=_KEY),
        Channel(str(IMBALANCES), m.Imbalance, "stocks: order imbalances", key=_KEY),
        Channel(str(CORRECTIONS), m.Correction, "stocks: corrected trades", key=_KEY),
        Channel(str(CANCEL_ERRORS), m.CancelError, "stocks: cancelled trades", key=_KEY),
        Channel(
            str(ORDERBOOKS),
            m.OrderBook,
            "crypto: the book, whole at first, then what changed",
            key="pair, or * for all",
            deltas=True,
            whole=(m.OrderBook,),
            resyncable=True,
        ),
        Channel(str(PRICING), m.Pricing, "crypto perpetuals: index, mark, funding", key="pair, or * for all"),
        Channel(str(NEWS), m.News, "news: articles", key="symbol, or * for all"),
        Channel(str(TRADE_UPDATES), TradeUpdate, "account: the life of its orders", account=True),
    )
}
