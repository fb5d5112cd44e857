from __future__ import annotations

import pytest
from msgspec import structs

from actors.cli.journal_view import blind_times, journal
from actors.display.text import day_and_clock
from actors.events import Scope, VenueState
from actors.rules.journal import LineExit, RecoveryTimes, SilentLossEntry
from tests.cli.drawing import drawn
from tests.cli.statuses import NOW, VENUE_TEXT, line, topic

SPLIT = RecoveryTimes(detect=1_000.4, wait=80.25, connect=3.0, login=0.0, subscribe=5.0)
AT = int((NOW - 12) * 1e9)
ENDING = LineExit(3, AT, "retryable", "lost", "reset by\x1b[2J peer", 1, 4.9, SPLIT)
HALT = VenueState(Scope(key="AB\x1bC"), "halted", "news pending", None, "o2", 2, AT - 10**9)


def test_an_ending_has_one_row_or_two_where_there_is_little_room() -> None:
    older = structs.replace(ENDING, epoch=2, at_ns=ENDING.at_ns - 10**9, lived_s=None)
    told = [" ".join(row.split()) for row in drawn(journal({"o2": [ENDING], "b": [older]}, 200))]
    assert [row.split()[2] for row in told[2:4]] == ["b", "o2"]
    at = day_and_clock(AT)
    assert told[3] == rf"{at} o2 3 retryable lost 1 4.9 s 1,000 80.2 3.0 0.0 5.0 reset by\x1b[2J peer"
    narrow = drawn(journal({"o2": [ENDING]}, 80), 80)
    assert narrow == [
        rf"{at}  o2#3  retryable lost: reset by\x1b[2J peer",
        "    try 1, lived 4.9 s; ms: detect 1,000, wait 80.2, connect 3.0, login 0.0,",
        "    subscribe 5.0",
    ]


def test_equal_tries_stand_where_the_first_of_them_was_with_their_number() -> None:
    tries = structs.replace(ENDING, code="dns", text="no", times=50, lived_s=None)
    tries = structs.replace(tries, at_ns=AT + 10**9, last_at_ns=AT + 600 * 10**9, split=RecoveryTimes())
    later = structs.replace(ENDING, at_ns=AT + 20 * 10**9)
    words = f"50 times until {day_and_clock(AT + 600 * 10**9)}: no"
    narrow = drawn(journal({"o2": [ENDING, tries], "b": [later]}, 80), 80)
    assert [row.split("  ")[1] for row in narrow if not row.startswith("    ")] == ["o2#3", "o2#3", "b#3"]
    assert f"{day_and_clock(AT + 10**9)}  o2#3  retryable dns: {words}" in narrow
    assert "    try 1, never live" in narrow
    assert any(row.endswith(words) for row in drawn(journal({"o2": [ENDING, tries]}, 200)))


def test_what_the_venue_said_and_silent_losses_stand_among_the_endings() -> None:
    loss = SilentLossEntry("projectx/4242", 2, AT - 2 * 10**9, "fill 7")
    told = [" ".join(row.split()) for row in drawn(journal({"o2": [ENDING, HALT, loss]}, 200))]
    before = [day_and_clock(AT - seconds * 10**9) for seconds in (2, 1)]
    assert told[2] == f"{before[0]} o2 2 audit silent_loss lost in silence: projectx/4242: fill 7"
    assert told[3] == rf"{before[1]} o2 2 venue halted AB\x1bC is halted: news pending"
    assert told[4].split()[2:4] == ["o2", "3"]
    narrow = drawn(journal({"o2": [HALT, loss]}, 80), 80)
    assert narrow == [
        f"{before[0]}  o2#2  lost in silence: projectx/4242: fill 7",
        rf"{before[1]}  o2#2  the venue says: AB\x1bC is halted: news pending",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_long_text_takes_three_rows_at_most_and_none_is_too_wide(width: int) -> None:
    long = structs.replace(ENDING, text=VENUE_TEXT, url="wss://b.example", times=7, last_at_ns=AT + 10**9)
    rows = drawn(journal({"a/long/name": [long]}, width), width)
    assert all(len(row) <= width for row in rows)
    assert len(rows) <= 3 + 2
    told = " ".join(" ".join(rows).split())
    assert told.startswith(f"{day_and_clock(AT)} a/long/name#3 retryable lost: 7 times until ")
    assert " (at wss://b.example) try 1, " in told


def test_without_an_ending_that_is_said() -> None:
    assert drawn(journal({"o2": ()}, 80)) == ["No line has been lost."]


def test_blind_times_are_listed_for_topics_that_have_some() -> None:
    blind = structs.replace(topic("o2/depth/A", "confirmed"), blind_s=90.0, blind_today_s=4.2)
    told = drawn(blind_times({"o2": line(topics=(blind, topic("o2/depth/B", "confirmed")))}))
    assert [" ".join(row.split()) for row in told[1:] if row.strip("─ ")] == [
        "subscription blind today since the start",
        "o2/depth/A 4.2 s 1 m",
    ]
    assert drawn(blind_times({})) == []
