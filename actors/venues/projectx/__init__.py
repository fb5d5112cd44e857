"""ProjectX (TopstepX and other firms): its channels as typed constants, its events, its settings.

`venue` is what it offers, `platforms` where, `settings` what a config may say. `messages` are its events;
`pushes` reads them in their usual shape, `normalise` finds them in any other,
`quote_merge` makes sparse quotes whole, `hub_methods` has the hubs' methods. `session` is what both hubs'
connections have in common, `user_session` and `market_session` what they have not, `pending` what came too
early. `login` is how a token is got, `errors` what the gateway's refusals mean. `rest` has all other
requests.
"""

import sys
from typing import TYPE_CHECKING

from actors.venues.projectx.market_session import MarketSession as MarketSession
from actors.venues.projectx.messages import (
    Account as Account,
    AccountTrade as AccountTrade,
    Depth as Depth,
    DepthReset as DepthReset,
    DomType as DomType,
    Order as Order,
    OrderSide as OrderSide,
    OrderStatus as OrderStatus,
    OrderType as OrderType,
    Position as Position,
    PositionType as PositionType,
    Quote as Quote,
    Trade as Trade,
    TradeType as TradeType,
)
from actors.venues.projectx.rest import (
    BarUnit as BarUnit,
    Listing as Listing,
    ProjectXApi as ProjectXApi,
)
from actors.venues.projectx.settings import ProjectXSettings as ProjectXSettings
from actors.venues.projectx.user_session import UserSession as UserSession
from actors.venues.projectx.venue import (
    ACCOUNT_TRADES as ACCOUNT_TRADES,
    ACCOUNTS as ACCOUNTS,
    DEPTH as DEPTH,
    ORDERS as ORDERS,
    POSITIONS as POSITIONS,
    QUOTES as QUOTES,
    TRADES as TRADES,
    ProjectX as ProjectX,
)

if not TYPE_CHECKING:  # a type checker would take every name

    def __getattr__(name: str) -> object:
        from actors.venues.unknown_names import unknown_name

        raise unknown_name(f"module {__name__!r}", name, sys.modules[__name__], [ProjectX])
