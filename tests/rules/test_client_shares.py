"""What the clients of a service may have opened at once."""

from __future__ import annotations

import pytest

from actors.events import Topic
from actors.rules.client_shares import ClientShares, OpenedTopics
from actors.venues.o2 import O2, O2Settings
from actors.venues.tplus import Tplus, TplusSettings

SHARES = ClientShares(tails=2, topics=5, lines=3)


@pytest.fixture
def opened() -> OpenedTopics:
    return OpenedTopics(SHARES)


def topics(*keys: str, feed: str = "tplus") -> tuple[Topic, ...]:
    return tuple(Topic(feed, "market_trades", key) for key in keys)


def test_a_client_has_so_many_tails(opened: OpenedTopics) -> None:
    opened.open_tail("a", topics("1"))
    opened.open_tail("a", topics("2"))
    assert opened.refusal("a", topics("3")).startswith("this client has 2 tails open")
    assert opened.refusal("b", topics("3")) == ""
    opened.close_tail("a", topics("1"))
    assert opened.refusal("a", topics("3")) == ""


def test_a_client_has_so_many_topics(opened: OpenedTopics) -> None:
    opened.open_tail("a", topics("1", "2", "3"))
    assert opened.refusal("a", topics("1", "2")) == ""
    assert "would have 6 topics, and 5 are allowed" in opened.refusal("a", topics("1", "2", "3"))


def test_nothing_is_left_when_all_have_ended(opened: OpenedTopics) -> None:
    opened.open_tail("a", topics("1", "2"))
    opened.open(topics("2"))
    opened.close_tail("a", topics("1", "2"))
    opened.close(topics("2"))
    assert (opened._tails, opened._topics, opened._opened) == ({}, {}, {})


# ── lines ──


TPLUS = Tplus("tplus", TplusSettings())


def test_requests_open_so_many_lines_where_a_line_has_one_topic(opened: OpenedTopics) -> None:
    configured = topics("200", "201")
    opened.open(topics("300", "301", "302"))
    assert opened.refused_lines(TPLUS, configured, topics("200", "302")) == ""
    refusal = opened.refused_lines(TPLUS, configured, topics("303"))
    assert refusal.startswith("tplus: requests may open 3 lines, and with this they would have 4; name")
    opened.close(topics("301"))
    assert opened.refused_lines(TPLUS, configured, topics("303")) == ""


def test_one_request_may_not_open_them_all_at_once(opened: OpenedTopics) -> None:
    assert opened.refused_lines(TPLUS, (), topics("1", "2", "3")) == ""
    assert "would have 4" in opened.refused_lines(TPLUS, (), topics("1", "2", "3", "4"))


def test_topics_of_a_line_that_is_there_anyway_count_for_none(opened: OpenedTopics) -> None:
    o2 = O2("o2", O2Settings())
    wanted = [Topic("o2", "trades", str(number)) for number in range(200)]
    opened.open(wanted[:100])
    assert opened.refused_lines(o2, (), wanted) == ""
