from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import structs

from actors.rules.journal import DAY_NS, VARIOUS, BlindTime, Journal, LineExit, RecoveryTimes
from tests.support.examples import examples

ENDING = LineExit(1, 0, "retryable", "lost", "Connection reset by peer", 1, 60.0, RecoveryTimes())


def test_the_way_back_is_split_where_the_time_went() -> None:
    journal = Journal()
    journal.mark("live", 0.0)  # nothing has ended yet
    journal.ended(ENDING, received_at=9.5, ended_at=10.0)
    for step, at in (("started", 10.2), ("upgraded", 10.3), ("opened", 10.35), ("live", 10.4)):
        journal.mark(step, at)
    journal.mark("live", 99.0)  # only the first time counts
    (told,) = journal.exits()
    assert told.split == RecoveryTimes(
        detect=500, wait=200, connect=100, login=50, subscribe=50, first_data=None
    )


def journal_of(*endings: LineExit, keep: int = 20) -> Journal:
    journal = Journal(keep)
    for ending in endings:
        journal.ended(ending, None, ending.at_ns / 1e9)
    return journal


def a_try(at: int, text: str = "refused", code: str = "refused", url: str = "") -> LineExit:
    return LineExit(at, at, "retryable", code, text, at, None, RecoveryTimes(), url)


def test_a_long_outage_keeps_its_cause() -> None:
    tries = [a_try(at, f"Connection refused; pid {at}") for at in range(1, 10_001)]
    cause, refused = journal_of(ENDING, *tries).exits()
    assert cause == ENDING
    assert (refused.times, refused.at_ns, refused.last_at_ns) == (10_000, 1, 10_000)
    assert (refused.epoch, refused.attempt, refused.text) == (10_000, 10_000, "Connection refused; pid 10000")


def test_tries_of_two_addresses_by_turns_are_two_entries() -> None:
    tries = [a_try(at, url=f"wss://{at % 2}") for at in range(1, 51)]
    _, one, other = journal_of(ENDING, *tries).exits()
    assert [(each.url, each.times, each.last_at_ns) for each in (one, other)] == [
        ("wss://1", 25, 49),
        ("wss://0", 25, 50),
    ]


def test_codes_are_not_folded_although_they_are_numbers() -> None:
    told = journal_of(a_try(1, "503", "http_503"), a_try(2, "502", "http_502"), a_try(3, "503", "http_503"))
    assert [(each.code, each.times) for each in told.exits()] == [("http_503", 2), ("http_502", 1)]


def test_lives_are_not_folded() -> None:
    lives = [structs.replace(ENDING, at_ns=at) for at in range(30)]
    told = journal_of(*lives).exits()
    assert [each.at_ns for each in told] == list(range(10, 30))


def test_the_way_back_is_that_of_the_last_of_equal_tries() -> None:
    journal = Journal()
    journal.ended(ENDING, None, ended_at=0.0)
    for number in range(3):
        journal.ended(a_try(number), None, ended_at=float(number))
        journal.mark("started", number + 0.5 + number / 10)
    journal.ended(a_try(9, "other"), None, ended_at=9.0)
    journal.ended(a_try(10), None, ended_at=10.0)
    journal.mark("started", 10.25)
    _, refused, other = journal.exits()
    assert (refused.split, refused.times) == (RecoveryTimes(wait=250.0), 4)
    assert other.split == RecoveryTimes()


def test_an_outage_of_many_kinds_of_tries_keeps_its_cause_and_the_newest() -> None:
    told = journal_of(ENDING, *(a_try(at, code=f"close_{at}") for at in range(1, 31)), keep=4).exits()
    assert [(each.code, each.times) for each in told] == [
        ("lost", 1), (VARIOUS, 28), ("close_29", 1), ("close_30", 1),
    ]  # fmt: skip
    assert (told[1].at_ns, told[1].last_at_ns) == (1, 28)
    assert told[1].text == "tries that ended in different ways; the last: refused"


def test_the_oldest_outage_goes_with_all_of_its_tries() -> None:
    former = (structs.replace(ENDING, at_ns=1), a_try(2, "one"), a_try(3, "two"))
    present = (structs.replace(ENDING, at_ns=4), a_try(5, "one"))
    assert len(journal_of(*former, *present, keep=5).exits()) == 5
    assert [each.at_ns for each in journal_of(*former, *present, keep=4).exits()] == [4, 5]


class EveryLife(RuleBasedStateMachine):
    """Lives and tries in any order, beside a list of all of them."""

    @initialize(keep=st.integers(2, 6))
    def begin(self, keep: int) -> None:
        self.keep, self.journal = keep, Journal(keep)
        self.endings: list[LineExit] = []
        self.is_live = False

    @rule()
    def comes_up(self) -> None:
        self.journal.mark("live", float(len(self.endings)))
        self.is_live = True

    @rule(
        kind=st.sampled_from(["retryable", "slow"]),
        code=st.sampled_from("abcd"),
        words=st.sampled_from(["refused", "no answer"]),
        url=st.sampled_from(["", "wss://a"]),
    )
    def ends(self, kind: str, code: str, words: str, url: str) -> None:
        at = len(self.endings) + 1
        lived = 1.0 if self.is_live else None
        ending = LineExit(at, at, kind, code, f"{words} {at}", at, lived, RecoveryTimes(), url)
        self.endings.append(ending)
        self.journal.ended(ending, None, float(at))
        self.is_live = False

    @invariant()
    def it_is_bounded_and_in_order_of_time(self) -> None:
        told = self.journal.exits()
        assert len(told) <= self.keep
        begins = [each.at_ns for each in told]
        assert begins == sorted(set(begins))
        assert all(each.at_ns <= (each.last_at_ns or each.at_ns) for each in told)

    @invariant()
    def the_cause_of_the_present_outage_is_there(self) -> None:
        if not self.endings:
            assert self.journal.exits() == ()
            return
        lives = [number for number, each in enumerate(self.endings) if each.lived_s is not None]
        first = self.endings[max(lives, default=0)]
        (kept,) = [each for each in self.journal.exits() if each.at_ns == first.at_ns]
        assert (kept.kind, kept.code, kept.url, kept.lived_s) == (
            first.kind,
            first.code,
            first.url,
            first.lived_s,
        )
        assert shape(kept.text) == shape(first.text)

    @invariant()
    def no_ending_since_the_oldest_is_missing(self) -> None:
        if told := self.journal.exits():
            assert sum(each.times for each in told) == sum(
                each.at_ns >= told[0].at_ns for each in self.endings
            )

    @invariant()
    def the_last_ending_is_shown(self) -> None:
        if self.endings:
            last = self.endings[-1]
            (shown,) = [
                each for each in self.journal.exits() if (each.last_at_ns or each.at_ns) == last.at_ns
            ]
            assert (shown.epoch, shown.attempt) == (last.epoch, last.attempt)
            assert shown.text.endswith(last.text)


TestEveryLife = EveryLife.TestCase
TestEveryLife.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)


def shape(text: str) -> str:
    return re.sub(r"\d+", "0", text)


def test_blind_time_of_today_begins_at_midnight() -> None:
    blind = BlindTime().plus(DAY_NS - 5, DAY_NS + 7)
    assert blind.total_ns == 12
    assert blind.today_ns(DAY_NS + 8) == 7
    assert blind.today_ns(2 * DAY_NS) == 0


@given(st.lists(st.tuples(st.integers(0, 3 * DAY_NS), st.integers(0, DAY_NS)), max_size=20))
def test_today_is_never_more_than_all(interruptions: list[tuple[int, int]]) -> None:
    blind, now = BlindTime(), 0
    for since, length in sorted(interruptions):
        now = max(now, since + length)
        blind = blind.plus(since, since + length)
        total, today = blind.with_open(None, now)
        assert 0 <= today <= total == blind.total_ns
        assert blind.with_open(now, now + 10)[0] == total + 10
