"""How often clients may restart lines, and which commands count as one."""

from __future__ import annotations

import pytest

from actors.rules.client_rate import PERIOD
from actors.rules.command_limit import CommandLimit, Go, Later, Same


@pytest.fixture
def limit() -> CommandLimit:
    return CommandLimit(5.0, 3)


def kinds(limit: CommandLimit, *commands: tuple[str, float]) -> list[str]:
    """What becomes of these commands for one line, at these times."""
    return [type(limit.judge(name, "o2", ["o2"], at)).__name__ for name, at in commands]


def test_a_line_is_restarted_once_per_interval(limit: CommandLimit) -> None:
    told = [limit.judge("restart", "o2", ["o2"], at / 100) for at in range(1_000)]
    assert [type(each) for each in told].count(Go) == 2
    assert told[500] == Go(("o2",))
    assert {type(each) for each in told} == {Go, Same}
    assert told[499] == Same("the same as the restart 5.0 s ago; not done again")


@pytest.mark.parametrize(
    ("commands", "found"),
    [
        ((("pause", 0.0), ("pause", 1.0)), ["Go", "Go"]),
        ((("pause", 0.0), ("resume", 0.1)), ["Go", "Go"]),
        ((("restart", 0.0), ("pause", 0.1)), ["Go", "Go"]),  # a pause is never held back
        ((("resume", 0.0), ("pause", 0.1), ("resume", 0.2)), ["Go", "Go", "Later"]),
        ((("resume", 0.0), ("pause", 0.1), ("resume", 0.2), ("pause", 0.3)), ["Go", "Go", "Later", "Go"]),
        ((("restart", 0.0), ("pause", 0.1), ("restart", 0.2)), ["Go", "Go", "Later"]),
        ((("restart", 0.0), ("resume", 0.1)), ["Go", "Later"]),
        ((("resume", 0.0), ("restart", 4.9), ("restart", 5.0)), ["Go", "Later", "Go"]),
    ],
)
def test_commands_that_connect_wait_and_equal_ones_are_done_once(
    limit: CommandLimit, commands: tuple[tuple[str, float], ...], found: list[str]
) -> None:
    assert kinds(limit, *commands) == found


def test_a_sentence_says_when_to_try_again(limit: CommandLimit) -> None:
    limit.judge("resume", "o2", ["o2"], 0.0)
    later = limit.judge("restart", "o2", ["o2"], 1.5)
    assert isinstance(later, Later)
    assert later.retry_after == 4
    assert later.told == (
        "o2: the last resume was 1.5 s ago, and commands connect a line at most once in 5 s; try again in 4 s"
    )


def test_a_feed_is_restarted_but_for_the_line_that_was_a_moment_ago(limit: CommandLimit) -> None:
    limit.judge("restart", "px/user", ["px/user"], 0.0)
    assert limit.judge("restart", "px", ["px/market", "px/user"], 1.0) == Go(
        ("px/market",), "not again: px/user"
    )
    assert isinstance(limit.judge("restart", "px", ["px/market", "px/user"], 2.0), Same)


def test_a_command_that_failed_counts_for_none_that_follows(limit: CommandLimit) -> None:
    limit.judge("restart", "o2", ["o2"], 0.0)
    limit.not_done(["o2", "elsewhere"])
    assert limit.judge("restart", "o2", ["o2"], 0.1) == Go(("o2",))


def test_a_target_without_lines_is_for_the_supervisor_to_judge(limit: CommandLimit) -> None:
    assert limit.judge("restart", "nowhere", [], 0.0) == Go(())


def test_a_client_has_so_many_commands_a_minute(limit: CommandLimit) -> None:
    assert [limit.count("a", at) for at in (0.0, 1.0, 2.0)] == [None] * 3
    later = limit.count("a", 10.0)
    assert later == Later(
        "this client has given 3 commands within a minute, as many as it may; try again in 50 s", 50
    )
    assert limit.count("b", 10.0) is None
    assert limit.count("a", PERIOD) is None


def test_the_memory_of_lines_is_bounded(limit: CommandLimit) -> None:
    for number in range(2_000):
        limit.judge("restart", str(number), [str(number)], float(number))
    assert len(limit._lines) <= 6
