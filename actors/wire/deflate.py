"""permessage-deflate, RFC 7692: what is offered, what of an answer is within it, and the inflater.

A line receives compressed messages and sends none: what it sends is small, and section 6 leaves it to each
message whether it is compressed. So the terms of section 7.1 about the client do not apply here, and those
about the server need no action: an inflater with the largest window, kept from message to message, reads
what a server with a smaller one sends.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final, Literal

NAME: Final = "permessage-deflate"
# What is offered, by the feed's `compression`. The server is not asked to forget between messages, for
# small ones of one kind shrink by what they have in common. That we would heed a limit to our own window
# is sent because it costs nothing, and servers that want one may refuse an offer without it.
Compression = Literal["none", "deflate"]
OFFERS: Final[Mapping[Compression, str]] = {"none": "", "deflate": f"{NAME}; client_max_window_bits"}

_SET = (None,)  # the term bears no value
_BITS = tuple(map(str, range(8, 16)))
TERMS: Final[Mapping[str, tuple[str | None, ...]]] = {  # section 7.1: the values of each in an answer
    "server_no_context_takeover": _SET,
    "client_no_context_takeover": _SET,
    "server_max_window_bits": _BITS,
    "client_max_window_bits": _BITS,
}

TAIL: Final = b"\x00\x00\xff\xff"  # section 7.2.1: the sender leaves it out at the end of a message
# An empty block, which is empty where a block may begin; inside of one it would be data.
NOTHING: Final = b"\x00" + TAIL


def beyond_deflate(header: str) -> str:
    """In which way this answer to the offer goes beyond it; "" if it does not.

    `header` is Sec-WebSocket-Extensions on one line, and not empty.
    """
    from websockets.exceptions import InvalidHeaderFormat  # for those who ask for compression
    from websockets.headers import parse_extension

    try:
        (name, terms), *more = parse_extension(header)
    except InvalidHeaderFormat:
        return "answered the offer of compression with a header that cannot be read"
    if name != NAME or more:
        return "switched on a WebSocket extension that was not offered"
    if len(dict(terms)) < len(terms) or any(value not in TERMS.get(term, ()) for term, value in terms):
        return "accepted compression on terms that RFC 7692 does not define"
    return ""


class InflateError(ValueError):
    """What came in a compressed message is no DEFLATE data."""


class Inflater:
    """Inflates the compressed messages of one connection, in their order: each may refer to the last."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)  # negative: without zlib's own header

    def inflate(self, piece: bytes, most: int) -> bytes:
        """What this piece of a message comes to. `most` bytes of it, 1 or more, and the rest is lost.

        Raises:
            InflateError: nothing can be made of it.
        """
        try:
            inflated = self._stream.decompress(piece, most)
            # Section 7.2.3.4: a message may hold a final block, and blocks after it. Who finishes a
            # stream has nothing left to refer to, and so the next one starts with an empty window.
            while self._stream.eof and len(inflated) < most:
                rest = self._stream.unused_data
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
                inflated += self._stream.decompress(rest, most - len(inflated))
        except zlib.error as error:
            raise InflateError(str(error).rpartition(": ")[2]) from None
        return inflated

    def end(self) -> None:
        """The message ends here.

        zlib does not show whether a block is still open, and what came next would be read as its rest.
        But an open one takes for data, in nearly every case, what ends a message.

        Raises:
            InflateError: a block is not finished, or something follows the last one.
        """
        try:
            unfinished = self._stream.decompress(TAIL + NOTHING, 1) or self._stream.eof
        except zlib.error:
            unfinished = True
        if unfinished:
            raise InflateError("the message ends inside a block")
