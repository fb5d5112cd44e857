"""The sentences of a status. That each of them is shown is proved in test_status_screen.py."""

from __future__ import annotations

import pytest
from msgspec import structs

from actors.display.status_troubles import troubles
from actors.display.text import day_and_clock
from actors.events import Scope, SubscriptionState, VenueState
from actors.status import ActorStatus, Cause, HaltStatus, Status, TopicStatus
from tests.cli.statuses import DOWN_SINCE, NOW, OUTAGE, down, ending, line, status, stream, troubled

SINCE = f"down since {day_and_clock(DOWN_SINCE)} (3 h 0 m"


def told(it: Status, *kinds: str) -> list[str]:
    return [each.text for each in troubles(it, NOW) if not kinds or each.kind in kinds]


def test_an_outage_has_its_beginning_its_tries_and_its_first_cause_beside_the_newest() -> None:
    lost = structs.replace(down("failed"), reason=Cause("fatal", "http_402", "no\x1b", "Check the key."))
    assert told(status(o2=lost), "failed") == [
        rf"o2: failed; {SINCE}, 50 failed tries); http_402: no\x1b; "
        "began with lost: connection reset by peer. Check the key. Then: linewarden restart o2, "
        "or linewarden reload"
    ]


def test_a_line_that_died_too_often_says_so_and_when_it_is_tried_again() -> None:
    lost = structs.replace(down("failed", next_attempt_s=42.0), reason=Cause("retryable", "lost", "reset"))
    (text,) = told(status(o2=lost), "failed")
    assert text.endswith("; it died more often than max_restarts allows, and is tried again in 42 s")
    (text,) = told(status(o2=structs.replace(lost, next_attempt_s=None)), "failed")
    assert text.endswith("; it died more often than max_restarts allows")


def test_a_halt_names_the_config_in_the_command_that_ends_it() -> None:
    (text,) = told(troubled({"halted": 1}), "halted")
    assert text.endswith(" To end it: linewarden unhalt h1 -c /etc/linewarden/desk.toml")


def test_a_cause_that_is_still_the_first_is_told_once() -> None:
    lost = structs.replace(
        down("backoff", attempt=2, next_attempt_s=1.5),
        reason=Cause("retryable", "lost", "reset"),
        journal=(ending("lost", "reset", 9.0), ending("lost", "reset")),
    )
    assert told(status(o2=lost), "backoff") == [
        f"o2: backoff, try 2 in 1.5 s; {SINCE}, 1 failed try); lost: reset"
    ]


def test_a_paused_line_tells_no_cause() -> None:
    assert told(status(o2=down("paused")), "paused") == [f"o2: paused; {SINCE}, 50 failed tries)"]


def test_a_line_that_has_not_begun_has_no_time() -> None:
    fresh = line("connecting", live_for_s=None, epoch=0)
    assert told(status(o2=fresh), "opening") == ["o2: connecting"]


def test_a_line_that_is_live_but_waits_for_answers_is_not_down() -> None:
    settling = line("subscribing", since_ns=DOWN_SINCE, journal=OUTAGE)
    assert told(status(o2=settling), "opening") == ["o2: subscribing"]


def test_a_full_stream_is_named_with_its_policy() -> None:
    it = structs.replace(status(o2=line(paused_by_streams=(3, 4))), streams=(stream(queued=100),))
    assert told(it, "held") == [
        "o2: live, held by a full stream: waits for stream 3 (o2/trades), policy block, 100 of 100 queued "
        "and stream 4"
    ]


def test_each_rejected_topic_has_its_reason() -> None:
    refused = SubscriptionState("rejected", reason="no\nsuch market")
    topics = tuple(TopicStatus(f"o2/depth/{key}", refused, None, False) for key in "AB")
    assert told(status(o2=line(topics=topics)), "rejected") == [
        rf"o2/depth/{key}: rejected by the venue: no\nsuch market" for key in "AB"
    ]


def test_a_halt_names_what_ends_it() -> None:
    halt = HaltStatus("h1", "all", "fat\nfinger", DOWN_SINCE, "ann", is_written=False)
    assert told(structs.replace(status(), halts=(halt,)), "halted") == [
        rf"HALTED: all: fat\nfinger (halt h1, by ann; it is not written), since {day_and_clock(DOWN_SINCE)}. "
        "To end it: linewarden unhalt h1"
    ]


@pytest.mark.parametrize(
    ("actor", "words"),
    [
        (ActorStatus("dispatcher", "wedged", 2, 1, "stack"), ["dispatcher is wedged; the log has its stack"]),
        (ActorStatus("registry", "restarting", 2, 1), ["registry is restarting"]),
        (
            ActorStatus("connection/o2", "wedged", 2, 1, "s"),
            ["connection/o2 is wedged; the log has its stack"],
        ),
        (ActorStatus("connection/o2", "restarting", 2, 1), []),  # its line tells that
        (ActorStatus("registry", "running", 2, 1), []),
    ],
)
def test_an_actor_that_does_not_run_is_named(actor: ActorStatus, words: list[str]) -> None:
    assert told(structs.replace(status(), actors=(actor,)), "actor") == words


def test_a_state_of_one_key_is_a_note_and_one_of_more_a_trouble() -> None:
    wide = VenueState(Scope(), "maintenance", "", DOWN_SINCE, "o2", 2, DOWN_SINCE)
    narrow = VenueState(Scope(key="A"), "halted", "news pending", None, "o2", 2, DOWN_SINCE)
    it = status(o2=line(venue_states=(narrow, wide)))
    at = day_and_clock(DOWN_SINCE)
    assert told(it, "venue") == [f"o2: the venue says: maintenance until {at} (since {at.split()[1]})"]
    assert told(it, "venue_key") == [f"o2: the venue says: A is halted: news pending (since {at.split()[1]})"]


def test_troubles_stand_in_the_order_of_what_they_ask_for() -> None:
    kinds = [
        each.kind for each in troubles(troubled({"login": 1, "backoff": 1, "failed": 1, "halted": 1}), NOW)
    ]
    assert kinds == ["halted", "failed", "backoff", "login"]
