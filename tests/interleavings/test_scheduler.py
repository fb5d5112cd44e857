"""The controlled scheduler itself: it finds known faults, leaves out nothing, and repeats what it found."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable

import pytest

from tests.support.interleave import Built, InterleavingError, Scenario, explore, replay

HERE = sys.modules[__name__]


class Counter:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.other = threading.Lock()
        self.ready = threading.Condition()
        self.value = 0
        self.names: dict[str, int] = {}
        self.queue: deque[int] = deque()

    def add(self) -> None:
        self.value += 1

    def add_locked(self) -> None:
        with self.lock:
            self.value += 1


def twice(work: Callable[[Counter], None]) -> Scenario:
    def scenario() -> Built:
        counter = Counter()

        def check() -> None:
            assert counter.value == 2

        return [lambda: work(counter), lambda: work(counter)], check

    return scenario


def test_a_lost_update_is_found_and_found_again() -> None:
    scenario = twice(Counter.add)
    with pytest.raises(InterleavingError, match="assert 1 == 2") as found:
        explore(scenario, HERE, preemptions=1)
    for _ in range(3):
        with pytest.raises(InterleavingError, match="assert 1 == 2"):
            replay(scenario, HERE, schedule=found.value.schedule)


def test_a_lost_update_needs_a_preemption() -> None:
    assert explore(twice(Counter.add), HERE, preemptions=0) == 2  # one thread before the other


def test_a_lock_leaves_nothing_to_find() -> None:
    explore(twice(Counter.add_locked), HERE, preemptions=9)


def test_every_order_runs() -> None:
    """Two threads of two steps each, whose orders can be counted: 4! / (2! * 2!)."""
    orders: list[tuple[int, ...]] = []

    def scenario() -> Built:
        counter = Counter()

        def put(number: int) -> None:
            for _ in range(2):
                counter.queue.append(number)

        return [lambda: put(0), lambda: put(1)], lambda: orders.append(tuple(counter.queue))

    explore(scenario, HERE, preemptions=9)
    assert len(set(orders)) == 6


def test_locks_taken_crosswise_are_found() -> None:
    def scenario() -> Built:
        counter = Counter()

        def one() -> None:
            with counter.lock, counter.other:
                pass

        def two() -> None:
            with counter.other, counter.lock:
                pass

        return [one, two], lambda: None

    with pytest.raises(InterleavingError, match=r"deadlock: 0 one .*; 1 two "):
        explore(scenario, HERE)


def test_a_wake_up_that_comes_too_early_is_found() -> None:
    def scenario() -> Built:
        counter = Counter()

        def sleep() -> None:
            if not counter.value:  # looked at without the lock
                with counter.ready:
                    counter.ready.wait()

        def wake() -> None:
            counter.value = 1
            with counter.ready:
                counter.ready.notify_all()

        return [sleep, wake], lambda: None

    with pytest.raises(InterleavingError, match="deadlock"):
        explore(scenario, HERE)


def test_a_dict_that_changes_under_an_iteration_is_found() -> None:
    def scenario() -> Built:
        counter = Counter()
        counter.names["a"] = 1

        def look() -> None:
            sum(counter.names.values())

        def change() -> None:
            counter.names["b"] = 2

        return [look, change], lambda: None

    with pytest.raises(InterleavingError, match="changed size during iteration"):
        explore(scenario, HERE)


def test_time_passes_when_no_thread_can_go_on() -> None:
    waited: list[float] = []

    def scenario() -> Built:
        counter = Counter()

        def wait() -> None:
            since = HERE.time.monotonic()
            with counter.ready:
                assert not counter.ready.wait_for(lambda: counter.value > 1, timeout=60.0)
            waited.append(HERE.time.monotonic() - since)

        return [wait, counter.add], lambda: None

    explore(scenario, HERE)
    assert set(waited) == {60.0}


def test_real_time_is_back_afterwards() -> None:
    before = time.monotonic()
    explore(twice(Counter.add_locked), HERE)
    assert time.monotonic() > before
    assert isinstance(Counter().lock, type(threading.Lock()))
