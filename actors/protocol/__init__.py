"""The public API for authors of venues: a venue imports this module, and nothing else of the package.

`docs/venues.md` is the guide; `actors.protocol.signalr` has what hubs that speak SignalR share.

Names of types that have no docstring of their own:

`Frame`: `(opcode, payload)` of a whole message, `TEXT` (valid UTF-8) or `BINARY` (RFC 6455, 5.2).
`Effect`: what a session returns, the union of `Send`, `Announce`, … More members are added to it.
`Conversation[T]`: a generator that yields `HttpRequest`, is sent `HttpAnswer`, and returns `T` or a `Reason`.
`Steps[T]`: the same as a part of a conversation: it raises `NoResultError` where it cannot return `T`.
`Reason`: `Retryable`, `Slow`, `Weather`, `Fatal`, and those with which Linewarden ends a connection itself.
`Option`: text, a number or a truth value. `Options`: the `(name, Option)` pairs of a topic, sorted by name.
`Bounds`: a tuple of `Bound`. `GapReason`: the reasons of a `Gap`, of which a session uses `sequence`,
`quarantine` and `unknown`. `StateName`: the states of a `VenueState`.
`AccountRow`: `AccountOrder`, `AccountPosition`, `Fill`, `AccountBalance`. `OrderState`: the states of an
order. `BarUnit`: the units of a `Timeframe`.
`AnyMutation`: `Place`, `Modify`, `Cancel`, `Close`. `OrderOutcome`: `Accepted`, `Refused`, `Unknown`.
`Side`: "buy" or "sell". `OrderType`: the types of an order. `Align`: "refuse" or "safe", what becomes of a
price that is off its tick. `Lane`: "read", "change" or "flatten", the part of a meter and of the connections
that a request may use.
`REDACTED`: the text that stands in place of a secret.
`exact_decimal`: the `Decimal` of a text, or an ArithmeticError if it has too many digits or too large an
exponent; a `float_hook` for msgspec.
"""

from __future__ import annotations

from actors.errors import LinewardenError
from actors.events import GapReason, Option, Options, Scope, StateName, Topic, VenueState
from actors.http_types import Endpoint, HttpAnswer, HttpFailed, HttpRequest, is_loopback
from actors.lazy import Imported
from actors.protocol.accounts import (
    AccountBalance,
    AccountOrder,
    AccountPosition,
    AccountReads,
    AccountRow,
    Fill,
    Listed,
    OrderState,
    Side,
)
from actors.protocol.asked import AskedTopic, TopicAnswer, confirm, refuse, topics_of
from actors.protocol.backfill import Backfilled, Loss
from actors.protocol.bars import Bar, BarQuery, BarUnit, Print, Timeframe, finished_bars
from actors.protocol.channel import DepthChannel, TypedChannel
from actors.protocol.conversation import Conversation, Token, decoded, is_token, settled, status_reason
from actors.protocol.error_codes import code_of
from actors.protocol.foreign_words import ForeignWords
from actors.protocol.formatting import amount, price_words, short, suggestion
from actors.protocol.joining import RowChain, joined
from actors.protocol.limits import FrameLimit, RateLimit, SendRate, TokenBucket
from actors.protocol.numbers import exact_decimal, is_bounded, known_time
from actors.protocol.placement import Bound, Bounds, Placement
from actors.protocol.prices import BookUpdate, Price
from actors.protocol.recent_ids import RecentIds
from actors.protocol.rest import Call, CallRefused, Lane, NoResultError, RestApi, Steps, until_failure
from actors.protocol.session import (
    BINARY,
    TEXT,
    Announce,
    Answered,
    Complain,
    Confirm,
    ConnectionCloses,
    Deliver,
    Duplicates,
    Effect,
    EffectBatch,
    End,
    Fetch,
    Frame,
    Missed,
    Quarantine,
    Reject,
    Resent,
    Resync,
    Send,
    Session,
    SessionState,
    TokenRefused,
    Unrouted,
)
from actors.protocol.ticks import money, nearest_tick, off_tick, on_tick, ticks
from actors.protocol.timestamps import iso_nanoseconds
from actors.protocol.trading import (
    Accepted,
    AccountLook,
    Align,
    AnyMutation,
    Bracket,
    Cancel,
    Close,
    Contract,
    Exposure,
    FinalRow,
    Intent,
    Modify,
    Mutation,
    OrderOutcome,
    OrderType,
    Place,
    Refused,
    TradingApi,
    Unknown,
    WorkingOrder,
    adds_risk,
    lane_of,
)
from actors.protocol.variables import Variable
from actors.protocol.venue import Channel, Opening, Refusal, Venue, VenueSettings
from actors.reasons import Fatal, Reason, Retryable, Slow, Weather
from actors.secret import REDACTED, RedactedStruct, Secret, SecretFile, origin

__all__ = (
    "BINARY",
    "REDACTED",
    "TEXT",
    "Accepted",
    "AccountBalance",
    "AccountLook",
    "AccountOrder",
    "AccountPosition",
    "AccountReads",
    "AccountRow",
    "Align",
    "Announce",
    "Answered",
    "AnyMutation",
    "AskedTopic",
    "Backfilled",
    "Bar",
    "BarQuery",
    "BarUnit",
    "BookUpdate",
    "Bound",
    "Bounds",
    "Bracket",
    "Call",
    "CallRefused",
    "Cancel",
    "Channel",
    "Close",
    "Complain",
    "Confirm",
    "ConnectionCloses",
    "Contract",
    "Conversation",
    "Deliver",
    "DepthChannel",
    "Duplicates",
    "Effect",
    "EffectBatch",
    "End",
    "Endpoint",
    "Exposure",
    "Fatal",
    "Fetch",
    "Fill",
    "FinalRow",
    "ForeignWords",
    "Frame",
    "FrameLimit",
    "GapReason",
    "HttpAnswer",
    "HttpFailed",
    "HttpRequest",
    "Imported",
    "Intent",
    "Lane",
    "LinewardenError",
    "Listed",
    "Loss",
    "Missed",
    "Modify",
    "Mutation",
    "NoResultError",
    "Opening",
    "Option",
    "Options",
    "OrderOutcome",
    "OrderState",
    "OrderType",
    "Place",
    "Placement",
    "Price",
    "Print",
    "Quarantine",
    "RateLimit",
    "Reason",
    "RecentIds",
    "RedactedStruct",
    "Refusal",
    "Refused",
    "Reject",
    "Resent",
    "RestApi",
    "Resync",
    "Retryable",
    "RowChain",
    "Scope",
    "Secret",
    "SecretFile",
    "Send",
    "SendRate",
    "Session",
    "SessionState",
    "Side",
    "Slow",
    "StateName",
    "Steps",
    "Timeframe",
    "Token",
    "TokenBucket",
    "TokenRefused",
    "Topic",
    "TopicAnswer",
    "TradingApi",
    "TypedChannel",
    "Unknown",
    "Unrouted",
    "Variable",
    "Venue",
    "VenueSettings",
    "VenueState",
    "Weather",
    "WorkingOrder",
    "adds_risk",
    "amount",
    "code_of",
    "confirm",
    "decoded",
    "exact_decimal",
    "finished_bars",
    "is_bounded",
    "is_loopback",
    "is_token",
    "iso_nanoseconds",
    "joined",
    "known_time",
    "lane_of",
    "money",
    "nearest_tick",
    "off_tick",
    "on_tick",
    "origin",
    "price_words",
    "refuse",
    "settled",
    "short",
    "status_reason",
    "suggestion",
    "ticks",
    "topics_of",
    "until_failure",
)
