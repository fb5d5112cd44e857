"""send_after, on a thread and by hand."""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from typing import Any

import pytest

from actors.errors import LinewardenError
from actors.timers import Entry, Pulse, SystemClock, ThreadTimers, check_seconds
from tests.support.virtual_time import VirtualTimers


class Mail(queue.SimpleQueue[Any]):
    """Somebody who can be told."""

    def tell(self, message: Any) -> None:
        self.put(message)

    def read(self) -> list[Any]:
        return [self.get_nowait() for _ in range(self.qsize())]


class Deaf:
    def tell(self, message: Any) -> None:
        raise RuntimeError("not now")


# ── time moved by hand ──────────────────────────────────────────────────────────────────────────


def test_messages_come_in_the_order_of_their_times() -> None:
    timers, mail = VirtualTimers(), Mail()
    for seconds in (3.0, 1.0, 2.0, 1.0, 0.0):
        timers.send_after(seconds, mail, seconds)
    timers.advance(2.5)
    assert mail.read() == [0.0, 1.0, 1.0, 2.0]
    timers.advance(0.5)
    assert mail.read() == [3.0]


def test_equal_times_keep_the_order_of_asking() -> None:
    timers, mail = VirtualTimers(), Mail()
    for number in range(100):
        timers.send_after(1.0, mail, number)
    timers.advance(1.0)
    assert mail.read() == list(range(100))


def test_a_cancelled_message_never_comes() -> None:
    timers, mail = VirtualTimers(), Mail()
    kept, dropped = timers.send_after(1.0, mail, "kept"), timers.send_after(1.0, mail, "dropped")
    dropped.cancel()
    dropped.cancel()
    timers.advance(1.0)
    kept.cancel()  # too late, and no harm
    assert mail.read() == ["kept"]


def test_both_clocks_go_with_the_timers() -> None:
    timers = VirtualTimers()
    now, wall_ns = timers.clock.monotonic(), timers.clock.wall_ns()
    timers.advance(3_600.0)
    assert timers.clock.monotonic() - now == 3_600.0
    assert timers.clock.wall_ns() - wall_ns == 3_600 * 10**9


def test_a_message_sees_the_time_for_which_it_was_meant() -> None:
    timers = VirtualTimers()
    start, seen = timers.monotonic(), []

    class Beat:
        def tell(self, message: Any) -> None:
            seen.append(timers.monotonic() - start)
            timers.send_after(10.0, self, message)  # a beat that goes on by itself

    timers.send_after(10.0, Beat(), "beat")
    timers.advance(35.0)
    assert seen == [10.0, 20.0, 30.0]
    timers.advance(5.0)
    assert seen[3:] == [40.0]


def test_time_waits_until_every_thread_has_settled() -> None:
    told: list[str] = []
    timers = VirtualTimers(settle=lambda: told.append("settled"))

    class Actor:
        def tell(self, message: Any) -> None:
            told.append(message)

    for message in ("one", "two"):
        timers.send_after(1.0, Actor(), message)
    timers.advance(1.0)
    assert told == ["settled", "one", "settled", "two", "settled"]


def test_time_asked_to_go_back_stands_still() -> None:
    timers, mail = VirtualTimers(), Mail()
    timers.send_after(-5.0, mail, "at once")
    timers.advance(0.0)
    assert mail.read() == ["at once"]


# ── a thread of its own ─────────────────────────────────────────────────────────────────────────


def test_the_thread_keeps_the_order_of_times() -> None:
    timers, mail = ThreadTimers(), Mail()
    timers.send_after(0.02, mail, "second")
    timers.send_after(0.0, mail, "first")  # earlier than what the thread waits for
    timers.send_after(-1.0, mail, "also at once")
    assert [mail.get(timeout=10) for _ in range(3)] == ["first", "also at once", "second"]
    timers.stop()


def test_the_thread_passes_over_what_was_cancelled() -> None:
    timers, mail = ThreadTimers(), Mail()
    timers.send_after(0.01, mail, "dropped").cancel()
    timers.send_after(0.02, mail, "kept")
    assert mail.get(timeout=10) == "kept"
    assert mail.read() == []
    timers.stop()


def test_one_that_cannot_be_told_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    timers, mail = ThreadTimers(), Mail()
    timers.send_after(0.0, Deaf(), "lost")
    timers.send_after(0.0, mail, "kept")
    assert mail.get(timeout=10) == "kept"
    assert "the other timers go on" in caplog.text
    timers.stop()


class Exits:
    def tell(self, message: Any) -> None:
        raise SystemExit("not this thread")


@pytest.mark.parametrize(
    "seconds",
    [math.inf, math.nan, 1e300, 10**400, 2.5e11, threading.TIMEOUT_MAX, -math.inf, -(10**400)],
    ids=lambda seconds: f"{str(seconds)[:12]}",
)
def test_no_delay_ends_the_thread(seconds: float) -> None:
    timers, mail = ThreadTimers(), Mail()
    timers.send_after(seconds, mail, "absurd")  # the first in the heap: the thread waits for it
    timers.send_after(0.05, mail, "kept")
    told = mail.get(timeout=10)
    assert (mail.get(timeout=10) if told == "absurd" else told) == "kept"
    assert (told == "absurd") == (not seconds > 0)  # what is no time, or lies in the past, is due at once
    timers.stop()


def test_no_target_ends_the_thread() -> None:
    timers, mail = ThreadTimers(), Mail()
    timers.send_after(0.0, Exits(), "lost")
    timers.send_after(0.0, mail, "kept")
    assert mail.get(timeout=10) == "kept"
    timers.stop()


@pytest.mark.parametrize("kind", [VirtualTimers, ThreadTimers])
def test_after_stop_nothing_is_sent(kind: type[VirtualTimers] | type[ThreadTimers]) -> None:
    timers, mail = kind(), Mail()
    timers.send_after(0.01, mail, "before")
    timers.stop()
    timers.send_after(0.0, mail, "after")
    if isinstance(timers, VirtualTimers):
        timers.advance(10.0)
    assert timers._heap == []
    assert mail.read() == []


def test_a_message_cancelled_while_it_is_sent_is_sent_whole_or_not_at_all() -> None:
    class Interrupted(Entry):
        """Another thread cancels it between the first read and the second."""

        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if name in {"target", "message"}:
                Entry.cancel(self)
            return value

    mail = Mail()
    Interrupted(mail, "whole").send()
    assert mail.read() == []


# ── a pause of the process ──


@pytest.mark.skipif(sys.platform != "linux", reason="the system has no such clock")
def test_the_clock_goes_on_while_the_machine_is_suspended() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= SystemClock().monotonic() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_beat_that_comes_late_tells_a_pause_and_the_next_one_does_not() -> None:
    pulse = Pulse(100.0)
    assert not pulse.is_late(100.0 + Pulse.LATE)
    assert not pulse.beat(100.5)
    assert pulse.is_late(102.0)
    assert pulse.beat(102.0)
    assert not pulse.is_late(102.0)
    assert pulse.resumed_at == 102.0
    assert not pulse.beat(102.2)


def test_time_that_is_moved_by_hand_knows_no_pause() -> None:
    timers = VirtualTimers()
    timers.advance(3_600.0)
    assert not timers.pulse.is_late(timers.monotonic())


def test_the_thread_beats_without_timers_and_tells_the_end_of_a_pause() -> None:
    timers, mail = ThreadTimers(), Mail()
    try:
        before = timers.pulse.beat_at
        while timers.pulse.beat_at == before:
            threading.Event().wait(0.01)
        timers.on_resume = mail
        timers.pulse.beat_at -= 60.0  # as it stands when a suspended machine goes on
        assert mail.get(timeout=10.0) is None
        assert timers.pulse.resumed_at > before
    finally:
        timers.stop()


@pytest.mark.parametrize(
    "value", [float("nan"), True, "5", 1 + 0j, 10**400], ids=["nan", "a bool", "text", "complex", "huge"]
)
def test_what_is_no_number_of_seconds_is_refused(value: object) -> None:
    with pytest.raises(LinewardenError, match="wait is a number of seconds, and"):
        check_seconds("wait", value)
    with pytest.raises(LinewardenError, match="wait is a number of seconds, and"):
        check_seconds("wait", value, optional=True)
