"""What O2 knows of one connection: its subscriptions."""

from __future__ import annotations

from msgspec import Struct

from actors.simulators.base.client import Peer


class Subscription(Struct, eq=False):
    """What one connection has in one slot."""

    peer: Peer
    channel: str
    keys: tuple[str, ...]
    precision: int = 10
    frequency: float = 0.0  # depth_view: seconds between two pictures
    shown_at: float = 0.0  # depth_view: when the last picture was sent, monotonic seconds
    due: bool = False  # depth_view: the next picture has its timer
