"""O2 Exchange: its channels as typed constants, its events, its settings.

`messages` is its page of the API docs, `venue` what it offers, `session` how to talk to it,
`subscriptions` what one connection has asked for, `errors` what O2's codes mean, `repair` how odd
frames are read.
"""

from actors.venues.o2.messages import (
    Balance,
    BookBalance,
    DepthChange,
    DepthSnapshot,
    DepthView,
    Fill,
    Level,
    Nonce,
    Order,
    Trade,
)
from actors.venues.o2.session import O2Session
from actors.venues.o2.venue import BALANCES, DEPTH, DEPTH_VIEW, NONCE, O2, ORDERS, TRADES, O2Settings

__all__ = [
    "BALANCES",
    "DEPTH",
    "DEPTH_VIEW",
    "NONCE",
    "O2",
    "ORDERS",
    "TRADES",
    "Balance",
    "BookBalance",
    "DepthChange",
    "DepthSnapshot",
    "DepthView",
    "Fill",
    "Level",
    "Nonce",
    "O2Session",
    "O2Settings",
    "Order",
    "Trade",
]
