"""Compressed messages from another implementation, from the RFC, and from peers that break the rules."""

from __future__ import annotations

import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as Theirs
from websockets.frames import Opcode

from actors.wire.deflate import TAIL, InflateError, Inflater, beyond_deflate
from actors.wire.frames import (
    BAD_DATA,
    BINARY,
    CONTINUATION,
    PING,
    TEXT,
    Frame,
    FrameReader,
    Violation,
)
from tests.wire.test_frames import (
    EDGES,
    controls,
    cuts,
    is_text,
    may_become_text,
    messages,
    pieces,
    raw,
    read,
    single_bytes,
    wire,
)

MARK = (TEXT, b"before")
RSV1 = 0x40


def encoder(bits: int = 15, *, forgets: bool = False, level: int = 6, memory: int = 8) -> PerMessageDeflate:
    """The server's half of an agreement, by websockets; `forgets`: server_no_context_takeover."""
    return PerMessageDeflate(False, forgets, 15, bits, {"level": level, "memLevel": memory})


def packed(by: PerMessageDeflate, opcode: int, *parts: bytes) -> bytes:
    """A compressed message as websockets sends it, in a frame for each part."""
    last = len(parts) - 1
    return b"".join(
        Theirs(Opcode(CONTINUATION if i else opcode), part, i == last).serialize(mask=False, extensions=[by])
        for i, part in enumerate(parts)
    )


def deflated(payload: bytes, level: int = 6) -> bytes:
    """What a compressed message bears, without context: section 7.2.1."""
    machine = zlib.compressobj(level, wbits=-15)
    return (machine.compress(payload) + machine.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]


def in_frames(opcode: int, data: Iterator[bytes]) -> bytes:
    """Compressed data in frames that begin anywhere in it, not only where a block does."""
    parts = list(data)
    last = len(parts) - 1
    frames = (wire(CONTINUATION if i else opcode, part, fin=i == last) for i, part in enumerate(parts))
    first, *others = frames
    return bytes((first[0] | RSV1,)) + first[1:] + b"".join(others)


def reader(maximum: int = 16 * 2**20) -> FrameReader:
    return FrameReader(maximum, Inflater())


# ── what is allowed comes out as it went in, however it was cut ─────────────────────────────────

encoders = st.builds(
    encoder,
    st.integers(9, 15),
    forgets=st.booleans(),
    level=st.integers(0, 9),
    memory=st.integers(1, 9),
)


@st.composite
def stories(draw: st.DrawFn) -> tuple[bytes, list[Frame]]:
    """What a server sends that has agreed to compress: not every message, and some in fragments."""
    by = draw(encoders)
    sent: list[bytes] = []
    meant: list[Frame] = []
    for opcode, payload in draw(st.lists(messages, max_size=6)):
        fragments = list(pieces(payload, draw(cuts)))
        extensions = [by] if draw(st.booleans()) else []
        for number, fragment in enumerate(fragments):
            for control in draw(st.lists(controls, max_size=1)):
                sent.append(wire(*control))
                meant.append(control)
            part = Theirs(Opcode(CONTINUATION if number else opcode), fragment, number == len(fragments) - 1)
            sent.append(part.serialize(mask=False, extensions=extensions))
        meant.append((opcode, payload))
    return b"".join(sent), meant


@given(stories(), cuts)
def test_any_story_survives_any_cut(story: tuple[bytes, list[Frame]], places: list[int]) -> None:
    sent, meant = story
    ours = reader()
    assert read(ours, pieces(sent, places)) == meant
    assert ours.violation is None


def test_one_story_survives_every_cut_and_single_bytes() -> None:
    by = encoder()
    text = "añ€😀".encode()
    sent = (
        packed(by, TEXT, text)
        + packed(by, TEXT, text[:5], text[5:7], b"", text[7:])
        + wire(PING, b"between")
        + packed(by, BINARY, b"b" * 300, text)
        + wire(TEXT, text)
        + packed(by, TEXT, b"")
        + packed(by, TEXT, text)
    )
    meant = [(TEXT, text), (TEXT, text), (PING, b"between"), (BINARY, b"b" * 300 + text)]
    meant += [(TEXT, text), (TEXT, b""), (TEXT, text)]
    for place in range(len(sent) + 1):
        assert read(reader(), pieces(sent, [place])) == meant
    assert read(reader(), single_bytes(sent)) == meant


@given(st.lists(st.sampled_from([b"bid", b"ask", b"\0" * 300]), max_size=40).map(b"".join), cuts, cuts)
def test_a_frame_may_begin_inside_a_block(payload: bytes, frames: list[int], reads: list[int]) -> None:
    sent = in_frames(BINARY, pieces(deflated(payload), frames))
    assert read(reader(), pieces(sent, reads)) == [(BINARY, payload)]


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("forgets", [False, True])
def test_every_window_that_a_server_may_have_agreed_to(bits: int, forgets: bool) -> None:
    by = encoder(bits, forgets=forgets)
    # A message that repeats itself as far back as the window reaches, and further than that.
    near, far = bytes(range(256)) * (1 << bits >> 9), b"".join(i.to_bytes(2, "big") for i in range(1 << bits))
    meant = [(BINARY, payload) for payload in (near, near, far, near + far)]
    ours = reader()
    assert read(ours, iter(packed(by, *message) for message in meant)) == meant
    assert ours.violation is None


HELLO = (TEXT, b"Hello")
EXAMPLES = {  # section 7.2.3
    "one block": ("c107 f248cdc9c90700", [HELLO]),
    "in fragments": ("4103 f248cd 8004 c9c90700", [HELLO]),
    "the window is kept": ("c107 f248cdc9c90700 c105 f200110000", [HELLO, HELLO]),
    "a block without compression": ("c10b 000500faff48656c6c6f00", [HELLO]),
    "a final block": ("c108 f348cdc9c9070000", [HELLO]),
    "two blocks": ("c10d f248050000 00ffff cac9c90700", [HELLO]),
    "nothing, after a fragment": ("410b f248cdc9c907000000ffff 8001 00", [HELLO]),
    "nothing": ("c101 00", [(TEXT, b"")]),
}


@pytest.mark.parametrize(("sent", "meant"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_examples_of_the_rfc(sent: str, meant: list[Frame]) -> None:
    data = bytes.fromhex(sent)
    for parts in (iter([data]), single_bytes(data)):
        ours = reader()
        assert read(ours, parts) == meant
        assert ours.violation is None


def finished(payload: bytes) -> bytes:
    """A DEFLATE stream that ends with a final block."""
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(payload) + machine.flush()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), cuts, cuts)
def test_a_message_of_many_final_blocks(parts: list[bytes], frames: list[int], reads: list[int]) -> None:
    data = b"".join(map(finished, parts)) + b"\0"
    sent = in_frames(BINARY, pieces(data, frames)) + bytes.fromhex(EXAMPLES["one block"][0])
    ours = reader()
    assert read(ours, pieces(sent, reads)) == [(BINARY, b"".join(parts)), HELLO]
    assert ours.violation is None


# ── what is not allowed has its close code, and what came before it counts ──────────────────────

BOMB = deflated(bytes(2**20))
VIOLATIONS = {
    "rsv1 of a continuation": (raw(TEXT | RSV1, b"\xf2") + raw(0x80 | RSV1, b"\0"), 1002),
    "rsv1 of a continuation of what is not compressed": (raw(TEXT, b"a") + raw(0x80 | RSV1, b"b"), 1002),
    "rsv1 of a ping": (raw(0x89 | RSV1), 1002),
    "rsv1 of a close": (raw(0x88 | RSV1), 1002),
    "rsv2 besides": (raw(0xE1, b"\0"), 1002),
    "rsv3 besides": (raw(0xD1, b"\0"), 1002),
    "a reserved kind of block": (raw(0xC2, b"\x06"), 1007),
    "a block's length that is none": (raw(0xC2, b"\x00\x05\x00\x00\x00Hello\x00"), 1007),
    "farther back than the window": (raw(0xC2, bytes.fromhex("f200110000")), 1007),
    "before the stream's start": (raw(0xC2, finished(b"Hello") + bytes.fromhex("f200110000")), 1007),
    "what the end leaves out": (raw(0xC2, deflated(b"Hello") + TAIL), 1007),
    "a block that is not finished": (raw(0xC2, deflated(b"Hello" * 20)[:-3]), 1007),
    "a stored block that is not finished": (raw(0xC2, deflated(b"Hello" * 20, level=0)[:-9]), 1007),
    "not even an empty block": (raw(0xC2), 1007),
    "a final block and nothing after it": (raw(0xC2, finished(b"Hello")), 1007),
    "text not UTF-8": (raw(0xC1, deflated(b"caf\xe9!")), 1007),
    "text cut in a character": (raw(0xC1, deflated("é".encode()[:1])), 1007),
    "a bomb": (raw(0xC2, BOMB[:120]), 1009),
    "a bomb in fragments": (raw(0x42, BOMB[:5]) + raw(0, BOMB[5:100]) + raw(0x80, BOMB[100:200]), 1009),
    "one byte too much": (raw(0xC2, deflated(b"b" * 1001)), 1009),
    "too much in plain": (wire(BINARY, b"b" * 1001), 1009),
}


@pytest.mark.parametrize(("sent", "code"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_ends_the_stream_after_what_was_right(sent: bytes, code: int) -> None:
    for parts in (iter([wire(*MARK) + sent + wire(*MARK)]), single_bytes(wire(*MARK) + sent)):
        ours = reader(maximum=1000)
        assert read(ours, parts) == [MARK]
        assert ours.violation is not None
        assert ours.violation.code == code
        assert ours.violation.text
        assert ours.feed(wire(*MARK)) == []


def test_a_compressed_message_that_was_not_agreed_to() -> None:
    ours = FrameReader()
    assert ours.feed(packed(encoder(), TEXT, b"Hello")) == []
    text = "reserved bits are set where no extension was negotiated that uses them"
    assert ours.violation == Violation(1002, text)


def test_a_violation_reads_as_a_sentence() -> None:
    sentences = {
        raw(0xC2, BOMB[:120]): "a message of more than the 1000 bytes that are allowed",
        raw(0xC2, b"\x06"): "compressed data that cannot be inflated: invalid block type",
        raw(0xC2): "compressed data that cannot be inflated: the message ends inside a block",
    }
    for sent, sentence in sentences.items():
        ours = reader(maximum=1000)
        ours.feed(sent)
        assert ours.violation is not None
        assert ours.violation.text == sentence


def test_a_message_that_was_cut_off_is_found_in_nearly_every_case() -> None:
    quote = b'{"symbol": "AAPL", "bid": 187.12, "ask": 187.15, "at": "2026-01-05T14:30:00.0042Z"}'
    found = []
    for data in (deflated(quote * times, level=level) for level in (0, 1, 6, 9) for times in (1, 2, 20)):
        for end in range(len(data)):
            ours = reader()
            ours.feed(in_frames(TEXT, iter([data[:end]])))
            found.append(ours.violation is not None)
    assert found.count(True) > 0.95 * len(found)


def test_the_maximum_itself_is_allowed_each_time_anew_and_however_it_is_packed() -> None:
    noise = (BINARY, zlib.compress(bytes(range(256)) * 300, 0)[:70_000])
    full = (BINARY, b"b" * 70_000)
    small, large = (deflated(message[1], level=level) for message, level in ((full, 9), (noise, 0)))
    assert len(small) < len(full[1]) < len(large)
    sent = b"".join(in_frames(BINARY, iter(parts)) for parts in ([small], [large[:9], large[9:]], [large]))
    ours = reader(maximum=70_000)
    assert ours.feed(sent) == [full, noise, noise]
    assert ours.violation is None


def test_a_bomb_costs_no_more_than_the_maximum() -> None:
    layers = deflated(bytes(2**26))
    assert len(layers) < 2**17
    sent = wire(BINARY, layers)
    ours = reader(maximum=2**20)
    tracemalloc.start()
    try:
        ours.feed(bytes((sent[0] | RSV1,)) + sent[1:])
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert ours.violation is not None
    assert ours.violation.code == 1009


# ── text is UTF-8 or fails at its first wrong byte ──────────────────────────────────────────────

edgy = st.lists(st.sampled_from([bytes.fromhex(edge) for edge in EDGES.split()]), max_size=6).map(b"".join)


@given(edgy)
@example(b"\xf4\x90")
@example(b"\xed\xa0")
def test_unfinished_text_fails_at_its_first_wrong_byte(start: bytes) -> None:
    by, fragments = encoder(), reader()
    fragments.feed(Theirs(Opcode.TEXT, b"", False).serialize(mask=False, extensions=[by]))
    for i in range(len(start)):
        part = Theirs(Opcode.CONT, start[i : i + 1], False)
        fragments.feed(part.serialize(mask=False, extensions=[by]))
        wrong = not may_become_text(start[: i + 1])
        assert (fragments.violation is not None) == wrong
        if wrong:
            break


@given(edgy, st.binary(max_size=3), cuts)
def test_text_comes_out_exactly_if_it_is_text(head: bytes, tail: bytes, places: list[int]) -> None:
    payload = head + tail
    meant = [(TEXT, payload)] if is_text(payload) else []
    for sent in (packed(encoder(), TEXT, payload), packed(encoder(), TEXT, payload[:2], payload[2:])):
        ours = reader()
        assert read(ours, pieces(sent, places)) == meant
        assert (ours.violation is None) == bool(meant)


# ── any bytes ───────────────────────────────────────────────────────────────────────────────────


def fault_of(reader: FrameReader) -> Violation | int | None:
    """Of bad data the code alone: a message may have two such faults, and its cuts decide which is found."""
    violation = reader.violation
    return violation.code if violation is not None and violation.code == BAD_DATA else violation


@given(st.binary(max_size=200), cuts)
@example(b"\x9a\x00\x01", [4])  # no UTF-8, and a block that does not end
def test_noise_never_raises_and_is_read_alike_however_it_is_cut(noise: bytes, places: list[int]) -> None:
    for sent in (noise, raw(0xC1, noise[:125]) + noise[125:]):
        whole, parts = reader(), reader()
        assert whole.feed(sent) == read(parts, pieces(sent, places))
        assert fault_of(whole) == fault_of(parts)


@given(messages, st.integers(0, 10_000), st.integers(1, 255))
def test_a_byte_that_was_changed_never_raises(message: Frame, place: int, change: int) -> None:
    sent = bytearray(packed(encoder(), *message) * 2)
    sent[place % len(sent)] ^= change
    reader(maximum=100_000).feed(bytes(sent))


# ── the cost grows with the bytes ───────────────────────────────────────────────────────────────


def seconds(sent: list[bytes], ours: Callable[[], FrameReader]) -> float:
    """Of the processor's time, at best."""

    def once() -> float:
        fresh = ours()
        began = time.process_time()
        assert [frame for part in sent for frame in fresh.feed(part)]
        return time.process_time() - began

    return min(once() for _ in range(3))


def in_small_fragments(count: int) -> list[bytes]:
    return [wire(BINARY, fin=False) + wire(CONTINUATION, b"x", fin=False) * count + wire(CONTINUATION)]


def packed_in_small_fragments(count: int) -> list[bytes]:
    data = deflated(b"x" * count, level=0)
    return [in_frames(BINARY, single_bytes(data))]


def packed_in_small_reads(count: int) -> list[bytes]:
    return list(single_bytes(packed(encoder(level=0), BINARY, b"x" * count)))


@pytest.mark.parametrize("form", [in_small_fragments, packed_in_small_fragments, packed_in_small_reads])
def test_four_times_as_much_costs_four_times_as_much(form: Callable[[int], list[bytes]]) -> None:
    cost, more = (seconds(form(count), reader) for count in (25_000, 100_000))
    assert more < 10 * cost  # where it grew with the square, sixteen times


# ── the answer to the offer ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answer",
    [
        "permessage-deflate",
        "permessage-deflate;server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
        'permessage-deflate; server_max_window_bits="15"',
        ", permessage-deflate ,",
    ],
)
def test_an_answer_within_the_offer(answer: str) -> None:
    assert beyond_deflate(answer) == ""


UNKNOWN = "accepted compression on terms that RFC 7692 does not define"
NOT_OFFERED = "switched on a WebSocket extension that was not offered"
UNREADABLE = "answered the offer of compression with a header that cannot be read"


@pytest.mark.parametrize(
    ("answer", "flaw"),
    [
        ("permessage-bzip2", NOT_OFFERED),
        ("x-webkit-deflate-frame", NOT_OFFERED),
        ("permessage-deflate, permessage-deflate", NOT_OFFERED),
        ("permessage-deflate, x", NOT_OFFERED),
        ("permessage-deflate; window=9", UNKNOWN),
        ("permessage-deflate; server_no_context_takeover=true", UNKNOWN),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", UNKNOWN),
        ("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", UNKNOWN),
        *(
            (f"permessage-deflate; {end}_max_window_bits{value}", UNKNOWN)
            for end in ("server", "client")
            for value in ("", "=7", "=16", "=08", "=+9", "=x")
        ),
        ("permessage-deflate; server_max_window_bits=", UNREADABLE),
        ("permessage-deflate;", UNREADABLE),
        ("permessage deflate", UNREADABLE),
        (",", UNREADABLE),
    ],
)
def test_an_answer_beyond_the_offer(answer: str, flaw: str) -> None:
    assert beyond_deflate(answer) == flaw


# ── the inflater by itself ──────────────────────────────────────────────────────────────────────


def test_no_more_is_inflated_than_is_wanted() -> None:
    assert Inflater().inflate(BOMB, 10) == bytes(10)
    assert Inflater().inflate(finished(b"1234") + finished(b"5678"), 6) == b"123456"


def test_what_is_no_deflate_data_says_why() -> None:
    with pytest.raises(InflateError, match="invalid block type"):
        Inflater().inflate(b"\x06", 10)
