from __future__ import annotations

import re

from actors.cli import kept_view
from actors.diagnostics import DeadLetter, Quarantined
from actors.display.text import day_and_clock
from actors.status import CooldownStatus, DeadLettersStatus, QuarantineStatus
from tests.cli.drawing import drawn
from tests.cli.statuses import NOW, VENUE_TEXT

AT = int(NOW * 1e9)


def test_a_message_in_quarantine_has_when_which_line_and_why_before_its_own_text() -> None:
    odd = Quarantined("o2/depth", AT, "expected `int`", 9_000, '{"a\x1b":' + "x" * 4_000)
    kept = QuarantineStatus(5, (odd,))
    rows = drawn(kept_view.quarantine(kept, 80), 80)
    assert rows[0] == f"{day_and_clock(AT)}  o2/depth  expected `int`"
    assert rows[1].startswith(r'    9,000 bytes: {"a\x1b":xxx')
    assert len(rows[1]) == 80
    assert rows[1].endswith("…")
    assert rows[2:] == ["5 messages; the newest 1 are shown."]
    (row, _) = drawn(kept_view.quarantine(kept, None), 10_000)
    assert row == rf'{day_and_clock(AT)}  o2/depth  expected `int`  9,000 bytes: {{"a\x1b":{"x" * 4_000}'


def test_a_long_reason_hides_neither_the_line_nor_the_message() -> None:
    kept = QuarantineStatus(1, (Quarantined("o2", AT, VENUE_TEXT, 12, "the message"),))
    for width in (60, 80, 120):
        rows = drawn(kept_view.quarantine(kept, width), width)
        assert rows[0].startswith(f"{day_and_clock(AT)}  o2  ")
        assert all(len(row) <= width for row in rows)
        assert rows[-2:] == ["    12 bytes: the message", "1 message."]
        assert len(rows) <= 5


def test_a_dead_letter_has_when_to_whom_and_why_before_the_message() -> None:
    kept = DeadLettersStatus(5, (DeadLetter("o2", "Subscribe", "dead\n", AT),))
    assert drawn(kept_view.dead_letters(kept, 80), 80) == [
        rf"{day_and_clock(AT)}  o2  dead\n: Subscribe",
        "5 dead letters; the newest 1 are shown.",
    ]


def test_where_there_is_none_that_is_said() -> None:
    assert drawn(kept_view.quarantine(QuarantineStatus(0, ()), 80)) == ["There is no message in quarantine."]
    assert drawn(kept_view.dead_letters(DeadLettersStatus(0, ()), 80)) == ["There is no dead letter."]
    assert drawn(kept_view.cooldowns(())) == ["There is no cool-down."]


def test_cool_downs_are_told_with_their_end_and_who_asked() -> None:
    known = (
        CooldownStatus("alpaca@a.example/77c1", AT, "429 Too\x1b[2J Many", "iex", "venue"),
        CooldownStatus("o2@b.example/public", AT, "403 Forbidden", "", "linewarden"),
    )
    _, _, first, second = drawn(kept_view.cooldowns(known))
    assert re.split(r"  +", first.strip()) == [
        "alpaca@a.example/77c1",
        day_and_clock(AT),
        "the venue",
        "iex",
        r"429 Too\x1b[2J Many",
    ]
    assert "linewarden (slow_initial)" in second
