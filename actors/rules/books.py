"""A stream's books as status shows them."""

from __future__ import annotations

from msgspec import Struct


class StreamStatus(Struct, frozen=True):
    id: int
    feed: str
    channel: str
    topics: int
    policy: str
    capacity: int
    received: int
    delivered: int
    dropped: int
    conflated: int
    queued: int
    gaps: int
    handler_errors: int
