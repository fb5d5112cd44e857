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

    from actors.client.service_client import ServiceClient as ServiceClient
    from actors.errors import (
        AskError as AskError,
        AskFailedError as AskFailedError,
        AskRefusedError as AskRefusedError,
        Blind as Blind,
        ConfigError as ConfigError,
        ForkError as ForkError,
        LinewardenError as LinewardenError,
        NotLiveError as NotLiveError,
        RotationFailed as RotationFailed,
        RuntimeStopped as RuntimeStopped,
        ServiceDeclinedError as ServiceDeclinedError,
        ServiceUnreachableError as ServiceUnreachableError,
        StalePriceError as StalePriceError,
        StreamClosed as StreamClosed,
        SubscribeError as SubscribeError,
        Timeout as Timeout,
    )
    from actors.events import (
        Closed as Closed,
        Fresh as Fresh,
        Freshness as Freshness,
        Gap as Gap,
        Lifecycle as Lifecycle,
        Marker as Marker,
        Received as Received,
        Repaired as Repaired,
        Restored as Restored,
        Scope as Scope,
        Stale as Stale,
        SubscriptionState as SubscriptionState,
        Topic as Topic,
        VenueState as VenueState,
    )
    from actors.market.bar_handlers import BarHandler as BarHandler
    from actors.protocol.bars import Bar as Bar
    from actors.protocol.accounts import (
        AccountBalance as AccountBalance,
        AccountOrder as AccountOrder,
        AccountPosition as AccountPosition,
        Fill as Fill,
    )
    from actors.protocol.trading import (
        Accepted as Accepted,
        Bracket as Bracket,
        Refused as Refused,
        Unknown as Unknown,
    )
    from actors.rules.bars.frame import BarEvent as BarEvent
    from actors.display.records import records as records
    from actors.rules.bars.view import BarsView as BarsView, FrameView as FrameView
    from actors.rules.account.view import (
        AccountEvent as AccountEvent,
        AccountView as AccountView,
        Flat as Flat,
        OrderView as OrderView,
        PositionView as PositionView,
    )
    from actors.rules.latest_price import LatestPrice as LatestPrice
    from actors.rules.order_book import BookView as BookView
    from actors.runtime import Runtime as Runtime, running as running, start as start
    from actors.status import Status as Status
    from actors.stream import Marked as Marked, Stream as Stream
    from actors.supervision.permit import Permit as Permit
    from actors.trading.asks import Asked as Asked
    from actors.trading.beats import Beats as Beats
    from actors.trading.gathering import gather as gather
    from actors.trading.halt_handle import HaltHandle as HaltHandle
    from actors.trading.halt_sweep import CancelReport as CancelReport, HaltReport as HaltReport
    from actors.trading.order_handle import OrderHandle as OrderHandle
    from actors.trading.sizing import position_size as position_size
    from actors.trading.sweep import Sweep as Sweep, SweepHandle as SweepHandle, SweepStep as SweepStep
else:  # a type checker would take `__getattr__` for every name there may be
    # The same names. Each is imported when it is first used, so that the command can handle Ctrl-C before.
    _MODULES = {
        "Accepted": "actors.protocol.trading",
        "AccountBalance": "actors.protocol.accounts",
        "AccountEvent": "actors.rules.account.view",
        "AccountOrder": "actors.protocol.accounts",
        "AccountPosition": "actors.protocol.accounts",
        "AccountView": "actors.rules.account.view",
        "AskError": "actors.errors",
        "AskFailedError": "actors.errors",
        "AskRefusedError": "actors.errors",
        "Asked": "actors.trading.asks",
        "Bar": "actors.protocol.bars",
        "BarEvent": "actors.rules.bars.frame",
        "BarHandler": "actors.market.bar_handlers",
        "BarsView": "actors.rules.bars.view",
        "Beats": "actors.trading.beats",
        "Blind": "actors.errors",
        "BookView": "actors.rules.order_book",
        "Bracket": "actors.protocol.trading",
        "CancelReport": "actors.trading.halt_sweep",
        "Closed": "actors.events",
        "ConfigError": "actors.errors",
        "Fill": "actors.protocol.accounts",
        "Flat": "actors.rules.account.view",
        "ForkError": "actors.errors",
        "FrameView": "actors.rules.bars.view",
        "Fresh": "actors.events",
        "Freshness": "actors.events",
        "Gap": "actors.events",
        "HaltHandle": "actors.trading.halt_handle",
        "HaltReport": "actors.trading.halt_sweep",
        "LatestPrice": "actors.rules.latest_price",
        "Lifecycle": "actors.events",
        "LinewardenError": "actors.errors",
        "Marked": "actors.stream",
        "Marker": "actors.events",
        "NotLiveError": "actors.errors",
        "OrderHandle": "actors.trading.order_handle",
        "OrderView": "actors.rules.account.view",
        "Permit": "actors.supervision.permit",
        "PositionView": "actors.rules.account.view",
        "Received": "actors.events",
        "Refused": "actors.protocol.trading",
        "Repaired": "actors.events",
        "Restored": "actors.events",
        "RotationFailed": "actors.errors",
        "Runtime": "actors.runtime",
        "RuntimeStopped": "actors.errors",
        "Scope": "actors.events",
        "ServiceClient": "actors.client.service_client",
        "ServiceDeclinedError": "actors.errors",
        "ServiceUnreachableError": "actors.errors",
        "Stale": "actors.events",
        "StalePriceError": "actors.errors",
        "Status": "actors.status",
        "Stream": "actors.stream",
        "StreamClosed": "actors.errors",
        "SubscribeError": "actors.errors",
        "SubscriptionState": "actors.events",
        "Sweep": "actors.trading.sweep",
        "SweepHandle": "actors.trading.sweep",
        "SweepStep": "actors.trading.sweep",
        "Timeout": "actors.errors",
        "Topic": "actors.events",
        "Unknown": "actors.protocol.trading",
        "VenueState": "actors.events",
        "gather": "actors.trading.gathering",
        "records": "actors.display.records",
        "position_size": "actors.trading.sizing",
        "running": "actors.runtime",
        "start": "actors.runtime",
    }
    __all__ = tuple(_MODULES)

    def __getattr__(name: str) -> Any:
        from actors.lazy import imported

        if name not in _MODULES:
            import sys
            from importlib.util import find_spec

            if name.isidentifier() and find_spec(f"{__name__}.{name}") is not None:
                # `from actors import cli` asks for the attribute before it imports the module.
                raise AttributeError(f"module {__name__!r} has not imported {name!r} yet", name=name)
            unknown_name = imported("actors.venues.unknown_names:unknown_name")
            raise unknown_name(f"module {__name__!r}", name, sys.modules[__name__])
        found = globals()[name] = imported(f"{_MODULES[name]}:{name}")
        return found

    def __dir__() -> list[str]:
        return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
