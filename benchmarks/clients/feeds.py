"""What Linewarden subscribes to at each shape: its sender says it in the address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct


class Subscription(Struct, frozen=True):
    """What of a venue is subscribed to; `field` of its events bears the number."""

    feed: dict[str, Any]  # its table in a config
    channel: str
    field: str
    is_text: bool = False  # the number in `field`
    passed_over: int = 0  # events of each topic before the first that bears a number

    def last(self, number: int) -> str | int:
        """This number as an event bears it."""
        return str(number) if self.is_text else number


def subscription(address: Mapping[str, Any]) -> Subscription:
    return msgspec.convert(address["wants"], Subscription)
