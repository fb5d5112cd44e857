"""tplus' sessions, proved by transcripts: one socket each, and what comes of its snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from actors.http_types import HttpAnswer, HttpFailed, HttpRequest
from actors.protocol import Opening
from actors.protocol.session import (
    BINARY,
    TEXT,
    Confirm,
    Deliver,
    Effect,
    End,
    Fetch,
    Missed,
    Quarantine,
    Resent,
    Session,
    SessionState,
    TokenRefused,
    Unrouted,
)
from actors.protocol.venue import Venue
from actors.reasons import Retryable
from actors.secret import Secret
from actors.venues.tplus import DepthSession, Tplus, TplusSettings, Trade
from actors.venues.tplus.decoding import documents
from actors.venues.tplus.paths import STREAMS, line_of, topic_of
from actors.venues.tplus.session import EARLY, TplusSession
from tests.venues.transcript import Player, Transcript, transcripts

SEED = Secret("07" * 32)
VENUE = Tplus("tplus", TplusSettings(private_key=SEED))
MONOTONIC = Tplus("tplus", TplusSettings(private_key=SEED, sequence="monotonic"))


class SocketPlayer(Player):
    """Plays transcripts of one socket, which say first which it is.

    * open depth-200                    the line without its feed; `monotonic` may stand behind it
    * subscribe                         its topic; also unsubscribe, resync, wait SECONDS
    * fetched snapshot/1 200 {"asks":…  an answer over HTTP; a retry-after stands as 429;30
    * failed snapshot/1 no answer
    """

    def __init__(self) -> None:
        self._now = 0.0

    def play(self, transcript: Transcript) -> None:
        verb, line, *how = transcript.lines[0].removeprefix("* ").split()
        assert verb == "open"
        venue: Venue = MONOTONIC if how == ["monotonic"] else VENUE
        self._topic = topic_of(f"tplus/{line}")
        self._defaults = {self._topic.channel: ()}
        session = venue.session(Opening(f"tplus/{line}"))
        session.opened(0.0)
        self._now, lines = 0.0, list(transcript.lines[1:])
        while lines:
            line = lines.pop(0)
            wanted: list[str] = []
            while lines and lines[0][0] in ">=":
                wanted.append(lines.pop(0))
            told = [text for effect in self._do(session, line, self._now) for text in self.show(effect)]
            assert told == wanted, line

    def _do(self, session: Session, line: str, now: float) -> list[Effect]:
        mark, verb, *rest = line.split(" ", 2)
        mine = [self._topic]
        if mark == "<":  # \n stands for a line's end, so that a frame is a line here
            return super()._do(session, line.replace("\\n", "\n"), now)
        match verb:
            case "subscribe":
                return session.subscribe(mine, now)
            case "unsubscribe":
                return session.unsubscribe(mine, now)
            case "resync":
                return session.resync(mine, now)
            case "wait":
                self._now += float(rest[0])
                return []
        ticket, _, said = rest[0].partition(" ")
        if verb == "failed":
            return session.fetched(ticket, HttpFailed(said, "timeout"), now)
        status, _, body = said.partition(" ")
        code, _, wait = status.partition(";")
        headers = {"retry-after": wait} if wait else {}
        return session.fetched(ticket, HttpAnswer(int(code), body.encode(), headers), now)

    def show(self, effect: Effect) -> Iterator[str]:
        match effect:
            case Fetch(ticket=ticket, after=after):
                yield f"= fetch {ticket}" + (f" after {after:g} s" if after else "")
            case TokenRefused(text=text):
                yield f"= token refused: {text}"
            case Missed(reason=reason, missed=missed):
                yield f"= missed ({reason})" + (f" {missed}" if missed is not None else "")
            case _:
                yield from super().show(effect)


@pytest.mark.parametrize(
    "transcript", list(transcripts(Path(__file__).parent / "tplus")), ids=lambda each: each.title
)
def test_tplus(transcript: Transcript) -> None:
    SocketPlayer().play(transcript)


TRADES = VENUE.topic("trades", "", {})
LINES = [line_of(VENUE.topic(name, "200" if STREAMS[name].keyed else "", {})) for name in STREAMS]


def opened(line: str = "tplus/trades", *, wanted: bool = True) -> Session:
    session = VENUE.session(Opening(line))
    session.opened(0.0)
    if wanted:
        session.subscribe([topic_of(line)], 0.0)
    return session


def heard(session: Session, *payloads: bytes) -> list[Effect]:
    return session.received([(TEXT, payload) for payload in payloads], 0.0)


def trade(number: int) -> bytes:
    return msgspec.json.encode(
        {"asset_id": "200", "trade_id": number, "price": "1", "quantity": "1", "timestamp_ns": 1}
    )


def test_events_of_one_read_go_in_one_piece_and_a_burst_loses_nothing() -> None:
    confirmed, burst = heard(opened(), *map(trade, range(5000)))
    assert confirmed == Confirm((TRADES,))
    assert isinstance(burst, Deliver)
    assert [event.trade_id for _, event in burst.pairs] == list(range(5000))


def test_what_is_not_asked_for_is_not_kept_for_ever() -> None:
    session = opened(wanted=False)
    [end] = heard(session, *map(trade, range(EARLY + 5)))
    assert isinstance(end, End)
    assert isinstance(end.reason, Retryable)
    assert session.state is SessionState.ENDED


def test_a_binary_frame_is_put_aside_and_may_have_been_data() -> None:
    session = opened()
    quarantined, missed = session.received([(BINARY, trade(1))], 0.0)
    assert quarantined == Quarantine(trade(1), "a binary frame; tplus sends text")
    assert missed == Missed((TRADES,), "quarantine")


def test_a_resync_marks_the_seam_and_confirms_again() -> None:
    session = opened()
    heard(session, b'{"type":"subscriptions","channels":[],"errors":null}')
    assert session.resync([TRADES], 0.0) == [
        Missed((TRADES,), "unknown"),
        Resent((TRADES,)),
        Confirm((TRADES,)),
    ]


def test_topics_of_other_lines_are_none_of_its_business() -> None:
    session = opened(wanted=False)
    other = VENUE.topic("depth", "200", {})
    heard(session, b'{"type":"subscriptions","channels":[],"errors":null}')
    assert session.subscribe([other], 0.0) == session.resync([other], 0.0) == []
    assert session.subscribe([TRADES, other], 0.0) == [Confirm((TRADES,))]
    assert session.unsubscribe([other], 0.0) == []
    [delivered] = heard(session, trade(1))
    assert isinstance(delivered, Deliver)


def test_an_end_is_the_last_word() -> None:
    session = opened("tplus/orders")
    unauthorized = b'{"type":"subscriptions","channels":[],"errors":"unauthorized"}'
    assert [type(effect) for effect in heard(session, unauthorized + unauthorized, unauthorized)] == [
        TokenRefused
    ]
    assert heard(session, unauthorized) == []


@given(st.lists(st.integers(0, 9), max_size=6), st.sampled_from(["", " ", "\n", "\r\n", "\x1e"]))
def test_documents_in_one_frame_are_all_found(numbers: list[int], between: str) -> None:
    frame = between.encode().join(map(trade, numbers))
    assert list(documents(frame)) == [trade(number) for number in numbers]
    assert list(documents(b"[" + b",".join(map(trade, numbers)) + b"]")) == [
        trade(number) for number in numbers
    ]


@given(st.integers(0, 10**30), st.integers(0, 30), st.booleans())
def test_amounts_are_exact(digits: int, places: int, as_text: bool) -> None:
    amount = f"{digits}e-{places}"
    text = f'"{amount}"' if as_text else amount
    frame = trade(1).replace(b'"price":"1"', b'"price":' + text.encode())
    _, delivered = heard(opened(), frame)
    assert isinstance(delivered, Deliver)
    [(_, event)] = delivered.pairs
    assert isinstance(event, Trade)
    assert Fraction(event.price) == Fraction(digits, 10**places)


BOMBS = {
    "nesting": b'{"a":' + b"[" * 100_000,
    "nesting that closes": b"[" * 50_000 + b"]" * 50_000,
    "bytes that are no text": b'{"asset_id":"\xff"}',
    "a huge integer": b'{"trade_id":' + b"9" * 10_000 + b"}",
    "a welcome of nesting": b'{"type":"subscriptions","errors":' + b"[" * 900 + b"]" * 900 + b"}",
    "a huge error": b'{"type":"error","error":' + b"9" * 10_000 + b"}",
    "null bytes": b"\x00" * 100,
    "nothing": b"",
    "space": b"   ",
    "a text": b'"trades"',
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_nothing_that_is_sent_raises_or_passes_unseen(line: str, bomb: bytes) -> None:
    session = opened(line)
    assert heard(session, bomb)
    assert session.state is SessionState.OPEN


NAMES = (
    "type",
    "errors",
    "error",
    "asset_id",
    "order_id",
    "price",
    "Created",
    "Removed",
    "Pending",
    "details",
)
names = st.sampled_from(NAMES)
values = (
    st.none() | st.integers() | st.floats() | st.sampled_from(["1", "NaN", "200", "ping", "error", "Removed"])
)
likely = st.recursive(
    values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)


@given(
    st.sampled_from(LINES),
    st.lists(likely.map(msgspec.json.encode) | st.binary(max_size=50), max_size=5),
    st.booleans(),
)
def test_no_frame_raises(line: str, payloads: list[bytes], wanted: bool) -> None:
    session = opened(line, wanted=wanted)
    effects = heard(session, *payloads)
    if not wanted:  # nothing of the topic goes out before it is asked for
        assert not any(isinstance(effect, Deliver | Confirm | Missed) for effect in effects)
        effects += session.subscribe([topic_of(line)], 0.0)
    confirmed = any(isinstance(effect, Confirm) for effect in effects) or not wanted
    assert confirmed or not any(isinstance(effect, Deliver) for effect in effects)
    assert all(effect.count > 0 for effect in effects if isinstance(effect, Unrouted))


def without_a_plain_way(line: str) -> Session:
    """Reads every message the long way round."""
    topic = topic_of(line)
    stream = structs.replace(STREAMS[topic.channel], kind=None)
    if topic.channel == "depth":
        return DepthSession(topic, stream, HttpRequest("GET", "https://tplus.test/"), "strict")
    return TplusSession(topic, stream, with_token=stream.oms)


def change(number: int) -> bytes:
    return msgspec.json.encode({"asks": [["2", "1"]], "bids": [], "sequence_number": number})


GOOD = {"tplus/trades": trade, "tplus/depth-200": change}
ODD = (
    b'{"type":"ping"}',
    b'{"type":"subscriptions","channels":[],"errors":null}',
    b'{"error":"slow down"}',
    b'{"type":"heartbeat"}',
    b'{"asset_id":200,"trade_id":1,"price":"1","quantity":"1","timestamp_ns":1,"order_id":null}',
    b'{"asset_id":"200","trade_id":1,"price":"NaN","quantity":"1","timestamp_ns":1}',
    b'{"asset_id":"200","trade_id":1,"price":"1e40","quantity":"1","timestamp_ns":1}',
    b'{"asks":[["NaN","1"]],"bids":[],"sequence_number":1}',
    b'{"asks":[],"bids":[["1","-1"]],"sequence_number":1}',
    b'{"asks":[],"bids":[["1e40","1"]],"sequence_number":1}',
    b'{"asset_id":"200","tra',
    b"[]",
    b"",
)


@given(st.sampled_from(sorted(GOOD)), st.data())
def test_the_plain_way_and_the_long_one_come_to_the_same(line: str, data: st.DataObject) -> None:
    good = st.integers(0, 9).map(GOOD[line])
    piece = good | st.sampled_from(ODD)
    row = st.lists(good, min_size=1, max_size=3).map(lambda pieces: b"[" + b",".join(pieces) + b"]")
    payload = good | row | st.lists(piece, max_size=3).map(b"\n".join)
    reads = data.draw(
        st.lists(st.lists(st.tuples(st.sampled_from([TEXT, TEXT, BINARY]), payload)), max_size=4)
    )
    asked = data.draw(st.integers(0, 4))
    told = []
    for session in (VENUE.session(Opening(line)), without_a_plain_way(line)):
        effects = session.opened(0.0)
        for number, frames in enumerate(reads):
            if number == asked:
                effects += session.subscribe([topic_of(line)], 0.0)
                effects += session.fetched("snapshot/1", HttpAnswer(200, change(3)), 0.0)
            effects += session.received(frames, 0.0)
        told.append([_without_request(effect) for effect in effects])
    assert told[0] == told[1]


def _without_request(effect: Effect) -> Effect | tuple[str, float]:
    return (effect.ticket, effect.after) if isinstance(effect, Fetch) else effect
