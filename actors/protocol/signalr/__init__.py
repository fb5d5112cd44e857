"""The SignalR hub protocol of ASP.NET Core, the client's side of it, for any venue that speaks it.

`negotiate` is how a venue's `approach` finds its endpoint; `HubSession` is what its session is built
on: a venue says which invocations a topic takes, and receives what the hub invokes. Not here, with a
place for each: MessagePack is another codec (`messages.py`), and a stateful reconnect would be asked
for at the negotiation and numbers messages in the codec.
"""

from actors.protocol.signalr.calls import Call, CallOutcome, CallRefused, Returned, Unanswered
from actors.protocol.signalr.messages import (
    Close,
    Codec,
    Completion,
    Heard,
    Invocation,
    JsonCodec,
    Malformed,
    Ping,
    StreamItem,
    UnknownMessage,
)
from actors.protocol.signalr.negotiate import hub_endpoint, negotiate
from actors.protocol.signalr.session import PING_INTERVAL, HubSession, HubTerms
from actors.protocol.signalr.subscriptions import HubSubscription

__all__ = [
    "PING_INTERVAL",
    "Call",
    "CallOutcome",
    "CallRefused",
    "Close",
    "Codec",
    "Completion",
    "Heard",
    "HubSession",
    "HubSubscription",
    "HubTerms",
    "Invocation",
    "JsonCodec",
    "Malformed",
    "Ping",
    "Returned",
    "StreamItem",
    "Unanswered",
    "UnknownMessage",
    "hub_endpoint",
    "negotiate",
]
