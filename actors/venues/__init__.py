"""The venues that are built in: the name in a config → its class."""

from __future__ import annotations

from collections.abc import Mapping

from actors.rules.venue import Venue
from actors.venues.alpaca import Alpaca
from actors.venues.o2 import O2
from actors.venues.tplus import Tplus

VENUES: Mapping[str, type[Venue]] = {"alpaca": Alpaca, "o2": O2, "tplus": Tplus}
