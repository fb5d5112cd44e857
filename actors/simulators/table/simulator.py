"""A server that plays a transcript to each of its clients."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from actors.errors import ConfigError
from actors.simulators.base.client import HttpReply, Later, Peer, Request, text_frame
from actors.simulators.base.history_faults import HistoryFaults, HistoryPage, answered, lagged, spoiled
from actors.simulators.base.server import Message, Simulator
from actors.simulators.base.settings import given
from actors.simulators.table.settings import TableSettings
from actors.simulators.table.transcript import Exchange, read_talk, value_of

_log = logging.getLogger(__name__)


class _Progress(Struct):
    """How far one client has come."""

    done: int = 1  # exchanges
    warned: bool = False  # about a frame that is not the one to come
    repeated: int = 0  # frames that were sent again


class SimulatedTable(Simulator, HistoryFaults):
    """A transcript on loopback, on every path: a context manager. Plain HTTP has rows of history.

    Each connection begins at the top. A frame of the client that is not the next `>` changes nothing; it
    is in `heard`. At the end the connection stays open.
    """

    name: ClassVar[str] = "table"
    Settings = TableSettings

    settings: TableSettings

    @given(TableSettings)
    def __init__(self, settings: TableSettings) -> None:
        """Raises ConfigError: the transcript cannot be played."""
        self.set_up(settings)
        self._talk = read_talk(settings.talk)
        rows = _rows_of(settings.page, settings.page_id) if settings.page else []
        self._rows = [(time.monotonic(), row) for row in rows]
        self._clients: dict[Peer, _Progress] = {}

    @property
    def played(self) -> int:
        """How many connections have come to the end."""
        with self._lock:
            return sum(each.done == len(self._talk) for each in self._clients.values())

    def say(self, text: str) -> None:
        """Sends a text frame to every client, wherever it is in the transcript."""
        with self._lock:
            for peer in self._clients:
                peer.tell(text_frame(text.encode()))

    def add_row(self, row: dict[str, Any]) -> None:
        """One more row of history, which has happened now. It is not told."""
        with self._lock:
            self._rows.append((time.monotonic(), row))

    def answer(self, request: Request) -> HttpReply | Later:
        settings, query = self.settings, request.query
        try:
            start, count = int(query.get(settings.page_from, 0)), int(query.get(settings.page_limit, 500))
        except ValueError:
            return HttpReply(400, b'{"code":-1100,"msg":"a parameter is no number"}')
        listed = lagged(self._rows, self.pending)
        before = [row for row in listed if row[settings.page_id] < start]
        rows = [row for row in listed if row[settings.page_id] >= start][:count]
        page = spoiled(HistoryPage(tuple(rows), tuple(before)), self.pending)
        reply = HttpReply(200, msgspec.json.encode(page.rows))
        return answered(reply, self.pending, self.call_later)

    def serves(self, path: str) -> bool:
        return True

    def decode(self, message: Message) -> Any:
        return value_of(message)

    def kinds(self, heard: Any) -> tuple[str, ...]:
        """`wait_heard` takes a text of any member of the message, such as its method; else the message."""
        if not isinstance(heard, dict):
            return (str(heard),)
        return tuple(each for each in heard.values() if isinstance(each, str))

    def opened(self, peer: Peer) -> None:
        self._clients[peer] = _Progress()
        for frame in self._talk[0].frames:
            peer.tell(frame)

    def closed(self, peer: Peer) -> None:
        self._clients.pop(peer, None)

    def received(self, peer: Peer, message: Message) -> None:
        progress = self._clients[peer]
        to_come = self._talk[progress.done] if progress.done < len(self._talk) else None
        if to_come is not None and to_come.wanted == value_of(message):
            progress.done += 1
            progress.warned = False
            self.subscription_asked(peer, lambda: self._answer(peer, to_come))
        elif to_come is not None and not progress.warned:
            progress.warned = True
            where = f"{self.settings.talk}:{to_come.line}"
            text = "%s: waits for the frame of this line, and got %.200r"
            _log.warning(text, where, message, extra={"event": "simulator.unexpected"})

    def step(self) -> None:
        frames = self._talk[-1].frames
        if not (self.settings.repeat and frames):
            return
        for peer, progress in list(self._clients.items()):
            if progress.done == len(self._talk):
                peer.tell(frames[progress.repeated % len(frames)])
                progress.repeated += 1

    def _answer(self, peer: Peer, exchange: Exchange) -> None:
        """The first frame behind a `>` is taken for its acknowledgement."""
        self.acknowledge(peer, exchange.frames[:1])
        for frame in exchange.frames[1:]:
            peer.tell(frame)
        self.announce()


def _rows_of(file: str, id: str) -> list[dict[str, Any]]:
    """Raises ConfigError: it is no list of rows with an id."""
    try:
        rows = msgspec.json.decode(Path(file).read_bytes(), type=list[dict[str, Any]])
    except (OSError, ValueError) as error:
        raise ConfigError([f"{file}: {error}."]) from None
    if not all(type(row.get(id)) is int for row in rows):
        raise ConfigError([f"{file}: a row has no whole number at {id!r}."])
    return rows
