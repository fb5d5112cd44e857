"""Which lines are live, answered without a look at each of them."""

from __future__ import annotations

from actors.rules.line import LineState
from actors.supervision.down_lines import DownLines
from actors.supervision.state import LineRecord


class Line(LineRecord):
    def __init__(self, name: str, state: LineState) -> None:
        self.name, self.feed, self.state = name, name.partition("/")[0], state


NAMES = ("projectx/market", "projectx/user", "o2")


def test_feeds_lines_and_all_of_them() -> None:
    down = DownLines()
    market, user, o2 = (
        Line(name, LineState.SUBSCRIBING) for name in ("projectx/market", "projectx/user", "o2")
    )
    for line in (market, user, o2):
        down.note(line)
    market.state = LineState.LIVE
    down.note(market)
    assert [down.are_live(target) for target in (None, "projectx", "projectx/market", "o2")] == [
        *(None, None, True, None)
    ]
    user.state = LineState.LIVE
    down.note(user)
    assert [down.are_live(target) for target in (None, "projectx", "o2")] == [None, True, None]
    o2.state = LineState.FAILED
    down.note(o2)
    assert [down.are_live(target) for target in (None, "projectx", "o2")] == [False, True, False]
    down.forget(o2)
    assert [down.are_live(target) for target in (None, "o2")] == [True, True]


def test_a_line_that_leaves_live_is_away_again() -> None:
    down, line = DownLines(), Line("o2", LineState.LIVE)
    down.note(line)
    assert down.are_live("o2")
    line.state = LineState.BACKOFF
    down.note(line)
    assert down.are_live("o2") is None
