"""Many reports of one kind become few, and none goes uncounted."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from actors.rules.collapse import KINDS, KNOWN_FOR, OTHERS, Collapsed, CollapsedByKind


def test_the_first_is_due_at_once_and_the_others_within_the_interval_are_one() -> None:
    collapsed = Collapsed[str](1.0)
    collapsed.add("one")
    assert collapsed.take(10.0) == (1, "one")
    for word in ("two", "three", "four"):
        collapsed.add(word)
        assert collapsed.take(10.5) is None
    assert collapsed.due_at == 11.0
    assert collapsed.take(11.0) == (3, "four")
    assert collapsed.take(99.0) is None
    assert collapsed.due_at == math.inf


def test_kinds_are_told_apart_and_their_number_is_bounded() -> None:
    kinds = CollapsedByKind[int](1.0)
    for number in range(10_000):
        kinds.add(f"kind {number}", number, 0.0)
    told = [(f"kind {number}", 1, number) for number in range(KINDS)]
    assert kinds.take(0.0) == [*told, (OTHERS, 10_000 - KINDS, 9_999)]
    kinds.add("another", 1, 0.5)
    assert kinds.take(0.5) == []
    kinds.add("later", 2, 2 + KNOWN_FOR)  # the former kinds had their time
    assert ("later", 1, 2) in kinds.take(2 + KNOWN_FOR)


@given(st.lists(st.tuples(st.sampled_from("abcdefghijklm"), st.floats(0.0, 0.4))))
def test_every_report_is_counted_and_few_are_taken(reports: list[tuple[str, float]]) -> None:
    kinds = CollapsedByKind[str](1.0)
    now, counted, taken = 0.0, 0, 0
    for kind, pause in reports:
        now += pause
        kinds.add(kind, kind, now)
        due = kinds.take(now)
        counted += sum(count for _, count, _ in due)
        taken += len(due)
    counted += sum(count for _, count, _ in kinds.take(math.inf))
    assert counted == len(reports)
    assert taken <= (now + 1.0) * (KINDS + 1)
