from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from actors.display.status_rows import COLUMNS, SORTS, StatusRows, status_rows
from actors.display.status_troubles import KINDS
from actors.events import Freshness
from actors.rules.lag import Lag
from actors.status import Status
from tests.cli.statuses import COUNTERS, LINES, NOW, OTHERS, PROCESS, down, line, status, topic, troubled


def cells(rows: StatusRows, number: int = 0) -> dict[str, str]:
    return {column: rows.lines[number].cell(column) for column in COLUMNS}


def test_a_line_that_is_up_has_a_value_in_each_column() -> None:
    counters = structs.replace(COUNTERS, restarts=4, restored=3, gaps=1_200, decoded=5)
    since = int((NOW - 90_000) * 1e9)
    told = status(
        o2=line(
            since_ns=since,
            live_for_s=80_000.0,
            topics=(topic("A", "confirmed"), topic("B", "rejected")),
            counters=counters,
            rtt_ms=12.34,
            data_age_s=75.0,
            lag=Lag(2.5),
        )
    )
    assert cells(status_rows(told, NOW, rates={"o2": 1_234.5})) == {
        "line": "o2",
        "state": "live",
        "since": "1d1h",
        "try": "-",
        "next": "-",
        "last-data": "1m",
        "rtt": "12.3ms",
        "lag": "2.5s",
        "subs": "1/2, 1 rejected",
        "events/s": "1,234",
        "reconnects": "3",
        "gaps": "1,200",
        "health": "100",
    }


def test_a_line_that_is_down_has_its_outage_its_try_and_the_next() -> None:
    lost = down("backoff", attempt=51, next_attempt_s=12.0)
    lost = structs.replace(lost, counters=structs.replace(COUNTERS, restarts=51, restored=1), data_age_s=None)
    shown = cells(status_rows(status(o2=lost), NOW))
    assert {
        column: shown[column] for column in ("state", "since", "try", "next", "reconnects", "last-data")
    } == {
        "state": "backoff",
        "since": "3h0m",
        "try": "51",
        "next": "12s",
        "reconnects": "1 (1 open)",
        "last-data": "-",
    }


def test_without_a_time_of_the_state_that_of_being_live_counts() -> None:
    assert cells(status_rows(status(o2=line(live_for_s=42.0)), NOW))["since"] == "42s"


def test_the_summary_tells_of_the_process_and_of_what_needs_a_person() -> None:
    told = troubled({"failed": 2, "degraded": 1, "backoff": 3, "halted": 1}, 4)
    assert status_rows(told, NOW).summary == (
        "desk: live · 4 need a person (!) · 5 of 10 lines live · 3 backoff · 2 failed · 1 degraded · 1 halt",
        "up 3 d 9 h · linewarden 1.2.3 · pid 4711 · /etc/linewarden/desk.toml",
    )
    (head, _) = status_rows(troubled({"failed": 1}), NOW).summary
    assert head.startswith("desk: live · 1 needs a person (!) · ")
    (head, _) = status_rows(troubled({"backoff": 1}), NOW).summary
    assert head == "desk: live · may end by itself · 0 of 1 line live · 1 backoff"
    for kinds in ({}, {"quarantine": 1, "dead_letter": 1, "metrics": 1, "silent_loss": 1}):
        (head, _) = status_rows(troubled(kinds, 1), NOW).summary
        assert head == "desk: live · 1 of 1 line live"
    (head, _) = status_rows(troubled({"paused": 1}), NOW).summary
    assert head == "desk: live · 0 of 1 line live · 1 paused"
    bare = structs.replace(troubled({}, 1), process=structs.replace(PROCESS, version="", config=""))
    assert status_rows(bare, NOW).summary[1] == "up 3 d 9 h · linewarden · pid 4711"


def test_what_a_caller_may_not_see_is_told() -> None:
    told = structs.replace(troubled({"halted": 1}, 1), redacted=True)
    assert "accounts, orders and raw messages are not shown: that needs the right `account`" in (
        status_rows(told, NOW).summary
    )


def test_lines_stand_in_the_order_of_their_worst_trouble() -> None:
    kinds = [kind for kind in KINDS if kind in LINES and KINDS[kind].level in {"person", "trouble"}]
    told = troubled(dict.fromkeys(reversed(kinds), 1), 1)
    assert [row.name for row in status_rows(told, NOW).lines] == [*(f"{kind}/0" for kind in kinds), "well/0"]
    both = structs.replace(LINES["failed"](), paused_by_streams=(3,))
    (row,) = status_rows(status(a=both), NOW).lines
    assert row.rank == list(KINDS).index("failed")


@pytest.mark.parametrize("kind", [kind for kind in LINES if KINDS[kind].level in {"note", "extra"}])
def test_a_note_makes_no_line_troubled(kind: str) -> None:
    assert [row.is_troubled for row in status_rows(troubled({kind: 1}), NOW).lines] == [False]


def two(a: dict[str, Any], b: dict[str, Any]) -> Status:
    return status(a=line(**a), b=line(**b))


# The one that begins a sorted list is b.
WORSE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "trouble": ({}, {"state": "failed"}),
    "state": ({}, {"state": "failed"}),
    "since": ({"live_for_s": 20.0}, {"live_for_s": 10.0}),
    "try": ({"state": "backoff", "attempt": 2}, {"state": "backoff", "attempt": 3}),
    "next": ({"next_attempt_s": 2.0}, {"next_attempt_s": 1.0}),
    "last-data": ({"data_age_s": 9.0}, {"data_age_s": 10.0}),
    "rtt": ({"rtt_ms": 9.0}, {"rtt_ms": 10.0}),
    "lag": ({"lag": Lag(1.0)}, {"lag": Lag(2.0)}),
    "subs": ({"topics": (topic("A", "confirmed"),)}, {"topics": (topic("A", "requested"),)}),
    "reconnects": ({}, {"counters": structs.replace(COUNTERS, restored=2)}),
    "gaps": (
        {"counters": structs.replace(COUNTERS, gaps=1)},
        {"counters": structs.replace(COUNTERS, gaps=2)},
    ),
    "health": ({}, {"health": structs.replace(line().health, score=50)}),
}


@pytest.mark.parametrize("sort", WORSE)
def test_a_sorted_list_begins_with_the_worst(sort: str) -> None:
    assert [row.name for row in status_rows(two(*WORSE[sort]), NOW, sort=sort).lines] == ["b", "a"]
    assert [row.name for row in status_rows(two({}, {}), NOW, sort=sort).lines] == ["a", "b"]


def test_each_column_has_an_order() -> None:
    assert SORTS.keys() == {"trouble", *COLUMNS}
    assert SORTS.keys() - WORSE.keys() == {"line", "events/s"}
    told = status(b=line(), a=line())
    assert [row.name for row in status_rows(told, NOW, sort="line").lines] == ["a", "b"]
    rates = {"a": 2.0, "b": 1.0}
    assert [row.name for row in status_rows(told, NOW, sort="events/s", rates=rates).lines] == ["a", "b"]


@pytest.mark.parametrize("sort", SORTS)
def test_what_is_not_known_has_a_place_in_each_order(sort: str) -> None:
    unknown = line(rtt_ms=None, data_age_s=None, live_for_s=None, next_attempt_s=None)
    rows = status_rows(structs.replace(status(a=unknown, b=line())), NOW, sort=sort)
    assert {row.name for row in rows.lines} == {"a", "b"}


def test_a_target_is_a_feed_or_a_line_and_what_concerns_the_process_stays() -> None:
    told = troubled({"failed": 2, "halted": 1, "quarantine": 1, "login": 1}, 4, feeds=2)
    one = status_rows(told, NOW, target="feed0")
    assert {row.feed for row in one.lines} == {"feed0"}
    assert {each.feed for each in one.troubles} == {"", "feed0"}
    single = status_rows(told, NOW, target="failed/1")
    assert [row.name for row in single.lines] == ["failed/1"]
    assert [each.kind for each in single.troubles] == ["halted", "failed", "quarantine"]
    assert single.summary == status_rows(told, NOW).summary[:1] + one.summary[1:]


def test_a_feed_without_lines_is_told_as_one() -> None:
    told = troubled({}, 1)
    (feed, known), *_ = told.feeds.items()
    idle = structs.replace(told, feeds={**told.feeds, "idle": structs.replace(known, lines={})})
    sentence = "idle has no lines: nothing of it is subscribed to"
    assert status_rows(idle, NOW, target="idle").summary[-1] == sentence
    for target in (feed, None):
        assert sentence not in status_rows(idle, NOW, target=target).summary


def test_down_leaves_lines_that_are_not_live_or_degraded() -> None:
    told = troubled(dict.fromkeys(LINES, 1), 5)
    names = {row.name.partition("/")[0] for row in status_rows(told, NOW, down=True).lines}
    assert names == {"failed", "backoff", "waiting", "opening", "paused", "stopped", "degraded"}


def test_fresh_lists_each_topic_that_is_not_in_place_of_the_stale_ones() -> None:
    told = troubled({"stale": 1, "held": 1})
    assert "every topic is fresh" in status_rows(told, NOW, fresh=True).summary
    untrusted = {
        "feed0/trades/B": Freshness("quiet", "closed", text="the market is closed"),
        "o2/trades/A": Freshness("stale", "pongs", text="nothing for 60 s\x1b"),
    }
    rows = status_rows(structs.replace(told, untrusted=untrusted), NOW, fresh=True)
    shown = [(each.text, each.line) for each in rows.troubles if each.kind in {"not_fresh", "stale"}]
    assert shown == [
        ("feed0/trades/B: not fresh (closed): the market is closed", ""),
        (r"o2/trades/A: not fresh (pongs): nothing for 60 s\x1b", "stale/0"),
    ]
    assert not any("fresh" in text for text in rows.summary)


def test_troubles_of_each_kind_are_made_up_in_the_tests() -> None:
    assert {*LINES, *OTHERS, "not_fresh"} == KINDS.keys()
