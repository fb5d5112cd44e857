"""The frame reader against another implementation's encoder, and against peers that break the rules."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websocket import ABNF
from websockets.frames import Frame as Theirs
from websockets.frames import Opcode
from websockets.protocol import CLIENT, SERVER, Protocol

from actors.wire.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    FrameReader,
    Oversized,
    Violation,
    close_payload,
    encode,
    mask,
    read_close,
)

MARK = (TEXT, b"before")


def wire(opcode: int, payload: bytes = b"", fin: bool = True) -> bytes:
    """One frame of a server, in websockets' handwriting."""
    return Theirs(Opcode(opcode), payload, fin).serialize(mask=False)


def raw(first: int, payload: bytes = b"", *, second: int | None = None) -> bytes:
    """One frame that no honest encoder writes; the payload has less than 126 bytes."""
    return bytes((first, len(payload) if second is None else second)) + payload


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """`data`, cut at these places."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return (data[a:b] for a, b in pairwise(places))


def single_bytes(data: bytes) -> Iterator[bytes]:
    return (data[i : i + 1] for i in range(len(data)))


def read(reader: FrameReader, parts: Iterator[bytes]) -> list[Frame]:
    return [frame for part in parts for frame in reader.feed(part)]


# ── what is allowed comes out as it went in, however it was cut ─────────────────────────────────

lengths = st.sampled_from([0, 1, 2, 3, 4, 124, 125, 126, 127, 128, 255, 256, 65_535, 65_536, 70_000])
texts = st.one_of(
    st.text(max_size=40).map(str.encode),
    lengths.map(lambda n: b"x" * n),
    lengths.map(lambda n: ("€" * n).encode()),
)
binaries = st.one_of(st.binary(max_size=40), lengths.map(lambda n: b"\xff" * n))
messages = st.one_of(
    st.tuples(st.just(TEXT), texts),
    st.tuples(st.just(BINARY), binaries),
)
controls = st.tuples(st.sampled_from([PING, PONG]), st.one_of(st.binary(max_size=8), st.just(b"p" * 125)))
cuts = st.lists(st.integers(0, 70_000) | st.integers(0, 60), max_size=6)


@st.composite
def stories(draw: st.DrawFn) -> tuple[bytes, list[Frame]]:
    """What a server sends: messages, some in fragments, with control frames between and inside."""
    sent: list[bytes] = []
    meant: list[Frame] = []
    for opcode, payload in draw(st.lists(messages, max_size=6)):
        fragments = list(pieces(payload, draw(cuts)))
        for number, fragment in enumerate(fragments):
            for control in draw(st.lists(controls, max_size=1)):
                sent.append(wire(*control))
                meant.append(control)
            last = number == len(fragments) - 1
            sent.append(wire(CONTINUATION if number else opcode, fragment, fin=last))
        meant.append((opcode, payload))
    return b"".join(sent), meant


@given(stories(), cuts)
def test_any_story_survives_any_cut(story: tuple[bytes, list[Frame]], places: list[int]) -> None:
    sent, meant = story
    reader = FrameReader()
    assert read(reader, pieces(sent, places)) == meant
    assert reader.violation is None


def test_one_story_survives_every_cut_and_single_bytes() -> None:
    meant = [(TEXT, "añ€😀".encode()), (PING, b"inside"), (BINARY, b"b" * 300), (TEXT, b""), (PONG, b"")]
    parts = ["añ€".encode()[:-1], "€".encode()[-1:] + "😀".encode()[:2], "😀".encode()[2:]]
    sent = (
        wire(*meant[0])
        + wire(TEXT, parts[0], fin=False)
        + wire(*meant[1])
        + wire(CONTINUATION, parts[1], fin=False)
        + wire(CONTINUATION, fin=False)
        + wire(CONTINUATION, parts[2])
        + b"".join(wire(*frame) for frame in meant[2:])
    )
    meant.insert(2, meant[0])
    for place in range(len(sent) + 1):
        assert read(FrameReader(), pieces(sent, [place])) == meant
    assert read(FrameReader(), single_bytes(sent)) == meant


def test_every_payload_is_bytes_of_its_own() -> None:
    reader = FrameReader()
    whole, fragmented = reader.feed(
        wire(TEXT, b"whole") + wire(TEXT, b"in ", fin=False) + wire(CONTINUATION, b"parts")
    )
    assert [type(payload) for _, payload in (whole, fragmented)] == [bytes, bytes]


@pytest.mark.parametrize(
    ("head", "payload"),
    [
        (b"\x81\x7e\x00\x02", b"ok"),
        (b"\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x02", b"ok"),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x00\x01\x00", b"b" * 256),
    ],
)
def test_a_length_longer_than_need_be_is_read_all_the_same(head: bytes, payload: bytes) -> None:
    sent = head + payload + wire(*MARK)
    assert FrameReader().feed(sent) == [(head[0] & 0x0F, payload), MARK]
    assert read(FrameReader(), single_bytes(sent)) == [(head[0] & 0x0F, payload), MARK]


def test_controls_tells_of_the_last_feed_only() -> None:
    reader = FrameReader()
    ping = wire(PING, b"?")
    told = [
        (reader.feed(data), reader.controls) for data in (wire(*MARK) + ping, wire(*MARK), ping[:2], ping[2:])
    ]
    assert told == [([MARK, (PING, b"?")], True), ([MARK], False), ([], False), ([(PING, b"?")], True)]


def test_nothing_is_read_after_a_close_frame() -> None:
    reader = FrameReader()
    bye = close_payload(1001, "later")
    assert reader.feed(wire(*MARK) + wire(CLOSE, bye) + wire(*MARK) + b"\xff\xff") == [MARK, (CLOSE, bye)]
    assert reader.controls
    assert reader.feed(wire(*MARK)) == []
    assert (reader.controls, reader.violation) == (False, None)


def test_a_close_frame_may_come_inside_a_message() -> None:  # section 5.4: as any control frame
    assert FrameReader().feed(wire(TEXT, b"unfin", fin=False) + wire(CLOSE)) == [(CLOSE, b"")]


# ── what is not allowed has its close code, and what came before it counts ──────────────────────

FRAGMENT = wire(BINARY, b"part", fin=False)
VIOLATIONS = {
    "masked": (wire(TEXT, b"m")[:1] + b"\x81mask" + b"m", 1002),
    "masked, longer": (b"\x81\xfe\x01\x00mask" + b"m" * 256, 1002),
    "rsv1": (raw(0xC1, b"deflated"), 1002),
    "rsv2": (raw(0xA1), 1002),
    "rsv3": (raw(0x92, b"long enough"), 1002),
    "rsv1 of a control frame": (raw(0xC9), 1002),
    **{f"opcode {code}": (raw(0x80 | code, b"what?"), 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "ping in fragments": (raw(PING, b"half"), 1002),
    "close in fragments": (raw(CLOSE), 1002),
    "long ping": (b"\x89\x7e\x00\x7e" + b"p" * 126, 1002),
    "huge pong": (b"\x8a\x7f", 1002),
    "continuation of nothing": (wire(CONTINUATION, b"of what?"), 1002),
    "text inside a message": (FRAGMENT + wire(TEXT, b"new"), 1002),
    "fragments inside fragments": (FRAGMENT + FRAGMENT, 1002),
    "length of 64 bits": (b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x01", 1002),
    "close of one byte": (raw(0x88, b"\x03"), 1002),
    **{
        f"close code {code}": (raw(0x88, code.to_bytes(2, "big") + b"why"), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    },
    "close reason not UTF-8": (raw(0x88, b"\x03\xe8\xce\xba\xff"), 1007),
    "close reason cut": (raw(0x88, b"\x03\xe8\xe2\x82"), 1007),
    "text not UTF-8": (wire(TEXT, b"caf\xe9!"), 1007),
    "text with a surrogate": (wire(TEXT, b"\xed\xa0\x80"), 1007),
    "text cut in a character": (wire(TEXT, "é".encode()[:1]), 1007),
    "fragments cut in a character": (wire(TEXT, "€".encode()[:2], fin=False) + wire(CONTINUATION), 1007),
    "message too big": (wire(BINARY, b"b" * 1001), 1009),
    "fragments too big": (wire(TEXT, b"t" * 999, fin=False) + wire(CONTINUATION, b"tt"), 1009),
}


@pytest.mark.parametrize(("sent", "code"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_ends_the_stream_after_what_was_right(sent: bytes, code: int) -> None:
    for parts in (iter([wire(*MARK) + sent + wire(*MARK)]), single_bytes(wire(*MARK) + sent)):
        reader = FrameReader(maximum=1000)
        assert read(reader, parts) == [MARK]
        assert reader.violation is not None
        assert reader.violation.code == code
        assert reader.violation.text
        assert reader.feed(wire(*MARK)) == []


def test_a_message_that_has_ended_is_not_continued() -> None:
    reader = FrameReader()
    assert reader.feed(FRAGMENT + wire(CONTINUATION) + wire(CONTINUATION)) == [(BINARY, b"part")]
    assert reader.violation == Violation(1002, "a continuation without a beginning")


def test_a_violation_reads_as_a_sentence() -> None:
    reader = FrameReader(maximum=10)
    reader.feed(wire(TEXT, b"eleven byte"))
    assert reader.violation == Violation(
        1009, "a message of 11 bytes or more; 10 are allowed", Oversized((TEXT, b"eleven byte"), 11)
    )


def test_a_message_too_big_is_refused_by_its_header() -> None:
    reader = FrameReader(maximum=1000)
    head = wire(BINARY, b"b" * 1001)[:4]
    assert reader.feed(head[:3]) == []
    assert reader.violation is None
    reader.feed(head[3:])
    assert reader.violation is not None


def test_the_sum_of_fragments_is_refused_by_the_header_that_exceeds_it() -> None:
    reader = FrameReader(maximum=1000)
    reader.feed(wire(BINARY, b"b" * 600, fin=False) + wire(PING, b"p" * 125))
    assert reader.violation is None
    reader.feed(wire(CONTINUATION, b"b" * 401)[:4])
    assert reader.violation is not None


def test_the_maximum_itself_is_allowed_each_time_anew() -> None:
    reader = FrameReader(maximum=70_000)
    full = (BINARY, b"b" * 70_000)
    halves = wire(BINARY, full[1][:35_000], fin=False) + wire(CONTINUATION, full[1][35_000:])
    assert reader.feed(wire(*full) + halves + halves + wire(*full)) == [full] * 4


# ── text is UTF-8 or fails at its first wrong byte ──────────────────────────────────────────────

# The edges of every range in the table of RFC 3629, section 4.
EDGES = "00 41 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff"
edgy = st.lists(st.sampled_from([bytes.fromhex(edge) for edge in EDGES.split()]), max_size=6).map(b"".join)
ENDINGS = [bytes(ending) for n in range(4) for ending in product((0x80, 0x90, 0xA0, 0xBF), repeat=n)]


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def may_become_text(start: bytes) -> bool:
    return any(is_text(start + ending) for ending in ENDINGS)


@given(edgy)
@example(b"\xf4\x90")
@example(b"\xed\xa0")
def test_unfinished_text_fails_at_its_first_wrong_byte(start: bytes) -> None:
    announced = FrameReader()  # one frame whose payload drips in
    announced.feed(wire(TEXT, b"x" * 100)[:2])
    fragments = FrameReader()  # a fragment a byte
    fragments.feed(wire(TEXT, fin=False))
    for i in range(len(start)):
        byte, wrong = start[i : i + 1], not may_become_text(start[: i + 1])
        announced.feed(byte)
        fragments.feed(wire(CONTINUATION, byte, fin=False))
        assert (announced.violation is not None, fragments.violation is not None) == (wrong, wrong)
        if wrong:
            break


@given(edgy, st.binary(max_size=3), cuts)
def test_text_comes_out_exactly_if_it_is_text(head: bytes, tail: bytes, places: list[int]) -> None:
    payload = head + tail
    meant = [(TEXT, payload)] if is_text(payload) else []
    for sent in (
        wire(TEXT, payload) + wire(BINARY, payload)[:1],  # one byte more, so that the whole frame is there
        wire(TEXT, payload[:2], fin=False) + wire(CONTINUATION, payload[2:]),
    ):
        reader = FrameReader()
        assert read(reader, pieces(sent, places)) == meant
        assert (reader.violation is None) == bool(meant)


# ── any bytes: the verdict of another implementation ────────────────────────────────────────────

firsts = st.sampled_from([0x00, 0x02, 0x80, 0x82, 0x88, 0x89, 0x8A]) | st.integers(0, 255)
payloads = st.binary(max_size=8) | st.sampled_from([b"\x03\xe8", b"\x03\xe8\xff", b"\x03\xec", b"p" * 125])
headers = st.builds(raw, firsts.filter(lambda first: first & 0x0F != TEXT), payloads)


def joined(frames: list[Theirs]) -> list[Frame]:
    """Their frames as ours: fragments made whole."""
    told: list[Frame] = []
    parts: list[bytes] = []
    for frame in frames:
        if frame.opcode >= Opcode.CLOSE:
            told.append((int(frame.opcode), bytes(frame.data)))
            continue
        parts.append(bytes(frame.data))
        if frame.fin:
            told.append((BINARY, b"".join(parts)))
            parts.clear()
    return told


@given(st.lists(headers, max_size=8), cuts)
def test_frames_and_verdict_are_those_of_websockets(sent: list[bytes], places: list[int]) -> None:
    reader, other = FrameReader(), Protocol(CLIENT, max_size=None)
    frames = read(reader, pieces(b"".join(sent), places))
    other.receive_data(b"".join(sent))
    theirs = joined([event for event in other.events_received() if isinstance(event, Theirs)])
    if str(other.parser_exc) == "incomplete fragmented message":  # our test above allows this close
        theirs.append(frames[-1])
        other.parser_exc = None
    assert frames == theirs
    if reader.violation is None:
        assert other.parser_exc is None
    else:
        assert other.close_sent is not None
        assert reader.violation.code == other.close_sent.code


@given(st.binary(max_size=200), cuts)
def test_noise_never_raises_and_is_read_alike_however_it_is_cut(noise: bytes, places: list[int]) -> None:
    whole, parts = FrameReader(), FrameReader()
    assert whole.feed(noise) == read(parts, pieces(noise, places))
    verdicts = [each and (each.code, each.text) for each in (whole.violation, parts.violation)]
    assert verdicts[0] == verdicts[1]


# ── the cost grows with the bytes: a cost that grew faster would meet the time limit ────────────


def test_a_hundred_thousand_fragments_of_one_byte() -> None:
    sent = wire(TEXT, fin=False) + wire(CONTINUATION, b"x", fin=False) * 100_000 + wire(CONTINUATION)
    assert FrameReader().feed(sent) == [(TEXT, b"x" * 100_000)]


def test_a_megabyte_one_byte_a_feed() -> None:
    meant = (TEXT, b"x" * 2**20)
    assert read(FrameReader(), single_bytes(wire(*meant))) == [meant]


def test_a_huge_message_in_small_reads() -> None:
    meant = (BINARY, b"b" * 32 * 2**20)
    sent = wire(*meant)
    reads = (sent[i : i + 1024] for i in range(0, len(sent), 1024))
    assert read(FrameReader(maximum=2**30), reads) == [meant]


def test_empty_fragments_without_end_take_no_memory() -> None:
    reader, empty = FrameReader(), wire(CONTINUATION, fin=False)
    reader.feed(wire(TEXT, fin=False))
    tracemalloc.start()
    try:
        for _ in range(20_000):
            reader.feed(empty)
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()


# ── the other direction, and what close frames say ──────────────────────────────────────────────


@given(st.sampled_from([TEXT, BINARY]), binaries)
def test_what_we_encode_a_server_reads(opcode: int, payload: bytes) -> None:
    server = Protocol(SERVER, max_size=None)
    server.receive_data(encode(opcode, payload) + encode(PING, b"beat") + encode(CLOSE, close_payload(1000)))
    heard = [event for event in server.events_received() if isinstance(event, Theirs)]
    assert [(frame.opcode, bytes(frame.data), frame.fin) for frame in heard] == [
        (opcode, payload, True),
        (PING, b"beat", True),
        (CLOSE, b"\x03\xe8", True),
    ]
    assert server.parser_exc is None


@pytest.mark.parametrize("size", [0, 125, 126, 4095, 4096, 4097, 8192, 65_535, 65_536, 100_003])
def test_lengths_at_each_seam_are_read_back(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    server = Protocol(SERVER, max_size=None)
    server.receive_data(encode(BINARY, payload))
    [heard] = server.events_received()
    assert isinstance(heard, Theirs)
    assert bytes(heard.data) == payload


@given(st.binary(max_size=10_000), st.binary(min_size=4, max_size=4))
def test_a_mask_is_what_another_implementation_makes_of_it(payload: bytes, key: bytes) -> None:
    assert mask(payload, key) == ABNF.mask(key, payload)
    assert mask(mask(payload, key), key) == payload


def test_every_frame_has_a_mask_of_its_own() -> None:
    assert len({encode(TEXT, b"same") for _ in range(8)}) > 1


@given(st.sampled_from([1000, 1003, 1007, 1014, 3000, 4999]), st.text(max_size=200))
def test_a_close_payload_fits_and_says_what_it_can(code: int, reason: str) -> None:
    payload = close_payload(code, reason)
    assert len(payload) <= 125
    told, why = read_close(payload)
    assert told == code
    assert reason.startswith(why)
    assert why == reason or len(payload) > 121  # as much as whole characters allow


def test_no_code_is_an_empty_payload_both_ways() -> None:
    assert read_close(b"") == (1005, "")
    assert close_payload(1005) == b""


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
def test_a_code_that_may_not_be_sent_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        close_payload(code)
    with pytest.raises(ValueError, match=str(code)):
        read_close(code.to_bytes(2, "big"))


def test_a_reason_that_cannot_be_encoded_is_still_told() -> None:
    assert read_close(close_payload(1000, "file \udcff")) == (1000, "file ?")
