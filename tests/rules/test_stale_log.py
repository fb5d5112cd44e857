from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors import Topic
from actors.rules.stale_log import STEADY, StaleLog, StaleNews

A, B = Topic("o2", "trades", "A"), Topic("o2", "trades", "B")


def wanted(_: Topic) -> bool:
    return True


def test_each_change_is_told_once() -> None:
    log = StaleLog()
    assert log.report({A}, wanted, 0.0) == StaleNews(stale=(A,))
    assert log.report({A}, wanted, 10.0) == StaleNews()
    assert log.report({A, B}, wanted, 20.0) == StaleNews(stale=(B,))
    assert log.report({B}, wanted, 30.0) == StaleNews(fresh=((A, 30.0),))
    assert log.report(set(), wanted, 40.0) == StaleNews(fresh=((B, 20.0),))
    assert log.report({A}, wanted, 40.0 + STEADY) == StaleNews(stale=(A,))


def test_a_topic_that_flaps_is_told_once_until_it_is_steady() -> None:
    log = StaleLog()
    log.report({A}, wanted, 0.0)
    log.report(set(), wanted, 5.0)
    assert not log.waits
    assert log.report({A}, wanted, 10.0) == StaleNews(flapping=(A,))
    for at in (20.0, 30.0, 40.0):
        assert log.report(set(), wanted, at) == StaleNews()
        assert log.waits
        assert log.report({A}, wanted, at + 5.0) == StaleNews()
    assert log.report(set(), wanted, 50.0) == StaleNews()
    assert log.report(set(), wanted, 50.0 + STEADY) == StaleNews(fresh=((A, 50.0 + STEADY),))
    assert not log.waits


def test_nothing_is_told_of_a_topic_that_is_not_wanted_any_more() -> None:
    log = StaleLog()
    log.report({A}, wanted, 0.0)
    assert log.report(set(), lambda topic: topic != A, 5.0) == StaleNews()
    assert log.report({A}, wanted, 10.0) == StaleNews(stale=(A,))


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 2 * STEADY)), max_size=40))
def test_what_was_told_last_is_the_truth_once_it_is_steady(changes: list[tuple[bool, float]]) -> None:
    log, now, told = StaleLog(), 0.0, "fresh"
    for is_stale, seconds in [*changes, (changes[-1][0] if changes else False, STEADY + 1.0)]:
        now += seconds
        news = log.report({A} if is_stale else set(), wanted, now)
        told = "fresh" if news.fresh else told
        told = "stale" if news.stale or news.flapping else told
    assert told == ("stale" if changes and changes[-1][0] else "fresh")
    assert log._logs.keys() == ({A} if changes and changes[-1][0] else set())
