from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.outage_log import TABLE, Happened, Logged, OutageLog, OutageRecord

LOST, PARKED, FAILED = Happened.LOST, Happened.PARKED, Happened.FAILED
LIVE, STABLE, ASKED = Happened.LIVE, Happened.STABLE, Happened.ASKED


def records(*happened: Happened) -> list[OutageRecord]:
    log = OutageLog()
    told = [log.note(each, float(at)) for at, each in enumerate(happened)]
    return [each for each in told if each is not None]


@pytest.mark.parametrize(
    ("happened", "told"),
    [
        pytest.param([LIVE, STABLE], ["live"], id="it comes up"),
        pytest.param([LIVE, STABLE, LIVE], ["live", "live"], id="it was restarted"),
        pytest.param([LIVE, LOST, *[LOST] * 50, LIVE, STABLE], ["live", "lost", "restored"], id="an outage"),
        pytest.param([LOST, LOST, LIVE], ["lost", "restored"], id="the venue is away at the start"),
        pytest.param(
            [LIVE, LOST, LIVE, *[LOST, LIVE] * 50, STABLE],
            ["live", "lost", "restored", "flapping", "restored"],
            id="it flaps",
        ),
        pytest.param(
            [LIVE, LOST, PARKED, *[PARKED] * 9, LIVE],
            ["live", "lost", "failed", "restored"],
            id="probes of a parked line",
        ),
        pytest.param([LIVE, PARKED, FAILED], ["live", "failed", "failed"], id="it is probed no longer"),
        pytest.param(
            [LIVE, LOST, LIVE, LOST, PARKED, *[LIVE, PARKED] * 9, LIVE, STABLE],
            ["live", "lost", "restored", "flapping", "failed", "restored"],
            id="a parked line flaps",
        ),
        pytest.param(
            [LIVE, FAILED, ASKED, FAILED, ASKED, LIVE],
            ["live", "failed", "failed", "restored"],
            id="an operator acts",
        ),
        pytest.param([LIVE, LOST, LIVE, ASKED, LIVE], ["live", "lost", "restored", "live"], id="restarted"),
    ],
)
def test_what_is_logged(happened: list[Happened], told: list[OutageRecord]) -> None:
    assert records(*happened) == told


def test_the_record_of_a_return_has_length_and_tries() -> None:
    log = OutageLog()
    for at, each in [(0.0, LIVE), (60.0, LOST), (61.0, LOST), (70.0, LOST), (90.0, LIVE)]:
        log.note(each, at)
    assert (log.since, log.tries, log.losses) == (60.0, 3, 1)
    log.note(LOST, 95.0)
    log.note(LIVE, 96.0)
    assert (log.since, log.tries, log.losses) == (60.0, 4, 2)
    log.note(STABLE, 106.0)
    log.note(LOST, 200.0)
    assert (log.since, log.tries, log.losses) == (200.0, 0, 1)


def test_every_state_of_the_table_can_be_reached_and_left() -> None:
    assert {state for state, _ in TABLE} == set(Logged)
    assert {after for after, _ in TABLE.values()} == set(Logged)


@given(st.lists(st.sampled_from([LOST, PARKED, FAILED, LIVE, STABLE]), max_size=60))
def test_between_two_stable_lives_a_loss_a_flap_and_a_return_are_logged_once(
    happened: list[Happened],
) -> None:
    log, told = OutageLog(), list[OutageRecord]()
    for at, each in enumerate(happened):
        if log.logged is Logged.UP:
            told = []
        if (record := log.note(each, float(at))) is not None:
            told.append(record)
        assert told.count("lost") <= 1
        finals = told.count("failed")  # after each, an operator or a probe begins it again
        assert told.count("flapping") <= 1 + finals
        assert told.count("restored") <= 1 + (each is STABLE) + finals
        assert log.is_well == (log.logged in {Logged.NOTHING, Logged.UP})


@given(st.lists(st.sampled_from([LOST, PARKED, LIVE]), max_size=60))
def test_the_log_ends_with_the_truth_once_the_line_is_stable(happened: list[Happened]) -> None:
    told = records(*happened, LIVE, STABLE)
    assert told[-1] in {"live", "restored"}
    if happened:
        assert records(*happened, LIVE, STABLE, LOST)[-1] == "lost"
