"""What Linewarden subscribes to at each shape: its sender says it in the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct


class Subscription(Struct, frozen=True):
    """What of a venue is subscribed to; `field` of its events bears the number.

    `is_json`: an event has the JSON of the venue in `data`, and `field` is in that, as with each table.
    """

    feed: dict[str, Any]  # its table in a config
    channel: str
    field: str
    is_text: bool = False  # the number in `field`
    is_json: bool = False
    passed_over: int = 0  # events of each topic before the first that bears a number

    def last(self, number: int) -> str | int:
        """This number as an event bears it."""
        return str(number) if self.is_text else number

    def mark(self) -> Callable[[Any], Any]:
        """Returns the function that reads the number of an event."""
        field = self.field
        return (lambda event: event.data[field]) if self.is_json else attrgetter(field)


def subscription(address: Mapping[str, Any]) -> Subscription:
    return msgspec.convert(address["wants"], Subscription)
