"""A line that is cut behind each byte of what its venue sends: its stream is the venue's list all the same.

What the venue sends passes the frames, the session, the delivery and the back-fill of a real venue; only the
sockets and the clock are stand-ins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from msgspec import Struct

from actors.delivery.backfills import Cancel
from actors.events import Gap, Received, Repaired, Topic
from actors.protocol import (
    Backfilled,
    Call,
    HttpAnswer,
    HttpRequest,
    Loss,
    Opening,
    Secret,
    Venue,
)
from actors.protocol.session import TEXT, Deliver
from actors.venues.alpaca import Alpaca, AlpacaSettings
from actors.venues.alpaca.timestamps import nanoseconds, text_of
from actors.venues.projectx import ProjectX, ProjectXSettings
from actors.wire.frames import FrameReader
from tests.delivery.losses import Hands, Life, Question, items
from tests.delivery.streams import new_inlet

RS = b"\x1e"
SECOND = 10**9
NOON = nanoseconds("2026-03-02T12:00:00Z")
ACCOUNT = 4242

Row = dict[str, Any]


class Case(Struct, frozen=True):
    """A venue: its topic, what it says while a topic is subscribed to, and event number so-and-so."""

    venue: Venue
    line: str
    topic: Topic
    greeting: tuple[bytes, ...]  # up to the login
    confirmation: bytes
    row: Callable[[int], Row]
    said: Callable[[Row], bytes]  # on the stream
    listed: Callable[[list[Row], HttpRequest], HttpAnswer]
    number: Callable[[Any], int]  # of an event


def fill_row(number: int) -> Row:
    at = text_of(NOON + number * SECOND)
    return {
        "id": number,
        "accountId": ACCOUNT,
        "contractId": "CON.F.US.EP.Z26",
        "creationTimestamp": at,
        "price": 6_800.25,
        "fees": 1.4,
        "side": 0,
        "size": 1,
        "voided": False,
        "orderId": 7,
    }


def fill_said(row: Row) -> bytes:
    return msgspec.json.encode({"type": 1, "target": "GatewayUserTrade", "arguments": [row]}) + RS


def fills_listed(rows: list[Row], request: HttpRequest) -> HttpAnswer:
    asked = msgspec.json.decode(request.body)
    since, until = asked["startTimestamp"], asked.get("endTimestamp")
    found = [
        row
        for row in rows
        if nanoseconds(since) <= nanoseconds(row["creationTimestamp"])
        and (until is None or nanoseconds(row["creationTimestamp"]) <= nanoseconds(until))
    ]
    body = {"success": True, "errorCode": 0, "errorMessage": None, "trades": found}
    return HttpAnswer(200, msgspec.json.encode(body))


def trade_row(number: int) -> Row:
    at = text_of(NOON + number * SECOND)
    return {"t": at, "x": "V", "p": 10.02, "s": 100, "c": ["@"], "i": number, "z": "C"}


def trade_said(row: Row) -> bytes:
    return msgspec.json.encode([{"T": "t", "S": "AAPL", **row}])


def trades_listed(rows: list[Row], request: HttpRequest) -> HttpAnswer:
    """Two rows are a page."""
    asked: Mapping[str, str] = dict(parse_qsl(urlsplit(request.url).query))
    since, until = nanoseconds(asked["start"]), nanoseconds(asked["end"])
    found = [row for row in rows if since <= nanoseconds(row["t"]) <= until]
    more = "next" if len(found) > 2 else None
    return HttpAnswer(200, msgspec.json.encode({"trades": {"AAPL": found[:2]}, "next_page_token": more}))


PROJECTX = ProjectX("o2", ProjectXSettings())
ALPACA = Alpaca("o2", AlpacaSettings(key=Secret("K"), secret=Secret("S"), stream="iex"))
CASES = {
    "fills of an account of ProjectX": Case(
        PROJECTX,
        "o2/user",
        PROJECTX.topic("account_trades", str(ACCOUNT), {}),
        (b"{}" + RS,),
        b'{"type":3,"invocationId":"0","result":null}' + RS,
        fill_row,
        fill_said,
        fills_listed,
        lambda event: int(event.id),
    ),
    "trades of Alpaca": Case(
        ALPACA,
        "o2",
        ALPACA.topic("trades", "AAPL", {}),
        (b'[{"T":"success","msg":"connected"}]', b'[{"T":"success","msg":"authenticated"}]'),
        b'[{"T":"subscription","trades":["AAPL"]}]',
        trade_row,
        trade_said,
        trades_listed,
        lambda event: int(event.id),
    ),
}


class Asked(Struct, frozen=True):
    """A question on its way to the venue."""

    number: int
    call: Call[Backfilled]


class Server:
    """The venue: what it has said, and what a client is told that connects, or asks."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rows: list[Row] = []

    def say(self, *numbers: int) -> bytes:
        """These events happen. Returns the bytes of the stream."""
        rows = [self.case.row(number) for number in numbers]
        self.rows += rows
        return b"".join(frame(self.case.said(row)) for row in rows)

    def answer(self, call: Call[Backfilled]) -> Backfilled:
        talk = call.converse(Secret("T"))
        try:
            request = next(talk)
            while True:
                request = talk.send(self.case.listed(self.rows, request))
        except StopIteration as end:
            return cast(Backfilled, end.value)


def frame(payload: bytes) -> bytes:
    """As a server sends it."""
    size = len(payload)
    head = bytes([0x80 | TEXT, size]) if size < 126 else bytes([0x80 | TEXT, 126]) + size.to_bytes(2, "big")
    return head + payload


class RealHands(Hands):
    """Its questions wait until they are answered."""

    def ask_backfill(self, number: int, call: Call[Backfilled], seconds: float) -> Cancel:
        self._life.questions.append(Question(self.delivery, number, call.name, Loss(0, 0), seconds))
        self.asked = Asked(number, call)
        return lambda: None


class Reader:
    """One connection's bytes, from the frames to the delivery."""

    def __init__(self, life: Life, case: Case) -> None:
        self._life, self._frames = life, FrameReader()
        self._session = case.venue.session(Opening(case.line))
        self._session.opened(life.now)
        for payload in case.greeting:
            self.read(frame(payload))
        self._session.subscribe((case.topic,), life.now)
        self.read(frame(case.confirmation))

    def read(self, data: bytes) -> None:
        """What has arrived, in one read."""
        life = self._life
        for effect in self._session.received(self._frames.feed(data), life.now):
            if isinstance(effect, Deliver):
                life.counters[-1].decoded += len(effect.events)
                life.delivery.bring_events(effect.topics, effect.events, life.now_ns, life.now, len(data))


def answer_all(life: Life, server: Server) -> None:
    hands = life.hands
    assert isinstance(hands, RealHands)
    asked = 0
    while len(life.questions) > asked:
        asked = len(life.questions)
        life.delivery.answer_backfill(hands.asked.number, server.answer(hands.asked.call))
        life.look()


def words(life_items: Iterator[Any], case: Case) -> list[object]:
    found: list[object] = []
    for item in life_items:
        match item:
            case Received(source=source, event=event):
                found.append(-case.number(event) if source == "rest" else case.number(event))
            case Gap():
                found.append("gap")
            case Repaired(complete=complete, text=text):
                found.append("repaired" if complete else text)
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_wherever_the_line_is_cut_its_stream_is_the_venues_list(case: Case) -> None:
    length = len(Server(case).say(2, 3, 4))
    seen = set()
    for size in range(length + 1):
        server, inlet = Server(case), new_inlet()
        life = Life(inlet, topics=(case.topic,), venue=case.venue, hands=RealHands)
        reader = Reader(life, case)
        reader.read(server.say(1))
        reader.read(server.say(2, 3, 4)[:size])
        life.lose()
        server.say(5)
        life.now += 1.0
        life.log_in()
        reader = Reader(life, case)
        answer_all(life, server)
        reader.read(server.say(6))
        life.look()
        answer_all(life, server)
        told = words(items(inlet), case)
        came = told.index("gap")
        assert told == [*range(1, came + 1), "gap", *range(-came - 1, -6, -1), "repaired", 6], size
        assert life.reconciles()
        seen.add(came)
    assert seen == {1, 2, 3, 4}
