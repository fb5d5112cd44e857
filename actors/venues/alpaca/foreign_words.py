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
_TTL = "ttl= of runtime.put_price(...), and max_age= of runtime.latest(...), in seconds"
_SYMBOLS = "keys of a subscription: runtime.subscribe(feed, channel, *keys)"
_OPTIONS = {
    "data_timeout": "option stale_after of a subscription, with stale_action of [feeds.NAME.health]",
    "raw_data": "messages as dicts: msgspec.to_builtins(event) makes one of an event",
    "symbols": _SYMBOLS,
}


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Its clients of REST, and those of their methods that a program calls beside its streams.
_OF_REST = _names("""
TradingClient BrokerClient NewsClient ScreenerClient CorporateActionsClient
submit_order replace_order_by_id cancel_order_by_id cancel_orders get_orders get_order_by_id
get_all_positions get_open_position close_position close_all_positions get_account get_clock get_calendar
get_asset get_all_assets get_news
MarketOrderRequest LimitOrderRequest StopOrderRequest StopLimitOrderRequest TrailingStopOrderRequest
GetOrdersRequest
""")
_OF_PRICES = _names("""
get_stock_latest_trade get_stock_latest_quote get_stock_snapshot
get_crypto_latest_trade get_crypto_latest_quote get_crypto_snapshot
StockLatestTradeRequest StockLatestQuoteRequest StockSnapshotRequest
CryptoLatestTradeRequest CryptoLatestQuoteRequest CryptoSnapshotRequest
""")
_OF_BARS = _names("get_stock_bars get_crypto_bars StockBarsRequest CryptoBarsRequest")


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
            "max_queue": "capacity= of runtime.subscribe(...)",
            "max_size": "key 'max_message'",
            "ping_timeout": "pong_timeout of [feeds.NAME.heartbeat]",
            "extra_headers": "key 'login', for the keys alone: other headers cannot be added",
            **_OPTIONS,
        },
        calls={
            **dict.fromkeys(_OF_REST, "REST, which Linewarden does not replace: keep alpaca-py for it"),
            **dict.fromkeys(_OF_PRICES, "runtime.latest(feed, symbol), which asks REST as well"),
            **dict.fromkeys(_OF_BARS, "runtime.bars(feed, symbol, timeframe)"),
            **dict.fromkeys(
                ("StockHistoricalDataClient", "CryptoHistoricalDataClient", "OptionHistoricalDataClient"),
                "REST: runtime.latest(...) and runtime.bars(...) ask it; for the rest keep alpaca-py",
            ),
            **dict.fromkeys(("DataFeed", "CryptoFeed", "OptionsFeed"), "key 'stream', such as 'iex'"),
            "BaseURL": "key 'url' of a feed; without it, the feed connects to Alpaca",
            "TradeEvent": "a text: event of a TradeUpdate, such as 'fill'",
            **dict.fromkeys(
                _names("OrderSide OrderStatus OrderType OrderClass TimeInForce AssetClass PositionIntent"),
                "a text, which is the member's name in lower case, such as 'buy'",
            ),
            "TimeFrame": "a text: timeframe of runtime.bars(...), such as '5min'",
            "StockDataStream": _feed("'iex' or 'sip'"),
            "CryptoDataStream": _feed("'crypto'"),
            "OptionDataStream": _feed("'indicative' or 'opra'"),
            "NewsDataStream": _feed("'news'"),
            "TradingStream": _feed("'account'"),
            "DataStream": _feed("'iex', or another"),
            "run": "actors.start(...), which connects and returns",
            **dict.fromkeys(("stop", "stop_ws", "close"), "runtime.stop(), and stream.close() of one stream"),
            **{each: f"actors.venues.alpaca.{each}" for each in ("Bar", "News", "Order", "Quote", "Trade")},
            "OrderbookQuote": "actors.venues.alpaca.Level",
            "NewsImage": "nothing: Alpaca sends images over REST alone",
            "ModelWithID": "nothing: each event has its id",
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
        options={"ttl_sec": _TTL},
        keys={
            "exchange": "key 'venue'",
            "market_type": "key 'stream'",
            "ttl_sec": _TTL,
            "priority": "key 'price_sources'",
            "MARKETDATA_PROVIDER_PRIORITY_JSON": "key 'price_sources'",
            "MARKETDATA_MAX_AGE_MS": _TTL,
        },
        calls={
            "start": "runtime.add_feed(name, table)",
            "stats": "runtime.status()",
            "metrics": "metrics= of actors.start(...)",
            "TickerSnapshot": "actors.LatestPrice, which runtime.latest(...) returns",
            "MarketDataResult": "actors.LatestPrice, which runtime.latest(...) returns",
            **dict.fromkeys(
                (
                    "MarketDataProvider",
                    "IngestMarketDataProvider",
                    "StockMarketDataProvider",
                    "load_marketdata_plugins",
                ),
                "a thread of yours that calls runtime.put_price(...)",
            ),
            "parse_alpaca_ticker_message": "nothing: events are typed",
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
