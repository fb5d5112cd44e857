"""The numbers of batches, and which of them may still bring something."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.delivery.arrivals import Arrivals, Right


def test_a_batch_is_incomplete_until_it_and_all_before_it_have_ended() -> None:
    arrivals, one, two = Arrivals(), Right(), Right()
    first, second = arrivals.begin(one), arrivals.begin(two)
    assert first < second
    assert not arrivals.is_complete(first)
    arrivals.end(two)
    assert not arrivals.is_complete(second)
    arrivals.end(one)
    assert arrivals.is_complete(second)


def test_a_writer_that_was_given_up_is_not_waited_for() -> None:
    arrivals, gone, lost = Arrivals(), Right(), Right()
    last = max(arrivals.begin(gone), arrivals.begin(lost))
    arrivals.give_up(gone)
    arrivals.revoke(lost)
    assert arrivals.is_complete(last)
    assert (gone.valid, gone.revoked, lost.valid, lost.revoked) == (False, False, False, True)
    late = arrivals.begin(lost)  # it wakes up, and goes on: nothing of it reaches a stream
    assert arrivals.is_complete(late)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["begin", "end", "revoke"])), max_size=40))
def test_in_any_order_complete_means_that_nothing_lower_is_on_its_way(acts: list[tuple[int, str]]) -> None:
    arrivals, rights = Arrivals(), [Right() for _ in range(3)]
    delivering: dict[int, int] = {}
    last = 0
    for writer, act in acts:
        right = rights[writer]
        if act == "begin" and writer not in delivering:
            number = arrivals.begin(right)
            assert number > last
            last = number
            if right.valid:
                delivering[writer] = number
        elif act != "begin":
            getattr(arrivals, act)(right)
            delivering.pop(writer, None)
        for number in range(1, last + 1):
            assert arrivals.is_complete(number) == all(lower > number for lower in delivering.values())
