"""Records of text in a stream of WebSocket messages, each ended by one byte.

SignalR's TransportProtocols, "JSON encoding": the byte 0x1E ends a record and cannot occur in JSON.
A message may hold any number of records, and a record may lie across messages.
"""

from __future__ import annotations

END = b"\x1e"


class Records:
    """The records of one connection. One thread at a time.

    `maximum` is in bytes of a record that is not ended yet. Once it is exceeded `overflowed` is set,
    and nothing more is taken.
    """

    def __init__(self, maximum: int) -> None:
        self.overflowed = False
        self._maximum = maximum
        self._rest = bytearray()  # of a record under way: grows in place, so that no message costs twice

    def feed(self, payload: bytes) -> list[bytes]:
        """The records that this message ends, without blank ones."""
        if self.overflowed:
            return []
        if not self._rest and payload.endswith(END):  # as they nearly always come
            return list(filter(None, payload.split(END)))
        first, *others = payload.split(END)
        self._rest += first
        if not others:
            self._bound()
            return []
        ended, self._rest = bytes(self._rest), bytearray(others.pop())
        self._bound()
        return list(filter(None, (ended, *others)))

    def take_rest(self) -> bytes:
        """The record under way, which is somebody else's to go on with."""
        rest, self._rest = bytes(self._rest), bytearray()
        return rest

    def _bound(self) -> None:
        if len(self._rest) > self._maximum:
            self.overflowed = True
            self._rest.clear()
