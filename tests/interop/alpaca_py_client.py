"""A program on alpaca-py, as its users write one: what it hears goes to stdout, a JSON object a line.

It runs in the SDK's own virtualenv, so it knows nothing of Linewarden.
"""
# mypy: ignore-errors

import json
import logging
import sys
import threading
from datetime import UTC, datetime

from alpaca.data.historical import (
    CryptoHistoricalDataClient,
    OptionHistoricalDataClient,
    StockHistoricalDataClient,
)
from alpaca.data.historical.news import NewsClient
from alpaca.data.live import CryptoDataStream, NewsDataStream, OptionDataStream, StockDataStream
from alpaca.data.requests import (
    CryptoLatestOrderbookRequest,
    NewsRequest,
    OptionLatestQuoteRequest,
    StockBarsRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest
from alpaca.trading.stream import TradingStream

OPTION = "AAPL281215C00200000"
SPAN = {"start": datetime(2026, 3, 2, tzinfo=UTC), "end": datetime(2026, 3, 3, tzinfo=UTC)}
_lock = threading.Lock()


def tell(stream, **what):
    with _lock:
        sys.stdout.write(json.dumps({"stream": stream, **what}, default=str) + "\n")
        sys.stdout.flush()


class Log(logging.Handler):
    """What the SDK has to say for itself: it tells of acknowledgements and errors nowhere else."""

    def emit(self, record):
        tell("log", text=record.getMessage())


def teller(stream):
    async def handle(update):
        tell(stream, update=update.model_dump() if hasattr(update, "model_dump") else update)

    return handle


def hear_streams(url, http, key, secret):
    stocks = StockDataStream(key, secret, url_override=f"{url}v2/iex")
    stocks.subscribe_quotes(teller("quotes"), "AAPL")
    stocks.subscribe_trades(teller("trades"), "AAPL")
    stocks.subscribe_bars(teller("bars"), "AAPL")
    stocks.subscribe_updated_bars(teller("updatedBars"), "AAPL")
    stocks.subscribe_daily_bars(teller("dailyBars"), "AAPL")
    stocks.subscribe_trading_statuses(teller("statuses"), "AAPL")
    stocks.register_trade_corrections(teller("corrections"))
    stocks.register_trade_cancels(teller("cancelErrors"))
    crypto = CryptoDataStream(key, secret, url_override=f"{url}v1beta3/crypto/us")
    crypto.subscribe_orderbooks(teller("orderbooks"), "BTC/USD")
    crypto.subscribe_trades(teller("crypto trades"), "BTC/USD")
    options = OptionDataStream(key, secret, url_override=f"{url}v1beta1/indicative")
    options.subscribe_quotes(teller("option quotes"), OPTION)
    options.subscribe_trades(teller("option trades"), OPTION)
    news = NewsDataStream(key, secret, url_override=f"{url}v1beta1/news")
    news.subscribe_news(teller("news"), "*")
    account = TradingStream(key, secret, url_override=f"{url}stream")
    account.subscribe_trade_updates(teller("trade updates"))
    running = [threading.Thread(target=each.run) for each in (stocks, crypto, options, news, account)]
    for each in running:
        each.start()


def read_pages(url, http, key, secret):
    keys = {"api_key": key, "secret_key": secret, "url_override": http}
    stocks = StockHistoricalDataClient(**keys)
    named = {"symbol_or_symbols": ["AAPL"]}
    trading = TradingClient(**keys)
    order = LimitOrderRequest(
        symbol="XYZ", qty=5, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=7
    )
    books = CryptoLatestOrderbookRequest(symbol_or_symbols="BTC/USD")
    pages = {
        "latest quote": lambda: stocks.get_stock_latest_quote(StockLatestQuoteRequest(**named))["AAPL"],
        "latest trade": lambda: stocks.get_stock_latest_trade(StockLatestTradeRequest(**named))["AAPL"],
        "trades": lambda: stocks.get_stock_trades(StockTradesRequest(**named, **SPAN)),
        "minutes": lambda: stocks.get_stock_bars(
            StockBarsRequest(**named, **SPAN, timeframe=TimeFrame.Minute)
        ),
        "snapshot": lambda: stocks.get_stock_snapshot(StockSnapshotRequest(**named))["AAPL"],
        "option quote": lambda: OptionHistoricalDataClient(**keys).get_option_latest_quote(
            OptionLatestQuoteRequest(symbol_or_symbols=OPTION)
        )[OPTION],
        "orderbook": lambda: CryptoHistoricalDataClient(**keys).get_crypto_latest_orderbook(books)["BTC/USD"],
        "articles": lambda: NewsClient(**keys).get_news(NewsRequest(limit=5)).data["news"][0],
        "order": lambda: trading.submit_order(order),
        "orders": lambda: trading.get_orders()[0],
        "position": lambda: trading.get_all_positions()[0],
        "account": trading.get_account,
        "clock": trading.get_clock,
    }
    for name, page in pages.items():
        try:
            tell(name, update=page().model_dump())
        except Exception as error:
            tell(name, error=f"{type(error).__name__}: {error}")


logging.getLogger("alpaca").addHandler(Log())
logging.getLogger("alpaca").setLevel(logging.INFO)
{"streams": hear_streams, "pages": read_pages}[sys.argv[1]](*sys.argv[2:])
