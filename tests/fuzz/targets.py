"""What is fuzzed: a function a target. It takes any bytes, and fails if they break a promise."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from actors.errors import ConfigError, LinewardenError
from actors.events import Topic
from actors.http_types import HttpAnswer
from actors.protocol import Opening
from actors.protocol.session import BINARY, TEXT, Deliver, Effect, Fetch, Session, SessionState
from actors.protocol.signalr.framing import RecordReader
from actors.protocol.venue import Venue
from actors.secret import Secret
from actors.settings import known_venues, load
from actors.settings.venue_tables import read_venue
from actors.wire.frames import FrameReader
from tests.support.venue_cases import by_venue

BETWEEN = b"\n"  # messages of one input
MAXIMUM = 1_000  # bytes of a message, for readers that have a bound
KEYS = (
    "",
    "A",
    "ESZ6",
    "A/B",
    "AAPL",
    "BTC/USD",
    "BTCUSDT",
    "200",
    "0x" + "ab" * 32,
    "4242",
    "CON.F.US.EP.Z26",
)
OWN: dict[str, dict[str, Any]] = by_venue("OWN") | {"signalr": {"token": Secret("t")}}
GUIDE = (Path(__file__).parents[2] / "docs" / "venues.md").read_text(encoding="utf-8")
HUB = GUIDE.partition("<!-- the hub -->\n```toml\n")[2].partition("```")[0]


def frames(data: bytes) -> None:
    """However a stream is cut into reads, it holds the same frames, up to the same breach."""
    whole, cut = FrameReader(MAXIMUM), FrameReader(MAXIMUM)
    size = 1 + data[0] % 64 if data else 1
    told = whole.feed(data)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert told == [frame for piece in pieces for frame in cut.feed(piece)]
    breach, other = whole.violation, cut.violation
    if breach is None or other is None or breach.oversized is None or other.oversized is None:
        assert breach == other
        return
    # Of a message that is too large, more of the beginning may have come in one read.
    assert (breach.code, breach.text) == (other.code, other.text)
    (opcode, longer), (other_opcode, shorter) = breach.oversized.head, other.oversized.head
    assert opcode == other_opcode
    assert longer.startswith(shorter)
    assert breach.oversized.size == other.oversized.size


def records(data: bytes) -> None:
    """However a hub's records are spread over messages, they are the same."""
    whole, cut = RecordReader(MAXIMUM), RecordReader(MAXIMUM)
    told = whole.feed(data)
    spread = [record for at in range(len(data)) for record in cut.feed(data[at : at + 1])]
    if not (whole.overflowed or cut.overflowed):
        assert told == spread
        assert whole._rest == cut._rest


def session(name: str, data: bytes) -> None:
    """A session never raises for what a venue sent, in its handshake or later, nor does an event of it."""
    made = venue(name)
    lines = sorted(lines_of(name).items())
    line, topics = lines[data[0] % len(lines) if data else 0]
    life = made.session(Opening(line))
    told = list(life.opened(0.0))
    messages = data[1:].split(BETWEEN)
    asked = False
    for number, message in enumerate(messages):
        if life.state is SessionState.ENDED:
            break
        if life.state is SessionState.OPEN and not asked:
            asked, now = True, float(number)
            told += life.subscribe(topics, now)
        told += life.received([framed(message)], float(number))
        if number % 5 == 4:
            told += life.ping(float(number))
    look_at(made, life, told, messages[-1])


def logins(data: bytes) -> None:
    """What a server answers to a login, a renewal or a negotiation comes to an end without an exception."""
    for name in ("tplus", "projectx", "signalr"):
        made = venue(name)
        line = next(iter(lines_of(name)))
        conversations: list[Any] = [made.approach(Opening(line, None))]
        if made.needs_token(line):
            with contextlib.suppress(NotImplementedError):
                conversations.append(made.login(1))
            conversations.append(made.renew(made.given_token("t"), 1))
        for conversation in filter(None, conversations):
            answer(conversation, data)


def config(data: bytes) -> None:
    """A config is read, or its mistakes are told in sentences."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "desk.toml"
        file.write_bytes(data)
        told(partial(load, file, {}))


def table(data: bytes) -> None:
    """A venue's table is read, or its mistakes are told in sentences."""
    told(partial(read_venue, data.decode("utf-8", "replace"), "venue.toml"))


def told(read: Callable[[], object]) -> None:
    """What is wrong is told, in more than no words."""
    mistakes: Sequence[str] = ["none"]
    try:
        read()
    except ConfigError as error:
        mistakes = error.problems
    assert mistakes
    assert all(mistakes)


def look_at(made: Venue, life: Session, effects: Iterable[Effect], body: bytes) -> None:
    """Do what the connection and a reader would do with effects."""
    for effect in effects:
        match effect:
            case Deliver(pairs=pairs):
                for topic, event in pairs:
                    made.words(event)
                    if topic.channel in made.price_channels:
                        made.price(event)
                    if topic.channel == made.book_channel:
                        made.book_update(event)
                    hash(made.duplicate_key(topic, event))
            case Fetch(ticket=ticket) if life.state is not SessionState.ENDED:
                life.fetched(ticket, HttpAnswer(200, body), 100.0)


def answer(conversation: Any, data: bytes) -> None:
    """Carry a conversation on with these answers, a status and a body each."""
    answers = [HttpAnswer(200 + 100 * (each[0] % 4), each[1:]) for each in data.split(BETWEEN) if each]
    with contextlib.closing(conversation), contextlib.suppress(StopIteration):
        next(conversation)
        for each in answers:
            conversation.send(each)


def framed(message: bytes) -> tuple[int, bytes]:
    try:
        message.decode()
    except UnicodeDecodeError:
        return BINARY, message
    return TEXT, message


@cache
def venue(name: str) -> Venue:
    kind = read_venue(HUB, "hub.toml") if name == "signalr" else known_venues()[name]
    return kind(name, kind.Settings(**OWN.get(name, {})))


@cache
def lines_of(name: str) -> dict[str, Sequence[Topic]]:
    """Each line that a feed of this venue may have, with a topic of each channel that lies there."""
    made = venue(name)
    return {line: topics for line, topics in made.spread(topics_of(made)).items() if topics}


def topics_of(made: Venue) -> Iterator[Topic]:
    """One of each channel, by the first key that it takes."""
    for channel in made.channels:
        for key in KEYS:
            with contextlib.suppress(LinewardenError):
                yield made.topic(channel, key, {})
                break


VENUES = tuple(known_venues())
TARGETS: dict[str, Callable[[bytes], None]] = {
    "frames": frames,
    "records": records,
    "logins": logins,
    "config": config,
    "table": table,
    **{name: partial(session, name) for name in VENUES},
}
