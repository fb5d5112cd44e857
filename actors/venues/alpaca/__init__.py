"""Alpaca: its channels as typed constants, its events, its settings.

`venue` is what it offers, `channels` its channels, `endpoints` where; `messages` and `account_messages` are
its pages of the API docs, `timestamps` its times, `codec` how they are read and written; `session` and
`account_session` how to talk to market data and to an account, `keyed_session` what both have in common,
`subscriptions` what one connection has asked for, `errors` what Alpaca's codes mean, `latest` its prices
over REST.
"""

from actors.venues.alpaca.account_messages import Execution, Order, TradeUpdate
from actors.venues.alpaca.account_session import AccountSession
from actors.venues.alpaca.channels import (
    BARS,
    CANCEL_ERRORS,
    CORRECTIONS,
    DAILY_BARS,
    IMBALANCES,
    LULDS,
    NEWS,
    ORDERBOOKS,
    PRICING,
    QUOTES,
    STATUSES,
    TRADE_UPDATES,
    TRADES,
    UPDATED_BARS,
)
from actors.venues.alpaca.messages import (
    Bar,
    CancelError,
    Correction,
    DailyBar,
    Imbalance,
    Level,
    Luld,
    News,
    OrderBook,
    Pricing,
    Quote,
    Status,
    Trade,
    UpdatedBar,
)
from actors.venues.alpaca.session import AlpacaSession
from actors.venues.alpaca.venue import Alpaca, AlpacaSettings

__all__ = [
    "BARS",
    "CANCEL_ERRORS",
    "CORRECTIONS",
    "DAILY_BARS",
    "IMBALANCES",
    "LULDS",
    "NEWS",
    "ORDERBOOKS",
    "PRICING",
    "QUOTES",
    "STATUSES",
    "TRADES",
    "TRADE_UPDATES",
    "UPDATED_BARS",
    "AccountSession",
    "Alpaca",
    "AlpacaSession",
    "AlpacaSettings",
    "Bar",
    "CancelError",
    "Correction",
    "DailyBar",
    "Execution",
    "Imbalance",
    "Level",
    "Luld",
    "News",
    "Order",
    "OrderBook",
    "Pricing",
    "Quote",
    "Status",
    "Trade",
    "TradeUpdate",
    "UpdatedBar",
]
