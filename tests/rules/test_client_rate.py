"""How often a client may do something within a minute."""

from __future__ import annotations

from actors.rules import client_rate
from actors.rules.client_rate import PERIOD, ClientRate


def test_a_client_has_its_share_of_every_minute_and_is_told_when_there_is_more() -> None:
    rate = ClientRate(2)
    assert [rate.count("a", 100.0), rate.count("a", 110.5)] == [0, 0]
    assert rate.count("a", 111.0) == 49
    assert rate.count("b", 111.0) == 0
    assert rate.count("a", 100.0 + PERIOD) == 0
    assert rate.count("a", 161.0) == 10  # seconds, rounded up


def test_what_was_refused_does_not_count() -> None:
    rate = ClientRate(1)
    rate.count("a", 0.0)
    assert all(rate.count("a", now) for now in (1.0, 30.0, 59.0))
    assert rate.count("a", PERIOD) == 0


def test_a_flood_of_clients_makes_none_of_them_remembered_for_ever() -> None:
    rate = ClientRate(1)
    for number in range(2 * client_rate.CLIENTS):
        assert rate.count(str(number), 0.0) == 0
    assert len(rate._clients) == client_rate.CLIENTS
