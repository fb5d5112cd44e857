"""Which lines are live, answered without a look at each of them."""

from __future__ import annotations

from actors.rules.line import State
from actors.supervision.standing import Standing
from actors.supervision.state import LineRecord


class Line(LineRecord):
    def __init__(self, name: str, state: State) -> None:
        self.name, self.feed, self.state = name, name.partition("/")[0], state


def test_feeds_lines_and_all_of_them() -> None:
    standing = Standing()
    market, user, o2 = (Line(name, State.SUBSCRIBING) for name in ("projectx/market", "projectx/user", "o2"))
    for line in (market, user, o2):
        standing.note(line)
    market.state = State.LIVE
    standing.note(market)
    assert [standing.are_live(target) for target in (None, "projectx", "projectx/market", "o2")] == [
        *(None, None, True, None)
    ]
    user.state = State.LIVE
    standing.note(user)
    assert [standing.are_live(target) for target in (None, "projectx", "o2")] == [None, True, None]
    o2.state = State.FAILED
    standing.note(o2)
    assert [standing.are_live(target) for target in (None, "projectx", "o2")] == [False, True, False]
    standing.forget(o2)
    assert [standing.are_live(target) for target in (None, "o2")] == [True, True]


def test_a_line_that_leaves_live_is_away_again() -> None:
    standing, line = Standing(), Line("o2", State.LIVE)
    standing.note(line)
    assert standing.are_live("o2")
    line.state = State.BACKOFF
    standing.note(line)
    assert standing.are_live("o2") is None
