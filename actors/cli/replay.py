"""Plays a file of captured messages to a session and counts what is routed.

The file has one message per row and may be gzipped. A row may begin with the time of receipt and a colon,
as in captures of cryptofeed; rows of sent messages (`wss://… <- time: …`) are skipped.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import msgspec
from rich.table import Table

from actors.cli.formatting import plain_table
from actors.display.text import cut
from actors.events import Topic
from actors.protocol.formatting import counted
from actors.protocol.session import (
    TEXT,
    Answered,
    Complain,
    Confirm,
    Deliver,
    Duplicates,
    End,
    Missed,
    Quarantine,
    Reject,
    Session,
    Unrouted,
)
from actors.protocol.venue import Opening, Venue
from actors.venues.declarative import DeclarativeVenue

LONGEST = 16 * 1_048_576  # bytes of a row
SHOWN = 5  # samples of each kind
WIDTH = 100  # characters of a sample

_RECEIVED = re.compile(rb"\d{9,}(?:\.\d+)?: ?")
_SENT = re.compile(rb"wss?://\S+ <-")


class ReplayTally:
    """Counts and samples of one file."""

    def __init__(self) -> None:
        self.messages = 0
        self.events: Counter[str] = Counter()  # by channel
        self.topics: dict[str, set[Topic]] = {}
        self.other: Counter[str] = Counter()  # messages without events, by kind
        self.holes: Counter[str] = Counter()  # in sequences, by channel
        self.unrouted = 0  # events
        self.duplicates = 0
        self.shapes: dict[str, list[Any]] = {}  # of messages with unrouted events: count and first message
        self.quarantined: list[tuple[str, str]] = []  # the error, the message
        self.bad = 0  # messages in the quarantine
        self.ended = ""  # the reason, if the session would have ended the connection

    @property
    def routed(self) -> int:
        return self.events.total()

    @property
    def understood(self) -> bool:
        return bool(self.messages) and not (self.unrouted or self.bad or self.ended)

    @property
    def share(self) -> float:
        """Of all events and undecodable messages."""
        total = self.routed + self.duplicates + self.unrouted + self.bad
        return (self.routed + self.duplicates) / total if total else 0.0


def play(venue: Venue, file: Path, topics: Iterable[Topic] = ()) -> ReplayTally:
    """Plays the messages of a file to a new session of a venue.

    The session subscribes to `topics`; a venue in Python only to those of their first line. Without topics, a
    venue from a table routes every topic it can recognise.

    Raises:
        OSError, EOFError: the file cannot be read.
    """
    wanted = list(topics)
    session: Session
    if isinstance(venue, DeclarativeVenue):
        session = venue.listener(takes_all=not wanted)
    else:
        placed = [(name, held) for name, held in venue.spread(wanted).items() if held]
        name, wanted = placed[0] if placed else (venue.feed, [])
        session = venue.session(Opening(name))
    session.opened(0.0)
    if wanted:
        session.subscribe(wanted, 0.0)
    tally = ReplayTally()
    with closing(_opened(file)) as lines:
        for line in _messages(lines):
            tally.messages += 1
            _judge(session, line, tally)
            if tally.ended:
                break
    return tally


def _opened(file: Path) -> IO[bytes]:
    with file.open("rb") as opened:
        magic = opened.read(2)
    return gzip.open(file) if magic == b"\x1f\x8b" else file.open("rb")  # type: ignore[return-value]


def _messages(lines: IO[bytes]) -> Iterator[bytes]:
    while line := lines.readline(LONGEST):
        line = line.strip()
        if line and not _SENT.match(line):
            received = _RECEIVED.match(line)
            yield line[received.end() :] if received else line


def _judge(session: Session, line: bytes, tally: ReplayTally) -> None:
    counts_kinds = hasattr(session, "heard")  # by itself
    before = Counter(getattr(session, "heard", ()))
    for effect in session.received([(TEXT, line)], 0.0):
        match effect:
            case Deliver(topics=topics):
                for topic in topics:
                    tally.events[topic.channel] += 1
                    tally.topics.setdefault(topic.channel, set()).add(topic)
            case Unrouted(count=count):
                tally.unrouted += count
                tally.shapes.setdefault(shape(line), [0, _short(line)])[0] += 1
            case Duplicates(count=count):
                tally.duplicates += count
            case Missed(topics=topics, reason="sequence"):
                tally.holes.update(topic.channel for topic in topics)
            case Quarantine(error=error):
                tally.bad += 1
                if len(tally.quarantined) < SHOWN:
                    tally.quarantined.append((error, _short(line)))
            case End(reason=reason):
                tally.ended = reason.text
            case Confirm() | Reject() | Complain() | Answered() if not counts_kinds:
                tally.other[type(effect).__name__.lower()] += 1
    heard = Counter(getattr(session, "heard", ())) - before
    tally.other.update({kind: count for kind, count in heard.items() if kind not in COUNTED_ELSEWHERE})


COUNTED_ELSEWHERE = {"event", "unrouted", "undecodable"}


def shape(line: bytes) -> str:
    """The shape of a message: its names, and the short texts that tell its kind."""
    try:
        return _shape(msgspec.json.decode(line), 2)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return "not JSON"


def _shape(node: Any, depth: int) -> str:
    match node:
        case dict() if depth:
            members = (f"{name}: {_shape(inner, depth - 1)}" for name, inner in node.items())
            return f"{{{', '.join(members)}}}"
        case list() if depth and len(node) > 1 and not isinstance(node[0], list | dict):
            return f"[{', '.join(_shape(inner, depth - 1) for inner in node[:6])}]"
        case dict():
            return "{…}"
        case list():
            return "[…]"
        case str() if depth == 1 and node.replace("_", "").isalpha() and len(node) <= 24:
            return json.dumps(node)
        case str():
            return "text"
        case None | bool():
            return json.dumps(node)
    return "number"


def _short(line: bytes) -> str:
    return cut(line[: WIDTH * 4].decode("utf-8", "replace"), WIDTH)


def tables(tally: ReplayTally) -> Iterator[Table | str]:
    """Tables and sentences for people."""
    routed, talk = plain_table("channel", "events", "topics", "holes"), plain_table("no events", "messages")
    for channel, count in tally.events.most_common():
        holes = str(tally.holes[channel] or "")
        routed.add_row(channel, f"{count:,}", f"{len(tally.topics[channel]):,}", holes)
    for kind, count in tally.other.most_common():
        talk.add_row(kind, f"{count:,}")
    yield from (table for table in (routed, talk) if table.rows)
    for text, (count, first) in sorted(tally.shapes.items(), key=lambda each: -each[1][0])[:SHOWN]:
        yield f"unrouted, {count:,} × {cut(text, WIDTH)}\n    {first}"
    for error, first in tally.quarantined:
        yield f"quarantined: {error}\n    {first}"
    if tally.ended:
        yield f"The connection would have ended: {tally.ended}"
    yield (
        f"{counted(tally.messages, 'message')}: {counted(tally.routed, 'event')} routed, "
        f"{tally.unrouted:,} unrouted, {counted(tally.bad, 'message')} quarantined; {tally.share:.2%} routed."
    )
