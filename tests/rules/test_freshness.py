"""Live, quiet as expected, or stale: two ages, and the cause by its name."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events import Cause, Freshness, Scope, StateName, Topic, VenueState
from actors.rules.calendar import SECOND, Calendar, read_session
from actors.rules.freshness import NO_POLICY, Evidence, FreshnessPolicy, Signs, assess, judge, worst_of

EQUITIES = Calendar("us_equities", "America/New_York", (read_session("Mon-Fri 09:30-16:00"),))


def new_york(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).timestamp()) * SECOND


def evidence(at: float | None, **others: Any) -> Evidence:
    """A topic whose last event came `at`; it is second 1,000 now, and the login was at 100."""
    given: dict[str, Any] = {"now": 1000.0, "now_ns": new_york("2026-03-09 12:00"), "since": 100.0}
    return Evidence(**given | {"at": at, "signs": Signs()} | others)


@pytest.mark.parametrize(
    ("signs", "cause"),
    [
        (Signs(bytes_at=90.0), "nothing"),
        (Signs(bytes_at=990.0), "pongs"),
        (Signs(bytes_at=990.0, message_at=99.0), "pongs"),  # the login's
        (Signs(bytes_at=990.0, message_at=101.0, ack_at=101.0), "acks"),
        (Signs(bytes_at=990.0, message_at=980.0, ack_at=980.0), "acks"),
        (Signs(bytes_at=990.0, message_at=985.0, ack_at=101.0), "heartbeats"),
        (Signs(bytes_at=990.0, message_at=985.0), "heartbeats"),
        (Signs(bytes_at=990.0, message_at=985.0, ack_at=101.0, event_at=985.0), "others"),
    ],
)
def test_one_that_is_mute_from_birth_is_told_with_what_came_instead(signs: Signs, cause: Cause) -> None:
    found = judge(FreshnessPolicy(stale_after=60.0), evidence(None, signs=signs))
    assert (found.state, found.cause, found.no_event_yet, found.age_s) == ("stale", cause, True, 900.0)
    assert found.text.startswith("nothing since it was subscribed, for 900 s, though the line is up; ")


@pytest.mark.parametrize(
    ("signs", "cause"),
    [
        (Signs(bytes_at=900.0, message_at=900.0, ack_at=101.0, event_at=900.0), "nothing"),
        (Signs(bytes_at=990.0, message_at=900.0, ack_at=101.0, event_at=900.0), "pongs"),
        (Signs(bytes_at=990.0, message_at=950.0, ack_at=950.0, event_at=900.0), "acks"),
        (Signs(bytes_at=990.0, message_at=990.0, ack_at=101.0, event_at=900.0), "heartbeats"),
        (Signs(bytes_at=990.0, message_at=990.0, ack_at=101.0, event_at=990.0), "others"),
    ],
)
def test_one_that_has_fallen_silent_is_told_with_what_came_since(signs: Signs, cause: Cause) -> None:
    found = judge(FreshnessPolicy(stale_after=60.0), evidence(900.0, signs=signs))
    assert (found.state, found.cause, found.no_event_yet, found.age_s) == ("stale", cause, False, 100.0)


def test_old_data_is_stale_though_it_has_just_come() -> None:
    now_ns = new_york("2026-03-09 12:00")
    policy = FreshnessPolicy(stale_after=60.0, max_event_lag=5.0)
    late = evidence(999.0, venue_ns=now_ns - 8 * SECOND, received_ns=now_ns - SECOND)
    found = judge(policy, late)
    assert (found.state, found.cause, found.age_s) == ("stale", "venue_time", 7.0)
    assert judge(FreshnessPolicy(stale_after=60.0), late).state == "live"  # nobody asked how old it is


def test_a_silence_makes_no_lag() -> None:
    now_ns = new_york("2026-03-09 12:00")
    long_ago = evidence(100.0, venue_ns=now_ns - 901 * SECOND, received_ns=now_ns - 900 * SECOND)
    assert judge(FreshnessPolicy(max_event_lag=5.0), long_ago).state == "quiet"
    assert judge(FreshnessPolicy(stale_after=60.0, max_event_lag=5.0), long_ago).cause == "nothing"


@pytest.mark.parametrize("ahead", [0, 1, 3600])
def test_a_venue_whose_clock_is_ahead_is_not_late(ahead: int) -> None:
    now_ns = new_york("2026-03-09 12:00")
    early = evidence(999.0, venue_ns=now_ns + ahead * SECOND, received_ns=now_ns)
    assert judge(FreshnessPolicy(60.0, 5.0), early).state == "live"
    assert judge(FreshnessPolicy(60.0, 5.0, EQUITIES), early).state == "live"


def test_the_night_and_the_weekend_count_for_nothing() -> None:
    policy = FreshnessPolicy(stale_after=60.0, max_event_lag=5.0, calendar=EQUITIES)
    friday, monday = new_york("2026-03-06 15:59:50"), new_york("2026-03-09 09:30:00")
    night = (monday - friday) / SECOND
    closed = judge(policy, evidence(0.0, now=night - 1, now_ns=monday - SECOND))
    assert (closed.state, closed.cause) == ("quiet", "closed")
    assert closed.text == "us_equities is closed until Mon 2026-03-09 09:30 EDT"
    opened = judge(policy, evidence(0.0, now=night + 49, now_ns=monday + 49 * SECOND))
    assert (opened.state, opened.cause) == ("quiet", "not_due")
    mute = judge(policy, evidence(0.0, now=night + 50, now_ns=monday + 50 * SECOND))
    assert (mute.state, mute.age_s) == ("stale", 60.0)
    assert "nothing for 60 s of market time" in mute.text
    # Friday's last event, told once more when the line came back before the opening, is not old.
    again = evidence(night - 1, now=night, now_ns=monday, venue_ns=friday + 8 * SECOND, received_ns=monday)
    assert judge(policy, again).state == "live"


def test_where_nothing_is_promised_silence_is_quiet_and_never_stale() -> None:
    assert judge(FreshnessPolicy(), evidence(999.0)).state == "live"
    for at in (None, 0.0):
        found = judge(FreshnessPolicy(), evidence(at))
        assert (found.state, found.cause) == ("quiet", "unwatched")


def test_a_time_from_the_beginning_of_all_times_is_only_old() -> None:
    policy = FreshnessPolicy(max_event_lag=5.0, calendar=EQUITIES)
    found = judge(policy, evidence(999.0, venue_ns=0, received_ns=new_york("2026-03-09 12:00")))
    assert (found.state, found.cause) == ("stale", "venue_time")


@given(
    st.builds(FreshnessPolicy, st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from([None, EQUITIES])),
    st.none() | st.floats(100.0, 1000.0),
    st.builds(Signs, *[st.floats(0.0, 1000.0)] * 4),
    st.none() | st.integers(0, 2 * 10**18),
)
def test_stale_is_only_what_broke_its_contract(
    policy: FreshnessPolicy, at: float | None, signs: Signs, venue_ns: int | None
) -> None:
    moment = evidence(at, signs=signs, venue_ns=venue_ns, received_ns=new_york("2026-03-09 11:59"))
    found = judge(policy, moment)
    if found.state == "stale":
        limit = policy.max_event_lag if found.cause == "venue_time" else policy.stale_after
        assert 0 < limit <= found.age_s
        assert found.text
    else:
        silence = moment.now - (moment.since if at is None else at)
        counted = policy.counted(moment.now_ns - round(silence * SECOND), moment.now_ns)
        assert not policy.stale_after or counted < policy.stale_after


@given(
    st.floats(1.0, 1e6),
    st.sampled_from([None, EQUITIES]),
    st.integers(new_york("2026-03-01"), new_york("2026-11-30")),
    st.floats(0.0, 1e6),
)
def test_no_contract_is_broken_before_it_is_due(
    limit: float, calendar: Calendar | None, now_ns: int, silence: float
) -> None:
    policy = FreshnessPolicy(stale_after=limit, calendar=calendar)
    due = policy.due_in(silence, now_ns)
    lasted = round(silence * SECOND)
    if due == 0.0:
        assert policy.counted(now_ns - lasted, now_ns) >= limit
    else:
        early = max(0, round(due * SECOND) - SECOND)
        assert policy.counted(now_ns - lasted, now_ns + early) < limit


def halted(state: StateName = "halted", text: str = "news pending", at_ns: int = 0) -> VenueState:
    at_ns = at_ns or new_york("2026-03-09 12:00") - 100 * SECOND
    return VenueState(Scope(), state, text, None, "iex", 1, at_ns)


@pytest.mark.parametrize(
    ("told", "cause", "text"),
    [
        (halted(), "halted", "halted: news pending"),
        (halted(text=""), "halted", "halted"),
        (halted("maintenance", "until noon"), "maintenance", "maintenance: until noon"),
    ],
)
def test_a_silence_that_the_venue_explains_is_quiet(told: VenueState, cause: str, text: str) -> None:
    for at, limit in ((0.0, 60.0), (None, 60.0), (900.0, 600.0), (900.0, 0.0)):
        received = new_york("2026-03-09 12:00") - 101 * SECOND
        found = judge(FreshnessPolicy(stale_after=limit), evidence(at, told=told, received_ns=received))
        assert (found.state, found.cause, found.text) == ("quiet", cause, text)


def test_an_event_after_the_halt_is_live_until_silence_sets_in_again() -> None:
    now_ns = new_york("2026-03-09 12:00")
    found = judge(FreshnessPolicy(60.0), evidence(990.0, told=halted(), received_ns=now_ns - 10 * SECOND))
    assert found.state == "live"
    found = judge(FreshnessPolicy(60.0), evidence(939.0, told=halted(), received_ns=now_ns - 61 * SECOND))
    assert (found.state, found.cause) == ("quiet", "halted")


def test_silence_counts_from_the_end_of_a_halt() -> None:
    resumed = new_york("2026-03-09 12:00") - 59 * SECOND
    found = judge(FreshnessPolicy(60.0), evidence(0.0, resumed_ns=resumed))
    assert (found.state, found.cause) == ("quiet", "not_due")
    assert found.age_s == pytest.approx(59.0)
    found = judge(FreshnessPolicy(60.0), evidence(0.0, resumed_ns=resumed - SECOND))
    assert found.state == "stale"
    assert found.age_s == pytest.approx(60.0)


@pytest.mark.parametrize("policies", [(), (FreshnessPolicy(60.0),)])
@pytest.mark.parametrize(("since_the_end", "fresh"), [(-1, False), (1, True)])
def test_what_came_before_the_end_of_a_halt_is_not_fresh(
    policies: tuple[FreshnessPolicy, ...], since_the_end: int, fresh: bool
) -> None:
    """However long the halt was, silence counts from its end. The age of the last event does not."""
    resumed = new_york("2026-03-09 12:00") - 5 * SECOND
    given = evidence(995.0, resumed_ns=resumed, received_ns=resumed + since_the_end * SECOND)
    found = assess(policies, given, max_age=10.0)
    assert found.fresh is fresh
    assert found.cause == ("" if fresh else "not_due")
    assert assess(policies, given, max_age=10.0, alive_within=10_000.0).fresh or policies


def test_a_halt_that_ends_later_than_now_by_a_clock_that_was_set_back_counts_for_nothing() -> None:
    ahead = new_york("2026-03-09 12:00") + 3600 * SECOND
    found = judge(FreshnessPolicy(60.0), evidence(900.0, resumed_ns=ahead, received_ns=ahead))
    assert (found.state, found.age_s) == ("stale", 100.0)


# ── fresh: may it be acted on? ──

WATCHED = (FreshnessPolicy(stale_after=60.0),)
HALT = VenueState(Scope(), "halted", "T1", at_ns=1)


@pytest.mark.parametrize(
    ("policies", "told", "cause"),
    [
        (WATCHED, {"at": 990.0}, ""),
        (WATCHED, {"at": None}, "no_event"),
        (WATCHED, {"at": None, "since": 900.0}, "nothing"),
        (WATCHED, {"at": 900.0}, "nothing"),
        (WATCHED, {"at": 990.0, "is_broken": True}, "gap"),
        (WATCHED, {"at": 990.0, "told": HALT}, "halted"),  # whatever comes all the same
        (WATCHED, {"at": 990.0, "received_ns": 5, "resumed_ns": 6}, "not_due"),  # it came before a halt
        (WATCHED, {"at": 990.0, "received_ns": 6, "resumed_ns": 6}, ""),
        ((), {"at": 990.0}, "unwatched"),
        ((FreshnessPolicy(max_event_lag=5.0),), {"at": 990.0}, "unwatched"),  # its silence is not judged
        ((*WATCHED, FreshnessPolicy(stale_after=5.0)), {"at": 990.0}, "nothing"),  # each has to hold
    ],
)
def test_what_is_unknown_is_never_fresh(
    policies: tuple[FreshnessPolicy, ...], told: dict[str, Any], cause: Cause
) -> None:
    given = {"since": 990.0} | told if told["at"] is None else told
    found = assess(policies, evidence(**given))
    assert (found.fresh, found.cause) == (not cause, cause)
    assert bool(found) is not bool(found.text)


def test_the_data_of_a_closed_market_is_not_fresh_however_new_it_is() -> None:
    policy = FreshnessPolicy(stale_after=60.0, calendar=EQUITIES)
    at_night = evidence(999.0, now_ns=new_york("2026-03-09 20:00"))
    assert judge(policy, at_night).state == "live"
    assert assess((policy,), at_night).cause == "closed"
    assert assess((policy,), evidence(999.0))


def test_after_the_opening_the_last_event_of_the_day_before_is_not_fresh() -> None:
    policy = FreshnessPolicy(stale_after=60.0, calendar=EQUITIES)
    opening = evidence(-60_000.0, now_ns=new_york("2026-03-10 09:30:10"), since=-90_000.0)
    assert judge(policy, opening).cause == assess((policy,), opening).cause == "not_due"


@given(age=st.floats(0.0, 100.0), venue_age=st.floats(-10.0, 100.0), max_age=st.floats(0.0, 100.0))
def test_max_age_is_of_the_receipt_and_of_the_venue_s_time(
    age: float, venue_age: float, max_age: float
) -> None:
    now_ns = new_york("2026-03-09 12:00")
    dated = evidence(1000.0 - age, venue_ns=now_ns - round(venue_age * SECOND))
    by_receipt, by_both = assess((), dated, max_age=max_age), assess((), dated, max_age=max_age, dated=True)
    passed = dated.age
    assert by_receipt.fresh is (passed <= max_age)
    assert by_both.fresh is (passed <= max_age and round(venue_age * SECOND) / SECOND <= max_age)
    assert by_receipt.fresh or by_receipt.cause == "max_age"


@given(silence=st.floats(0.0, 100.0), within=st.floats(0.0, 50.0), max_age=st.none() | st.floats(0.0, 50.0))
def test_an_account_channel_is_judged_by_its_line(
    silence: float, within: float, max_age: float | None
) -> None:
    heard = evidence(None, signs=Signs(bytes_at=1000.0 - silence))
    found = assess((), heard, alive_within=within, max_age=max_age)
    limit = max(within, max_age or 0.0)
    assert found.fresh is (limit > 0 and heard.now - heard.signs.bytes_at <= limit)
    assert assess(WATCHED, heard, alive_within=within).cause == "pongs"  # with a policy, as any other


def test_a_policy_over_another_leaves_out_what_it_does_not_name() -> None:
    config = FreshnessPolicy(60.0, 5.0, EQUITIES)
    assert NO_POLICY.over(config) == config
    assert FreshnessPolicy(stale_after=2.0).over(config) == FreshnessPolicy(2.0, 5.0, EQUITIES)
    assert config.over(None) is config


def test_of_several_topics_the_answer_is_about_the_one_that_is_worst_off() -> None:
    a, b, c = (Topic("o2", "trades", key) for key in "ABC")
    new, old = Freshness("live", age_s=1.0, fresh=True), Freshness("live", age_s=2.0, fresh=True)
    stale = Freshness("stale", "pongs", age_s=0.5, text="silent")
    assert worst_of([(a, new), (b, old)]).topic == "o2/trades/B"
    assert worst_of([(a, new), (b, stale), (c, old)]).topic == "o2/trades/B"
    assert not worst_of([])
    assert str(worst_of([(b, stale)])) == "o2/trades/B: stale (pongs): silent"
    assert str(worst_of([(a, new)])) == "o2/trades/A: fresh, 1.0 s old"
