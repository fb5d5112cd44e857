from __future__ import annotations

import io
import time
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console, RenderableType

from actors.cli import status_view
from actors.cli.status_view import Board, span
from actors.diagnostics import DeadLetter
from actors.events import SubscriptionState
from actors.rules.counters import StreamStatus
from actors.rules.journal import LineExit, RecoveryTimes
from actors.status import ActorStatus, Cause, FeedStatus, QuarantineStatus, Status, TopicStatus
from tests.cli.test_run_view import line, status, topic

NOW = 1_790_000_000.0
SPLIT = RecoveryTimes(detect=1_000.4, wait=80.25, connect=3.0, login=0.0, subscribe=5.0)
ENDING = LineExit(3, int((NOW - 12) * 1e9), "retryable", "lost", "reset by\x1b[2J peer", 1, 4.9, SPLIT)
LOST = line(
    "backoff", attempt=2, next_attempt_s=1.5, reason=Cause("retryable", "lost", "reset"), journal=(ENDING,)
)


def drawn(picture: RenderableType, width: int = 200) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(picture)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def rows(told: Status, width: int = 200, **options: Any) -> list[str]:
    return [" ".join(row.split()) for row in drawn(Board(**options).render(told, 1.0, NOW, width), width)]


def stream(**changes: Any) -> StreamStatus:
    names = StreamStatus.__struct_fields__
    words: dict[str, Any] = {
        "id": 3,
        "feed": "o2",
        "channel": "trades",
        "policy": "drop_oldest",
        "capacity": 100,
    }
    return StreamStatus(**(dict.fromkeys(names, 0) | words | changes))


def test_a_row_tells_how_a_line_is() -> None:
    told = rows(
        status(o2=line(decoded=1_234, live_for_s=3_700.0, topics=(topic("o2/depth/A", "confirmed"),)))
    )
    assert told[0] == "line state for events topics rtt age restored gaps score reason"
    assert told[2] == "o2 live 1 h 1 m 1,234 1/1 0.2 ms 0.1 s 1/2 0 100"
    assert told[-1] == "desk: live · 1 of 1 lines live · 7 messages in quarantine"


def test_one_that_is_down_says_since_when_what_comes_next_and_why() -> None:
    lost = structs.replace(LOST, live_for_s=None, rtt_ms=None, data_age_s=None)
    told = rows(status(o2=lost))
    assert told[2] == "o2 backoff, try 2 in 1.5 s 12 s 0 0/0 1/2 0 100 lost: reset"
    narrow = rows(status(o2=lost), 80)
    assert narrow[0] == "line state for events topics gaps score"
    assert narrow[3] == "o2: lost: reset"


def test_an_outage_began_with_the_last_life_not_with_the_last_try() -> None:
    tries = [structs.replace(ENDING, at_ns=int((NOW - ago) * 1e9), lived_s=None) for ago in (300, 40, 2)]
    lost = structs.replace(ENDING, at_ns=int((NOW - 65) * 1e9))

    def shown(*journal: LineExit) -> str:
        return rows(status(o2=structs.replace(LOST, live_for_s=None, journal=journal)))[2]

    assert " 1.5 s 1 m " in shown(tries[0], lost, *tries[1:])
    assert " 1.5 s 5 m " in shown(*tries)  # never live
    assert " 1.5 s >5 m " in shown(*tries[:1] * 20)  # it may have been longer: the journal is full
    assert " 1.5 s 0 0/0 " in shown()


def test_lines_stand_below_their_feed() -> None:
    two = {"o2": line(), "o2/2": LOST}
    other = {"b": line()}
    feeds = {"o2": FeedStatus("o2", False, two), "b": FeedStatus("o2", True, other)}
    told = drawn(Board().render(structs.replace(status(), feeds=feeds), 1.0, NOW, 200))
    names = [row.split("  ")[0] for row in told[2:6]]
    assert told[2].split() == ["o2:", "1", "of", "2", "live"]
    assert [row[:6].rstrip() for row in told[3:6]] == ["  o2", "  o2/2", "b"]
    assert names[0] == "o2:"


@pytest.mark.parametrize("width", [60, 80, 112, 150])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    many = (topic("o2/depth/A", "confirmed"), topic("o2/depth/B", "rejected"))
    held = line("live", paused_by_streams=(3,), topics=many, decoded=10**9)
    told = structs.replace(status(o2=held, b=LOST), streams=(stream(queued=10**6, received=10**8),))
    picture = drawn(Board(moving=True).render(told, 1.0, NOW, width), width)
    assert max(map(len, picture)) <= width
    assert picture[2].split()[0] == "o2:" or picture[2].split()[0] == "o2"


def test_events_a_second_want_two_looks_and_survive_a_restart() -> None:
    watched = Board(moving=True)
    for second, count in ((0.0, 1_000), (1.0, 1_500), (2.0, 100), (3.0, 350)):
        picture = drawn(watched.render(status(o2=line(decoded=count)), second, NOW, 80))
    assert "events/s" in picture[0]
    assert "250" in picture[2].split()


def test_what_somebody_should_look_at_stands_below() -> None:
    refused = TopicStatus("o2/depth/B", SubscriptionState("rejected", reason="no\nsuch market"), None, False)
    odd = line(
        "live",
        paused_by_streams=(3,),
        topics=(refused,) * 7,
        last_venue_error="slow down",
        verify_tls=False,
    )
    actors = (
        ActorStatus("dispatcher", "wedged", 2, 1, "stack"),
        ActorStatus("connection/b", "restarting", 1, 1),
    )
    told = structs.replace(status(o2=odd), actors=actors, streams=(stream(handler_errors=4, dropped=12),))
    below = rows(told)[3:]
    assert below[:9] == [
        "o2: waits for stream 3, which is full",
        *[r"o2/depth/B: rejected by the venue: no\nsuch market"] * 5,
        "o2: 2 more topics are rejected; --json has them all",
        "o2: last error of the venue: slow down",
        "o2: certificates are not checked (verify_tls = false)",
    ]
    assert below[10] == "stream of policy queued received dropped gaps topics delivered conflated"
    assert below[12:14] == [
        "3 o2/trades drop_oldest 0/100 0 12 0 0 0 0",
        "stream 3: its handler failed 4 times",
    ]
    assert below[-1].endswith("7 messages in quarantine · dispatcher is wedged")


def test_the_journal_has_a_row_an_ending_or_two_where_there_is_little_room() -> None:
    at = time.strftime("%m-%d %H:%M:%S", time.localtime(NOW - 12))
    older = structs.replace(ENDING, epoch=2, at_ns=ENDING.at_ns - 10**9, lived_s=None)
    told = [" ".join(row.split()) for row in drawn(status_view.journal({"o2": [ENDING], "b": [older]}, 200))]
    assert [row.split()[2] for row in told[2:4]] == ["b", "o2"]
    assert told[3] == rf"{at} o2 3 retryable lost 1 4.9 s 1,000 80.2 3.0 0.0 5.0 reset by\x1b[2J peer"
    narrow = drawn(status_view.journal({"o2": [ENDING]}, 80), 80)
    assert narrow == [
        rf"{at}  o2#3  retryable lost: reset by\x1b[2J peer",
        "    try 1, lived 4.9 s; ms: detect 1,000, wait 80.2, connect 3.0, login 0.0, ",
        "subscribe 5.0",
    ]


def test_what_was_put_aside_is_counted() -> None:
    none = QuarantineStatus(0, ())
    assert drawn(status_view.quarantine(none)) == ["There is no message in quarantine."]
    letters = drawn(status_view.dead_letters([DeadLetter("o2", "Subscribe", "dead\n")], 5))
    assert letters[2].split() == ["o2", "Subscribe", r"dead\n"]
    assert letters[-1] == "5 dead letters; the newest 1 are kept."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 m"),
        (3_599, "59 m"),
        (3_600, "1 h 0 m"),
        (1e6, "11 d 13 h"),
    ],
)
def test_how_long_is_said_in_two_words(seconds: float, words: str) -> None:
    assert span(seconds) == words
