"""Which connection ends first when the place of one is needed."""

from __future__ import annotations

import pytest

from actors.rules.admission import LINGER, AdmissionLimits, Full, Seat, Seats, Standing, WaitingRoom

LIMITS = AdmissionLimits(
    waiting=6, waiting_per_address=3, within=5.0, clients=3, per_client=2, strangers=2, owners=1
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
        assert seats.request(number, client, standing) == Seat()
    return seats


def test_strangers_do_not_take_the_places_of_callers_with_a_right() -> None:
    seats = taken(("x", "stranger"), ("y", "stranger"))
    assert isinstance(seats.request(9, "z", "stranger"), Full)
    assert seats.request(9, "a", "known") == Seat()


def test_callers_with_a_right_do_not_take_the_places_of_strangers_or_of_the_owner() -> None:
    seats = taken(("a", "known"), ("a", "known"), ("b", "known"))
    assert isinstance(seats.request(8, "c", "known"), Full)
    assert seats.request(8, "x", "stranger") == Seat()
    assert seats.request(9, "owner", "owner") == Seat()
    assert isinstance(seats.request(10, "owner", "owner"), Full)


def test_one_client_does_not_take_every_place() -> None:
    seats = taken(("a", "known"), ("a", "known"))
    full = seats.request(8, "a", "known")
    assert isinstance(full, Full)
    assert "this client has 2 connections" in full.sentence
    assert seats.request(8, "b", "known") == Seat()


def test_a_connection_that_has_its_answer_goes_when_its_place_is_needed() -> None:
    seats = taken(("a", "known"), ("b", "known"), ("b", "known"))
    seats.answered(3)
    seats.answered(2)
    assert seats.request(4, "b", "known") == Seat(instead_of=3)
    assert seats.request(5, "c", "known") == Seat(instead_of=2)
    assert isinstance(seats.request(6, "c", "known"), Full)
    seats.left(1)
    assert seats.request(6, "c", "known") == Seat()


def test_a_client_at_its_share_gives_up_its_own_connection_only() -> None:
    seats = taken(("b", "known"), ("a", "known"), ("a", "known"))
    seats.left(3)
    seats.request(4, "a", "known")
    seats.answered(1)
    seats.left(1)
    seats.answered(4)
    assert seats.request(5, "a", "known") == Seat(instead_of=4)
    seats.answered(99)  # one that has ended
    assert seats.request(6, "c", "known") == Seat()
