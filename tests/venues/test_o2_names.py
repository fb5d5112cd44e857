"""Topics by the name of a market: they wait for its id, and are one with it on the wire."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events import Topic
from actors.http_types import HttpAnswer, HttpFailed
from actors.protocol.session import (
    TEXT,
    Confirm,
    Deliver,
    Effect,
    End,
    Fetch,
    Missed,
    Reject,
    Resent,
    Send,
    SessionState,
)
from actors.venues.o2 import O2, O2Session, O2Settings
from actors.venues.o2.markets import KnownMarkets, MarketList, read_markets

VENUE = O2("o2", O2Settings())
FUEL, ETH = "0xaa", "0xbb"
NAMES = {"FUEL/USDC": FUEL, "ETH/USDC": ETH}


def topic(key: str, channel: str = "trades") -> Topic:
    return VENUE.topic(channel, key, {})


NAMED, BOOK, BY_ID = topic("FUEL/USDC"), topic("FUEL/USDC", "depth"), topic(FUEL)


def listed(**names: str) -> HttpAnswer:
    rows = [
        {"market_id": id, "base": {"symbol": name.split("_")[0]}, "quote": {"symbol": name.split("_")[1]}}
        for name, id in names.items()
    ]
    return HttpAnswer(200, msgspec.json.encode({"markets": rows}))


LIST = listed(FUEL_USDC=FUEL, ETH_USDC=ETH)


def opened(known: KnownMarkets | None = None) -> O2Session:
    session = O2Session(known or KnownMarkets(), "http://o2")
    session.opened(0.0)
    return session


def knowing(at: float = 0.0) -> KnownMarkets:
    known = KnownMarkets()
    known.keep(read_markets(LIST.body), at)
    return known


def sent(effects: list[Effect]) -> list[str]:
    """The frames, each as its action and its market; what else there is by its type."""
    told = []
    for effect in effects:
        if isinstance(effect, Send) and effect.payload != "PING":
            frame = msgspec.json.decode(effect.payload)
            told.append(f"{frame['action']} {frame.get('market_id', '')}".strip())
        else:
            told.append(type(effect).__name__)
    return told


def of(kind: type, effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


def trade(market: str) -> tuple[int, bytes]:
    entry = {"trade_id": "1", "side": "buy", "quantity": "1", "price": "2"}
    frame = {"action": "subscribe_trades", "market_id": market, "trades": [entry]}
    return TEXT, msgspec.json.encode(frame)


def test_a_name_waits_for_the_list_and_goes_by_its_id_on_the_wire() -> None:
    session = opened()
    [fetch] = session.subscribe([NAMED, BOOK], 0.0)
    assert isinstance(fetch, Fetch)
    assert fetch.request.url == "http://o2/v1/markets"

    effects = session.fetched(fetch.ticket, LIST, 1.0)
    assert sent(effects) == [f"subscribe_trades {FUEL}", f"subscribe_depth {FUEL}", "Send", "Resent"]
    assert of(Resent, effects) == [Resent((NAMED, BOOK))]  # the time for an answer begins now

    confirmed, delivered = session.received([trade("AA")], 2.0)
    assert confirmed == Confirm((NAMED,))
    assert isinstance(delivered, Deliver)
    assert [(told, event.market) for told, event in delivered.pairs] == [(NAMED, "FUEL/USDC")]
    assert sent(session.unsubscribe([NAMED], 3.0)) == [f"unsubscribe_trades {FUEL}"]


def test_topics_by_id_do_not_wait_for_the_list() -> None:
    effects = opened().subscribe([BY_ID, topic("ETH/USDC")], 0.0)
    assert sent(effects) == [f"subscribe_trades {FUEL}", "Send", "Fetch"]


def test_one_request_serves_all_names_that_wait() -> None:
    session = opened()
    session.subscribe([NAMED], 0.0)
    assert session.subscribe([topic("ETH/USDC")], 0.5) == []
    assert sent(session.fetched("markets", LIST, 1.0))[:2] == [
        f"subscribe_trades {FUEL}",
        f"subscribe_trades {ETH}",
    ]


def test_a_name_that_is_given_up_meanwhile_is_not_asked_for() -> None:
    session = opened()
    session.subscribe([NAMED], 0.0)
    assert session.unsubscribe([NAMED], 0.5) == []
    assert session.fetched("markets", LIST, 1.0) == []


def test_a_recent_list_is_not_asked_for_again() -> None:
    known = knowing()
    assert sent(opened(known).subscribe([NAMED], 59.0)) == [f"subscribe_trades {FUEL}", "Send"]
    rejected = opened(known).subscribe([topic("FUL/USDC")], 59.0)
    assert rejected == [
        Reject((topic("FUL/USDC"),), "o2 lists no market 'FUL/USDC'; did you mean 'FUEL/USDC'?")
    ]


def test_an_older_list_serves_at_once_and_is_asked_for_beside_that() -> None:
    session = opened(knowing())
    assert sent(session.subscribe([NAMED], 61.0)) == [f"subscribe_trades {FUEL}", "Send", "Fetch"]
    assert session.fetched("markets", LIST, 62.0) == []


def test_an_older_list_serves_also_where_the_newer_one_does_not_come() -> None:
    session = opened(knowing())
    session.subscribe([NAMED], 61.0)
    assert session.fetched("markets", HttpFailed("no route", "unreachable"), 62.0) == []
    assert session.received([trade(FUEL)], 63.0)[0] == Confirm((NAMED,))


def test_a_market_with_another_id_ends_the_connection() -> None:
    known = knowing()
    session = opened(known)
    session.subscribe([NAMED], 61.0)
    [end] = session.fetched("markets", listed(FUEL_USDC="cc"), 62.0)
    assert isinstance(end, End)
    assert end.reason.text == "o2 lists market 'FUEL/USDC' with another id now"
    assert session.state is SessionState.ENDED
    assert sent(opened(known).subscribe([NAMED], 63.0)) == ["subscribe_trades 0xcc", "Send"]


def test_a_market_with_another_id_that_is_not_wanted_any_more_ends_nothing() -> None:
    session = opened(knowing())
    session.subscribe([NAMED], 61.0)
    session.unsubscribe([NAMED], 61.5)
    assert session.fetched("markets", listed(FUEL_USDC="cc"), 62.0) == []


def test_an_unknown_name_is_looked_up_in_a_new_list_before_it_is_rejected() -> None:
    session = opened(knowing())
    new = topic("NEW/USDC")
    assert sent(session.subscribe([new], 61.0)) == ["Fetch"]
    effects = session.fetched("markets", listed(FUEL_USDC=FUEL, NEW_USDC="dd"), 62.0)
    assert sent(effects) == ["subscribe_trades 0xdd", "Send", "Resent"]


def test_names_that_do_not_exist_cost_no_other() -> None:
    session = opened()
    session.subscribe([NAMED, topic("FUL/USDC")], 0.0)
    effects = session.fetched("markets", LIST, 1.0)
    assert sent(effects) == [f"subscribe_trades {FUEL}", "Send", "Resent", "Reject"]


def test_a_name_of_two_markets_is_rejected_with_both_ids() -> None:
    session = opened()
    session.subscribe([NAMED], 0.0)
    rows = [
        {"market_id": id, "base": {"symbol": "FUEL"}, "quote": {"symbol": "USDC"}} for id in ("0xaa", "0xbb")
    ]
    [rejected] = session.fetched("markets", HttpAnswer(200, msgspec.json.encode({"markets": rows})), 1.0)
    text = "2 markets of o2 are called 'FUEL/USDC': 0xaa, 0xbb. Use one of the ids"
    assert rejected == Reject((NAMED,), text)


@pytest.mark.parametrize(
    ("outcome", "why", "after"),
    [
        (HttpFailed("timed out", "timeout"), "timed out", 5.0),
        (HttpAnswer(503), "http 503", 5.0),
        (HttpAnswer(429, headers={"retry-after": "30"}), "http 429", 30.0),
        (HttpAnswer(200, b"<html>"), "it cannot be read", 5.0),
    ],
)
def test_a_list_that_does_not_come_is_asked_for_again(
    outcome: HttpAnswer | HttpFailed, why: str, after: float
) -> None:
    session = opened()
    session.subscribe([NAMED], 0.0)
    text = f"o2's list of markets (/v1/markets) did not come: {why}. It is asked for again in {after:.0f} s"
    assert session.fetched("markets", outcome, 1.0) == [Reject((NAMED,), text, after)]
    assert sent(session.subscribe([NAMED], 1.0 + after)) == ["Fetch"]


def test_a_list_that_does_not_come_again_and_again_is_asked_for_less_and_less_often() -> None:
    session, delays = opened(), []
    for _ in range(6):
        session.subscribe([NAMED], 0.0)
        [rejected] = session.fetched("markets", HttpAnswer(500), 1.0)
        assert isinstance(rejected, Reject)
        delays.append(rejected.retry_after)
    assert delays == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


@pytest.mark.parametrize(("first", "second"), [(NAMED, BY_ID), (BY_ID, NAMED)])
def test_the_second_spelling_of_a_market_is_rejected_until_the_first_is_given_up(
    first: Topic, second: Topic
) -> None:
    session = opened(knowing())
    session.subscribe([first], 0.0)
    [rejected] = session.subscribe([second], 1.0)
    assert isinstance(rejected, Reject)
    assert rejected.reason.startswith(f"market {FUEL} is subscribed to as {first.key!r} on this connection")
    assert rejected.retry_after == 60.0
    assert session.unsubscribe([second], 2.0) == []
    assert session.received([trade(FUEL)], 3.0)[0] == Confirm((first,))

    session.unsubscribe([first], 4.0)
    assert sent(session.subscribe([second], 61.0))[:2] == [f"subscribe_trades {FUEL}", "Send"]


def test_channels_of_one_market_may_be_spelled_differently() -> None:
    effects = opened(knowing()).subscribe([BOOK, BY_ID], 0.0)
    assert sent(effects) == [f"subscribe_depth {FUEL}", f"subscribe_trades {FUEL}", "Send"]


def test_a_broken_change_of_a_book_by_name_shows_in_its_stream() -> None:
    session = opened(knowing())
    session.subscribe([BOOK], 0.0)
    snapshot = {"action": "subscribe_depth", "market_id": FUEL, "orders": {"buys": [], "sells": []}}
    session.received([(TEXT, msgspec.json.encode(snapshot))], 1.0)
    broken = b'{"action":"subscribe_depth_update","market_id":"AA","changes":{"buys":[7]}}'
    effects = session.received([(TEXT, broken)], 100.0)
    assert of(Missed, effects) == [Missed((BOOK,), "quarantine")]
    assert sent(effects)[2:] == [f"unsubscribe_depth {FUEL}", f"subscribe_depth {FUEL}", "Resent"]


def test_an_error_about_a_market_rejects_its_topic_by_name() -> None:
    session = opened(knowing())
    session.subscribe([NAMED, topic("ETH/USDC")], 0.0)
    error = {"action": "subscribe_trades", "market_id": FUEL, "code": 2000, "message": "market not found"}
    [rejected] = session.received([(TEXT, msgspec.json.encode(error))], 1.0)
    assert rejected == Reject((NAMED,), "o2 error 2000: market not found")


def test_a_resync_of_one_market_is_of_its_topic_by_name() -> None:
    session = opened(knowing())
    session.subscribe([NAMED, topic("ETH/USDC")], 0.0)
    error = {"action": "error", "market_id": "AA", "resync_required": True}
    effects = session.received([(TEXT, msgspec.json.encode(error))], 1.0)
    assert of(Missed, effects) == [Missed((NAMED,), "unknown")]


def test_a_message_that_is_too_large_is_told_by_the_id_of_a_name() -> None:
    session = opened(knowing())
    session.subscribe([NAMED, BOOK, topic("ETH/USDC", "depth"), BY_ID], 0.0)
    head = b'{"action":"subscribe_depth","market_id":"AA","orders":{"buys":['
    assert session.oversized((TEXT, head)) == (BOOK,)
    assert session.oversized((TEXT, b'{"market_id":"0xbb","view":')) == (topic("ETH/USDC", "depth"),)
    assert session.oversized((TEXT, b"")) == ()


def test_trades_that_a_former_connection_brought_are_known_by_either_spelling() -> None:
    before = opened(knowing())
    before.subscribe([NAMED], 0.0)
    before.received([trade(FUEL)], 1.0)
    after = opened(knowing())
    after.inherit(before.legacy())
    after.subscribe([NAMED], 2.0)
    assert sent(after.received([trade(FUEL)], 3.0)) == ["Confirm", "Duplicates"]


def test_a_list_that_has_lost_a_name_changes_nothing_for_the_connection() -> None:
    session = opened(knowing())
    session.subscribe([NAMED], 61.0)
    assert session.fetched("markets", listed(ETH_USDC=ETH), 62.0) == []
    assert session.received([trade(FUEL)], 63.0)[0] == Confirm((NAMED,))


def test_an_empty_list_is_one() -> None:
    known = KnownMarkets()
    known.keep(MarketList(), 0.0)
    [rejected] = opened(known).subscribe([NAMED], 1.0)
    assert isinstance(rejected, Reject)
    assert rejected.reason == "o2 lists no market 'FUEL/USDC'; its list is empty"


def told(action: str, market: str, **fields: object) -> tuple[int, bytes]:
    return TEXT, msgspec.json.encode({"action": action, "market_id": market, **fields})


def snapshot(market: str, **over: object) -> tuple[int, bytes]:
    return told("subscribe_depth", market, view={"buys": [], "sells": [], **over})


def test_a_list_that_has_come_makes_the_next_delay_short_again() -> None:
    session = opened()
    for outcome in (HttpAnswer(500), HttpAnswer(500), LIST):
        session.subscribe([NAMED], 0.0)
        session.fetched("markets", outcome, 0.0)
    session.subscribe([topic("NEW/USDC")], 100.0)
    [rejected] = session.fetched("markets", HttpAnswer(500), 101.0)
    assert isinstance(rejected, Reject)
    assert rejected.retry_after == 5.0


def test_a_name_keeps_its_id_for_the_life_of_the_connection() -> None:
    session = opened(knowing())
    session.subscribe([NAMED], 61.0)
    session.fetched("markets", listed(ETH_USDC=ETH), 62.0)
    assert sent(session.subscribe([BOOK], 63.0)) == [f"subscribe_depth {FUEL}"]


def test_trades_of_a_name_that_was_given_up_confirm_no_other() -> None:
    session = opened(knowing())
    session.subscribe([NAMED], 0.0)
    session.unsubscribe([NAMED], 1.0)
    session.subscribe([NAMED], 2.0)
    assert sent(session.received([trade(FUEL)], 3.0)) == ["Deliver"]  # it may be of the former subscription


def test_a_book_of_a_former_precision_is_not_that_of_its_name() -> None:
    session = opened(knowing())
    coarse = VENUE.topic("depth", "FUEL/USDC", {"precision": 2})
    session.subscribe([BOOK], 0.0)
    session.unsubscribe([BOOK], 1.0)
    session.subscribe([coarse], 2.0)
    assert sent(session.received([snapshot(FUEL, precision=10)], 3.0)) == ["Unrouted"]
    assert session.received([snapshot(FUEL, precision=100)], 3.0)[0] == Confirm((coarse,))


def test_an_error_about_a_market_alone_rejects_all_that_was_asked_of_its_name() -> None:
    session = opened(knowing())
    session.subscribe([NAMED, BOOK, topic("ETH/USDC")], 0.0)
    error = {"market_id": FUEL, "code": 2001, "message": "paused"}
    [rejected] = session.received([(TEXT, msgspec.json.encode(error))], 1.0)
    assert isinstance(rejected, Reject)
    assert set(rejected.topics) == {NAMED, BOOK}


def test_a_resync_of_a_book_by_name_asks_for_a_new_snapshot() -> None:
    session = opened(knowing())
    session.subscribe([BOOK, topic("ETH/USDC", "depth")], 0.0)
    session.received([snapshot(FUEL), snapshot(ETH)], 1.0)
    effects = session.received([told("error", FUEL, resync_required=True)], 2.0)
    assert sent(effects)[2:] == [f"unsubscribe_depth {FUEL}", f"subscribe_depth {FUEL}", "Resent"]
    assert of(Missed, effects) == [Missed((BOOK,), "unknown")]


# ── whatever comes in whatever order ────────────────────────────────────────────────────────────

KEYS = ("FUEL/USDC", "ETH/USDC", "NO/NE", FUEL, ETH)
LISTS: tuple[HttpAnswer | HttpFailed, ...] = (
    LIST,
    listed(ETH_USDC=ETH),
    listed(FUEL_USDC=FUEL, NO_NE="0xdd"),
    HttpAnswer(503),
    HttpFailed("timed out", "timeout"),
)
Step = tuple[str, object]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True)),
        st.tuples(st.just("drop"), st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True)),
        st.tuples(st.just("list"), st.sampled_from(LISTS)),
        st.tuples(st.just("wait"), st.sampled_from((1.0, 61.0))),
    ),
    max_size=20,
)


class Model:
    """Both ends of a connection: what is wanted and rejected, and what the venue has of each market."""

    def __init__(self) -> None:
        self.session = opened()
        self.now = 0.0
        self.wanted: set[Topic] = set()
        self.rejected: set[Topic] = set()
        self.at_venue: set[str] = set()
        self.fetches = 0

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(payload="PING"):
                    pass
                case Send(payload=payload):
                    frame = msgspec.json.decode(payload)
                    verb, market = frame["action"].partition("_")[0], frame["market_id"]
                    assert (market in self.at_venue) == (verb == "unsubscribe")
                    (self.at_venue.add if verb == "subscribe" else self.at_venue.remove)(market)
                case Reject(topics=topics):
                    self.rejected.update(topics)
                case Fetch():
                    self.fetches += 1
                case Resent(topics=topics):
                    assert set(topics) <= self.wanted

    def step(self, what: str, value: Any) -> None:
        match what:
            case "ask":
                topics = [topic(key) for key in value if topic(key) not in self.wanted - self.rejected]
                self.wanted.update(topics)
                self.rejected.difference_update(topics)
                self.take(self.session.subscribe(topics, self.now))
            case "drop":
                topics = [topic(key) for key in value if topic(key) in self.wanted]
                self.wanted.difference_update(topics)
                self.rejected.difference_update(topics)
                self.take(self.session.unsubscribe(topics, self.now))
            case "list" if self.fetches:
                self.fetches -= 1
                self.take(self.session.fetched("markets", value, self.now))
            case "wait":
                self.now += value


@given(STEPS)
def test_each_wanted_topic_waits_or_is_rejected_or_is_at_the_venue(steps: list[Step]) -> None:
    model = Model()
    for what, value in steps:
        model.step(what, value)
        assert model.fetches <= 1
        subscribed = [each for each in model.wanted - model.rejected if model.session._asked.has(each)]
        ids = {model.session._asked.ids.get(each.key, each.key) for each in subscribed}
        assert len(ids) == len(subscribed)  # one topic per market
        assert ids == model.at_venue
        waiting = model.wanted - model.rejected - set(subscribed)
        assert not waiting or model.fetches == 1
