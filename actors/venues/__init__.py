"""The venues that are built in: the name in a config → its class.

This line is all that registers a venue. Its class names its simulator; its test cases are in
`tests/venues/NAME/cases.py`, and what the benchmarks send is in `benchmarks/shapes/NAME.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.protocol import Imported, Venue

VENUES: Mapping[str, type[Venue]] = Imported(
    {
        "alpaca": "actors.venues.alpaca:Alpaca",
        "o2": "actors.venues.o2:O2",
        "projectx": "actors.venues.projectx:ProjectX",
        "signalr": "actors.venues.signalr:SignalR",
        "tplus": "actors.venues.tplus:Tplus",
    }
)
