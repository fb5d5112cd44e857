"""Until when an asking has to be answered: the time counts only while the line is read."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from actors.events import Topic
from actors.rules.acks import AckDeadlines

A, B = (Topic("o2", "trades", key) for key in "AB")


def numbers(acks: AckDeadlines, now: float) -> list[int]:
    return [asking.number for asking in acks.overdue(now)]


def test_each_asking_is_named_once_when_its_time_is_over() -> None:
    acks = AckDeadlines(10.0)
    assert acks.next_in(0.0) == math.inf
    acks.sent([A, B], 1, 0.0)
    acks.sent([B], 2, 3.0)
    assert acks.next_in(3.0) == 7.0
    assert numbers(acks, 9.9) == []
    (over,) = acks.overdue(10.0)
    assert (over.topics, over.number) == ((A, B), 1)
    assert acks.next_in(10.0) == 3.0
    assert numbers(acks, 20.0) == [2]
    assert numbers(acks, 30.0) == []


def test_time_stands_still_while_the_line_is_not_read() -> None:
    acks = AckDeadlines(10.0)
    acks.sent([A], 1, 0.0)
    acks.pause(4.0)
    acks.pause(5.0)  # a pause goes on
    assert numbers(acks, 1_000.0) == []
    assert acks.next_in(1_000.0) == 6.0
    acks.sent([B], 2, 500.0)  # asked for meanwhile: it has its whole time from the reading on
    acks.resume(1_000.0)
    acks.resume(1_001.0)
    assert numbers(acks, 1_005.9) == []
    assert numbers(acks, 1_006.0) == [1]
    assert numbers(acks, 1_009.9) == []
    assert numbers(acks, 1_010.0) == [2]


@given(
    st.lists(st.tuples(st.sampled_from(["sent", "pause", "resume", "look"]), st.integers(0, 20)), max_size=40)
)
def test_each_is_overdue_after_as_many_seconds_of_reading_and_no_sooner(steps: list[tuple[str, int]]) -> None:
    acks, now, reading, paused = AckDeadlines(10.0), 0, 0, False
    due: dict[int, int] = {}  # by number, in seconds of reading
    for number, (act, seconds) in enumerate(steps):
        now += seconds
        reading += 0 if paused else seconds
        if act == "sent":
            acks.sent([A], number, float(now))
            due[number] = reading + 10
        elif act == "look":
            over = numbers(acks, float(now))
            assert over == [number for number, at in due.items() if at <= reading]
            for told in over:
                del due[told]
        else:
            getattr(acks, act)(float(now))
            paused = act == "pause"
        left = min((max(0, at - reading) for at in due.values()), default=math.inf)
        assert acks.next_in(float(now)) == left
