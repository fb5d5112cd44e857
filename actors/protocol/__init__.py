"""All that a venue is written with: its class and settings, its sessions, and the values that they exchange.

`docs/venues.md` shows how; hubs that speak SignalR find more in `actors.protocol.signalr`.
"""

from __future__ import annotations

from actors.errors import LinewardenError
from actors.events import GapReason, Option, Options, Topic
from actors.http_types import Endpoint, HttpAnswer, HttpFailed, HttpRequest
from actors.lazy import Imported
from actors.protocol.batch import EffectBatch
from actors.protocol.channel import TypedChannel
from actors.protocol.conversation import Conversation, Token
from actors.protocol.error_codes import code_of
from actors.protocol.formatting import amount, price_words, short, suggestion
from actors.protocol.limits import RateLimit, SendRate, TokenBucket
from actors.protocol.placement import Bound, Bounds, Placement
from actors.protocol.session import (
    BINARY,
    TEXT,
    Announce,
    Answered,
    Complain,
    Confirm,
    Deliver,
    Duplicates,
    Effect,
    End,
    Fetch,
    Frame,
    Missed,
    Quarantine,
    Reject,
    Resent,
    Send,
    Session,
    State,
    TokenRefused,
    Unrouted,
)
from actors.protocol.statuses import status_reason
from actors.protocol.venue import BookUpdate, Channel, Opening, Price, Refusal, Venue, VenueSettings
from actors.reasons import Fatal, Reason, Retryable, Slow
from actors.secret import REDACTED, RedactedStruct, Secret, origin

__all__ = (
    "BINARY",
    "REDACTED",
    "TEXT",
    "Announce",
    "Answered",
    "BookUpdate",
    "Bound",
    "Bounds",
    "Channel",
    "Complain",
    "Confirm",
    "Conversation",
    "Deliver",
    "Duplicates",
    "Effect",
    "EffectBatch",
    "End",
    "Endpoint",
    "Fatal",
    "Fetch",
    "Frame",
    "GapReason",
    "HttpAnswer",
    "HttpFailed",
    "HttpRequest",
    "Imported",
    "LinewardenError",
    "Missed",
    "Opening",
    "Option",
    "Options",
    "Placement",
    "Price",
    "Quarantine",
    "RateLimit",
    "Reason",
    "RedactedStruct",
    "Refusal",
    "Reject",
    "Resent",
    "Retryable",
    "Secret",
    "Send",
    "SendRate",
    "Session",
    "Slow",
    "State",
    "Token",
    "TokenBucket",
    "TokenRefused",
    "Topic",
    "TypedChannel",
    "Unrouted",
    "Venue",
    "VenueSettings",
    "amount",
    "code_of",
    "origin",
    "price_words",
    "short",
    "status_reason",
    "suggestion",
)
