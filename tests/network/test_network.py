"""What a network does to a line: black holes, loss, a small MTU, names that are never resolved.

Bounds are five times what is documented. The line always comes back by itself, behind a `Gap`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.network.client import HEARTBEAT, TIMES
from tests.network.room import BOTH, FAIR, HOST, Direction, Phase, Room, Weather, room

pytestmark = pytest.mark.network

HALF_OPEN = 5 * sum(HEARTBEAT.values())  # seconds: 5 × (ping_interval + pong_timeout)
BACK = 5 * sum(TIMES.values())  # for an attempt that is under way, and the next one
DIRECTIONS: dict[str, frozenset[Direction]] = {
    "out": frozenset({"out"}),
    "in": frozenset({"in"}),
    "both": BOTH,
}
STAGES: dict[str, tuple[str, Phase, str]] = {
    "TCP": ("ws", "syn", "the TCP connection was not over"),
    "TLS": ("wss", "data", "the TLS handshake was not over"),
    "upgrade": ("ws", "data", "the WebSocket upgrade was not over"),
    "upgrade in TLS": ("wss", "second", "the WebSocket upgrade was not over"),
    "login": ("ws", "second", "did not answer the login"),
}
directions = pytest.mark.parametrize("cut", DIRECTIONS.values(), ids=DIRECTIONS)


def comes_back(here: Room, number: int) -> None:
    """The network is fair again: the line is restored with a `Gap`, and brings what follows."""
    since = here.turn(FAIR)
    gap = here.word("Gap", seconds=BACK)
    assert (gap["reason"], gap["missed"]) == ("disconnect", None)
    assert gap["at"] - since < BACK
    here.hears(number, seconds=BACK)
    assert here.status()["state"] == "live"


@directions
def test_a_half_open_connection_is_found_and_replaced(tmp_path: Path, cut: frozenset[Direction]) -> None:
    with room(tmp_path) as here:
        since = here.turn(Weather(cut=cut))
        lost = here.word("disconnected", seconds=HALF_OPEN)
        assert lost["at"] - since < HALF_OPEN
        here.word("reconnecting")
        comes_back(here, 2)
        assert here.status()["codes"][0] == "pong_timeout"
        assert here.wire.lost


@directions
@pytest.mark.parametrize(("scheme", "phase", "reason"), STAGES.values(), ids=STAGES)
def test_a_black_hole_on_the_way_in_ends_each_attempt(
    tmp_path: Path, scheme: str, phase: Phase, reason: str, cut: frozenset[Direction]
) -> None:
    with room(tmp_path, scheme=scheme) as here:
        here.turn(Weather(cut=cut, phase=phase))
        here.call("drop")
        here.word("disconnected")
        since = here.word("reconnecting")["at"]
        again = here.word("reconnecting", seconds=BACK)  # the first attempt has ended
        assert again["at"] - since < BACK
        assert reason in again["reason"]
        assert here.status()["seconds"] < 1.0
        assert here.wire.lost
        comes_back(here, 2)


def test_losing_every_fifth_packet_costs_no_event_in_silence(tmp_path: Path) -> None:
    with room(tmp_path) as here:
        here.turn(Weather(loss=0.2))
        for number in range(2, 42):
            here.call("trade", "AAPL", i=number)
        here.turn(FAIR)
        here.call("trade", "AAPL", i=99)
        told = []
        while (word := here.client.next(lambda each: "word" in each, BACK)["word"]) != "99":
            told.append(word)
        numbers = [int(word) for word in told if word.isdigit()]
        assert numbers == sorted(set(numbers))
        assert "Gap" in told or numbers == [*range(2, 42)]
        assert here.wire.lost


def test_large_frames_that_vanish_are_found_like_a_black_hole(tmp_path: Path) -> None:
    with room(tmp_path) as here:
        here.hears(2)
        since = here.turn(Weather(largest=600))
        here.call("huge", 20_000)
        lost = here.word("disconnected", seconds=HALF_OPEN)
        assert lost["at"] - since < HALF_OPEN
        here.word("Gap", seconds=BACK)  # small frames pass, so it is back before the network is whole
        here.hears(3, seconds=BACK)
        here.turn(FAIR)
        here.hears(4)


def test_a_large_request_that_vanishes_is_asked_again(tmp_path: Path) -> None:
    with room(tmp_path) as here:
        since = here.turn(Weather(largest=600))
        here.client.tell(add=[f"X{number}" for number in range(300)])
        lost = here.word("disconnected", seconds=HALF_OPEN)
        assert lost["at"] - since < HALF_OPEN
        comes_back(here, 2)


def test_a_name_server_that_never_answers_stops_nothing_but_the_look_up(tmp_path: Path) -> None:
    with room(tmp_path, host=HOST) as here:
        here.hears(2)
        here.turn(Weather(dns=False))
        here.call("drop")
        here.word("disconnected")
        since = here.word("reconnecting")["at"]
        until = here.word("reconnecting", seconds=BACK)["at"]
        assert until - since < BACK
        assert here.status()["seconds"] < 1.0
        comes_back(here, 3)
