from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console, RenderableType
from rich.text import Text

from actors.cli import status_view
from actors.cli.status_view import StatusView
from actors.diagnostics import DeadLetter
from actors.display.status_words import last_gap, topics
from actors.display.text import day_and_clock
from actors.events import Freshness, Gap, Scope, SubscriptionState, Topic, VenueState
from actors.rules.counters import StreamStatus
from actors.rules.journal import LineExit, RecoveryTimes
from actors.rules.lag import Lag
from actors.status import (
    ActorStatus,
    Cause,
    CooldownStatus,
    DeadLettersStatus,
    HaltStatus,
    QuarantineStatus,
    Status,
    TopicStatus,
)
from tests.cli.statuses import line, status, topic

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
    picture = StatusView(**options).render(told, 1.0, NOW, width)
    return [" ".join(row.split()) for row in drawn(picture, width)]


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
    assert told[0] == "line state for events topics restored gaps lag rtt age score reason or last gap"
    assert told[2] == "o2 live 1 h 1 m 1,234 1/1 1/2 0 0.0 s 0.2 ms 0.1 s 100"
    assert told[-1] == "desk: live · 1 of 1 line live · 7 messages in quarantine"


def test_one_that_is_down_says_since_when_what_comes_next_and_why() -> None:
    lost = structs.replace(LOST, live_for_s=None, rtt_ms=None, data_age_s=None)
    told = rows(status(o2=lost))
    assert told[2] == "o2 backoff, try 2 in 1.5 s 12 s 0 0/0 1/2 0 0.0 s 100 lost: reset"
    narrow = rows(status(o2=lost), 80)
    assert narrow[0] == "line state for events topics restored gaps"
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


@pytest.mark.parametrize("width", [60, 80, 112, 150])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    many = (topic("o2/depth/A", "confirmed"), topic("o2/depth/B", "rejected"))
    gap = Gap(Topic("o2", "depth_view", "0x" + "ab" * 32), "disconnect", None, 0, 10**9, 3)
    lag = Lag(40.0, "reader", "the reader of stream 3 (o2/trades) is 40.0 s behind: 1,000,000 queued")
    held = line("live", paused_by_streams=(3,), topics=many, decoded=10**9, last_gap=gap, lag=lag)
    told = structs.replace(status(o2=held, b=LOST), streams=(stream(queued=10**6, received=10**8),))
    picture = drawn(StatusView(moving=True).render(told, 1.0, NOW, width), width)
    assert max(map(len, picture)) <= width
    assert [row.split()[0] for row in picture[2:4]] == ["o2", "b"]
    assert any("1.00 s of depth_view" in row for row in picture)


@pytest.mark.parametrize("width", [80, 112])
def test_a_line_that_is_behind_has_a_column_and_a_sentence(width: int) -> None:
    lag = Lag(4.2, "upstream", "events come 4.2 s later than they did")
    told = rows(status(a=line(lag=lag), b=line()), width)
    assert " gaps lag" in told[0]
    assert [row.split()[:2] for row in told[2:4]] == [["a", "live"], ["b", "live"]]
    assert ["4.2 s" in row for row in told[2:4]] == [True, False]
    assert "a: events come 4.2 s later than they did" in told
    assert " lag" not in rows(status(b=line()), width)[0]


def test_gaps_that_could_not_be_filled_have_a_sentence() -> None:
    left = structs.replace(line().counters, gaps=3, repaired=1, unrepaired=2)
    told = rows(status(a=line(counters=left), b=line()))
    assert "a: 2 gaps not filled completely" in told
    assert not any(row.startswith("b: ") for row in told)


def test_events_a_second_want_two_looks_and_survive_a_restart() -> None:
    watched = StatusView(moving=True)
    for second, count in ((0.0, 1_000), (1.0, 1_500), (2.0, 100), (3.0, 350)):
        picture = drawn(watched.render(status(o2=line(decoded=count)), second, NOW, 80))
    assert "events/s" in picture[0]
    assert "250" in picture[2].split()


def test_what_needs_a_look_stands_below() -> None:
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
    told = structs.replace(
        status(o2=odd), actors=actors, streams=(stream(handler_errors=1, dropped=12),), metrics_errors=2
    )
    token = structs.replace(told.feeds["o2"], token_expires_in_s=90.0, token_error="HTTP 500")
    told = structs.replace(told, feeds={"o2": token})
    below = rows(told)[3:]
    assert below[:9] == [
        "o2: waits for stream 3, which is full",
        *[r"o2/depth/B: rejected by the venue: no\nsuch market"] * 5,
        "o2: 2 more rejected topics; --json has all",
        "o2: last error of the venue: slow down",
        "o2: certificates are not checked (verify_tls = false)",
    ]
    assert below[10] == "stream of policy queued received dropped gaps topics delivered conflated lag"
    assert below[12:14] == [
        "3 o2/trades drop_oldest 0/100 0 12 0 0 0 0 0.0 s",
        "stream 3: its handler failed once",
    ]
    last = " ".join(below[-3:])
    assert "7 messages in quarantine · the metrics object failed twice" in last
    assert "o2: the token ends in 1 m and was not renewed: HTTP 500 · dispatcher is wedged" in last


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


def test_equal_tries_are_one_row_of_the_journal_and_say_how_often_until_when() -> None:
    until = time.strftime("%m-%d %H:%M:%S", time.localtime(NOW))
    tries = structs.replace(ENDING, lived_s=None, times=1_051, last_at_ns=int(NOW * 1e9))
    (wide,) = drawn(status_view.journal({"o2": [tries]}, 250), 250)[2:-1]
    assert " ".join(wide.split()).endswith(rf"1,051 times until {until}: reset by\x1b[2J peer")
    narrow = " ".join(drawn(status_view.journal({"o2": [tries]}, 80), 80))
    assert f"retryable lost: 1,051 times until {until}: reset by" in " ".join(narrow.split())


HALT = VenueState(Scope(key="AB\x1bC"), "halted", "news pending", None, "o2", 2, int((NOW - 13) * 1e9))


def test_what_the_venue_said_stands_among_the_endings() -> None:
    at = time.strftime("%m-%d %H:%M:%S", time.localtime(NOW - 13))
    told = [" ".join(row.split()) for row in drawn(status_view.journal({"o2": [ENDING, HALT]}, 200))]
    assert told[2] == rf"{at} o2 2 venue halted AB\x1bC is halted: news pending"
    assert told[3].split()[2:4] == ["o2", "3"]
    narrow = drawn(status_view.journal({"o2": [HALT]}, 80), 80)
    assert narrow == [rf"{at}  o2#2  the venue says: AB\x1bC is halted: news pending"]


def test_what_the_venue_says_of_itself_stands_below_the_table() -> None:
    ends = VenueState(Scope(), "maintenance", "", int((NOW + 60) * 1e9), "o2", 2, int(NOW * 1e9))
    halts = [structs.replace(HALT, scope=Scope(key=str(number))) for number in range(7)]
    below = rows(status(o2=line(venue_states=(*halts, ends))))[3:]
    since = time.strftime("%H:%M:%S", time.localtime(NOW - 13))
    assert below[0] == f"o2: the venue says: 3 is halted: news pending (since {since})"
    end = day_and_clock(int((NOW + 60) * 1e9))
    begin = time.strftime("%H:%M:%S", time.localtime(NOW))
    assert below[4] == f"o2: the venue says: maintenance until {end} (since {begin})"
    assert below[5] == "o2: 3 more states of the venue; --json has all"


@pytest.mark.parametrize("cause", ["closed", "halted", "maintenance"])
def test_topics_that_are_quiet_with_a_cause_are_counted(cause: Any) -> None:
    quiet = structs.replace(topic("A", "confirmed"), freshness=Freshness("quiet", cause))
    waits = structs.replace(topic("B", "confirmed"), freshness=Freshness("quiet", "not_due"))
    assert topics((quiet, waits)) == "2/2, 1 quiet"


def test_topics_that_are_not_fresh_are_listed_if_that_is_asked_for() -> None:
    view = status_view.StatusView(fresh=True)

    def below(untrusted: dict[str, Freshness]) -> list[str]:
        told = structs.replace(status(o2=line()), untrusted=untrusted)
        return drawn(view.render(told, NOW, NOW, 120))

    assert "every topic is fresh" in below({})
    stale = Freshness("stale", "pongs", text="nothing for 60 s\x1b")
    assert "o2/trades/A is not fresh (pongs): nothing for 60 s\\x1b" in below({"o2/trades/A": stale})
    many = {f"o2/trades/{number:03}": stale for number in range(status_view.MOST_TOPICS + 7)}
    assert "... and 7 more" in below(many)


def test_halts_are_the_first_thing_above_all_lines() -> None:
    halt = HaltStatus("h1", "api.venue.example/7", "fat\nfinger", int(NOW * 1e9), "ann")
    held = structs.replace(halt, id="h2", target="all", is_written=False)
    told = structs.replace(status(o2=line()), halts=(halt, held))
    rows = drawn(status_view.StatusView().render(told, NOW, NOW, 160))
    since = day_and_clock(int(NOW * 1e9))
    assert rows[0] == f"HALTED: api.venue.example/7: fat\\nfinger (halt h1, by ann), since {since}"
    assert rows[1] == f"HALTED: all: fat\\nfinger (halt h2, by ann; it is not written), since {since}"
    assert rows[2].split()[:2] == ["line", "state"]
    assert told.text.endswith("; 2 halts")


def test_a_login_of_the_environment_is_told_with_its_variables() -> None:
    told = status(o2=line())
    feed = structs.replace(told.feeds["o2"], login_variables=("A_KEY", "A_SECRET"))
    expected = "o2: its login was taken from A_KEY and A_SECRET of the environment"
    assert expected in rows(structs.replace(told, feeds={"o2": feed}))
    assert not any("its login" in row for row in rows(told))


def test_what_was_put_aside_is_counted() -> None:
    none = QuarantineStatus(0, ())
    assert drawn(status_view.quarantine(none)) == ["There is no message in quarantine."]
    kept = DeadLettersStatus(5, (DeadLetter("o2", "Subscribe", "dead\n"),))
    letters = drawn(status_view.dead_letters(kept))
    assert letters[2].split() == ["o2", "Subscribe", r"dead\n"]
    assert letters[-1] == "5 dead letters; the newest 1 are kept."


@pytest.mark.parametrize(
    ("seconds", "words"), [(9.94, "try 8 in 9.9 s"), (9.96, "try 8 in 10 s"), (19.53, "try 8 in 20 s")]
)
def test_a_long_wait_for_the_next_try_fits_into_its_column(seconds: float, words: str) -> None:
    lost = line("backoff", attempt=8, next_attempt_s=seconds)
    assert f"o2 backoff, {words} 1.0 s 0 0/0" in rows(status(o2=lost))[2]


@pytest.mark.parametrize(("state", "before"), [("backoff", ""), ("failed", "failed, ")])
def test_a_pause_that_the_venue_asked_for_is_told_in_place_of_a_bare_state(state: str, before: str) -> None:
    paused = line(state, next_attempt_s=600.0, waiting="waiting until 14:05 (the venue asked)")
    told = drawn(StatusView().render(status(o2=paused), 0.0, 0.0, 200))
    assert f" {before}waiting until 14:05 (the venue asked) " in told[2]
    narrow = drawn(StatusView().render(status(o2=paused), 0.0, 0.0, 60))
    assert "".join(each[4:15].strip() for each in narrow[2:6]).startswith(
        f"{before}waiting".replace(" ", "")[:9]
    )


def test_cool_downs_are_told_with_their_end_and_who_asked() -> None:
    assert drawn(status_view.cooldowns(())) == ["There is no cool-down."]
    at = 1_700_000_000_000_000_000
    known = (
        CooldownStatus("alpaca@a.example/77c1", at, "429 Too\x1b[2J Many", "iex", "venue"),
        CooldownStatus("o2@b.example/public", at, "403 Forbidden", "", "linewarden"),
    )
    _, _, first, second = drawn(status_view.cooldowns(known))
    assert re.split(r"  +", first.strip()) == [
        "alpaca@a.example/77c1",
        day_and_clock(at),
        "the venue",
        "iex",
        r"429 Too\x1b[2J Many",
    ]
    assert "linewarden (slow_initial)" in second


def test_what_is_stale_is_told_with_its_cause_and_what_is_quiet_is_counted() -> None:
    why = Freshness("stale", "pongs", False, 61.0, "nothing for 61 s")
    night = Freshness("quiet", "closed", False, 900.0, "us_equities is closed")
    confirmed = topic("o2/trades/A", "confirmed", stale=True)
    wanted = (
        structs.replace(confirmed, freshness=why),
        structs.replace(confirmed, topic="o2/trades/B", freshness=why),
        structs.replace(confirmed, topic="o2/trades/C", stale=False, freshness=night),
    )
    drawn = rows(status(a=line(topics=wanted)))
    assert "3/3, 2 stale, 1 quiet" in drawn[2]
    assert "a: stale: o2/trades/A and 1 more (nothing for 61 s)" in drawn[-1]


def test_events_are_counted_over_a_short_while() -> None:
    view = StatusView(moving=True)
    for second in range(10):
        picture = view.render(status(a=line(decoded=100 * second * second)), float(second), NOW, 80)
    assert "1,500" in drawn(picture)[2]  # of the seconds 6 to 9


def test_only_a_stream_that_has_a_buffer_can_be_full() -> None:
    streams = (stream(capacity=5, queued=5), stream(capacity=0, queued=0, policy="inline"))
    cells = list(status_view._streams(streams, 200).columns[3].cells)
    assert [str(cell.style) for cell in cells if isinstance(cell, Text)] == ["yellow", ""]


def test_text_of_a_venue_is_no_markup() -> None:
    lost = line("failed", reason=Cause("fatal", "401", "[bold]no[/] \x1b[2Jway", "Check key"))
    assert "401: [bold]no[/] \\x1b[2Jway. Check key" in " ".join(rows(status(a=lost)))


def test_the_last_gap_tells_when_how_long_of_what_and_why() -> None:
    until = 1_790_000_000_000_000_000
    gap = Gap(Topic("o2", "depth", "0x" + "ab" * 32), "disconnect", None, until - 410_000_000, until, 3)
    at = time.strftime("%H:%M:%S", time.localtime(until / 1e9))
    assert last_gap(line(last_gap=gap)) == f"{at} 0.41 s of depth 0xabab…abab (disconnect)"
    because = Cause("retryable", "lost", "reset by\npeer")
    told = last_gap(line(last_gap=gap, reason=because))
    assert told == f"{at} 0.41 s of depth 0xabab…abab (disconnect: reset by\\npeer)"
    counted = Gap(Topic("o2", "nonce"), "overflow", 1200, until, until, 3)
    assert last_gap(line(last_gap=counted, reason=because)) == f"{at} nonce (overflow, 1,200 missed)"
    assert last_gap(line()) == ""
