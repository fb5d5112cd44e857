"""An order that a network held up does not arrive after its deadline, when the network is fair again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.network.room import CLIENT, FAIR, VENUE, Side, Weather, Wire

pytestmark = pytest.mark.network

DEADLINE = 0.5  # seconds of the order
RESENDS = 3.0  # seconds within which a system sends lost packets again, several times


def test_an_order_whose_packets_are_lost_is_unknown_and_does_not_come_later(tmp_path: Path) -> None:
    wire = Wire(1)
    sides: list[Side] = []
    try:
        sides.append(venue := Side("tests.network.order_venue", VENUE))
        wire.attach("in", venue.device)
        port = venue.next(lambda told: "ports" in told)["ports"]["ws"]
        sides.append(
            client := Side("tests.network.order_client", CLIENT, str(tmp_path), f"ws://{VENUE}:{port}")
        )
        wire.attach("out", client.device)
        wire.start()
        assert client.next(lambda told: "word" in told)["outcome"] == "Accepted"

        wire.weather = Weather(cut=frozenset({"out"}))
        begun = time.monotonic()
        client.tell(deadline=DEADLINE)
        told = client.next(lambda told: "outcome" in told)
        assert told["outcome"] == "Unknown"
        assert time.monotonic() - begun < 5 * DEADLINE
        assert wire.lost

        wire.weather = FAIR
        time.sleep(RESENDS)  # a connection that was merely closed would deliver it now
        venue.tell(tag=told["tag"])
        assert venue.next(lambda told: "result" in told)["result"] == 0
    finally:
        for side in reversed(sides):
            side.end()
        wire.stop()
