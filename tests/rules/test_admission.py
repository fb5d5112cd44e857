"""Which connection ends first when the place of one is needed."""

from __future__ import annotations

import pytest

from actors.rules.admission import LINGER, AdmissionLimits, Seats, Standing, WaitingRoom

LIMITS = AdmissionLimits(
    waiting=6, waiting_per_address=3, within=5.0, clients=3, per_client=2, strangers=2, acting=1, owners=1
)


def room_with(*addresses: str) -> WaitingRoom:
    """Connections 1, 2, 3, … of these addresses, one per second."""
    room = WaitingRoom(LIMITS)
    for number, address in enumerate(addresses, 1):
        room.arrived(number, address, float(number))
    return room


# ── without a request ──


@pytest.mark.parametrize(
    ("present", "arriving", "gone"),
    [
        ("", "a", None),
        ("aa", "a", None),
        ("baaa", "a", 2),  # the oldest of an address that has its share
        ("baaa", "b", None),
        ("abbccc", "d", 4),  # no place at all: the oldest of the address that has most
        ("abcdef", "g", 1),
        ("abbbcc", "b", 2),
    ],
)
def test_the_oldest_connection_of_the_greediest_address_goes_first(
    present: str, arriving: str, gone: int | None
) -> None:
    assert room_with(*present).surplus(arriving) == gone


def test_a_connection_that_was_refused_goes_before_one_that_waits() -> None:
    room = room_with(*"abcdef")
    room.refused(5, 10.0)
    room.refused(2, 10.5)
    assert room.surplus("g") == room.oldest() == 5
    room.left(5)
    assert room.surplus("g") is None
    room.arrived(7, "g", 11.0)
    assert room.surplus("h") == 2


def test_a_request_is_overdue_by_the_time_of_its_connection() -> None:
    room = room_with("a", "b", "a")
    assert room.next_due() == 1.0 + LIMITS.within
    assert room.overdue(5.9) == []
    assert sorted(room.overdue(7.0)) == [1, 2]
    room.left(1)
    room.left(2)
    assert room.next_due() == 3.0 + LIMITS.within


def test_a_refused_client_has_a_moment_to_hang_up() -> None:
    room = room_with("a")
    room.refused(1, 4.0)
    assert room.next_due() == 4.0 + LINGER
    assert room.overdue(4.0 + LINGER) == [1]
    room.left(1)
    assert (len(room), room.next_due(), room.oldest()) == (0, None, None)


def test_an_answer_that_is_not_read_is_overdue_and_takes_no_place_of_those_that_wait() -> None:
    room = room_with("a")
    room.left(1)
    room.sending(1, 4.0)
    assert (len(room), room.oldest(), room.surplus("a")) == (0, None, None)
    assert room.next_due() == 4.0 + LIMITS.answer_within
    assert room.overdue(4.0 + LIMITS.answer_within) == [1]
    room.refused(1, 5.0)  # it has been read
    assert room.next_due() == 5.0 + LINGER


def test_a_flood_never_holds_more_than_the_room_has() -> None:
    room = WaitingRoom(LIMITS)
    for number in range(1_000):
        address = str(number % 7)
        while (gone := room.surplus(address)) is not None:
            room.left(gone)
        room.arrived(number, address, 0.0)
        assert len(room) <= LIMITS.waiting
    assert room.oldest() == 1_000 - LIMITS.waiting


# ── with a request ──


def taken(*requests: tuple[str, Standing]) -> Seats:
    seats = Seats(LIMITS)
    for number, (client, standing) in enumerate(requests, 1):
        assert seats.request(number, client, standing) == ""
    return seats


def test_strangers_do_not_take_the_places_of_callers_with_a_right() -> None:
    seats = taken(("x", "stranger"), ("y", "stranger"))
    assert seats.request(9, "z", "stranger")
    assert seats.request(9, "a", "known") == ""


def test_callers_with_a_right_do_not_take_the_places_of_strangers_or_of_the_owner() -> None:
    seats = taken(("a", "known"), ("a", "known"), ("b", "known"))
    assert seats.request(8, "c", "known")
    assert seats.request(8, "x", "stranger") == ""
    assert seats.request(9, "owner", "owner") == ""
    assert seats.request(10, "owner", "owner") == ""
    assert seats.request(11, "owner", "owner")


def test_callers_that_look_do_not_take_the_places_of_beats_and_halts() -> None:
    seats = taken(("a", "known"), ("a", "known"), ("b", "known"), ("c", "acting"))
    assert seats.request(8, "d", "known")
    assert seats.request(8, "d", "acting")
    assert seats.request(8, "owner", "owner") == ""


def test_one_client_does_not_take_every_place() -> None:
    seats = taken(("a", "known"), ("a", "known"))
    assert "this client has 2 connections" in seats.request(8, "a", "known")
    assert seats.request(8, "b", "known") == ""


def test_an_answer_that_has_been_sent_frees_its_place() -> None:
    seats = taken(("a", "known"), ("b", "known"), ("b", "known"))
    assert "3 other requests are being answered" in seats.request(4, "c", "known")
    seats.left(2)
    seats.left(99)  # one that had no place
    assert seats.request(4, "c", "known") == ""
