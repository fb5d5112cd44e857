"""A set of stretches of time is what a set of moments would be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.rules.bars.spans import Spans

moments = st.integers(0, 30)


@given(st.lists(st.tuples(st.booleans(), moments, moments), max_size=20), moments, moments)
def test_adding_and_removing_is_as_with_moments(
    steps: list[tuple[bool, int, int]], since: int, until: int
) -> None:
    spans, wanted = Spans(), set[int]()
    for adds, first, last in steps:
        (spans.add if adds else spans.remove)(first, last)
        wanted = wanted | set(range(first, last)) if adds else wanted - set(range(first, last))
    assert {moment for first, last in spans for moment in range(first, last)} == wanted
    assert all(before[1] < after[0] for before, after in zip(list(spans), list(spans)[1:], strict=False))
    assert spans.touches(since, until) == bool(wanted & set(range(since, until)))
    assert bool(spans) == bool(wanted)


def test_what_is_left_without_others() -> None:
    spans, others = Spans(), Spans()
    spans.add(0, 10)
    others.add(3, 5)
    assert list(spans.without(others)) == [(0, 3), (5, 10)]
    assert list(spans) == [(0, 10)]
