"""O2 Exchange: its channels as typed constants, its events, its settings.

`messages` is its page of the API docs, `venue` what it offers, `session` how to talk to it,
`subscriptions` what one connection has asked for, `errors` what O2's codes mean, `lenient` how odd
frames are read.
"""

import sys
from typing import TYPE_CHECKING

from actors.venues.o2.messages import (
    Balance as Balance,
    BookBalance as BookBalance,
    DepthChange as DepthChange,
    DepthSnapshot as DepthSnapshot,
    DepthView as DepthView,
    Fill as Fill,
    Level as Level,
    Nonce as Nonce,
    Order as Order,
    Trade as Trade,
)
from actors.venues.o2.session import O2Session as O2Session
from actors.venues.o2.venue import (
    BALANCES as BALANCES,
    DEPTH as DEPTH,
    DEPTH_VIEW as DEPTH_VIEW,
    NONCE as NONCE,
    O2 as O2,
    ORDERS as ORDERS,
    TRADES as TRADES,
    Frequency as Frequency,
    O2Settings as O2Settings,
    Precision as Precision,
)

if not TYPE_CHECKING:  # a type checker would take every name

    def __getattr__(name: str) -> object:
        from actors.venues.unknown_names import unknown_name

        raise unknown_name(f"module {__name__!r}", name, sys.modules[__name__], [O2])
