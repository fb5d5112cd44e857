"""The tables that come with the package, proved by transcripts, by captures, and against small venues."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

import actors
from actors.errors import SubscribeError
from actors.events import Gap, Lifecycle, Topic
from actors.protocol import Opening
from actors.protocol.session import (
    TEXT,
    Complain,
    Deliver,
    Effect,
    End,
    Missed,
    Quarantine,
    Session,
    SessionState,
    Unrouted,
)
from actors.settings import known_venues
from actors.simulators.base.client import text_frame
from actors.stream import Stream
from actors.venues.declarative import Declared, Message
from tests.simulators.replay import (
    BinanceReplay,
    BybitReplay,
    CoinbaseReplay,
    KrakenReplay,
    KrakenV1Replay,
    OkxReplay,
    Replay,
)
from tests.support.runtimes import HEARTBEAT, RESTART, at_epoch, line_of, until
from tests.venues.transcript import Player, Transcript, transcripts

SHAPES = Path(__file__).parent / "tables"
CAPTURES = Path(__file__).parents[1] / "captures"
TABLES = sorted(path.stem for path in SHAPES.glob("*.txt"))


def table(name: str, **keys: str) -> Declared:
    kind = known_venues()[name]
    venue = kind(name, msgspec.convert(keys, kind.Settings))
    assert isinstance(venue, Declared)
    return venue


# ── documented shapes ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("transcript", list(transcripts(SHAPES)), ids=lambda transcript: transcript.title)
def test_documented(transcript: Transcript) -> None:
    Player(table(transcript.title.partition(":")[0])).play(transcript)


def test_every_table_that_ships_has_its_transcript() -> None:
    shipped = {name for name, venue in known_venues().items() if issubclass(venue, Declared)}
    assert shipped == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_every_channel_has_a_message_in_the_transcript(name: str) -> None:
    lines = (SHAPES / f"{name}.txt").read_text().splitlines()
    told = {
        line.split()[1].partition("/")[0] for line in lines if line.startswith("= ") and " Message " in line
    }
    assert told == set(table(name).channels)


def test_bybits_category_is_part_of_the_address() -> None:
    assert table("bybit").endpoint(Opening("bybit")).url == "wss://stream.bybit.com/v5/public/spot"
    linear = table("bybit", category="linear")
    assert linear.endpoint(Opening("bybit")).url == "wss://stream.bybit.com/v5/public/linear"


@pytest.mark.parametrize(
    ("name", "channel", "key", "one", "other"),
    [
        ("kraken", "candles", "BTC/USD", {"interval": 1}, {"interval": 5}),
        ("kraken", "depth", "BTC/USD", {"depth": 10}, {"depth": 100}),
        ("coinbase", "depth", "BTC-USD", {"updates": "batched"}, {"updates": "single"}),
    ],
)
def test_what_a_venue_cannot_tell_apart_lies_on_two_lines(
    name: str, channel: str, key: str, one: Mapping[str, Any], other: Mapping[str, Any]
) -> None:
    venue = table(name)
    topics = [venue.topic(channel, key, one), venue.topic(channel, key, other)]
    assert venue.spread(topics) == {name: topics[:1], f"{name}/2": topics[1:]}


def test_where_names_tell_options_apart_one_line_is_enough() -> None:
    for name in ("binance", "bybit", "okx_business", "kraken_v1"):
        venue = table(name)
        key = {"okx_business": "BTC-USDT", "kraken_v1": "XBT/USD"}.get(name, "BTCUSDT")
        known = tuple(venue.channels["candles"].options)
        assert known == ("interval",)
        intervals = {"1", "5"} if name in {"bybit", "kraken_v1"} else {"1m", "5m"}
        topics = [venue.topic("candles", key, {"interval": interval}) for interval in intervals]
        assert venue.spread(topics) == {name: topics}


def test_binance_opens_another_line_at_1024_streams() -> None:
    venue = table("binance")
    spread = venue.spread(venue.topic("trades", f"SYMBOL{number}", {}) for number in range(1025))
    assert {line: len(topics) for line, topics in spread.items()} == {"binance": 1024, "binance/2": 1}


# ── real captures ───────────────────────────────────────────────────────────────────────────────


def heard_in(capture: str) -> Iterator[bytes]:
    """What the venue said; what we said, and the connecting, bear a URL in front."""
    for line in (CAPTURES / capture).read_text().splitlines():
        if line and not line.startswith("wss://"):
            yield line.partition(": ")[2].encode()


def effects_of(session: Session, payloads: Iterable[bytes]) -> list[Effect]:
    if session.state is SessionState.OPENING:
        session.opened(0.0)
    return [effect for payload in payloads for effect in session.received([(TEXT, payload)], 0.0)]


def delivered(effects: Iterable[Effect]) -> list[tuple[Topic, Any]]:
    return [pair for effect in effects if isinstance(effect, Deliver) for pair in effect.pairs]


def topics_of(effects: Iterable[Effect]) -> set[Topic]:
    return {topic for topic, _ in delivered(effects)}


@pytest.mark.parametrize(
    ("name", "capture", "heard", "events"),
    [
        (
            "binance",
            "binance.txt",
            {"event": 45},
            {"depth": 24, "quotes": 19, "agg_trades": 1, "candles": 1},
        ),
        (
            "coinbase",
            "coinbase.txt",
            {"event": 43, "ack": 3},
            {"depth": 23, "ticker": 10, "trades": 10},
        ),
        ("kraken_v1", "kraken_v1.txt", {"event": 30, "ack": 10, "state": 1, "ignored": 3}, {"depth": 30}),
    ],
)
def test_nothing_of_a_capture_is_left_over(
    name: str, capture: str, heard: Mapping[str, int], events: Mapping[str, int]
) -> None:
    listener = table(name).listener()
    effects = effects_of(listener, heard_in(capture))
    assert listener.heard == heard
    assert Counter(topic.channel for topic, _ in delivered(effects)) == events
    assert {type(effect).__name__ for effect in effects} - {"VenueState"} == {"Deliver", "Confirm"}


@pytest.mark.parametrize(
    ("name", "capture", "key_in"),
    [
        ("binance", "binance.txt", lambda data: data["s"]),
        ("coinbase", "coinbase.txt", lambda data: data["product_id"]),
        ("kraken_v1", "kraken_v1.txt", lambda data: data[-1]),
    ],
)
def test_a_capture_goes_to_those_who_asked_for_it(
    name: str, capture: str, key_in: Callable[[Any], str]
) -> None:
    """And to nobody else: each event under the symbol that stands in it."""
    venue = table(name)
    topics = topics_of(effects_of(venue.listener(), heard_in(capture)))
    session = venue.session(Opening(name))
    session.opened(0.0)
    session.subscribe(sorted(topics), 0.0)
    effects = effects_of(session, heard_in(capture))
    assert topics_of(effects) == topics
    assert all(key_in(event.data) == topic.key for topic, event in delivered(effects))
    assert not any(isinstance(effect, Unrouted | Missed | Quarantine | Complain) for effect in effects)


# ── on loopback ─────────────────────────────────────────────────────────────────────────────────

Interest = tuple[str, str]  # channel, key


def each_of(key: str, *channels: str) -> list[Interest]:
    return [(channel, key) for channel in channels]


class Case(Struct, frozen=True):
    """One table with its small venue, what is asked for there, and what it refuses."""

    table: str
    venue: type[Replay]
    wanted: list[Interest]
    bad: str
    words: str  # of the refusal
    path: str = ""
    pings: bool = True  # it has a heartbeat of its own


CASES = [
    Case(
        "binance",
        BinanceReplay,
        each_of("BTCUSDT", "trades", "agg_trades", "quotes", "ticker", "mini_ticker", "candles", "depth")
        + each_of("btcusdt", "depth_view"),
        "NO_SUCH",
        "invalid stream",
        pings=False,
    ),
    Case(
        "coinbase",
        CoinbaseReplay,
        each_of("btc-usd", "trades", "ticker", "depth", "heartbeat"),
        "NO-SUCH",
        "NO-SUCH is not a valid product",
        pings=False,
    ),
    Case(
        "kraken",
        KrakenReplay,
        each_of("BTC/USD", "trades", "ticker", "depth", "candles"),
        "NO/SUCH",
        "Currency pair not supported NO/SUCH",
    ),
    Case(
        "kraken_v1",
        KrakenV1Replay,
        each_of("XBT/USD", "trades", "ticker", "quotes", "depth", "candles"),
        "NO/SUCH",
        "Currency pair not supported NO/SUCH",
    ),
    Case(
        "okx",
        OkxReplay,
        each_of("BTC-USDT", "trades", "ticker", "quotes", "depth_view", "depth"),
        "NO-SUCH",
        "60018",
    ),
    Case(
        "okx_business",
        OkxReplay,
        each_of("BTC-USDT", "candles", "trades"),
        "NO-SUCH",
        "60018",
        path="/ws/v5/business",
    ),
    Case(
        "bybit",
        BybitReplay,
        each_of("BTCUSDT", "trades", "ticker", "quotes", "depth", "candles"),
        "NOSUCH",
        "Invalid symbol",
    ),
]
KRAKEN, OKX = (next(case for case in CASES if case.table == name) for name in ("kraken", "okx"))
every_table = pytest.mark.parametrize("case", CASES, ids=lambda case: case.table)


@contextmanager
def runtime_on(case: Case, *, beat: float = 0.0) -> Iterator[tuple[actors.Runtime, Replay]]:
    """A runtime on a small venue that says what its transcript says. `beat`: seconds between heartbeats."""
    with case.venue(SHAPES / f"{case.table}.txt") as venue:
        feed = {
            "venue": case.table,
            "url": venue.http_url.replace("http", "ws") + (case.path or venue.path),
            "ack_timeout": 5.0,
            "restart": RESTART,
            "heartbeat": HEARTBEAT | {"venue_ping_interval": beat},
            "send_rate": {"batch": 100, "frames": []},
        }
        with actors.start({"feeds": {case.table: feed}}) as runtime:
            yield runtime, venue


def subscribed(runtime: actors.Runtime, case: Case) -> list[Stream[Message]]:
    return [runtime.subscribe(case.table, channel, key, wait=10.0) for channel, key in case.wanted]


def until_gap(stream: Stream[Message]) -> Iterator[object]:
    """What comes before the gap of the drop."""
    for each in stream.with_markers():
        if isinstance(each, Gap):
            assert each.reason == "disconnect"
            return
        yield each


def contents(messages: list[Any]) -> Callable[[Message], bool]:
    """Whether an event's data stands in one of these messages."""
    texts = [json.dumps(message) for message in messages]
    return lambda event: any(json.dumps(_plain(event.data)) in text for text in texts)


def _plain(data: Any) -> Any:
    return json.loads(json.dumps(data, default=float))


@every_table
def test_each_channel_is_confirmed_and_gets_what_is_its_own(case: Case) -> None:
    with runtime_on(case) as (runtime, venue):
        streams = subscribed(runtime, case)
        venue.push()
        said = contents(venue.messages)
        for stream, (channel, key) in zip(streams, case.wanted, strict=True):
            event = stream.get(timeout=5.0)
            assert (event.channel, event.key) == (channel, key.upper())
            assert said(event)
        states = [topic.state.state for topic in line_of(runtime, case.table).topics]
        assert states == ["confirmed"] * len(case.wanted)
        assert line_of(runtime, case.table).counters.unrouted == 0


@every_table
def test_a_bad_symbol_is_rejected_in_the_venues_words_and_the_others_live(case: Case) -> None:
    with runtime_on(case) as (runtime, venue):
        channel, key = case.wanted[0]
        with pytest.raises(SubscribeError) as error:
            runtime.subscribe(case.table, channel, key, case.bad, wait=10.0)
        stream = error.value.stream
        assert isinstance(stream, Stream)
        told = {topic.key: (state.state, state.reason) for topic, state in error.value.results.items()}
        assert told[key.upper()] == ("confirmed", "")
        assert told[case.bad][0] == "rejected"
        assert case.words in told[case.bad][1]
        venue.push()
        assert stream.get(timeout=5.0).key == key.upper()
        assert line_of(runtime, case.table).state == "live"


@pytest.mark.parametrize("case", [case for case in CASES if case.pings], ids=lambda case: case.table)
def test_our_heartbeat_is_the_venues_own(case: Case) -> None:
    with runtime_on(case, beat=0.02) as (runtime, venue):
        subscribed(runtime, case)
        venue.wait_heard("ping", n=3)
        line = line_of(runtime, case.table)
        assert (line.state, line.epoch, line.counters.unrouted) == ("live", 1, 0)


@every_table
def test_the_venues_protocol_ping_is_answered(case: Case) -> None:
    with runtime_on(case) as (runtime, venue):
        subscribed(runtime, case)
        before = venue.pings
        venue.send_frame(b"\x89\x021!")  # RFC 6455 section 5.5.2, as Binance sends it
        venue.wait_for(lambda: venue.pings > before)
        assert line_of(runtime, case.table).epoch == 1


@every_table
def test_a_drop_brings_every_subscription_back(case: Case) -> None:
    with runtime_on(case) as (runtime, venue):
        streams = subscribed(runtime, case)
        before = venue.topics()
        venue.drop()
        until(runtime, at_epoch(2, case.table))
        runtime.wait_live(case.table, timeout=10.0)
        assert venue.topics() == before
        venue.push()
        for stream in streams:
            markers = [each for each in until_gap(stream) if isinstance(each, Lifecycle)]
            assert [each.state for each in markers if each.epoch > 1][-1] == "restored"
            assert isinstance(stream.get(timeout=5.0), Message)


def test_what_a_venue_says_beside_its_data_is_no_event() -> None:
    """Kraken's heartbeats and its greeting are recognised, and no data."""
    with runtime_on(KRAKEN) as (runtime, venue):
        stream, *_others = subscribed(runtime, KRAKEN)
        for _ in range(3):
            venue.send_frame(text_frame(b'{"channel":"heartbeat"}'))
        venue.push()
        assert stream.get(timeout=5.0).channel == "trades"
        assert line_of(runtime, KRAKEN.table).counters.unrouted == 0


def test_a_hole_in_okxs_numbers_is_a_gap_and_the_book_begins_anew() -> None:
    with runtime_on(OKX) as (runtime, venue):
        book = runtime.subscribe("okx", "depth", "BTC-USDT", wait=10.0)
        venue.push()
        assert [book.get(timeout=5.0).kind for _ in range(2)] == ["snapshot", "update"]
        arg = {"channel": "books", "instId": "BTC-USDT"}
        late = {"asks": [], "bids": [], "ts": "1767607200900", "prevSeqId": 123460, "seqId": 123461}
        venue.send_raw(json.dumps({"arg": arg, "action": "update", "data": [late]}))
        venue.wait_heard("subscribe", n=2)  # it is asked for anew
        venue.push()
        told = [next(book.with_markers()) for _ in range(2)]
        assert isinstance(told[0], Gap)
        assert told[0].reason == "sequence"
        assert isinstance(told[1], Message)
        assert told[1].kind == "snapshot"


# ── whatever comes ──────────────────────────────────────────────────────────────────────────────

VENUES = {name: table(name) for name in TABLES}
SAID = {
    name: [
        line[2:].encode()
        for line in (SHAPES / f"{name}.txt").read_text().splitlines()
        if line.startswith("< ") and line[2] in "{["
    ]
    for name in TABLES
}
ODD: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just([]) | st.just({})
)


def spoilt(node: Any, data: st.DataObject) -> Any:
    """The same message with one node in it replaced."""
    if not isinstance(node, dict | list) or not node or data.draw(st.integers(0, 3)) == 0:
        return data.draw(ODD)
    copy = node.copy()
    at: Any = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
    copy[at] = spoilt(node[at], data)
    return copy


@given(st.sampled_from(TABLES), st.data())
def test_a_message_that_is_not_as_documented_hurts_nothing(name: str, data: st.DataObject) -> None:
    venue = VENUES[name]
    session = venue.session(Opening(name))
    session.opened(0.0)
    case = next(case for case in CASES if case.table == name)
    topics = [venue.topic(channel, key, {}) for channel, key in case.wanted]
    session.subscribe(topics, 0.0)
    message = spoilt(json.loads(data.draw(st.sampled_from(SAID[name]))), data)
    effects = session.received([(TEXT, json.dumps(message).encode())], 0.0)
    assert not any(isinstance(effect, End) for effect in effects)
    for effect in effects:
        if isinstance(effect, Deliver):
            assert {topic for topic, _ in effect.pairs} <= set(topics)
