"""Looks within a quarter of a meter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.protocol import FrameLimit
from actors.rules.account.budget import AuditBudget, Replacements


def test_a_quarter_of_the_meter_may_be_spent_at_once() -> None:
    budget = AuditBudget(FrameLimit(200, 60.0))
    for _ in range(10):
        assert budget.wait(5, 0.0) == 0.0
        budget.spend(5, 0.0)
    assert budget.wait(5, 0.0) == 60.0
    assert budget.wait(5, 59.0) == 1.0
    assert budget.wait(5, 60.0) == 0.0


def test_a_look_that_is_larger_than_the_budget_waits_for_all_before_it() -> None:
    budget = AuditBudget(FrameLimit(40, 60.0))
    assert budget.wait(50, 0.0) == 0.0
    budget.spend(5, 1.0)
    assert budget.wait(50, 2.0) == 59.0


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 30)), max_size=40))
def test_who_waits_as_told_never_spends_more_than_a_quarter_in_any_window(
    looks: list[tuple[int, int]],
) -> None:
    budget = AuditBudget(FrameLimit(100, 60.0))
    now, spent = 0.0, []
    for requests, pause in looks:
        now += pause
        now += budget.wait(requests, now)
        budget.spend(requests, now)
        spent.append((now, requests))
        assert sum(number for at, number in spent if at > now - 60.0) <= 25


def test_lines_are_replaced_three_times_within_an_hour_at_most() -> None:
    replacements = Replacements()
    for now in (0.0, 20.0, 40.0):
        assert replacements.wait(now) == 0.0
        replacements.note(now)
    assert replacements.wait(60.0) == 3_540.0
    assert replacements.wait(3_600.0) == 0.0
    replacements.note(3_600.0)
    assert replacements.wait(3_600.0) == 20.0
