"""O2's session, proved by transcripts, and by whatever hypothesis makes up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol import Opening
from actors.protocol.session import (
    BINARY,
    TEXT,
    Confirm,
    Deliver,
    Duplicates,
    Effect,
    End,
    Missed,
    Quarantine,
    Resent,
    Session,
    SessionState,
    Unrouted,
)
from actors.reasons import Fatal
from actors.venues.o2 import O2, DepthChange, DepthSnapshot, Level, O2Settings, Trade
from tests.venues.transcript import Player, Transcript, transcripts

VENUE = O2("o2", O2Settings())
AA = VENUE.topic("depth", "aa", {})
TRADES = VENUE.topic("trades", "aa", {})
ORDERS = VENUE.topic("orders", "c0de", {})
EMPTY = b'{"action":"subscribe_depth","market_id":"0xaa","orders":{"buys":[],"sells":[]}}'


@pytest.mark.parametrize(
    "transcript", list(transcripts(Path(__file__).parent / "o2")), ids=lambda transcript: transcript.title
)
def test_o2(transcript: Transcript) -> None:
    Player(VENUE).play(transcript)


def opened() -> Session:
    session = VENUE.session(Opening("o2"))
    session.opened(0.0)
    return session


def live() -> Session:
    """With a book, trades and orders subscribed to; the book has had its snapshot."""
    session = opened()
    session.subscribe([AA, TRADES, ORDERS], 0.0)
    session.received([(TEXT, EMPTY)], 0.0)
    return session


def heard(session: Session, *payloads: bytes) -> list[Effect]:
    return session.received([(TEXT, payload) for payload in payloads], 0.0)


def change(quantity: int, price: int = 1) -> bytes:
    level = {"price": str(price), "quantity": str(quantity)}
    frame = {"action": "subscribe_depth_update", "market_id": "0xaa", "changes": {"buys": [level]}}
    return msgspec.json.encode(frame)


def test_events_of_one_read_go_in_one_piece() -> None:
    effects = heard(live(), change(1), change(-2), b"PONG", change(3))
    assert [type(effect).__name__ for effect in effects] == ["Deliver", "Confirm", "Answered", "Deliver"]
    first = effects[0]
    assert isinstance(first, Deliver)
    assert [(topic, event.bids[0].quantity) for topic, event in first.pairs] == [(AA, 1), (AA, -2)]


def test_a_broken_change_among_others_shows_at_its_place() -> None:
    effects = heard(live(), change(1), b'{"action":"subscribe_depth_update","market_id":"aa"}', change(3))
    assert [type(effect).__name__ for effect in effects] == [
        "Deliver",
        "Quarantine",
        "Missed",
        "Send",
        "Send",
        "Resent",
        "Unrouted",
    ]


def test_a_binary_frame_is_put_aside() -> None:
    assert live().received([(BINARY, EMPTY)], 0.0) == [Quarantine(EMPTY, "a binary frame; O2 sends text")]


def test_a_burst_loses_nothing() -> None:
    [burst] = heard(live(), *(change(number) for number in range(1, 5001)))
    assert isinstance(burst, Deliver)
    assert [event.bids[0].quantity for _, event in burst.pairs] == list(range(1, 5001))


def trade(id: int) -> bytes:
    entry = {"trade_id": str(id), "side": "buy", "quantity": "1", "price": "2"}
    return msgspec.json.encode({"action": "trades", "market_id": "aa", "trades": [entry]})


def test_trades_of_a_subscription_that_was_given_up_confirm_no_other() -> None:
    session = live()
    heard(session, trade(1), b"PONG")
    session.unsubscribe([TRADES], 0.0)
    session.subscribe([TRADES], 0.0)
    effects = heard(session, trade(2), b"PONG", trade(3))
    told = [each.assumed if isinstance(each, Confirm) else type(each).__name__ for each in effects]
    assert told == ["Deliver", True, "Answered", False, "Deliver"]


def test_trades_are_remembered_for_a_bounded_while() -> None:
    session = live()
    heard(session, *(trade(id) for id in range(5000)))
    assert heard(session, *(trade(id) for id in range(4000, 5000))) == [Duplicates(1000)]
    [again] = heard(session, trade(1))
    assert isinstance(again, Deliver)
    assert isinstance(again.pairs[0][1], Trade)


def test_an_end_ends_the_session() -> None:
    session = live()
    effects = heard(session, b'{"code":1004,"message":"geo-restricted"}', b'{"code":1000,"message":"x"}')
    assert session.state is SessionState.ENDED
    first = effects[0]
    assert isinstance(first, End)
    assert isinstance(first.reason, Fatal)
    assert first.reason.advice


BOMBS = {
    "nesting": b'{"a":' + b"[" * 100_000,
    "nesting that closes": b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a deep message": b'{"message":' + b"[" * 900 + b"]" * 900 + b"}",
    "bytes that are no text": b'{"action":"\xff\xfe"}',
    "bytes that are no text, passed over": b'{"action":"shout","code":1,"message":"\xff"}',
    "a huge integer": b'{"action":"subscribe_nonce","contract_id":"aa","nonce":"' + b"9" * 10_000 + b'"}',
    "a huge bare integer": b'{"action":"subscribe_nonce","contract_id":"aa","nonce":' + b"9" * 10_000 + b"}",
    "a huge code": b'{"code":' + b"9" * 10_000 + b',"message":"x"}',
    "a float out of range": b'{"code":1e999,"message":"x"}',
    "null bytes": b"\x00" * 100,
    "nothing": b"",
    "space": b"   ",
    "half a pong": b"PON",
}


@pytest.mark.parametrize("payload", BOMBS.values(), ids=BOMBS)
def test_nothing_that_is_sent_raises(payload: bytes) -> None:
    session = live()
    effects = heard(session, payload)
    assert all(type(effect).__name__ in {"Quarantine", "Complain", "Missed"} for effect in effects)
    assert effects
    assert any(isinstance(effect, Deliver) for effect in heard(session, change(1)))  # it goes on


@pytest.mark.parametrize(
    "bomb",
    [
        b'{"action":"subscribe_depth_update","market_id":"0xaa","x":' + b"[" * 100_000,
        b'{"market_id":"0xAA","changes":{"buys":[{"price":"1","quantity":"' + b"9" * 10_000 + b'"}]},'
        b'"action":"subscribe_depth_update"}',
        b'{"action":"subscribe_depth_update","market_id":"0xaa","changes":{"buys":[{"price":"1',
        b'{"action":"subscribe_depth_update","market_id":7,"changes":{"buys":[]}}',
        b'{"action":"subscribe_depth_update","code":2000,"market_id":"aa"}',
        b'[{"action":"subscribe_depth_update","market_id":"aa","changes":{"buys":[]}}]',
        b'{"action":"subscribe_depth_update","market_id":"aa","changes":{"buys":[["1"]]}}',
        b'{"action":"subscribe_depth","market_id":"aa","orders":{"buys":[{"price":"1"}]}}',
    ],
)
def test_a_lost_depth_frame_never_goes_unnoticed(bomb: bytes) -> None:
    effects = heard(live(), bomb)
    assert isinstance(effects[0], Quarantine)
    assert Missed((AA,), "quarantine") in effects
    assert Resent((AA,)) in effects


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = """action market_id orders view changes buys sells trades balance nonce contract_id code message error
resync_required turbo seen_timestamp identity account price quantity order_id side trade_id"""
WORDS = """subscribe_depth subscribe_depth_update subscribe_depth_view subscribe_trades subscribe_orders
subscribe_balances subscribe_nonce unsubscribe_depth trades nonce error 0xaa AA 6000 2000 1 -1"""
names, words = st.sampled_from(NAMES.split()), st.sampled_from(WORDS.split())
likely = st.recursive(
    words | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)
frames = st.fixed_dictionaries({"action": words}, optional={"market_id": words}).flatmap(
    lambda fixed: st.dictionaries(names, likely, max_size=5).map(lambda more: {**more, **fixed})
)


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_no_bytes_raise(payloads: list[bytes]) -> None:
    heard(live(), *payloads)


@given(json_values)
def test_no_json_raises(value: object) -> None:
    heard(live(), msgspec.json.encode(value))


@given(st.lists(frames, max_size=6), st.booleans())
def test_no_likely_frame_raises_and_the_books_balance(values: list[object], ready: bool) -> None:
    session = live() if ready else opened()
    effects = heard(session, *(msgspec.json.encode(value) for value in values))
    confirmed: set[object] = {AA} if ready else set()
    for effect in effects:  # nothing comes of a topic that has not been confirmed
        match effect:
            case Confirm(topics=topics):
                confirmed |= set(topics)
            case Resent(topics=topics):
                confirmed -= set(topics)
            case Deliver(pairs=pairs):
                assert {topic for topic, _ in pairs} <= confirmed
            case Unrouted(count=count) | Duplicates(count=count):
                assert count > 0


huge = st.integers(min_value=-(10**30), max_value=10**30)


@given(
    st.lists(st.tuples(huge, huge), max_size=5), st.lists(st.tuples(huge, huge), max_size=5), st.booleans()
)
def test_levels_are_exact(
    buys: list[tuple[int, int]], sells: list[tuple[int, int]], as_strings: bool
) -> None:
    def levels(side: list[tuple[int, int]]) -> list[dict[str, object]]:
        spell = str if as_strings else int
        return [{"price": spell(price), "quantity": spell(quantity)} for price, quantity in side]

    sides = {"buys": levels(buys), "sells": levels(sells)}
    session = live()
    effects = heard(
        session,
        msgspec.json.encode({"action": "subscribe_depth", "market_id": "aa", "view": sides}),
        msgspec.json.encode({"action": "subscribe_depth_update", "market_id": "aa", "changes": sides}),
    )
    bids = tuple(Level(price, quantity) for price, quantity in buys)
    asks = tuple(Level(price, quantity) for price, quantity in sells)
    assert effects == [
        Deliver([(AA, DepthSnapshot("0xaa", bids, asks)), (AA, DepthChange("0xaa", bids, asks))])
    ]
