"""The keys that every feed may have, by the way in which they are read."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from actors.protocol.venue import Venue
from actors.rules.line_policy import HeartbeatPolicy
from actors.rules.poor_health import HealthPolicy
from actors.rules.restarts import RestartPolicy
from actors.settings.schema import (
    ConnectRateSettings,
    DeadMansSwitchSettings,
    FeedSettings,
    SendRateSettings,
)
from actors.settings.wording import keys_of

FEED_KEYS = keys_of(FeedSettings) - {"name", "kind", "own", "doors", "login_variables"}
RATES: dict[str, type[Struct]] = {"send_rate": SendRateSettings, "connect_rate": ConnectRateSettings}
# Those that `[defaults]` may have, too: a feed overrides single keys of them.
TABLES: dict[str, type[Struct]] = {
    "restart": RestartPolicy,
    "heartbeat": HeartbeatPolicy,
    "health": HealthPolicy,
    **RATES,
    "dead_mans_switch": DeadMansSwitchSettings,
}
# Those that are just converted; the others are read by rules of their own.
PLAIN_KEYS = FEED_KEYS - TABLES.keys() - {"venue", "subscribe", "limits", "accounts"}


class OwnKeys:
    """All keys that some feed may have. What their venues add is looked up when a key is not known."""

    def __init__(self, venues: Mapping[str, type[Venue]]) -> None:
        self._venues = venues

    def __contains__(self, key: object) -> bool:
        return key in FEED_KEYS or any(key in keys_of(kind.Settings) for kind in self._venues.values())
