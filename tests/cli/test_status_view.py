from __future__ import annotations

from rich.console import Group
from rich.text import Text

from actors.cli.status_view import StatusView
from actors.status import Cause
from tests.cli.drawing import drawn
from tests.cli.statuses import NOW, line, status, stream, troubled


def shown(picture: Group, column: str) -> list[str]:
    """The cells of this column."""
    rows = drawn(picture)
    first = next(number for number, row in enumerate(rows) if row.startswith("line "))
    end = rows[first].index(column) + len(column)
    return [row[:end].rsplit(maxsplit=1)[-1] for row in rows[first + 1 :]]


def test_events_a_second_want_two_looks_and_survive_a_restart() -> None:
    watched = StatusView(moving=True)
    for second, count in ((0.0, 1_000), (1.0, 1_500), (2.0, 100), (3.0, 350)):
        picture = watched.render(status(o2=line(decoded=count)), second, NOW, 200)
    assert shown(picture, "events/s") == ["250"]


def test_events_are_counted_over_a_short_while() -> None:
    view = StatusView(moving=True)
    for second in range(10):
        picture = view.render(status(a=line(decoded=100 * second * second)), float(second), NOW, 200)
    assert shown(picture, "events/s") == ["1,500"]  # of the seconds 6 to 9


def test_one_look_has_no_column_of_events() -> None:
    assert not any("events/s" in row for row in drawn(StatusView().render(status(a=line()), 0.0, NOW, 200)))


def test_streams_that_are_shown_elsewhere_are_left_out() -> None:
    told = troubled({}, 1)
    assert told.streams == (stream(queued=100),)
    for brief in (False, True):
        rows = drawn(StatusView(brief=brief).render(told, 0.0, NOW, 200))
        assert any(row.startswith("stream ") for row in rows) is not brief


def test_text_of_a_venue_is_no_markup_and_styles_are_those_of_the_rows() -> None:
    lost = line("failed", reason=Cause("fatal", "401", "[bold]no[/] \x1b[2Jway", "Check key"))
    picture = StatusView().render(status(a=lost), 0.0, NOW, 200, 24)
    assert "401: [bold]no[/] \\x1b[2Jway. Check key" in " ".join(drawn(picture))
    states = [
        str(span.style)
        for row in picture.renderables
        if isinstance(row, Text) and row.plain.startswith("a ")
        for span in row.spans
        if row.plain[span.start : span.end].strip() == "failed"
    ]
    assert states == ["bold red"]
