"""The feed of each shape in Linewarden's config, and what is subscribed to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct


class Subscription(Struct, frozen=True):
    """What of a venue is subscribed to; `field` of its events bears the number."""

    feed: dict[str, Any]
    channel: str
    field: str
    last: Callable[[int], Any] = int
    passed_over: int = 0  # events of each topic before the first that bears a number


def subscription(shape: str, address: Mapping[str, Any]) -> Subscription:
    """Raises: ValueError: there is no such shape."""
    url = address["url"]
    match shape:
        case "o2":
            return Subscription({"venue": "o2", "url": url}, "trades", "trade_id", str)
        case "o2-depth":
            return Subscription({"venue": "o2", "url": url}, "depth", "seen_ns", passed_over=1)
        case "o2-tls":
            feed = {"venue": "o2", "url": url, "ca_file": address["ca_file"]}
            return Subscription(feed, "trades", "trade_id", str)
        case "alpaca" | "alpaca-msgpack":
            feed = {"venue": "alpaca", "url": url, "key": address["user"], "secret": address["secret"]}
            feed["encoding"] = "msgpack" if shape.endswith("msgpack") else "json"
            return Subscription(feed, "quotes", "bid_size")
        case "tplus":
            return Subscription({"venue": "tplus", "url": url}, "trades", "trade_id")
        case "projectx" | "projectx-quotes":
            feed = {"venue": "projectx", "url": url, "token": address["token"]}
            return Subscription(feed, "quotes" if shape.endswith("quotes") else "trades", "volume")
    raise ValueError(f"there is no shape {shape!r}")
