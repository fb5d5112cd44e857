from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec import structs

from actors.display.status_words import attempt, bare_state, failed_tries, last_gap, outage, state, topics
from actors.events import Freshness, Gap, Topic
from actors.status import Cause
from tests.cli.statuses import LINES, OUTAGE, ending, line, topic


@pytest.mark.parametrize(
    ("seconds", "words"), [(9.94, "try 8 in 9.9 s"), (9.96, "try 8 in 10 s"), (19.53, "try 8 in 20 s")]
)
def test_the_next_try_is_told_with_its_number(seconds: float, words: str) -> None:
    assert state(line("backoff", attempt=8, next_attempt_s=seconds)) == f"backoff, {words}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "live"),
        ({"degraded": "it decodes nothing"}, "live, degraded"),
        ({"paused_by_streams": (3,)}, "live, held by a full stream"),
        ({"degraded": "so", "paused_by_streams": (3,)}, "live, degraded, held by a full stream"),
        ({"state": "backoff", "waiting": "waiting until 14:05"}, "waiting until 14:05"),
        ({"state": "failed", "waiting": "waiting until 14:05"}, "failed, waiting until 14:05"),
    ],
)
def test_a_state_has_all_that_it_needs_to_be_understood(changes: dict[str, Any], words: str) -> None:
    assert (
        bare_state(structs.replace(line(), **changes)) == state(structs.replace(line(), **changes)) == words
    )


def test_an_outage_began_with_the_last_life_not_with_the_last_try() -> None:
    lost = structs.replace(LINES["backoff"](), journal=(ending("x", "x"), *OUTAGE))
    assert outage(lost) == OUTAGE
    assert (failed_tries(lost), attempt(lost)) == (50, 51)
    never_live = structs.replace(lost, journal=OUTAGE[1:])
    assert outage(never_live) == OUTAGE[1:]
    again = structs.replace(lost, state="live", down_since_ns=None, next_attempt_s=None)
    assert (outage(again), failed_tries(again), attempt(again)) == ((), 0, 0)


def test_the_number_of_a_try_is_that_of_the_outage_after_a_restart_too() -> None:
    assert attempt(structs.replace(LINES["backoff"](), attempt=1)) == 51
    assert attempt(structs.replace(LINES["backoff"](), journal=())) == 51
    assert attempt(structs.replace(LINES["failed"](), attempt=1)) == 50


@pytest.mark.parametrize("cause", ["closed", "halted", "maintenance"])
def test_topics_that_are_quiet_with_a_cause_are_counted(cause: Any) -> None:
    quiet = structs.replace(topic("A", "confirmed"), freshness=Freshness("quiet", cause))
    waits = structs.replace(topic("B", "confirmed"), freshness=Freshness("quiet", "not_due"))
    stale = structs.replace(topic("C", "confirmed", stale=True), freshness=Freshness("stale", "pongs"))
    assert topics((quiet, waits)) == "2/2, 1 quiet"
    assert topics((quiet, stale, topic("D", "rejected"))) == "2/3, 1 rejected, 1 stale, 1 quiet"


def test_the_last_gap_tells_when_how_long_of_what_and_why() -> None:
    until = 1_790_000_000_000_000_000
    gap = Gap(Topic("o2", "depth", "0x" + "ab" * 32), "disconnect", None, until - 410_000_000, until, 3)
    at = time.strftime("%H:%M:%S", time.localtime(until / 1e9))
    assert last_gap(line(last_gap=gap)) == f"{at} 0.41 s of depth 0xabab…abab (disconnect)"
    began = structs.replace(ending("lost", "reset by\npeer"), at_ns=gap.since_ns + 1)
    tried = structs.replace(ending("refused", "refused"), at_ns=gap.since_ns + 2)
    told = last_gap(line(last_gap=gap, journal=(began, tried)))
    assert told == f"{at} 0.41 s of depth 0xabab…abab (disconnect: reset by\\npeer)"
    later = Cause("retryable", "refused", "refused")
    for journal in ((), (structs.replace(began, at_ns=until + 1),)):  # an outage that has begun since
        told = last_gap(line(last_gap=gap, reason=later, journal=journal))
        assert told.endswith("(disconnect)")
    counted = Gap(Topic("o2", "nonce"), "overflow", 1200, until, until, 3)
    assert last_gap(line(last_gap=counted, journal=(began,))) == f"{at} nonce (overflow, 1,200 missed)"
    assert last_gap(line()) == ""
