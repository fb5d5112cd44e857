"""RFC 6455 frames out of one large read, in one pass; the client's side of it.

Nearly every frame of a feed is a small whole message. `FrameReader._plain` walks those and knows
nothing else; at the first frame of another kind it stops, and `_one` takes that frame.
"""

from __future__ import annotations

import os
from codecs import utf_8_decode
from struct import Struct as Packed

from msgspec import Struct

from actors.wire.deflate import InflateError, Inflater

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPCODES = {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}
Frame = tuple[int, bytes]  # opcode and payload of a whole message, or of a control frame

PROTOCOL_ERROR, NO_STATUS, BAD_DATA, TOO_BIG = 1002, 1005, 1007, 1009
CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}  # section 7.4, IANA's registry

FIN, RESERVED, OPCODE, MASKED, LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F  # section 5.2
COMPRESSED = 0x40  # RFC 7692, section 6: RSV1, on the first frame of a message
CONTROL_LIMIT = 125  # section 5.5
LENGTH_SIZES = {126: 2, 127: 8}

HEAD = 16 * 1024  # bytes of a message that is too large: by these its topic is told

KEY = 4  # bytes of a mask's key
PIECE = 4096  # bytes that are masked at once; a multiple of `KEY`

_two_numbers = Packed(">HH").unpack_from
_short_head, _longer_head, _longest_head = Packed(">BB").pack, Packed(">BBH").pack, Packed(">BBQ").pack


class Oversized(Struct, frozen=True):
    """A message that is too large: its beginning, as far as that had come, and the least size it has."""

    head: Frame
    size: int


class Violation(Struct, frozen=True):
    """The peer broke the protocol: the close code to send, and why, for people."""

    code: int
    text: str
    oversized: Oversized | None = None


class ProtocolError(ValueError):
    """What the peer sent is against RFC 6455."""

    def __init__(self, text: str, code: int = PROTOCOL_ERROR, oversized: Oversized | None = None) -> None:
        super().__init__(text)
        self.code, self.oversized = code, oversized


class FrameReader:
    """The frames of one connection, from the bytes that its server sends. One thread at a time.

    `maximum` is in bytes of one message. `violation` is set when the server breaks the protocol;
    `controls`: whether the last feed returned any control frame. There is an `inflater` where the
    server may compress messages.
    """

    def __init__(self, maximum: int = 16 * 2**20, inflater: Inflater | None = None) -> None:
        self.violation: Violation | None = None
        self.controls = False
        self._maximum = maximum
        self._inflater = inflater
        self._ended = False  # by a violation or a close frame
        self._rest = b""  # an unfinished header, or an unfinished control frame: 126 bytes at most
        self._opcode = CONTINUATION  # of the message under way; this one: there is none
        self._compressed = False  # that message is
        self._message = bytearray()  # what has come of it: grows in place, so that no read costs twice
        self._missing = 0  # bytes, of the frame under way
        self._final = False  # that frame is the message's last
        self._cut = b""  # the start of a character whose end has not come

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that are complete now, in the order of the wire.

        Control frames stand where they came, between and inside messages. After a violation the
        frames before it are returned; after that, and after a close frame, nothing is.
        """
        frames: list[Frame] = []
        self.controls = False
        if not self._ended:
            try:
                self._walk(data, frames)
            except ProtocolError as error:
                self._break(Violation(error.code, str(error), error.oversized))
            except UnicodeDecodeError as error:
                self._break(Violation(BAD_DATA, f"text that is not UTF-8: {error.reason}"))
            except InflateError as error:
                # RFC 7692 leaves the code open. This one means data that is not of its message's kind.
                self._break(Violation(BAD_DATA, f"compressed data that cannot be inflated: {error}"))
        return frames

    def _walk(self, data: bytes, frames: list[Frame]) -> None:
        data, self._rest = self._rest + data, b""
        position = self._take(data, 0, frames) if self._missing else 0
        while position < len(data) and not self._ended:
            if self._opcode == CONTINUATION:
                position = self._plain(data, position, frames)
            if position < len(data):
                position = self._one(data, position, frames)

    def _plain(self, data: bytes, position: int, frames: list[Frame]) -> int:
        """Walk the messages of one frame that begin here, while their first byte stays the same.

        Answers where something else begins. The hot loop: a line costs every message some 10 ns.
        """
        opcode = data[position] & OPCODE
        if opcode not in (TEXT, BINARY):
            return position
        text, maximum, append, end = opcode == TEXT, self._maximum, frames.append, len(data)
        # The first two bytes as one number: FIN, the opcode, no mask, and a length up to 125, or 126
        # where the length is the next two bytes.
        shortest = (FIN | opcode) << 8
        longer = shortest + 126
        last = end - 4
        while position <= last:
            head, length = _two_numbers(data, position)
            if head == longer:
                start = position + 4
            elif shortest <= head < longer:
                length = head - shortest
                start = position + 2
            else:
                break
            stop = start + length
            if stop > end or length > maximum:
                break
            payload = data[start:stop]
            if text and not payload.isascii():
                payload.decode()
            append((opcode, payload))
            position = stop
        return position

    def _one(self, data: bytes, position: int, frames: list[Frame]) -> int:
        """Take the frame that begins here, whatever it is, and answer where the next one does.

        What is there of an unfinished one is kept, and the answer is the end of the data.
        """
        header = self._header(data, position)
        if header is None:
            self._rest = data[position:]
            return len(data)
        first, start, length = header
        if first & OPCODE < CLOSE:
            self._begin(first, length, data[start : start + HEAD])
            return self._take(data, start, frames)
        if start + length > len(data):
            self._rest = data[position:]
            return len(data)
        self._control(first & OPCODE, data[start : start + length], frames)
        return start + length

    def _header(self, data: bytes, position: int) -> tuple[int, int, int] | None:
        """The first byte, where the payload starts, and its length; None while the header is cut."""
        start = position + 2
        if start > len(data):
            return None
        first, length = data[position], data[position + 1]
        self._check(first, length)
        if (size := LENGTH_SIZES.get(length, 0)) > len(data) - start:
            return None
        if size:  # Section 5.2 wants the shortest form from senders; as Autobahn, we don't mind.
            length = int.from_bytes(data[start : start + size], "big")
        if length >> 63:
            raise ProtocolError("a length of more than 63 bits")
        return first, start + size, length

    def _check(self, first: int, second: int) -> None:
        opcode = first & OPCODE
        if first & RESERVED and not self._may_be_compressed(first):
            raise ProtocolError("reserved bits are set where no extension was negotiated that uses them")
        if opcode not in OPCODES:
            raise ProtocolError(f"a frame of the unknown opcode {opcode}")
        if second & MASKED:
            raise ProtocolError("a masked frame from a server")
        if opcode >= CLOSE:
            if not first & FIN:
                raise ProtocolError("a control frame in fragments")
            if second > CONTROL_LIMIT:
                raise ProtocolError(f"a control frame of more than {CONTROL_LIMIT} bytes")
        elif (opcode == CONTINUATION) == (self._opcode == CONTINUATION):
            is_alone = opcode == CONTINUATION
            which = "a continuation without a beginning" if is_alone else "a message inside another"
            raise ProtocolError(which)

    def _may_be_compressed(self, first: int) -> bool:
        marked = first & RESERVED == COMPRESSED and first & OPCODE in (TEXT, BINARY)
        return marked and self._inflater is not None

    def _begin(self, first: int, length: int, head: bytes) -> None:
        """A data frame was announced: refuse it before a byte of it is kept, or make ready for it."""
        if self._opcode == CONTINUATION:
            self._opcode = first & OPCODE
            self._compressed = bool(first & COMPRESSED)
        size = len(self._message) + length
        if size > self._maximum and not self._compressed:
            text = f"a message of {size} bytes or more; {self._maximum} are allowed"
            raise ProtocolError(text, TOO_BIG, self._oversized(head, size))
        self._missing = length
        self._final = bool(first & FIN)

    def _take(self, data: bytes, position: int, frames: list[Frame]) -> int:
        """Move what has come of the frame under way into its message; answer where that ended."""
        piece = data[position : position + self._missing]
        position += len(piece)
        self._missing -= len(piece)
        whole = self._final and not self._missing
        if self._compressed:
            piece = self._inflate(piece, whole)
        self._message += piece
        if self._opcode == TEXT:
            self._check_text(piece, whole)
        if whole:
            frames.append((self._opcode, bytes(self._message)))
            self._opcode = CONTINUATION
            self._message = bytearray()
        return position

    def _inflate(self, piece: bytes, whole: bool) -> bytes:
        assert self._inflater is not None
        room = self._maximum - len(self._message)
        inflated = self._inflater.inflate(piece, room + 1)
        if len(inflated) > room:  # only now is it known: what a frame's header announces is compressed
            text = f"a message of more than the {self._maximum} bytes that are allowed"
            raise ProtocolError(text, TOO_BIG, self._oversized(inflated[:HEAD], self._maximum + 1))
        if whole:
            self._inflater.end()
        return inflated

    def _oversized(self, more: bytes, size: int) -> Oversized:
        head = bytes(self._message[:HEAD]) + more
        return Oversized((self._opcode, head[:HEAD]), size)

    def _check_text(self, piece: bytes, whole: bool) -> None:
        """Fail at the first byte that no text can have there, not only at the message's end."""
        text = self._cut + piece
        self._cut = text[utf_8_decode(text, "strict", whole)[1] :]
        if b"\xed\xa0" <= self._cut < b"\xee":  # a surrogate's start: Python would wait for its end
            self._cut.decode()

    def _control(self, opcode: int, payload: bytes, frames: list[Frame]) -> None:
        if opcode == CLOSE:
            read_close(payload)
            self._ended = True  # section 1.4: what comes after a close frame is not read
        self.controls = True
        frames.append((opcode, payload))

    def _break(self, violation: Violation) -> None:
        self.violation = violation
        self._ended = True
        self._message = bytearray()


def close_payload(code: int, reason: str = "") -> bytes:
    """The payload of a close frame. The reason is cut to what fits; 1005, "no code", has an empty one.

    Raises:
        ValueError: no close frame may bear this code.
    """
    if code == NO_STATUS:
        return b""
    if code not in CLOSE_CODES:
        raise ValueError(f"{code} is no close code to send")
    fitting = reason.encode(errors="replace")[: CONTROL_LIMIT - 2].decode(errors="ignore")
    return code.to_bytes(2, "big") + fitting.encode()


def read_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a close frame; 1005 where it has none.

    Raises:
        ValueError: no close frame may say this. `FrameReader` lets no such payload through.
    """
    if not payload:
        return NO_STATUS, ""
    code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode()
    if code not in CLOSE_CODES:  # a single byte is none either
        raise ProtocolError(f"a close frame of the unusable code {code}")
    return code, reason


def encode(opcode: int, payload: bytes) -> bytes:
    """One whole frame as a client sends it: masked."""
    size, key = len(payload), os.urandom(KEY)
    if size <= CONTROL_LIMIT:
        head = _short_head(FIN | opcode, MASKED | size)
    elif size < 1 << 16:
        head = _longer_head(FIN | opcode, MASKED | 126, size)
    else:
        head = _longest_head(FIN | opcode, MASKED | 127, size)
    return head + key + mask(payload, key)


def mask(payload: bytes, key: bytes) -> bytes:
    """The payload with its mask on, or off; section 5.3. XOR of large integers is the fastest here.

    Long payloads go piece by piece, and the key is repeated once for all whole pieces.
    """
    if len(payload) <= PIECE:
        return _mask(payload, key)
    keys = int.from_bytes(key * (PIECE // KEY), "little")
    end = len(payload) - len(payload) % PIECE
    pieces = [
        (int.from_bytes(payload[at : at + PIECE], "little") ^ keys).to_bytes(PIECE, "little")
        for at in range(0, end, PIECE)
    ]
    return b"".join((*pieces, _mask(payload[end:], key)))


def _mask(piece: bytes, key: bytes) -> bytes:
    size = len(piece)
    keys = (key * (size // KEY + 1))[:size]
    return (int.from_bytes(piece, "little") ^ int.from_bytes(keys, "little")).to_bytes(size, "little")
