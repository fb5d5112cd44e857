"""What project-x-py's real-time client gets wrong, and ours does not: as far as a venue can show it.

The numbers are those of project-x-py 4.4.1's defects as we count them. What needs a running runtime to be
seen is told elsewhere: 4 (heartbeats that stay stopped), 14 (a status that changes by being read), 15
(clocks), 17 (connections that nobody waits for any more), 18 (a roll-back of what had succeeded); and of
1, 2, 3, 5, 11, 12 and 13 the part that is about replacing connections and measuring them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from actors.events import Topic
from actors.protocol import Opening
from actors.protocol.conversation import Token
from actors.protocol.session import (
    TEXT,
    Announce,
    Answered,
    Confirm,
    Deliver,
    Effect,
    End,
    Reject,
    Send,
    Session,
    SessionState,
)
from actors.reasons import Retryable, Slow
from actors.secret import Secret
from actors.venues.projectx import ProjectX, ProjectXSettings, Quote, Trade

VENUE = ProjectX("projectx", ProjectXSettings())
C, D = "CON.F.US.EP.Z26", "CON.F.US.ENQ.Z26"
RS = "\x1e"


def topic(channel: str, key: str = "") -> Topic:
    return VENUE.topic(channel, key, {})


def opened(hub: str, *topics: Topic, now: float = 0.0) -> Session:
    session = VENUE.session(Opening(f"projectx/{hub}"))
    session.opened(now)
    hear(session, {}, now=now)
    session.subscribe(topics, now)
    for number in range(len(topics)):
        hear(session, {"type": 3, "invocationId": str(number), "result": None}, now=now)
    return session


def hear(session: Session, *messages: dict[str, Any], now: float = 0.0) -> list[Effect]:
    """All of them in one WebSocket message."""
    text = "".join(json.dumps(each) + RS for each in messages)
    return session.received([(TEXT, text.encode())], now)


def push(target: str, *arguments: Any) -> dict[str, Any]:
    return {"type": 1, "target": target, "arguments": arguments}


def sent(effects: Sequence[Effect]) -> list[dict[str, Any]]:
    texts = [str(each.payload) for each in effects if isinstance(each, Send)]
    return [json.loads(record) for text in texts for record in text.split(RS) if record]


def invoked(effects: Sequence[Effect]) -> list[str]:
    return [each["target"] for each in sent(effects) if each.get("type") == 1]


def delivered(effects: Sequence[Effect]) -> list[Any]:
    return [event for each in effects if isinstance(each, Deliver) for _, event in each.pairs]


def ended(effects: Sequence[Effect]) -> object:
    (end,) = [each for each in effects if isinstance(each, End)]
    return end.reason


# ── 1 to 5: connections and what is kept of them ──


def test_defect_1_readiness_is_of_one_connection_and_ends_with_it() -> None:
    first = opened("market", topic("quotes", C))
    hear(first, {"type": 7, "allowReconnect": True})
    assert first.state is SessionState.ENDED
    second = VENUE.session(Opening("projectx/market"))
    assert Announce() not in second.opened(1.0)  # an open socket is not ready yet
    assert Announce() in hear(second, {}, now=1.0)


def test_defect_2_a_connection_asks_for_a_topic_once() -> None:
    session = VENUE.session(Opening("projectx/market"))
    session.opened(0.0)
    hear(session, {})
    asked = [invoked(session.subscribe([topic("quotes", C)], now)) for now in (0.0, 1.0, 2.0)]
    assert asked == [["SubscribeContractQuotes"], [], []]


@pytest.mark.parametrize("hub", ["user", "market"])
def test_defect_3_each_connect_shows_the_token_that_it_is_given(hub: str) -> None:
    old, new = Token(Secret("old.t.t")), Token(Secret("new.t.t"))
    urls = [VENUE.endpoint(Opening(f"projectx/{hub}", token)).url for token in (old, new, old)]
    assert [url.rpartition("=")[2] for url in urls] == ["old.t.t", "new.t.t", "old.t.t"]


def test_defect_5_a_quiet_market_is_no_reason_to_end_a_connection() -> None:
    market, user = opened("market", topic("quotes", C)), opened("user", topic("orders", "4242"))
    for now in range(1, 601):
        for session in (market, user):
            if now % 15 == 0:
                hear(session, {"type": 6}, now=now)
            assert {type(each) for each in session.ping(float(now))} <= {Send}
    assert (market.state, user.state) == (SessionState.OPEN, SessionState.OPEN)


def test_defect_5_the_end_of_one_hub_leaves_the_other_alone() -> None:
    market, user = opened("market", topic("quotes", C)), opened("user", topic("orders", "4242"))
    hear(market, {"type": 7})
    assert (market.state, user.state) == (SessionState.ENDED, SessionState.OPEN)


# ── 6 and 7: what the hub says of itself and of our calls ──


@pytest.mark.parametrize(
    ("close", "kind"),
    [
        ({"type": 7, "error": "oh", "allowReconnect": True}, Retryable),
        ({"type": 7, "allowReconnect": True}, Retryable),
        ({"type": 7, "error": "oh"}, Slow),
        ({"type": 7, "error": "oh", "allowReconnect": False}, Slow),
        ({"type": 7}, Slow),
    ],
)
def test_defect_6_a_close_ends_the_connection_and_says_whether_to_come_back(
    close: dict[str, Any], kind: type
) -> None:
    session = opened("user", topic("orders", "4242"))
    reason = ended(hear(session, close))
    assert isinstance(reason, kind)
    assert session.state is SessionState.ENDED


def test_defect_7_a_refusal_is_seen_and_is_of_its_topic_alone() -> None:
    session = VENUE.session(Opening("projectx/market"))
    session.opened(0.0)
    hear(session, {})
    calls = sent(session.subscribe([topic("quotes", C), topic("quotes", D)], 0.0))
    assert all(call["invocationId"] for call in calls)  # or the hub would refuse without a word
    told = hear(
        session,
        {"type": 3, "invocationId": "0", "error": "not entitled"},
        {"type": 3, "invocationId": "1", "result": None},
    )
    assert told == [Reject((topic("quotes", C),), "not entitled"), Confirm((topic("quotes", D),))]


# ── 8 to 10: events ──


def test_defect_8_a_burst_of_changes_comes_whole() -> None:
    session = opened("market", topic("depth", C), topic("quotes", C))
    changes = [push("GatewayDepth", C, {"type": 2, "price": price, "volume": 1}) for price in (1, 2, 3)]
    assert [event.price for event in delivered(hear(session, *changes))] == [1, 2, 3]
    quotes = [push("GatewayQuote", C, each) for each in ({"bestBid": 1}, {"bestAsk": 3}, {"bestBid": 2})]
    told = delivered(hear(session, *quotes))
    assert [each.changed for each in told] == [("best_bid",), ("best_ask",), ("best_bid",)]
    # Whoever sees the last one alone, as where a stream conflates, has lost no field.
    assert told[-1] == Quote(contract_id=C, changed=("best_bid",), best_bid=Decimal(2), best_ask=Decimal(3))


def test_defect_9_a_trade_in_a_batch_has_its_contract_and_its_payload() -> None:
    session = opened("market", topic("trades", C), topic("trades", D))
    effects = hear(
        session,
        push("GatewayTrade", C, [{"price": 1}, {"price": 2}]),
        push("GatewayTrade", D, [{"price": 3}]),
    )
    assert delivered(effects) == [
        Trade(contract_id=C, price=Decimal(1)),
        Trade(contract_id=C, price=Decimal(2)),
        Trade(contract_id=D, price=Decimal(3)),
    ]


def test_defect_10_every_argument_and_every_element_counts() -> None:
    session = opened("user", topic("account_trades", "4242"))
    wrapped = [{"action": 0, "data": {"id": id, "accountId": 4242}} for id in (1, 2, 3)]
    assert [each.id for each in delivered(hear(session, push("GatewayUserTrade", *wrapped)))] == [1, 2, 3]
    assert [each.id for each in delivered(hear(session, push("GatewayUserTrade", wrapped)))] == [1, 2, 3]


# ── 11 to 13: after a reconnect ──


@pytest.mark.parametrize("order", [("user", "market"), ("market", "user")])
def test_defect_11_each_hub_restores_its_own_whichever_is_there_first(order: tuple[str, str]) -> None:
    spread = VENUE.spread([topic("orders", "4242"), topic("quotes", C), topic("accounts")])
    calls = {}
    for hub in order:
        session = VENUE.session(Opening(f"projectx/{hub}"))
        session.opened(0.0)
        hear(session, {})
        calls[hub] = invoked(session.subscribe(spread[f"projectx/{hub}"], 0.0))
    assert calls == {"user": ["SubscribeOrders", "SubscribeAccounts"], "market": ["SubscribeContractQuotes"]}


def test_defect_12_a_beat_that_comes_too_early_is_not_the_last() -> None:
    session = VENUE.session(Opening("projectx/market"))
    session.opened(0.0)
    assert session.ping(1.0) == []  # hands are not shaken yet
    hear(session, {}, now=2.0)
    beats = [sent(session.ping(float(now))) for now in range(3, 31)]
    assert [{"type": 6}] in beats


def test_defect_13_a_hubs_ping_is_no_answer_to_ours() -> None:
    session = opened("market", topic("quotes", C))
    session.ping(15.0)
    assert not any(isinstance(each, Answered) for each in hear(session, {"type": 6}, now=15.0))


# ── 16, 19, 20 ──


def test_defect_16_what_is_subscribed_to_is_not_asked_for_again() -> None:
    session = opened("market", topic("quotes", C))
    assert session.subscribe([topic("quotes", C)], 1.0) == [Confirm((topic("quotes", C),))]
    assert invoked(session.unsubscribe([topic("quotes", C)], 2.0)) == ["UnsubscribeContractQuotes"]
    assert session.unsubscribe([topic("quotes", C)], 3.0) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "wss://rtc.firm.projectx.com/hubs/user"},
        {"market_url": "wss://rtc.firm.projectx.com/hubs/market"},
        {"url": "wss://rtc.firm.projectx.com"},
    ],
)
def test_defect_19_one_address_is_enough_and_nothing_goes_to_another_firm(settings: dict[str, Any]) -> None:
    venue = ProjectX("projectx", ProjectXSettings(**settings, user_name="me", api_key=Secret("k")))
    addresses = [venue.endpoint(Opening(line)).url for line in venue.first_lines()] + [
        next(venue.login(0)).url
    ]
    assert [each.split("/")[2] for each in addresses] == [
        "rtc.firm.projectx.com",
        "rtc.firm.projectx.com",
        "api.firm.projectx.com",
    ]


def test_defect_19_a_new_connection_asks_for_everything_again() -> None:
    topics = [topic("quotes", C), topic("depth", C)]
    opened("market", *topics)
    second = VENUE.session(Opening("projectx/market"))
    second.opened(9.0)
    hear(second, {}, now=9.0)
    assert invoked(second.subscribe(topics, 9.0)) == [
        "SubscribeContractQuotes",
        "SubscribeContractMarketDepth",
    ]


@pytest.mark.parametrize("hub", ["user", "market"])
@pytest.mark.parametrize("arguments", [[], [{"reason": "another login"}], [None], ["bye", 1]])
def test_defect_20_a_logout_ends_the_connection_and_takes_the_slow_way_back(
    hub: str, arguments: list[Any]
) -> None:
    session = opened(hub)
    effects = hear(session, push("GatewayLogout", *arguments), push("GatewayQuote", C, {"bestBid": 1}))
    reason = ended(effects)
    assert isinstance(reason, Slow)
    assert reason.code == "gateway_logout"
    assert not delivered(effects)
    assert session.state is SessionState.ENDED
