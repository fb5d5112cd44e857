"""Names of channels that carry the type of their events."""

from __future__ import annotations

from typing import Generic

from actors.events import Event


class TypedChannel(str, Generic[Event]):
    """A channel's name that carries the type of its events.

    It is a plain string at run time, so `subscribe("o2", o2.TRADES, …)` and
    `subscribe("o2", "trades", …)` mean the same; a type checker sees a `Stream[Trade]` in the first.
    """

    __slots__ = ()
