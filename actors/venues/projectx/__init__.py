"""ProjectX (TopstepX and other firms): its channels as typed constants, its events, its settings.

`venue` is what it offers, `platforms` where, `settings` what a config may say. `messages` are its events
and `stamps` their times; `pushes` reads them in their usual shape, `normalise` finds them in whatever other,
`quotes` makes sparse ones whole, `streams` has the hubs' methods. `session` is what both hubs' connections
have in common, `user` and `market` what they have not, `waiting` what came too early. `login` is how a token
is got, `errors` what the gateway's refusals mean.
"""

from actors.venues.projectx.market_session import MarketSession
from actors.venues.projectx.messages import (
    Account,
    AccountTrade,
    Depth,
    DepthReset,
    DomType,
    Order,
    OrderSide,
    OrderStatus,
    OrderType,
    Position,
    PositionType,
    Quote,
    Trade,
    TradeType,
)
from actors.venues.projectx.settings import ProjectXSettings
from actors.venues.projectx.user_session import UserSession
from actors.venues.projectx.venue import (
    ACCOUNT_TRADES,
    ACCOUNTS,
    DEPTH,
    ORDERS,
    POSITIONS,
    QUOTES,
    TRADES,
    ProjectX,
)

__all__ = [
    "ACCOUNTS",
    "ACCOUNT_TRADES",
    "DEPTH",
    "ORDERS",
    "POSITIONS",
    "QUOTES",
    "TRADES",
    "Account",
    "AccountTrade",
    "Depth",
    "DepthReset",
    "DomType",
    "MarketSession",
    "Order",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "Position",
    "PositionType",
    "ProjectX",
    "ProjectXSettings",
    "Quote",
    "Trade",
    "TradeType",
    "UserSession",
]
