"""Alpaca's sessions, proved by transcripts, and by whatever hypothesis makes up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events import Topic
from actors.protocol import Opening
from actors.protocol.session import (
    BINARY,
    TEXT,
    Announce,
    Confirm,
    Deliver,
    Duplicates,
    Effect,
    End,
    Missed,
    Quarantine,
    Reject,
    Resent,
    Send,
    Session,
    SessionState,
    Unrouted,
)
from actors.secret import Secret
from actors.venues.alpaca import Alpaca, AlpacaSettings, Quote
from actors.venues.alpaca.codec import decode
from tests.support.line_count import effort
from tests.venues.transcript import Player, Transcript, transcripts


def alpaca(**settings: Any) -> Alpaca:
    return Alpaca("alpaca", AlpacaSettings(key=Secret("K"), secret=Secret("S"), **settings))


def no_news(now: float) -> list[Effect]:
    return []


class LoggedIn(Alpaca):
    """Its sessions have their login behind them."""

    def session(self, opening: Opening) -> Session:
        session = super().session(opening)
        session.opened(0.0)
        for said in ("connected", "authenticated"):
            session.received([(TEXT, b'[{"T":"success","msg":"%s"}]' % said.encode())], 0.0)
        assert session.state is SessionState.OPEN
        session.opened = no_news  # type: ignore[method-assign]
        return session


def logged_in(**settings: Any) -> LoggedIn:
    return LoggedIn("alpaca", alpaca(**settings).settings)


VENUES: dict[str, Alpaca] = {
    "login": alpaca(),
    "header": alpaca(login="header"),
    "stocks": logged_in(),
    "errors": logged_in(),
    "oddities": logged_in(),
    "news": logged_in(stream="news"),
    "crypto": logged_in(stream="crypto"),
    "options": alpaca(stream="opra"),
    "account": alpaca(stream="account"),
}


@pytest.mark.parametrize(
    "transcript", list(transcripts(Path(__file__).parent / "alpaca")), ids=lambda transcript: transcript.title
)
def test_alpaca(transcript: Transcript) -> None:
    Player(VENUES[transcript.title.partition(":")[0]]).play(transcript)


# ── market data ─────────────────────────────────────────────────────────────────────────────────

STOCKS, CRYPTO = logged_in(), logged_in(stream="crypto")
T = "2026-03-02T15:04:05.120000045Z"


def topics(*names: str, venue: Alpaca = STOCKS) -> list[Topic]:
    return [venue.topic(*name.split("/", 1), {}) for name in names]  # type: ignore[call-arg, arg-type]


def heard(session: Session, *messages: object) -> list[Effect]:
    return session.received([(TEXT, msgspec.json.encode(message)) for message in messages], 0.0)


def quote(symbol: str, bid: float = 1.5) -> dict[str, object]:
    return {"T": "q", "S": symbol, "bp": bid, "bs": 1, "ap": 2.5, "as": 2, "t": T}


def live(*names: str, venue: Alpaca = STOCKS) -> Session:
    """Logged in, with these topics confirmed."""
    session = venue.session(Opening("alpaca"))
    session.subscribe(topics(*names, venue=venue), 0.0)
    listed: dict[str, list[str]] = {}
    for name in names:
        channel, _, key = name.partition("/")
        listed.setdefault(channel, []).append(key)
    assert Confirm(tuple(topics(*names, venue=venue))) in heard(session, [{"T": "subscription", **listed}])
    return session


def test_events_of_one_read_go_in_one_piece() -> None:
    session = live("quotes/A", "quotes/B")
    [burst] = heard(session, *([quote("A", n), quote("B", n)] for n in range(1000)))
    assert isinstance(burst, Deliver)
    assert [event.bid_price for _, event in burst.pairs] == [n for n in range(1000) for _ in "AB"]


def test_what_is_dropped_is_noticed_beside_what_is_new() -> None:
    session = live("quotes/A", "quotes/B")
    session.subscribe(topics("quotes/C"), 0.0)
    effects = heard(session, [{"T": "subscription", "quotes": ["A", "C"]}])
    assert Confirm(tuple(topics("quotes/C"))) in effects
    assert Missed(tuple(topics("quotes/B")), "unknown") in effects


def test_a_large_change_goes_in_pieces_one_after_the_other() -> None:
    session = STOCKS.session(Opening("alpaca"))
    wanted = [f"quotes/SYM{number}" for number in range(6000)]
    effects = session.subscribe(topics(*wanted), 0.0)
    listed: list[str] = []
    sizes = []
    while effects:
        [send] = [effect for effect in effects if isinstance(effect, Send)]
        sizes.append(len(send.payload))
        listed += msgspec.json.decode(send.payload)["quotes"]
        effects = heard(session, [{"T": "subscription", "quotes": listed}])
        if len(listed) == len(wanted):
            break
    assert [f"quotes/{symbol}" for symbol in listed] == wanted
    assert max(sizes) <= 17 * 1024
    assert len(sizes) < 6


def test_a_venue_that_refuses_everything_is_not_asked_for_ever() -> None:
    session = STOCKS.session(Opening("alpaca"))
    effects = session.subscribe(topics(*(f"quotes/S{number}" for number in range(1000))), 0.0)
    sent, rejected = 0, 0
    while any(isinstance(effect, Send) for effect in effects):
        sent += 1
        effects = heard(session, [{"T": "error", "code": 400, "msg": "invalid syntax"}])
        rejected += sum(len(effect.topics) for effect in effects if isinstance(effect, Reject))
    assert rejected == 1000
    assert sent <= 120


def test_msgpack_says_the_same_as_json() -> None:
    second, fraction = 1_772_463_845, 120_000_045
    stamp = msgspec.msgpack.Ext(-1, fraction.to_bytes(4, "big") + second.to_bytes(8, "big"))
    [packed] = decode(msgspec.msgpack.encode([{**quote("A"), "t": stamp}]))
    [plain] = decode(msgspec.json.encode([quote("A")]))
    assert isinstance(packed, Quote)
    assert isinstance(plain, Quote)
    assert packed.ts_ns == plain.ts_ns == packed.timestamp == second * 10**9 + fraction
    assert msgspec.structs.replace(packed, timestamp=plain.timestamp) == plain
    assert b'"t":1772463845120000045' in msgspec.json.encode(packed)  # a tail shows it


def test_a_frame_in_msgpack_is_answered_in_msgpack() -> None:
    session = alpaca(encoding="msgpack").session(Opening("alpaca"))
    session.opened(0.0)
    welcome = msgspec.msgpack.encode([{"T": "success", "msg": "connected"}])
    [auth] = session.received([(BINARY, welcome)], 0.0)
    assert isinstance(auth, Send)
    assert msgspec.msgpack.decode(auth.payload) == {"action": "auth", "key": "K", "secret": "S"}  # type: ignore[arg-type]


BOMBS = {
    "nesting": b'[{"T":"q","S":' + b"[" * 100_000,
    "nesting that closes": b'[{"T":"q","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}]",
    "bytes that are no text": b'[{"T":"q","S":"\xff\xfe"}]',
    "a huge number": b'[{"T":"q","S":"A","bp":' + b"9" * 10_000 + b',"bs":1,"ap":1,"as":1,"t":7}]',
    "a float out of range": b'[{"T":"q","S":"A","bp":1e999999999,"bs":1,"ap":1,"as":1,"t":7}]',
    "a huge code": b'[{"T":"error","code":' + b"9" * 10_000 + b"}]",
    "null bytes": b"\x00" * 100,
    "nothing": b"",
    "space": b"   ",
    "half": b'[{"T":"q","S":"A"',
    "packed nesting": b"\x91" * 100_000,
    "packed and cut": b"\x91\x82\xa1T\xa1q",
    "a foreign extension": msgspec.msgpack.encode([{**quote("A"), "t": msgspec.msgpack.Ext(5, b"1234")}]),
    "an odd stamp": msgspec.msgpack.encode([{**quote("A"), "t": msgspec.msgpack.Ext(-1, b"123")}]),
}


@pytest.mark.parametrize("payload", BOMBS.values(), ids=BOMBS)
def test_nothing_that_is_sent_raises(payload: bytes) -> None:
    session = live("quotes/A")
    effects = session.received([(TEXT, payload)], 0.0)
    assert effects
    assert all(type(effect).__name__ in {"Quarantine", "Complain", "Missed"} for effect in effects)
    assert any(isinstance(effect, Deliver) for effect in heard(session, [quote("A")]))  # it goes on


@pytest.mark.parametrize("payload", BOMBS.values(), ids=BOMBS)
def test_nothing_that_an_account_is_sent_raises(payload: bytes) -> None:
    session = listening()
    effects = session.received([(TEXT, payload)], 0.0)
    assert all(isinstance(effect, Quarantine | Missed) for effect in effects)
    assert effects


GOOD = st.builds(quote, st.sampled_from("AB"), st.integers(1, 9))
NO_QUOTES: list[Any] = [{"T": "q", "S": "A"}, {"T": "zz"}, 17, None, [], {"T": "q", "S": "B", "bp": None}]
ODD = st.sampled_from(NO_QUOTES)
CUTS = st.lists(st.lists(GOOD | ODD, max_size=5), max_size=5)


@given(CUTS, st.booleans())
def test_what_can_be_read_arrives_in_order_whatever_stands_between(
    arrays: list[list[Any]], packed: bool
) -> None:
    session = live("quotes/A", "quotes/B")
    encode = msgspec.msgpack.encode if packed else msgspec.json.encode
    effects = session.received([(BINARY, encode(array)) for array in arrays], 0.0)
    good = [item for array in arrays for item in array if isinstance(item, dict) and "as" in item]
    odd = [item for array in arrays for item in array if not (isinstance(item, dict) and "as" in item)]
    pairs = [pair for effect in effects if isinstance(effect, Deliver) for pair in effect.pairs]
    assert [(topic.key, event.bid_price) for topic, event in pairs] == [(q["S"], q["bp"]) for q in good]
    quarantined = [effect for effect in effects if isinstance(effect, Quarantine)]
    assert len(quarantined) == len([item for item in odd if item != []])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = """T S p s t i c x z bp bs ap as o h l v b a r code msg trades quotes bars orderbooks corrections
symbols id headline oi op os ci cp cs"""
WORDS = """success error subscription connected authenticated t q b u d s l i c x o n p A B AAPL * BTC/USD
2026-03-02T15:04:05Z"""
names, words = st.sampled_from(NAMES.split()), st.sampled_from(WORDS.split())
codes = st.sampled_from([400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 500, 1, "405"])
likely = st.recursive(
    words | codes | st.floats(allow_nan=False) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)
control = st.fixed_dictionaries({"T": st.just("error"), "code": codes}) | st.fixed_dictionaries(
    {"T": st.just("subscription")},
    optional={
        name: st.lists(st.sampled_from(["A", "B", "*", "A/B"]), max_size=3)
        for name in ("trades", "quotes", "orderbooks")
    },
)
elements = st.dictionaries(names, likely, max_size=5).flatmap(
    lambda more: st.fixed_dictionaries({"T": words}).map(lambda fixed: {**more, **fixed})
)
frames = st.lists(elements | control | st.builds(quote, st.sampled_from("ABC")) | json_values, max_size=4)


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_no_bytes_raise(payloads: list[bytes]) -> None:
    for session in (live("quotes/A"), alpaca().session(Opening("alpaca")), listening()):
        if session.state is SessionState.OPENING:
            session.opened(0.0)
        session.received([(BINARY, payload) for payload in payloads], 0.0)


@given(st.lists(frames, max_size=6), st.booleans(), st.booleans())
def test_no_likely_frame_raises_and_nothing_comes_of_what_is_not_confirmed(
    arrays: list[list[Any]], packed: bool, crypto: bool
) -> None:
    wanted = ("quotes/A", "quotes/*", "trades/A") if not crypto else ("quotes/A/B", "orderbooks/A/B")
    venue = CRYPTO if crypto else STOCKS
    session = live(*wanted, venue=venue)
    confirmed = set(topics(*wanted, venue=venue))
    encode = msgspec.msgpack.encode if packed else msgspec.json.encode
    for array in arrays:
        try:
            payload = encode(array)
        except OverflowError:  # msgpack has no such integers
            continue
        for effect in session.received([(TEXT, payload)], 0.0):
            match effect:
                case Confirm(topics=several):
                    confirmed |= set(several)
                case Resent(topics=several) | Reject(topics=several):
                    confirmed -= set(several)
                case Deliver(pairs=pairs):
                    assert {topic for topic, _ in pairs} <= confirmed
                case Unrouted(count=count):
                    assert count > 0
                case End():
                    assert session.state is SessionState.ENDED


class Wire:
    """What was sent and is not answered: one change, maybe once more, behind the former one's second copy."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self._twice: str | bytes = ""

    def send(self, payload: str | bytes) -> None:
        if payload in self.sent[-1:]:
            self._twice = payload
        else:
            assert self.sent in ([], [self._twice]), "a second change in flight"
        self.sent.append(payload)
        assert len(self.sent) <= 3


class Server:
    """Alpaca, as far as subscriptions go: it answers one request at a time with all that there is."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.symbols: set[tuple[str, str]] = set()

    def answer(self, payload: str | bytes) -> dict[str, object]:
        request = msgspec.json.decode(payload)
        verb = request.pop("action")
        asked = {(channel, symbol) for channel, several in request.items() for symbol in several}
        assert asked, "an empty request"
        if any(symbol == "BAD" for _, symbol in asked):
            return {"T": "error", "code": 400, "msg": "invalid syntax"}
        after = self.symbols | asked if verb == "subscribe" else self.symbols - asked
        if verb == "subscribe" and len(after) > self.limit:
            return {"T": "error", "code": 405, "msg": "symbol limit exceeded"}
        self.symbols = after
        listed: dict[str, object] = {name: [] for name in ("trades", "quotes", "bars")}
        for channel, symbol in sorted(after):
            listed[channel] = [*listed[channel], symbol]  # type: ignore[misc]
        return {"T": "subscription", **listed}


KEYS = st.sampled_from([f"{channel}/{key}" for channel in ("trades", "quotes", "corrections") for key in
                        ("A", "B", "C", "*", "BAD")])  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(["subscribe", "unsubscribe", "resync"]), st.lists(KEYS, min_size=1, max_size=4))
    | st.just(("answer", [])),
    max_size=25,
)


@given(STEPS, st.integers(1, 12))
def test_one_change_is_in_flight_and_in_the_end_both_sides_agree(
    steps: list[tuple[str, list[str]]], limit: int
) -> None:
    session, server = STOCKS.session(Opening("alpaca")), Server(limit)
    wire = Wire()
    states: dict[Topic, str] = {}

    def carry_out(effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(payload=payload):
                    wire.send(payload)
                case Confirm(topics=several):
                    states.update(dict.fromkeys(several, "confirmed"))
                case Reject(topics=several):
                    states.update(dict.fromkeys(several, "rejected"))
                case Resent(topics=several):
                    states.update(dict.fromkeys(several, "sent"))
                case _:
                    assert isinstance(effect, Missed)

    for verb, keys in [*steps, *[("answer", [])] * 200]:
        several = topics(*keys)
        if verb == "answer":
            if wire.sent:
                carry_out(heard(session, [server.answer(wire.sent.pop(0))]))
            continue
        if verb == "subscribe":
            several = [topic for topic in several if states.get(topic) != "confirmed"]
            states.update(dict.fromkeys(several, "sent"))
        elif verb == "unsubscribe":
            for topic in several:
                states.pop(topic, None)
        carry_out(getattr(session, verb)(several, 0.0))
        states = {topic: state for topic, state in states.items() if state}
    assert not wire.sent, "it does not come to rest"
    assert "sent" not in states.values()
    needed = {
        ("trades" if topic.channel == "corrections" else topic.channel, topic.key)
        for topic, state in states.items()
        if state == "confirmed"
    }
    assert server.symbols <= needed
    assert all({(channel, key), (channel, "*")} & server.symbols for channel, key in needed)


def of_books(happens: Callable[[Session, Topic], object], books: int) -> int:
    """What it costs where so many books are live, and a change is in flight."""
    names = [f"orderbooks/S{number}/USD" for number in range(books)]
    session = live(*names, venue=CRYPTO)
    session.subscribe(topics("quotes/BTC/USD", venue=CRYPTO), 0.0)
    [topic] = topics(names[0], venue=CRYPTO)
    return effort(lambda: happens(session, topic))


@pytest.mark.parametrize(
    "happens",
    [
        lambda session, topic: session.unsubscribe([topic], 0.0),
        lambda session, topic: session.subscribe([topic], 0.0),
        lambda session, topic: session.resync([topic], 0.0),
        lambda session, topic: heard(session, [book(topic.key, b="x")]),
        lambda session, topic: heard(session, [book(topic.key, r=True)]),
    ],
    ids=["given up", "asked for", "begun anew", "garbled", "reset"],
)
def test_what_happens_to_one_topic_costs_the_same_however_many_there_are(
    happens: Callable[[Session, Topic], object],
) -> None:
    assert of_books(happens, 400) < 2 * of_books(happens, 4)


ROUTE_STEPS = st.lists(
    st.tuples(st.sampled_from(["subscribe", "unsubscribe"]), st.sampled_from(["A", "B", "*"])), max_size=20
)


@given(ROUTE_STEPS)
def test_events_go_to_what_is_confirmed_after_any_changes(steps: list[tuple[str, str]]) -> None:
    session, server = STOCKS.session(Opening("alpaca")), Server(limit=10)
    wanted: set[str] = set()
    for verb, key in steps:
        effects = getattr(session, verb)(topics(f"quotes/{key}"), 0.0)
        for _ in range(3):
            for effect in [each for each in effects if isinstance(each, Send)]:
                effects = heard(session, [server.answer(effect.payload)])
        (wanted.add if verb == "subscribe" else wanted.discard)(key)
        for symbol in "ABC":
            pairs = [
                pair
                for each in heard(session, [quote(symbol)])
                if isinstance(each, Deliver)
                for pair in each.pairs
            ]
            assert {topic.key for topic, _ in pairs} == wanted & {symbol, "*"}
            assert len(pairs) == len(wanted & {symbol, "*"})


def test_a_full_venue_is_asked_no_oftener_than_others_are_given_up() -> None:
    session, server = STOCKS.session(Opening("alpaca")), Server(limit=10)
    wanted = topics(*(f"quotes/S{number}" for number in range(200)))
    states: dict[Topic, type[Effect]] = {}
    sent = 0

    def carry_out(effects: list[Effect]) -> None:
        nonlocal sent
        for effect in effects:
            if isinstance(effect, Send):
                sent += 1
                carry_out(heard(session, [server.answer(effect.payload)]))
            elif isinstance(effect, Confirm | Reject):
                states.update(dict.fromkeys(effect.topics, type(effect)))

    carry_out(session.subscribe(wanted, 0.0))
    assert list(states.values()).count(Confirm) == 10
    for given_up in range(190):
        sent = 0
        carry_out(session.unsubscribe([wanted[given_up]], 0.0))
        assert sent <= 2
        assert states[wanted[given_up + 10]] is Confirm
    assert len(server.symbols) == 10


BOOKS = st.lists(st.sampled_from(["A/B", "C/D"]), min_size=1, max_size=2, unique=True)
BOOK_STEPS = st.lists(
    st.tuples(st.sampled_from(["subscribe", "unsubscribe", "resync", "spoil"]), BOOKS)
    | st.just(("answer", [])),
    max_size=25,
)


def book(symbol: str, **more: object) -> dict[str, object]:
    return {"T": "o", "S": symbol, "t": T, "b": [], "a": [], **more}


@given(BOOK_STEPS, st.booleans())
def test_a_book_that_is_confirmed_has_had_its_reset_since_it_was_last_broken(
    steps: list[tuple[str, list[str]]], early: bool
) -> None:
    session = CRYPTO.session(Opening("alpaca"))
    there: set[str] = set()
    wire = Wire()
    wanted: dict[Topic, str] = {}
    now = 0.0

    def carry_out(effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(payload=payload):
                    wire.send(payload)
                case Confirm(topics=several):
                    wanted.update(dict.fromkeys(several, "confirmed"))
                case Resent(topics=several):
                    wanted.update(dict.fromkeys(several, "sent"))

    def answer() -> list[object]:
        request = msgspec.json.decode(wire.sent.pop(0))
        symbols = set(request["orderbooks"])
        resets: list[object] = []
        if request["action"] == "subscribe":
            resets = [book(symbol, r=True) for symbol in sorted(symbols - there)]
            there.update(symbols)
        else:
            there.difference_update(symbols)
        listed = {"T": "subscription", "orderbooks": sorted(there)}
        return [*resets, listed] if early else [listed, *resets]

    def all_answered() -> None:
        while wire.sent:
            carry_out(heard(session, answer()))

    for verb, symbols in steps:
        several = topics(*(f"orderbooks/{symbol}" for symbol in symbols), venue=CRYPTO)
        now += 0.15
        if verb == "answer":
            if wire.sent:
                carry_out(heard(session, answer()))
        elif verb == "spoil":
            spoilt = msgspec.json.encode([book(symbol, b=[{}]) for symbol in symbols])
            carry_out(session.received([(TEXT, spoilt)], now))
        elif verb == "subscribe":
            several = [topic for topic in several if wanted.get(topic) != "confirmed"]
            wanted.update(dict.fromkeys(several, "sent"))
            carry_out(session.subscribe(several, now))
        elif verb == "unsubscribe":
            for topic in several:
                wanted.pop(topic, None)
            carry_out(session.unsubscribe(several, now))
        else:
            carry_out(session.resync(several, now))
    all_answered()
    now += 60.0  # whoever waits for an answer asks again
    carry_out(session.subscribe([topic for topic, state in wanted.items() if state == "sent"], now))
    all_answered()
    assert set(wanted.values()) <= {"confirmed"}
    changes = [book(topic.key, b=[{"p": 1, "s": 1}]) for topic in wanted]
    effects = heard(session, changes)
    assert [topic for effect in effects if isinstance(effect, Deliver) for topic, _ in effect.pairs] == list(
        wanted
    )


# ── the account ─────────────────────────────────────────────────────────────────────────────────

AUTHORIZED = b'{"stream":"authorization","data":{"status":"authorized","action":"authenticate"}}'
LISTENING = b'{"stream":"listening","data":{"streams":["trade_updates"]}}'


def listening() -> Session:
    venue = alpaca(stream="account")
    session = venue.session(Opening("alpaca"))
    session.opened(0.0)
    assert session.received([(BINARY, AUTHORIZED)], 0.0) == [Announce()]
    topic = venue.topic("trade_updates", "", {})
    session.subscribe([topic], 0.0)
    assert session.received([(BINARY, LISTENING)], 0.0) == [Confirm((topic,))]
    return session


def test_an_order_of_legs_has_its_times_in_msgpack_too() -> None:
    stamp = msgspec.msgpack.Ext(-1, (1_772_463_845).to_bytes(4, "big"))
    leg = {"id": "l1", "updated_at": stamp}
    order = {"id": "o1", "created_at": stamp, "updated_at": "2026-03-02T11:04:05-04:00", "legs": [leg]}
    data = {"event": "fill", "at": stamp, "order": order, "legs": [{"timestamp": stamp}]}
    payload = msgspec.msgpack.encode({"stream": "trade_updates", "data": data})
    [delivered] = listening().received([(BINARY, payload)], 0.0)
    assert isinstance(delivered, Deliver)
    update = delivered.pairs[0][1]
    assert update.ts_ns == update.order.legs[0].updated_ns == 1_772_463_845 * 10**9
    assert update.order.updated_ns == 1_772_463_845 * 10**9
    assert update.legs[0].timestamp == update.order.created_at == 1_772_463_845 * 10**9


def test_a_fill_is_remembered_for_a_bounded_while() -> None:
    def fill(id: int) -> bytes:
        data = {"event": "fill", "execution_id": str(id), "order": {"id": "o"}}
        return msgspec.json.encode({"stream": "trade_updates", "data": data})

    session = listening()
    for id in range(30_000):
        session.received([(TEXT, fill(id))], 0.0)
    assert session.received([(TEXT, fill(29_999))], 0.0) == [Duplicates(1)]
    assert isinstance(session.received([(TEXT, fill(1))], 0.0)[0], Deliver)


envelopes = st.dictionaries(st.sampled_from(["stream", "action", "data"]), likely)


@given(st.lists(json_values | envelopes, max_size=5))
def test_no_message_of_an_account_raises(messages: list[Any]) -> None:
    heard(listening(), *messages)
