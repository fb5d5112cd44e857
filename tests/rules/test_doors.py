"""Which address a line tries next, by how its last life ended."""

from __future__ import annotations

import pytest

from actors.reasons import Crashed, Fatal, Reason, Retryable, Slow, Stopped, Weather
from actors.rules.doors import Doors, NextStep, is_of_the_door

LOST = Retryable("reset")
STAYS, NEXT, AGAIN = NextStep(), NextStep(passes=True, at_once=True), NextStep(passes=True)
URLS = ("wss://a", "wss://b", "wss://c")


def doors(count: int = 3) -> Doors:
    return Doors(URLS[:count])


def test_a_lost_connection_of_a_stable_life_tries_its_address_once_more() -> None:
    mine = doors()
    assert mine.ended(LOST, reached=True, stable=True) == STAYS
    assert mine.at == 0
    assert mine.ended(LOST, reached=False, stable=False) == NEXT
    assert (mine.at, mine.url) == (1, "wss://b")


def test_a_round_tries_each_address_once_and_then_waits() -> None:
    mine = doors()
    told = []
    for _ in range(6):
        told.append((mine.at, mine.ended(LOST, reached=False, stable=False)))
    assert told == [(0, NEXT), (1, NEXT), (2, AGAIN), (0, NEXT), (1, NEXT), (2, AGAIN)]


def test_it_stays_with_the_address_that_works() -> None:
    mine = doors()
    mine.ended(LOST, reached=False, stable=False)
    mine.live()
    for _ in range(3):
        assert mine.ended(LOST, reached=True, stable=True) == STAYS
    assert mine.at == 1
    assert mine.ended(LOST, reached=False, stable=False) == NEXT  # a new round: `a` is tried again in it
    assert mine.ended(LOST, reached=False, stable=False) == NEXT
    assert mine.at == 0


def test_with_one_address_there_is_no_other() -> None:
    mine = doors(1)
    assert mine.ended(LOST, reached=False, stable=False) == STAYS
    assert mine.at == 0


def test_a_refusal_is_final_once_no_address_has_had_another_trouble() -> None:
    gone, mine = Weather("not here", "http_404"), doors(2)
    assert mine.ended(gone, reached=False, stable=False) == NEXT
    assert mine.ended(gone, reached=False, stable=False) == STAYS
    assert mine.ended(LOST, reached=False, stable=False) == NEXT
    assert mine.ended(gone, reached=False, stable=False) == AGAIN


OF_THE_DOOR: list[tuple[Reason, bool, bool]] = [
    (LOST, False, True),
    (LOST, True, True),
    (Slow("busy", "http_429", 60.0, shared=True), False, True),
    (Slow("too many connections", "406", shared=True), True, False),
    (Weather("not here", "http_404"), False, True),
    (Weather("forbidden", "http_403"), False, True),
    (Weather("moved", "http_301"), False, True),
    (Weather("another host's", "hostname"), False, True),
    (Fatal("unauthorized", "http_401"), False, False),
    (Fatal("wrong key", "projectx_3"), False, False),
    (Fatal("wrong key", "auth_failed"), True, False),
    (Stopped(), True, False),
    (Crashed("ValueError"), True, False),
]


@pytest.mark.parametrize(("reason", "reached", "is_its"), OF_THE_DOOR)
def test_a_verdict_on_credentials_or_the_account_is_no_matter_of_the_address(
    reason: Reason, reached: bool, is_its: bool
) -> None:
    assert is_of_the_door(reason, reached=reached) is is_its
    mine = doors()
    assert mine.ended(reason, reached=reached, stable=False) == (NEXT if is_its else STAYS)
    assert mine.at == int(is_its)
