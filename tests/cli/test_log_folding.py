from __future__ import annotations

import json
import logging
import threading
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import log_queue
from actors.cli import logs
from actors.cli.log_folding import LONGEST, Folding
from actors.events import Topic
from tests.support.virtual_time import Clock


class Keeper(logging.Handler):
    """Keeps what passes, in its order."""

    def __init__(self, clock: Clock, **terms: Any) -> None:
        super().__init__()
        self.clock = clock
        self.kept: list[tuple[float, logging.LogRecord]] = []
        self.folding = Folding(self.handle, clock=clock, **terms)
        self.addFilter(self.folding)

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append((self.clock.now, record))

    def told(self) -> list[str]:
        return [record.getMessage() for _, record in self.kept]

    def folded(self) -> int:
        return sum(getattr(record, "folded", 0) for _, record in self.kept)

    def passed(self) -> int:
        return sum(not hasattr(record, "folded") for _, record in self.kept)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(clock: Clock) -> Keeper:
    return Keeper(clock)


def say(
    keeper: Keeper,
    text: str,
    *args: object,
    line: str | None = "o2",
    level: int = logging.WARNING,
    **more: Any,
) -> None:
    record = logging.LogRecord(more.pop("logger", "actors.supervisor"), level, "f.py", 1, text, args, None)
    if line is not None:
        record.line, record.epoch = line, more.pop("epoch", 1)
    vars(record).update(more)
    keeper.handle(record)


# ── a storm ─────────────────────────────────────────────────────────────────────────────────────


def test_a_few_pass_and_the_rest_is_one_line_when_the_minute_is_over(keeper: Keeper, clock: Clock) -> None:
    for attempt in range(1, 43):
        say(keeper, "%s: reset; try %d in %.2f s", "o2", attempt, 0.25 * attempt, epoch=attempt)
        clock.now += 1.0
    assert len(keeper.kept) == 5
    clock.now += 22.9  # the minute began with the first that was folded
    keeper.folding.tell_due()
    assert len(keeper.kept) == 5
    clock.now += 0.1
    keeper.folding.tell_due()
    keeper.folding.tell_due()
    words = "reset; try 42 in 10.50 s"
    assert keeper.told()[5:] == [f"… 37 more like this in the last minute: {words}"]
    record = keeper.kept[-1][1]
    assert (record.name, record.levelname) == ("actors.supervisor", "WARNING")
    assert (record.line, record.epoch, record.folded) == ("o2", 42, 37)  # type: ignore[attr-defined]


def test_the_next_record_that_passes_brings_the_count_with_it(keeper: Keeper, clock: Clock) -> None:
    for _ in range(8):
        say(keeper, "o2: lost")
    clock.now += 60.0
    say(keeper, "o2: lost")
    assert keeper.told()[5:] == ["… 3 more like this in the last minute: lost", "o2: lost"]
    at = [record.created for _, record in keeper.kept]
    assert at == sorted(at)


def test_so_does_one_of_another_line(keeper: Keeper, clock: Clock) -> None:
    for _ in range(8):
        say(keeper, "o2: lost")
    clock.now += 59.9
    say(keeper, "alpaca: live", line="alpaca")
    assert keeper.told()[5:] == ["alpaca: live"]
    clock.now += 0.2
    say(keeper, "alpaca: lost", line="alpaca")
    assert keeper.told()[6:] == ["… 3 more like this in the last minute: lost", "alpaca: lost"]


def test_a_count_that_comes_late_says_so(keeper: Keeper, clock: Clock) -> None:
    for _ in range(8):
        say(keeper, "o2: lost")
        clock.now += 1.0
    clock.now += 3_599.0
    say(keeper, "o2: live")
    assert keeper.told()[5:] == ["… 3 more like this within 2 s, the last one 3,600 s ago: lost", "o2: live"]


def test_at_the_end_all_is_told(keeper: Keeper, clock: Clock) -> None:
    for _ in range(7):
        say(keeper, "o2: lost")
    clock.now += 3.0
    keeper.folding.tell_all()
    keeper.folding.tell_all()
    assert keeper.told()[5:] == ["… 2 more like this in the last 3 s: lost"]


def test_what_comes_slowly_is_never_folded(keeper: Keeper, clock: Clock) -> None:
    for _ in range(100):
        say(keeper, "o2: live")
        clock.now += 12.0
    assert len(keeper.kept) == 100


# ── what is like what ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [7, 7.5, True])
def test_numbers_make_no_difference(keeper: Keeper, number: float) -> None:
    for times in range(10):
        say(keeper, "%s: lost %g s ago", "o2", number * times)
    assert len(keeper.kept) == 5


def test_formats_and_other_arguments_do(keeper: Keeper) -> None:
    for times in range(6):
        say(keeper, "%s is stale: %d s", "o2/depth/A", times)
        say(keeper, "%s is stale: %d s", "o2/depth/B", times)
        say(keeper, "%s is stale: %d s", Topic("o2", "depth"), times)
        say(keeper, "%s is mute: %d s", "o2/depth/A", times)
    assert len(keeper.kept) == 20


def test_a_cause_stands_for_the_arguments(keeper: Keeper) -> None:
    for times in range(6):
        say(keeper, "o2: %s", f"reset; try {times}", cause="lost")
        say(keeper, "o2: %s", f"no pong; try {times}", cause="pong_timeout")
    assert len(keeper.kept) == 10


def test_logger_line_and_level_do(keeper: Keeper) -> None:
    for _ in range(6):
        say(keeper, "lost")
        say(keeper, "lost", line="alpaca")
        say(keeper, "lost", line=None)
        say(keeper, "lost", level=logging.ERROR)
        say(keeper, "lost", logger="actors.connection")
    assert len(keeper.kept) == 25


def test_errors_raised_elsewhere_do(keeper: Keeper) -> None:
    log = logging.Logger("actors.runtime")
    log.addHandler(keeper)

    def one(number: int) -> None:
        raise ValueError(f"{number} events behind")

    def other(number: int) -> None:
        raise ValueError("1 events behind")

    def third(number: int) -> None:
        raise KeyError("AAPL")

    for number in range(10):
        for handler in (one, other, third):
            try:
                handler(number)
            except Exception:
                log.exception("The handler of o2/trades failed; it goes on with the next event.")
    assert [record.exc_info is not None for _, record in keeper.kept] == [True] * 15
    keeper.folding.tell_all()
    assert keeper.folded() == 15


# ── what else may come ──────────────────────────────────────────────────────────────────────────


def test_a_record_that_cannot_be_read_passes(keeper: Keeper) -> None:
    record = logging.LogRecord("actors", logging.INFO, "f.py", 1, "%d lines", ("no number",), None)
    assert all(keeper.folding.filter(record) for _ in range(10))


def test_a_long_message_is_told_in_short(keeper: Keeper) -> None:
    for _ in range(6):
        say(keeper, "x" * 100_000)
    keeper.folding.tell_all()
    assert len(keeper.told()[-1]) < LONGEST + 50


def test_percent_signs_are_no_arguments(keeper: Keeper) -> None:
    for _ in range(6):
        say(keeper, "100% of %s")
    keeper.folding.tell_all()
    assert keeper.told()[-1].endswith(": 100% of %s")


def test_memory_is_bounded_and_who_makes_room_is_told(clock: Clock) -> None:
    keeper = Keeper(clock, shapes=10)
    for _ in range(8):
        say(keeper, "the oldest")
    for number in range(100):
        say(keeper, f"name-{number}")
    assert len(keeper.folding._passed) == 10
    assert keeper.folding._folded == {}
    assert keeper.told().count("the oldest") == 5
    assert (
        keeper.told().index("… 3 more like this in the last 1 s: the oldest") == 5 + 9
    )  # before the one it makes room for


def test_any_thread_may_log(clock: Clock) -> None:
    keeper = Keeper(clock)

    def storm() -> None:
        for number in range(500):
            say(keeper, "try %d", number)

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keeper.folding.tell_all()
    assert (keeper.passed(), keeper.folded()) == (5, 1_995)


def test_the_log_of_run_has_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root, ours = logging.getLogger(), logging.getLogger("actors")
    monkeypatch.setattr(root, "handlers", [])
    before = root.level, ours.level
    logs.set_up("json")
    for attempt in range(1, 8):
        ours.info("o2: lost; try %d", attempt, extra={"line": "o2", "epoch": attempt})
    logs.tell_folded()
    logs.tell_folded(rest=True)
    assert log_queue.flush(20)
    root.setLevel(before[0])
    ours.setLevel(before[1])
    told = [json.loads(row) for row in capsys.readouterr().err.splitlines()]
    assert [row["message"] for row in told[:5]] == [f"o2: lost; try {number}" for number in range(1, 6)]
    assert [(row["line"], row["epoch"], row["level"]) for row in told[5:]] == [("o2", 7, "info")]
    assert told[5]["message"] == "… 2 more like this in the last 1 s: lost; try 7"


# ── every record is counted ───────────────────────────────────────────────────────────────────────────

NAMES = ("lost", "live", "paused")
steps = st.lists(
    st.tuples(st.floats(0.0, 40.0), st.sampled_from((*NAMES, "")), st.integers(0, 9_999)), max_size=120
)


@given(steps, st.integers(1, 4), st.integers(1, 3))
def test_nothing_is_folded_in_silence(steps: list[tuple[float, str, int]], passing: int, shapes: int) -> None:
    clock = Clock()
    keeper = Keeper(clock, passing=passing, shapes=shapes)
    said: dict[str, int] = defaultdict(int)
    for wait, name, number in steps:
        clock.now += wait
        if name:
            said[name] += 1
            say(keeper, "lost; try %d", number, line=name)
        else:
            keeper.folding.tell_due()
    keeper.folding.tell_all()
    assert keeper.passed() + keeper.folded() == sum(said.values())
    for name, count in said.items():
        mine = [record for _, record in keeper.kept if record.line == name]  # type: ignore[attr-defined]
        assert sum(getattr(record, "folded", 1) for record in mine) == count
    assert all(getattr(record, "folded", 1) > 0 for _, record in keeper.kept)


@given(steps, st.integers(1, 4))
def test_no_minute_has_more_than_so_many_and_no_count_waits_longer(
    steps: list[tuple[float, str, int]], passing: int
) -> None:
    clock = Clock()
    keeper = Keeper(clock, passing=passing)
    unfolded: dict[str, list[float]] = defaultdict(list)
    for wait, name, number in steps:
        clock.now += wait
        if name:
            before = keeper.passed()
            say(keeper, "lost; try %d", number, line=name)
            if keeper.passed() > before:
                unfolded[name].append(clock.now)
        else:
            keeper.folding.tell_due()
            assert all(clock.now - fold.since < 60 for fold in keeper.folding._folded.values())
    for times in unfolded.values():
        for index in range(len(times) - passing):
            assert times[index + passing] - times[index] >= 60.0
