"""Supervised real-time connections for synchronous Python.

import actors

with actors.start("config/desk.toml") as runtime:
    for trade in runtime.subscribe("o2", "trades", MARKET):
        print(trade.price, trade.quantity)
"""

from actors.errors import (
    ConfigError,
    ForkError,
    LinewardenError,
    NotLiveError,
    RotationFailed,
    RuntimeStopped,
    StalePriceError,
    StreamClosed,
    SubscribeError,
    Timeout,
)
from actors.events import Closed, Gap, Lifecycle, Marker, Received, SubscriptionState, Topic
from actors.rules.latest_price import LatestPrice
from actors.rules.order_book import BookView
from actors.runtime import Runtime, start
from actors.status import Status
from actors.stream import Stream

__all__ = [
    "BookView",
    "Closed",
    "ConfigError",
    "ForkError",
    "Gap",
    "LatestPrice",
    "Lifecycle",
    "LinewardenError",
    "Marker",
    "NotLiveError",
    "Received",
    "RotationFailed",
    "Runtime",
    "RuntimeStopped",
    "StalePriceError",
    "Status",
    "Stream",
    "StreamClosed",
    "SubscribeError",
    "SubscriptionState",
    "Timeout",
    "Topic",
    "start",
]
