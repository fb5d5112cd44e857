"""One client of a hub, as the server sees it: handshake, records, the two silences."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from actors.simulators.base.client import Peer
from actors.simulators.signalr import framing
from actors.simulators.signalr.framing import Broken, Records
from actors.simulators.signalr.negotiate import Ticket
from actors.simulators.signalr.settings import SimulatedHubSettings

_LINGER = 0.01  # seconds that a record may wait for others to go with it


class HubHost(Protocol):
    """What a caller needs of its server."""

    habits: SimulatedHubSettings

    def call_later(self, seconds: float, call: Callable[[], None]) -> None: ...
    def greeting(self, hub: str, said: bytes) -> str: ...
    def note(self, message: Any) -> None: ...
    def invoked(self, caller: Caller, message: dict[str, Any]) -> None: ...


class Caller:
    """A connection to a hub. Everything here is done under the simulator's lock."""

    def __init__(self, server: HubHost, peer: Peer, hub: str, ticket: Ticket) -> None:
        self.peer = peer
        self.hub = hub  # its name
        self.ticket = ticket
        self.greeted = False  # the handshake is done
        self.pinged = False  # from now on its silence is counted
        self.lost = False  # sent a record of an unknown type: its invocations are ignored
        self._server = server
        self._records = Records()
        self._said_at = self._heard_at = time.monotonic()
        self._pack: list[bytes] = []
        server.call_later(server.habits.handshake_timeout, self._miss_handshake)

    # what it sends

    def hear(self, payload: bytes) -> None:
        self._heard_at = time.monotonic()
        try:
            for record in self._records.feed(payload):
                if not self.peer.open:
                    return
                if self.greeted:
                    self._hear(record)
                else:
                    self._greet(record)
        except Broken:
            if self.greeted:
                self.end(framing.CLOSED_WITH_ERROR, allow_reconnect=True)
            else:
                self._turn_away(framing.UNREADABLE_HANDSHAKE)

    def _greet(self, record: bytes) -> None:
        self._server.note(_shown(record))
        error = self._server.greeting(self.hub, record)
        if error:
            self._turn_away(error)
            return
        self.greeted = True
        busy = self._server.habits.packed > 1  # a busy server sends both in one message
        self._put(framing.WELCOME + (framing.PING if busy else b""))
        if self._server.habits.ping_interval:
            self._watch_own_silence()

    def _hear(self, record: bytes) -> None:
        if not record:
            return
        message = framing.read(record)
        self._server.note(message)
        match message.get("type"):
            case framing.INVOCATION | framing.STREAM_INVOCATION:
                if not self.lost:
                    self._server.invoked(self, message)
            case framing.A_PING if not self.pinged:
                self.pinged = True
                self._watch_his_silence()
            case framing.CLOSE:
                self.end()
            case int() as kind if kind not in framing.KINDS:
                self.lost = True  # ASP.NET Core 9: it lives on, pings and all, and answers no more
            case int():
                pass
            case _:
                raise Broken

    # what it is sent

    def say(self, record: bytes) -> None:
        """Sends a record, alone or with others in one message, as the settings say."""
        if not (self.greeted and self.peer.open):
            return
        self._said_at = time.monotonic()
        if self._server.habits.packed <= 1 and not self._pack:
            self._put(record)
            return
        if not self._pack:
            self._server.call_later(_LINGER, self.flush)
        self._pack.append(record)
        if len(self._pack) >= self._server.habits.packed:
            self.flush()

    def flush(self) -> None:
        """Sends the records that wait for others."""
        if self._pack:
            pack, self._pack = b"".join(self._pack), []
            self._put(pack)

    def end(self, error: str = "", *, allow_reconnect: bool = False) -> None:
        """Says Close, and closes."""
        if self.greeted:
            self.flush()
            self._put(framing.close(error, allow_reconnect))
        self.peer.close(1000)

    def _turn_away(self, error: str) -> None:
        self._put(framing.record({"error": error}))
        self.peer.close(1000)

    def _put(self, payload: bytes) -> None:
        habits = self._server.habits
        middle = len(payload) // 2 if habits.split and self.greeted else 0
        for part in (payload[:middle], payload[middle:]):
            if part:
                self.peer.tell(framing.frames(part, habits.fragment))

    # the clock

    def _miss_handshake(self) -> None:
        if not self.greeted and self.peer.open:
            self._turn_away("Handshake was canceled.")

    def _watch_own_silence(self) -> None:
        if not self.peer.open:
            return
        interval = self._server.habits.ping_interval
        if time.monotonic() >= self._said_at + interval:
            self.say(framing.PING)
        left = self._said_at + interval - time.monotonic()
        self._server.call_later(max(left, 0.001), self._watch_own_silence)

    def _watch_his_silence(self) -> None:
        if not self.peer.open:
            return
        left = self._heard_at + self._server.habits.client_timeout - time.monotonic()
        if left <= 0:
            self.end(framing.CLOSED_WITH_ERROR, allow_reconnect=True)
        else:
            self._server.call_later(left, self._watch_his_silence)


def _shown(record: bytes) -> Any:
    """A first record as it stands in `heard`: whatever it is."""
    try:
        return framing.read(record)
    except Broken:
        return record.decode(errors="replace")
