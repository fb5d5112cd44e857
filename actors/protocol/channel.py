"""Constants for channels: each carries its venue, the type of its events, and its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from msgspec import Struct

from actors.events import Option

# Covariant, as the stream that it opens: a channel of quotes will do for one of quotes or trades.
Event = TypeVar("Event", covariant=True)  # noqa: PLC0105
Precision = TypeVar("Precision", bound=Option)
Frequency = TypeVar("Frequency", bound=Option)


class TypedChannel(Struct, Generic[Event], frozen=True, eq=False):
    """A channel of one venue, with the type of its events.

    `subscribe("o2", o2.TRADES, …)` means the same as `subscribe("o2", "trades", …)`; a type checker sees a
    `Stream[Trade]` in the first, and a feed of another venue refuses it. It is equal to its name as text, and
    to another constant if venue, name and options are equal.

    A venue whose channel takes options declares a subclass with a `__call__` that takes them by keyword, each
    with its type, and returns a `TypedChannel` with these `options`.
    """

    venue: str  # `Venue.name`
    name: str
    options: Mapping[str, Option] = {}  # of each subscription; a keyword of the call replaces one

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TypedChannel):
            mine, its = (self.venue, self.name, self.options), (other.venue, other.name, other.options)
            return mine == its
        return self.name == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)


class DepthChannel(TypedChannel[Event], Generic[Event, Precision, Frequency], frozen=True):
    """One that takes the options `precision` and `frequency`, of these types; Never: it has no such option.

    `subscribe("o2", o2.DEPTH, …, precision="100")` means the same as with `o2.DEPTH(precision="100")`.
    """

    def __call__(
        self, *, precision: Precision | None = None, frequency: Frequency | None = None
    ) -> TypedChannel[Event]:
        """Returns the channel with these options; None: the venue's default."""
        given = {"precision": precision, "frequency": frequency}
        options = {name: value for name, value in given.items() if value is not None}
        return TypedChannel(self.venue, self.name, options)
