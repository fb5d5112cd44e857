"""Requests that wait: they share frames, and none is made for a topic that was given up meanwhile."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.events import Topic
from actors.rules.venue_requests import (
    ResyncRequest,
    SubscribeRequest,
    UnsubscribeRequest,
    VenueRequests,
)

A, B, C = TOPICS = [Topic("feed", "trades", key) for key in "ABC"]
SOME = st.lists(st.sampled_from(TOPICS), min_size=1, unique=True)


def taken(requests: VenueRequests, most: int = 100) -> list[Any]:
    found = []
    while (request := requests.take(most)) is not None:
        found.append(request)
    return found


def test_topics_that_are_given_up_one_by_one_leave_together() -> None:
    requests = VenueRequests()
    for topic in TOPICS:
        requests.unsubscribe([topic])
    assert taken(requests) == [UnsubscribeRequest((A, B, C))]
    assert not requests


def test_a_topic_that_is_given_up_before_it_was_asked_for_is_not_asked_for() -> None:
    requests = VenueRequests()
    requests.subscribe(1, [A, B])
    requests.unsubscribe([A])
    assert taken(requests) == [SubscribeRequest((B,), 1), UnsubscribeRequest((A,))]


def test_a_topic_that_is_wanted_again_is_asked_for_after_it_was_given_up() -> None:
    requests = VenueRequests()
    requests.unsubscribe([A, B])
    requests.subscribe(2, [A])
    assert taken(requests) == [UnsubscribeRequest((A, B)), SubscribeRequest((A,), 2)]


def test_the_newest_asking_counts() -> None:
    requests = VenueRequests()
    requests.subscribe(1, [A, B])
    requests.subscribe(2, [A])
    assert taken(requests) == [SubscribeRequest((B,), 1), SubscribeRequest((A,), 2)]


def test_resyncs_come_first_and_not_for_what_was_given_up() -> None:
    requests = VenueRequests()
    requests.subscribe(1, [A])
    requests.resync([B])
    requests.resync([B, C])
    requests.unsubscribe([C])
    assert taken(requests) == [
        ResyncRequest((B,)),
        SubscribeRequest((A,), 1),
        UnsubscribeRequest((C,)),
    ]


def test_a_topic_that_waits_to_be_asked_for_is_not_resynced_before() -> None:
    requests = VenueRequests()
    requests.subscribe(1, [A, B])
    requests.resync([A, C])
    assert taken(requests) == [ResyncRequest((C,)), SubscribeRequest((A, B), 1)]


def test_what_is_wanted_and_given_up_again_and_again_fills_no_memory() -> None:
    requests = VenueRequests()
    for number in range(100):
        requests.subscribe(number, [A])
        requests.unsubscribe([A])
    assert len(requests._queue) == 1
    assert taken(requests) == [UnsubscribeRequest((A,))]


def test_a_long_request_is_made_in_pieces() -> None:
    requests = VenueRequests()
    requests.subscribe(1, [A, B, C])
    assert taken(requests, 2) == [SubscribeRequest((A, B), 1), SubscribeRequest((C,), 1)]


class Requests(RuleBasedStateMachine):
    """However they are mixed: what the venue has in the end is what was wanted last."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = VenueRequests()
        self.wanted: dict[Topic, int] = {}
        self.asked: dict[Topic, int] = {}  # at the venue: the last asking
        self.number = 0

    @rule(topics=SOME)
    def want(self, topics: list[Topic]) -> None:
        self.number += 1
        self.requests.subscribe(self.number, topics)
        self.wanted.update(dict.fromkeys(topics, self.number))

    @rule(topics=SOME)
    def give_up(self, topics: list[Topic]) -> None:
        self.requests.unsubscribe(topics)
        for topic in topics:
            self.wanted.pop(topic, None)

    @rule(topics=SOME)
    def lose(self, topics: list[Topic]) -> None:
        self.requests.resync([topic for topic in topics if topic in self.asked])

    @rule(most=st.integers(1, 3))
    def ask(self, most: int) -> None:
        match self.requests.take(most):
            case SubscribeRequest(topics=topics, number=number):
                self.asked.update(dict.fromkeys(topics, number))
            case UnsubscribeRequest(topics=topics):
                for topic in topics:
                    self.asked.pop(topic, None)
            case ResyncRequest(topics=topics):
                assert all(topic in self.wanted for topic in topics)

    @invariant()
    def all_leaves_in_the_end(self) -> None:
        if not self.requests:
            assert self.asked == self.wanted


TestRequests = Requests.TestCase
