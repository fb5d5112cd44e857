"""The usual path of a table's session, which must do what the careful path does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events import Topic
from actors.protocol import Opening
from actors.protocol.session import BINARY, TEXT, Deliver, Effect, SessionState
from actors.settings import known_venues
from actors.settings.venue_tables import read_venue
from actors.venues.declarative import Declared, DeclaredSession
from tests.venues.transcript import Player, transcripts

SHAPES = Path(__file__).parent / "tables"

ODD = """
name = "odd"
about = "for tests: all that a usual message may differ in"
url = "wss://odd.example"
ignore = ["still here"]
[channels.trades]
about = "trades"
key = "market"
spelling = "upper"
[channels.trades.sequence]
number = "d.n"
[channels.book]
about = "the book"
key = "market"
deltas = true
resyncable = true
[channels.book.sequence]
number = "d.n"
start = { d = { kind = "whole" } }
[channels.notes]
about = "notes"
key = "market"
[subscribe]
send = { op = "sub", id = "{id}", args = "{topics}" }
topic = "{wire}.{key}"
[unsubscribe]
send = { op = "unsub", id = "{id}", args = "{topics}" }
topic = "{wire}.{key}"
[[acks]]
when = { ok = true }
id = "id"
[[errors]]
when = { ok = false }
id = "id"
code = "code"
text = "text"
[[events]]
when = { ch = ["trades", "book"], d = { n = "{any}" }, late = "{none}", old = false }
wire = "ch"
key = "m"
data = "d"
kind = "d.kind"
time = "at"
unit = "s"
[[events]]
when = { ch = "notes" }
wire = "ch"
key = "m"
data = "d"
time = "at"
unit = "rfc3339"
[[events]]
when = { ch = "{any}", d = "{any}" }
each = "d[*]"
wire = "ch"
key = "m"
"""
ODD_MESSAGES: list[Any] = [
    {"ok": True, "id": 1},
    {"ok": False, "id": 1, "code": 7, "text": "no A"},
    *(
        {"ch": channel, "m": key, "d": {"n": number, "kind": kind}, "old": False, "at": number}
        for channel in ("trades", "book")
        for key in "aAB"
        for number, kind in ((1, "whole"), (2, "part"), (3, "part"), (5, "part"))
    ),
    {"ch": "notes", "m": "A", "d": "text", "at": "2026-01-02T03:04:05Z"},
    {"ch": "notes", "m": "A", "d": None},
    {"ch": "notes", "m": "A", "d": [1], "at": 5},
    {"ch": "trades", "m": "A", "d": [1, 2]},
    {"ch": "book", "m": "B", "d": [{"n": 1}, {"n": 2}]},
]

TWO_KINDS = """
name = "two"
about = "for tests: a kind of message with a name outside that is not its topic's"
url = "wss://two.example"
[channels.trades]
about = "trades"
key = "market"
[channels.notes]
about = "notes"
key = "market"
[subscribe]
send = { op = "sub", args = "{topics}" }
topic = "{wire}.{key}"
[[events]]
when = { ch = "notes", "d[0]" = "{any}" }
wire = "ch"
key = "m"
data = "d"
[[events]]
when = { ch = "trades" }
each = "d[*]"
channel = "trades"
key = "d[*].m"
"""
TWO_KINDS_MESSAGES: list[Any] = [
    {"ch": "notes", "m": "A", "d": ["x", "y"]},
    {"ch": "notes", "m": "B", "d": "text"},
    {"ch": "notes", "m": "A", "d": {"0": 1}},
    {"ch": "trades", "m": "A", "d": [{"m": "A"}, {"m": "B"}]},
]

Step = Callable[[DeclaredSession], list[Effect]]


def heard_in(name: str) -> list[bytes]:
    """What a venue says in the transcripts of its table."""
    played = [each for each in transcripts(SHAPES) if each.title.startswith(f"{name}:")]
    return [line[2:].encode() for each in played for line in each.lines if line.startswith("< ")]


def asked_in(venue: Declared, name: str) -> list[Topic]:
    player = Player(venue)
    played = [each for each in transcripts(SHAPES) if each.title.startswith(f"{name}:")]
    lines = [line for each in played for line in each.lines if line.startswith("* subscribe ")]
    return list(dict.fromkeys(player.topic(word) for line in lines for word in line.split()[2:]))


def shipped(name: str) -> tuple[Declared, list[bytes], list[Topic]]:
    kind = known_venues()[name]
    venue = kind(name, msgspec.convert({}, kind.Settings))
    assert isinstance(venue, Declared)
    return venue, heard_in(name), asked_in(venue, name)


def written(table: str, *messages: Any) -> tuple[Declared, list[bytes], list[Topic]]:
    kind = read_venue(table, "table.toml")
    venue = kind("table", kind.Settings())
    assert isinstance(venue, Declared)
    topics = [venue.topic(channel, key, {}) for channel in venue.channels for key in "AB"]
    return venue, [*(json.dumps(each).encode() for each in messages), b"still here", b"{"], topics


TABLES = sorted(path.stem for path in SHAPES.glob("*.txt"))
VENUES = {
    "odd": written(ODD, *ODD_MESSAGES),
    "two kinds": written(TWO_KINDS, *TWO_KINDS_MESSAGES),
    **{name: shipped(name) for name in TABLES},
}
VALUES = [
    None,
    0,
    1,
    2,
    1.5,
    "",
    "1",
    "trades",
    "A",
    "a",
    "BTCUSDT",
    "btcusdt",
    True,
    False,
    [],
    {},
    [1],
    {"s": 1},
]


def places(message: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each member and element."""
    members = list(message.items()) if isinstance(message, dict) else []
    members += list(enumerate(message)) if isinstance(message, list) else []
    return [found for step, inner in members for found in [(*way, step), *places(inner, (*way, step))]]


@st.composite
def payloads(draw: st.DrawFn, known: Sequence[bytes]) -> bytes:
    """A message of the venue, perhaps with one place of it changed."""
    payload = draw(st.sampled_from(known))
    if draw(st.integers(0, 2)) or not payload.startswith((b"{", b"[")) or len(payload) < 3:
        return payload
    message = json.loads(payload)
    ways = places(message)
    if not ways:
        return payload
    *way, last = draw(st.sampled_from(ways))
    inner = message
    for step in way:
        inner = inner[step]
    change = draw(st.sampled_from(["remove", "replace", "count", "case"]))
    match change, inner[last]:
        case "remove", _:
            del inner[last]
        case "count", int(number):
            inner[last] = number + draw(st.integers(-1, 3))
        case "case", str(text):
            inner[last] = text.swapcase()
        case _:
            inner[last] = draw(st.sampled_from(VALUES))
    return json.dumps(message).encode()


@st.composite
def steps(draw: st.DrawFn, known: Sequence[bytes], topics: Sequence[Topic]) -> tuple[str, Any]:
    """What a connection does to its session: mostly, it brings the frames of one read."""
    verb = draw(st.sampled_from(["received"] * 6 + ["subscribe", "unsubscribe", "resync", "ping"]))
    if verb == "received":
        frame = st.tuples(st.sampled_from([TEXT, TEXT, TEXT, BINARY]), payloads(known))
        return verb, draw(st.lists(frame, min_size=1, max_size=8))
    return verb, draw(st.lists(st.sampled_from(topics), min_size=1, max_size=3, unique=True))


def do(session: DeclaredSession, verb: str, what: Any, now: float) -> list[Effect]:
    match verb:
        case "received":
            return session.received(what, now)
        case "ping":
            return session.ping(now)
    if session.state is not SessionState.OPEN:
        return []
    ask = {"subscribe": session.subscribe, "unsubscribe": session.unsubscribe, "resync": session.resync}
    return ask[verb](what, now)


def careful(session: DeclaredSession) -> DeclaredSession:
    """A session for which no message is usual."""
    session._usual._key_of = None
    return session


def session_of(venue: Declared, *, listens: bool = False) -> DeclaredSession:
    session = venue.listener() if listens else venue.session(Opening(venue.feed))
    assert isinstance(session, DeclaredSession)
    return session


@pytest.mark.parametrize("name", VENUES)
@given(data=st.data())
def test_both_paths_have_the_same_effects(name: str, data: st.DataObject) -> None:
    venue, known, topics = VENUES[name]
    listens = data.draw(st.booleans())
    usual, slow = session_of(venue, listens=listens), careful(session_of(venue, listens=listens))
    script = [("subscribe", topics), *data.draw(st.lists(steps(known, topics), max_size=12))]
    assert usual.opened(0.0) == slow.opened(0.0)
    for number, (verb, what) in enumerate(script):
        told, wanted = do(usual, verb, what, number * 6.0), do(slow, verb, what, number * 6.0)
        assert told == wanted
        assert repr(told) == repr(wanted)  # 1 is equal to true
        assert usual.heard == slow.heard
        assert usual.state is slow.state


@pytest.mark.parametrize("name", VENUES)
def test_both_paths_have_the_same_effects_on_the_transcripts(name: str) -> None:
    venue, known, topics = VENUES[name]
    usual, slow = session_of(venue), careful(session_of(venue))
    for session in (usual, slow):
        session.opened(0.0)
        session.subscribe(topics, 0.0)
    twice = [(TEXT, payload) for payload in known for _ in range(3)]
    for frames in (twice, *([frame] for frame in twice)):
        assert usual.received(frames, 0.0) == slow.received(frames, 0.0)
    assert usual.heard == slow.heard


class Counted(DeclaredSession):
    """Counts the messages of the careful path."""

    careful = 0

    def _handle(self, message: Any, out: Any) -> None:
        self.careful += 1
        super()._handle(message, out)


def counted(name: str) -> tuple[Counted, Declared]:
    venue = VENUES[name][0]
    session = Counted(venue.protocol)
    session.opened(0.0)
    return session, venue


def hear(session: DeclaredSession, *messages: object) -> list[Effect]:
    return session.received([(TEXT, json.dumps(each).encode()) for each in messages], 0.0)


def events(effects: Sequence[Effect]) -> list[Any]:
    return [event for each in effects if isinstance(each, Deliver) for _, event in each.pairs]


@pytest.mark.parametrize(
    ("name", "channel", "key", "message"),
    [
        (
            "binance",
            "agg_trades",
            "BTCUSDT",
            {"stream": "btcusdt@aggTrade", "data": {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 1}},
        ),
        ("binance", "quotes", "BTCUSDT", {"stream": "btcusdt@bookTicker", "data": {"u": 1, "s": "BTCUSDT"}}),
        (
            "binance",
            "depth_view",
            "BTCUSDT",
            {"stream": "btcusdt@depth20@100ms", "data": {"lastUpdateId": 1, "bids": [], "asks": []}},
        ),
        (
            "bybit",
            "depth",
            "BTCUSDT",
            {"topic": "orderbook.50.BTCUSDT", "type": "delta", "ts": 1, "data": {"s": "BTCUSDT", "u": 1}},
        ),
        (
            "coinbase",
            "ticker",
            "BTC-USD",
            {"type": "ticker", "product_id": "BTC-USD", "time": "2026-01-02T03:04:05Z"},
        ),
        (
            "okx",
            "trades",
            "BTC-USDT",
            {"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [{"ts": "1"}, {"ts": "2"}]},
        ),
        (
            "bybit",
            "trades",
            "BTCUSDT",
            {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": [{"T": 1}]},
        ),
        ("odd", "notes", "A", {"ch": "notes", "m": "A", "d": "text"}),
        ("odd", "trades", "A", {"ch": "trades", "m": "A", "d": [1, 2, 3]}),
    ],
)
def test_the_usual_message_takes_the_usual_path(name: str, channel: str, key: str, message: Any) -> None:
    session, venue = counted(name)
    session.subscribe([venue.topic(channel, key, {})], 0.0)
    hear(session, message, message)
    before = session.careful
    each = len(events(hear(session, message)))
    assert len(events(hear(session, *[message] * 50))) == 50 * each > 0
    assert session.careful == before


def test_numbers_in_their_order_take_the_usual_path_and_a_hole_is_told() -> None:
    session, venue = counted("binance")
    session.subscribe([venue.topic("depth", "BTCUSDT", {})], 0.0)

    def change(number: int) -> object:
        return {"stream": "btcusdt@depth@100ms", "data": {"s": "BTCUSDT", "U": number, "u": number}}

    hear(session, change(1), change(2))
    before = session.careful
    assert len(hear(session, *map(change, range(3, 20)))) == 1
    assert session.careful == before
    assert [type(each).__name__ for each in hear(session, change(20), change(22), change(23))] == [
        "Deliver",
        "Missed",
        "Deliver",
    ]
    assert session.careful == before + 1


def test_a_topic_whose_messages_are_of_two_kinds_comes_back_to_the_usual_path() -> None:
    session, venue = counted("odd")
    session.subscribe([venue.topic("trades", "A", {})], 0.0)
    trade = {"ch": "trades", "m": "A", "d": {"n": None}, "old": False}
    whole = [{**trade, "d": {"n": str(number)}} for number in range(1, 10)]
    several = {"ch": "trades", "m": "A", "d": [1, 2]}
    for _ in range(3):
        assert len(events(hear(session, several, several, several))) == 6
        hear(session, *whole[:2])
        before = session.careful
        hear(session, *whole[2:])
        assert session.careful == before


def test_a_topic_that_was_given_up_gets_nothing_until_it_is_asked_for_again() -> None:
    session, venue = counted("binance")
    topics = [venue.topic("agg_trades", "BTCUSDT", {})]
    trade = {"stream": "btcusdt@aggTrade", "data": {"s": "BTCUSDT", "E": 1}}
    session.subscribe(topics, 0.0)
    assert len(events(hear(session, trade, trade, trade))) == 3
    session.unsubscribe(topics, 0.0)
    assert not session._asked.routes  # nothing keeps the topic
    assert [type(each).__name__ for each in hear(session, trade, trade)] == ["Unrouted"]
    session.subscribe(topics, 0.0)
    told = hear(session, trade, trade, trade)
    assert [type(each).__name__ for each in told] == ["Confirm", "Deliver"]
    assert len(events(told)) == 3


def test_what_is_remembered_of_messages_is_bounded() -> None:
    """A venue may write one name in many ways."""
    session, venue = counted("odd")
    session.subscribe([venue.topic("trades", "ABCDEFGHIJKL", {})], 0.0)
    names = [
        "".join(c.lower() if number >> at & 1 else c for at, c in enumerate("ABCDEFGHIJKL"))
        for number in range(4096)
    ]
    messages = [
        {"ch": "trades", "m": name, "d": {"n": number}, "old": False} for number, name in enumerate(names)
    ]
    assert len(events(hear(session, *messages))) == 4096
    assert 0 < len(session._asked.routes) <= 1100


def test_long_names_are_not_remembered() -> None:
    session, venue = counted("two kinds")
    session.subscribe([venue.topic("trades", "A", {})], 0.0)
    for size in (10, 990, 1_001, 100_000):
        hear(session, {"ch": "trades", "m": size * "m", "d": [{"m": "A"}]})
    assert [len(market) for _, market in session._asked.routes] == [10, 990]


def test_a_text_has_no_first_element() -> None:
    session, venue = counted("two kinds")
    session.subscribe([venue.topic("notes", "A", {})], 0.0)
    note = {"ch": "notes", "m": "A"}
    told = hear(session, *({**note, "d": data} for data in (["x"], ["y"], ["z"], "xyz")))
    assert [event.data for event in events(told)] == [["x"], ["y"], ["z"]]


def test_a_message_of_an_earlier_kind_is_read_as_that_kind() -> None:
    """Its topic's former messages were of a later kind, which it fits as well."""
    session, venue = counted("binance")
    session.subscribe([venue.topic("depth_view", "BTCUSDT", {})], 0.0)
    stream, later = "btcusdt@depth20@100ms", {"lastUpdateId": 1}
    hear(session, *[{"stream": stream, "data": later}] * 3)
    (event,) = events(hear(session, {"stream": stream, "data": {**later, "s": "BTCUSDT", "e": "x", "E": 1}}))
    assert (event.kind, event.at_ns) == ("x", 1_000_000)
