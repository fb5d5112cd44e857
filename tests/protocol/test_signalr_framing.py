"""What a hub says: records cut in any way, messages in any shape, and what is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.protocol.signalr import (
    Close,
    Completion,
    Heard,
    Invocation,
    JsonCodec,
    Malformed,
    Ping,
    StreamItem,
    UnknownMessage,
)
from actors.protocol.signalr.framing import RecordReader
from actors.protocol.signalr.handshake import MAXIMUM, BrokenHandshake, Denied, Handshake, request

RS = "\x1e"
BOUND = 1 << 20


def heard(*payloads: str | bytes) -> list[Heard]:
    """What a connection's codec makes of these WebSocket messages."""
    codec = JsonCodec(BOUND)
    pieces = [each.encode() if isinstance(each, str) else each for each in payloads]
    told = [codec.read(record) for piece in pieces for record in codec.split([piece])]
    assert not codec.overflowed
    return told


def plain(messages: Sequence[Heard]) -> list[Any]:
    """For comparing: two `Raw` are equal where their bytes are, whatever object they are of."""
    return [(type(each), msgspec.json.encode(each)) for each in messages]


def only(text: str) -> Heard:
    (message,) = heard(text + RS)
    return message


# ── records ─────────────────────────────────────────────────────────────────────────────────────

records = st.lists(st.binary(max_size=40).filter(lambda each: b"\x1e" not in each), max_size=8)


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({min(place, len(stream)) for place in places})
    return [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True)]


@given(records, st.lists(st.integers(0, 400)))
@example([b"a", b"b"], [1])
@example([b"a", b"b"], [2])
def test_however_a_stream_is_cut_its_records_are_the_same(wanted: list[bytes], places: list[int]) -> None:
    stream = b"".join(each + b"\x1e" for each in wanted)
    reader = RecordReader(BOUND)
    told = [record for payload in cut(stream, places) for record in reader.feed(payload)]
    assert told == [each for each in wanted if each]
    assert not reader.overflowed


@given(st.lists(st.lists(st.binary(max_size=9) | st.just(b"1\x1e2"))), st.integers(0, 40))
def test_messages_of_one_read_bring_the_records_that_each_would_bring(
    reads: list[list[bytes]], maximum: int
) -> None:
    at_once, one_by_one = RecordReader(maximum), RecordReader(maximum)
    for payloads in reads:
        told = [record for payload in payloads for record in one_by_one.feed(payload)]
        assert at_once.feed_all(payloads) == told
        assert at_once.overflowed == one_by_one.overflowed


@given(st.lists(st.binary(max_size=30)), st.integers(0, 40))
def test_what_is_kept_of_a_record_is_bounded(payloads: list[bytes], maximum: int) -> None:
    reader = RecordReader(maximum)
    for payload in payloads:
        was_full = reader.overflowed
        told = reader.feed(payload)
        assert not (was_full and told)
    tail = b"".join(payloads).rpartition(b"\x1e")[2]
    if not reader.overflowed:
        assert len(tail) <= maximum


def test_a_record_without_an_end_overflows_and_nothing_more_is_taken() -> None:
    reader = RecordReader(4)
    assert reader.feed(b"1234") == []
    assert not reader.overflowed
    assert reader.feed(b"5") == []
    assert reader.overflowed
    assert reader.feed(b"{}\x1e") == []


def test_what_begins_behind_a_record_is_bounded_too() -> None:
    reader = RecordReader(4)
    assert reader.feed(b"{}\x1e12345") == [b"{}"]
    assert reader.overflowed


def test_a_whole_record_may_be_larger_than_the_bound() -> None:
    assert RecordReader(4).feed(b"123456789\x1e") == [b"123456789"]


# ── messages ────────────────────────────────────────────────────────────────────────────────────


def test_a_split_record_and_a_whole_one_are_two_pings() -> None:
    assert heard('{"ty', 'pe":6}' + RS + '{"type":6}' + RS) == [Ping(), Ping()]


def test_blank_records_are_skipped() -> None:
    assert heard(f'{RS}{RS}{{"type":6}}{RS}') == [Ping()]


def test_the_order_of_keys_means_nothing_and_unknown_ones_are_ignored() -> None:
    message = only('{"arguments":[],"new":{"type":7},"target":"GatewayLogout","type":1}')
    assert isinstance(message, Invocation)
    assert (message.target, bytes(message.arguments), message.invocation_id) == ("GatewayLogout", b"[]", None)


def test_arguments_are_left_to_the_code_that_knows_the_target() -> None:
    message = only('{"type":1,"target":"Quote","arguments":["C",{"bestBid":6801.250}],"invocationId":"7"}')
    assert isinstance(message, Invocation)
    assert bytes(message.arguments) == b'["C",{"bestBid":6801.250}]'
    assert message.invocation_id == "7"


@pytest.mark.parametrize(
    ("text", "result", "error"),
    [
        ('{"type":3,"invocationId":"1","result":null}', b"null", None),
        ('{"type":3,"invocationId":"1"}', b"null", None),
        ('{"type":3,"invocationId":"1","result":"x"}', b'"x"', None),
        ('{"type":3,"invocationId":"1","error":"e"}', b"null", "e"),
        ('{"type":3,"invocationId":"1","error":"e","result":null}', b"null", "e"),
        ('{"type":3,"invocationId":"1","error":null,"result":1}', b"1", None),
        ('{"type":3,"headers":{"a":"b"},"invocationId":"1"}', b"null", None),
    ],
)
def test_completions(text: str, result: bytes, error: str | None) -> None:
    message = only(text)
    assert isinstance(message, Completion)
    assert (message.invocation_id, bytes(message.result), message.error) == ("1", result, error)


def test_a_completion_with_a_result_and_an_error_breaks_the_protocol() -> None:
    text = '{"type":3,"invocationId":"1","error":"e","result":1}'
    assert only(text) == Malformed(text.encode(), "a completion has a result and an error", 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type":6}', Ping()),
        ('{"type":7}', Close(None, False)),
        ('{"type":7,"error":"e","allowReconnect":true}', Close("e", True)),
        ('{"type":7,"error":{"odd":1},"allowReconnect":"yes"}', Close({"odd": 1}, "yes")),
        ('{"type":99}', UnknownMessage(99)),
        ('{"type":0}', UnknownMessage(0)),
        ('{"sequenceId":41,"type":8}', UnknownMessage(8)),
        ('{"type":9,"sequenceId":12}', UnknownMessage(9)),
        ('{"type":4,"invocationId":"9","target":"Tail","arguments":["x"]}', UnknownMessage(4)),
        ('{"type":5,"invocationId":"9"}', UnknownMessage(5)),
    ],
)
def test_messages(text: str, message: Heard) -> None:
    assert only(text) == message


def test_an_item_of_a_stream() -> None:
    message = only('{"type":2,"invocationId":"9","item":1.5}')
    assert isinstance(message, StreamItem)
    assert (message.invocation_id, bytes(message.item)) == ("9", b"1.5")


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "{}",
        '{"type":"6"}',
        '{"type":null}',
        '{"type":6} {"type":6}',
        '{"type":1}',
        '{"type":1,"target":7,"arguments":[]}',
        '{"type":3}',
        '{"type":3,"invocationId":1}',
        '{"type":1,"target":"x","arguments":' + "[" * 50_000 + "]" * 50_000 + "}",
    ],
)
def test_what_is_no_message_harms_none_of_its_neighbours(text: str) -> None:
    before, odd, after = heard(f'{{"type":6}}{RS}{text}{RS}{{"type":7}}{RS}')
    assert before == Ping()
    assert isinstance(odd, Malformed)
    assert odd.raw == text.encode()
    assert odd.error
    assert after == Close()


MESSAGES = (
    '{"type":1,"target":"Quote","arguments":["C",{"bid":1}]}',
    '{"arguments":[],"target":"Größe","type":1,"invocationId":"3"}',
    '{"type":2,"invocationId":"9","item":1.5}',
    '{"type":3,"invocationId":"7","error":"no"}',
    '{"type":3,"invocationId":"7","result":null}',
    '{"type":6}',
    '{"type":99}',
    "odd",
    "",
)


@given(st.lists(st.sampled_from(MESSAGES), max_size=8), st.lists(st.integers(0, 500)))
def test_however_messages_are_packed_they_mean_the_same(texts: list[str], places: list[int]) -> None:
    stream = "".join(text + RS for text in texts).encode()
    assert plain(heard(*cut(stream, places))) == plain([only(text) for text in texts if text])


@given(st.lists(st.binary() | st.sampled_from([*(text.encode() for text in MESSAGES), b"\x1e"])))
def test_nothing_that_comes_raises(payloads: list[bytes]) -> None:
    codec = JsonCodec(BOUND)
    for record in codec.split(payloads):
        codec.read(record)


def test_what_we_say_is_one_record() -> None:
    codec = JsonCodec(BOUND)
    assert codec.invocation("7", "SubscribeOrders", (4242,)) == (
        '{"type":1,"invocationId":"7","target":"SubscribeOrders","arguments":[4242]}' + RS
    )
    assert (
        codec.invocation(None, "Say", ("\x1e",)) == '{"type":1,"target":"Say","arguments":["\\u001e"]}' + RS
    )
    assert codec.failure("9", "no") == '{"type":3,"invocationId":"9","error":"no"}' + RS
    assert codec.ping() == '{"type":6}' + RS


# ── the handshake ───────────────────────────────────────────────────────────────────────────────


def test_the_request_names_the_protocol() -> None:
    assert request(JsonCodec(BOUND)) == '{"protocol":"json","version":1}' + RS


@given(st.lists(st.integers(0, 40)), st.sampled_from(["", RS, RS + RS]))
def test_an_answer_in_pieces_hands_on_what_stands_behind_it(places: list[int], blanks: str) -> None:
    behind = b'{"type":6}\x1e{"ty'
    pieces = cut(blanks.encode() + b'{"minorVersion":2}\x1e' + behind, places)
    handshake, rest = Handshake(), b""
    while (answer := handshake.feed(pieces.pop(0))) is None:
        pass
    assert isinstance(answer, bytes)
    rest = answer + b"".join(pieces)
    assert rest == behind


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"error":"The protocol \'bson\' is not supported."}', "The protocol 'bson' is not supported."),
        ('{"error":"Handshake was canceled."}', "Handshake was canceled."),
        ('{"error":""}', "no words"),
        ('{"error":{"code":1}}', "{'code': 1}"),
    ],
)
def test_a_handshake_that_is_refused(text: str, words: str) -> None:
    assert Handshake().feed((text + RS).encode()) == Denied(words)


@pytest.mark.parametrize("text", ['{"type":6}', '{"type":0}', "[]", "nonsense", '{"type":3,"error":"e"}'])
def test_what_is_no_answer_to_a_handshake(text: str) -> None:
    answer = Handshake().feed((text + RS).encode())
    assert isinstance(answer, BrokenHandshake)
    assert answer.raw == text.encode()


def test_an_answer_that_never_ends_is_none() -> None:
    handshake = Handshake()
    assert handshake.feed(b" " * MAXIMUM) is None
    assert isinstance(handshake.feed(b" "), BrokenHandshake)
