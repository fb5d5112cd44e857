"""tplus (T+): its channels as typed constants, its events, its settings.

`messages` are its events, `decoding` how they are read, `paths` which path bears which and on what line,
`ids` how assets and users are written, `session` one socket, `depth_session` a book's socket, `login` how a
token is got, `keystore` how its key is read from a file of tpluspy, `errors` what tplus' errors mean,
`settings` what a config may say, `venue` what it offers.
"""

import sys
from typing import TYPE_CHECKING

from actors.venues.tplus.depth_session import DepthSession as DepthSession
from actors.venues.tplus.messages import (
    GTC as GTC,
    GTD as GTD,
    IOC as IOC,
    AccountEvent as AccountEvent,
    AccountStats as AccountStats,
    Amended as Amended,
    AmendFailed as AmendFailed,
    BaseAsset as BaseAsset,
    CalledVenue as CalledVenue,
    Canceled as Canceled,
    CancelFailed as CancelFailed,
    Created as Created,
    CreateFailed as CreateFailed,
    DepositLanded as DepositLanded,
    DepthChange as DepthChange,
    DepthSnapshot as DepthSnapshot,
    Intent as Intent,
    Level as Level,
    Limit as Limit,
    MarginCallUpdated as MarginCallUpdated,
    Market as Market,
    OpenInterest as OpenInterest,
    Order as Order,
    OrderEvent as OrderEvent,
    Position as Position,
    PositionCleared as PositionCleared,
    PositionUpdate as PositionUpdate,
    PriceAbove as PriceAbove,
    PriceBelow as PriceBelow,
    Quote as Quote,
    QuoteAsset as QuoteAsset,
    Removed as Removed,
    Replaced as Replaced,
    ReplaceFailed as ReplaceFailed,
    SubAccountAssetTransferred as SubAccountAssetTransferred,
    Target as Target,
    Ticker as Ticker,
    Timebar as Timebar,
    Trade as Trade,
    Trigger as Trigger,
    Triggered as Triggered,
    Unknown as Unknown,
    Updated as Updated,
    UserTrade as UserTrade,
    WithdrawalCompleted as WithdrawalCompleted,
)
from actors.venues.tplus.session import TplusSession as TplusSession
from actors.venues.tplus.settings import TplusSettings as TplusSettings
from actors.venues.tplus.venue import (
    ACCOUNT_EVENTS as ACCOUNT_EVENTS,
    ACCOUNT_STATS as ACCOUNT_STATS,
    DEPTH as DEPTH,
    INTENT as INTENT,
    KLINES as KLINES,
    MARKET_TRADE_EVENTS as MARKET_TRADE_EVENTS,
    MARKET_TRADES as MARKET_TRADES,
    ORDERS as ORDERS,
    POSITIONS as POSITIONS,
    TICKER as TICKER,
    TICKERS as TICKERS,
    TRADE_EVENTS as TRADE_EVENTS,
    TRADES as TRADES,
    USER_FINALIZED_TRADES as USER_FINALIZED_TRADES,
    USER_TRADES as USER_TRADES,
    Tplus as Tplus,
)

if not TYPE_CHECKING:  # a type checker would take every name

    def __getattr__(name: str) -> object:
        from actors.venues.unknown_names import unknown_name

        raise unknown_name(f"module {__name__!r}", name, sys.modules[__name__], [Tplus])
