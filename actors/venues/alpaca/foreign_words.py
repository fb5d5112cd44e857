"""The names that alpaca-py has for what Linewarden has too; docs/migrating has all of them."""

from __future__ import annotations

from actors.protocol import ForeignWords

# A channel, and the methods of the stream clients that subscribe to it.
_SUBSCRIBING = {
    "trades": ("subscribe_trades", "unsubscribe_trades"),
    "quotes": ("subscribe_quotes", "unsubscribe_quotes"),
    "bars": ("subscribe_bars", "unsubscribe_bars"),
    "updated_bars": ("subscribe_updated_bars", "unsubscribe_updated_bars", "updatedBars"),
    "daily_bars": ("subscribe_daily_bars", "unsubscribe_daily_bars", "dailyBars"),
    "statuses": ("subscribe_trading_statuses", "unsubscribe_trading_statuses", "trading_statuses"),
    "corrections": ("register_trade_corrections", "trade_corrections"),
    "cancel_errors": ("register_trade_cancels", "trade_cancels", "cancelErrors"),
    "orderbooks": ("subscribe_orderbooks", "unsubscribe_orderbooks", "orderbook"),
    "news": ("subscribe_news", "unsubscribe_news"),
    "trade_updates": ("subscribe_trade_updates",),
}
_SYMBOLS = "keys of a subscription: runtime.subscribe(feed, channel, *keys)"
_OPTIONS = {
    "data_timeout": "option stale_after of a subscription, with stale_action of [feeds.NAME.health]",
    "raw_data": "messages as dicts: msgspec.to_builtins(event) makes one of an event",
    "symbols": _SYMBOLS,
}


def _call(method: str, channel: str) -> str:
    if method.startswith("unsubscribe"):
        return f"stream.remove(*keys) and stream.close(), of a stream of channel {channel!r}"
    return f"runtime.subscribe(feed, {channel!r}, *keys), and runtime.on(...) with a handler"


def _feed(stream: str) -> str:
    return f"actors.start(...), with a feed of venue 'alpaca' and stream = {stream}"


WORDS = (
    ForeignWords(
        sdk="alpaca-py",
        channels={word: f"channel {channel!r}" for channel, words in _SUBSCRIBING.items() for word in words},
        options=_OPTIONS,
        keys={
            "api_key": "key 'key'",
            "secret_key": "key 'secret'",
            "feed": "key 'stream'",
            "url_override": "key 'url'",
            "endpoint": "key 'url'",
            "websocket_params": "keys max_message and compression, and ping_interval and pong_timeout of "
            "[feeds.NAME.heartbeat]",
            **_OPTIONS,
        },
        calls={
            "StockDataStream": _feed("'iex' or 'sip'"),
            "CryptoDataStream": _feed("'crypto'"),
            "OptionDataStream": _feed("'indicative' or 'opra'"),
            "NewsDataStream": _feed("'news'"),
            "TradingStream": _feed("'account'"),
            "DataStream": _feed("'iex', or another"),
            "run": "actors.start(...), which connects and returns",
            "stop_ws": "runtime.stop(), and stream.close() of one stream",
            "Orderbook": "actors.venues.alpaca.OrderBook",
            "TradingStatus": "actors.venues.alpaca.Status",
            "TradeCancel": "actors.venues.alpaca.CancelError",
            "TradeCorrection": "actors.venues.alpaca.Correction",
            "TradeUpdate": "actors.venues.alpaca.TradeUpdate",
            **{
                word: _call(word, channel)
                for channel, words in _SUBSCRIBING.items()
                for word in words
                if "_" in word and word.partition("_")[0] in {"subscribe", "unsubscribe", "register"}
            },
        },
    ),
    ForeignWords(
        sdk="ReadyTrader-Stocks",  # its thread manager and store lie over the streams of Alpaca
        options={"ttl_sec": "ttl of runtime.put_price(...), and max_age of runtime.latest(...)"},
        keys={"exchange": "key 'venue'", "market_type": "key 'stream'"},
        calls={
            "WsStreamManager": "actors.start(...), with runtime.add_feed(...) and runtime.remove_feed(...)",
            "AlpacaTickerStream": _feed("'iex'"),
            "InMemoryMarketDataStore": "runtime.latest(...) and runtime.put_price(...)",
            "MarketDataBus": "runtime.latest(...), and price_sources of its feed",
            "put_ticker": "runtime.put_price(feed, symbol, source=..., ttl=...)",
            "get_ticker": "runtime.latest(feed, symbol, max_age=...)",
            "fetch_ticker": "runtime.latest(feed, symbol, max_age=...)",
            "put_ohlcv": "runtime.bars(feed, symbol, timeframe), which makes them itself",
            "get_ohlcv": "runtime.bars(feed, symbol, timeframe)",
            "fetch_ohlcv": "runtime.bars(feed, symbol, timeframe)",
        },
    ),
)
