"""Records of text in a stream of WebSocket messages, each ended by one byte.

SignalR's TransportProtocols, "JSON encoding": the byte 0x1E ends a record and cannot occur in JSON.
A message may hold any number of records, and a record may lie across messages.
"""

from __future__ import annotations

from collections.abc import Sequence

END = b"\x1e"


class RecordReader:
    """The records of one connection. One thread at a time.

    `maximum` is in bytes of a record that is not ended yet. Once it is exceeded `overflowed` is set,
    and nothing more is taken.
    """

    def __init__(self, maximum: int) -> None:
        self.overflowed = False
        self._maximum = maximum
        self._rest = bytearray()  # of a record under way: grows in place, so that no message costs twice

    def feed_all(self, payloads: Sequence[bytes]) -> list[bytes]:
        """The records that these messages end. In one go: a record may lie across messages anyway."""
        joined = b"".join(payloads)
        if len(self._rest) + len(joined) <= self._maximum:
            return self.feed(joined)
        return [record for payload in payloads for record in self.feed(payload)]

    def feed(self, payload: bytes) -> list[bytes]:
        """The records that this message ends, without blank ones."""
        if self.overflowed:
            return []
        records = payload.split(END)
        rest = records.pop()
        if rest or self._rest:
            records = self._joined(records, rest)
        return list(filter(None, records)) if b"" in records else records

    def _joined(self, records: list[bytes], rest: bytes) -> list[bytes]:
        """The first of them ends the record under way, and what is left begins another."""
        if records:
            self._rest += records[0]
            records[0] = bytes(self._rest)
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > self._maximum:
            self.overflowed = True
            self._rest.clear()
        return records
