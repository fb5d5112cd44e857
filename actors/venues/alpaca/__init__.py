"""Alpaca: its channels as typed constants, its events, its settings.

`venue` is what it offers, `channels` its channels, `endpoints` where; `messages` and `account_messages` are
its pages of the API docs, `timestamps` its times, `codec` how they are read and written; `session` and
`account_session` how to talk to market data and to an account, `keyed_session` what both have in common,
`subscriptions` what one connection has asked for, `errors` what Alpaca's codes mean, `latest` its prices
over REST.
"""

import sys
from typing import TYPE_CHECKING

from actors.venues.alpaca.account_messages import (
    Execution as Execution,
    Order as Order,
    TradeUpdate as TradeUpdate,
)
from actors.venues.alpaca.account_session import AccountSession as AccountSession
from actors.venues.alpaca.channels import (
    BARS as BARS,
    CANCEL_ERRORS as CANCEL_ERRORS,
    CORRECTIONS as CORRECTIONS,
    DAILY_BARS as DAILY_BARS,
    IMBALANCES as IMBALANCES,
    LULDS as LULDS,
    NEWS as NEWS,
    ORDERBOOKS as ORDERBOOKS,
    PRICING as PRICING,
    QUOTES as QUOTES,
    STATUSES as STATUSES,
    TRADE_UPDATES as TRADE_UPDATES,
    TRADES as TRADES,
    UPDATED_BARS as UPDATED_BARS,
)
from actors.venues.alpaca.messages import (
    Bar as Bar,
    CancelError as CancelError,
    Correction as Correction,
    DailyBar as DailyBar,
    Imbalance as Imbalance,
    Level as Level,
    Luld as Luld,
    News as News,
    OrderBook as OrderBook,
    Pricing as Pricing,
    Quote as Quote,
    Status as Status,
    Trade as Trade,
    UpdatedBar as UpdatedBar,
)
from actors.venues.alpaca.session import AlpacaSession as AlpacaSession
from actors.venues.alpaca.venue import Alpaca as Alpaca, AlpacaSettings as AlpacaSettings

if not TYPE_CHECKING:  # a type checker would take every name

    def __getattr__(name: str) -> object:
        from actors.venues.unknown_names import unknown_name

        raise unknown_name(f"module {__name__!r}", name, sys.modules[__name__], [Alpaca])
