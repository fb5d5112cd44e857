"""Supervised real-time connections for synchronous Python.

import actors

with actors.start("config/desk.toml") as runtime:
    for trade in runtime.subscribe("o2", "trades", MARKET):
        print(trade.price, trade.quantity)
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it: `typing` would be imported before Ctrl-C is handled

if TYPE_CHECKING:
    from typing import Any

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

# A name is imported when it is first asked for: the command handles Ctrl-C from before that on.
_HOMES = {
    "BookView": "actors.rules.order_book",
    "Closed": "actors.events",
    "ConfigError": "actors.errors",
    "ForkError": "actors.errors",
    "Gap": "actors.events",
    "LatestPrice": "actors.rules.latest_price",
    "Lifecycle": "actors.events",
    "LinewardenError": "actors.errors",
    "Marker": "actors.events",
    "NotLiveError": "actors.errors",
    "Received": "actors.events",
    "RotationFailed": "actors.errors",
    "Runtime": "actors.runtime",
    "RuntimeStopped": "actors.errors",
    "StalePriceError": "actors.errors",
    "Status": "actors.status",
    "Stream": "actors.stream",
    "StreamClosed": "actors.errors",
    "SubscribeError": "actors.errors",
    "SubscriptionState": "actors.events",
    "Timeout": "actors.errors",
    "Topic": "actors.events",
    "start": "actors.runtime",
}

if not TYPE_CHECKING:  # a type checker would take it to have every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from actors.lazy import imported

        found = globals()[name] = imported(f"{_HOMES[name]}:{name}")
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
