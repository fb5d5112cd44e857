"""Transcripts: what a session hears, says and does, in the marks that our logs use.

    # a title: a new session
    * subscribe depth/0xaa          we ask of the session; also unsubscribe, resync, ping, wait SECONDS
    < {"action": ...}               the venue said it
    <b {"action": ...}              the same in a binary frame; <m in msgpack
    > {"action": ...}               we say it, whether in JSON or in msgpack
    = confirmed depth/0xaa          any other effect

    * opened                        before anything else: the WebSocket is up; else it is so already

What follows a `*` or `<` is all that comes of it, in order. A line that ends with … may go on.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from actors.errors import LinewardenError
from actors.events import Options, Topic, VenueState
from actors.protocol import Opening
from actors.protocol.session import (
    BINARY,
    TEXT,
    Announce,
    Answered,
    Complain,
    Confirm,
    ConnectionCloses,
    Deliver,
    Duplicates,
    Effect,
    End,
    Missed,
    Quarantine,
    Reject,
    Resent,
    Resync,
    Send,
    Session,
    Unrouted,
)
from actors.protocol.venue import Venue


class Transcript(Struct, frozen=True):
    title: str
    lines: tuple[str, ...]


def transcripts(directory: Path) -> Iterator[Transcript]:
    """All that stand in the text files of a directory."""
    for path in sorted(directory.glob("*.txt")):
        for part in path.read_text().split("\n# ")[1:]:
            title, *lines = part.strip().splitlines()
            yield Transcript(f"{path.stem}: {title}", tuple(line.strip() for line in lines if line.strip()))


def resynced(session: Session, effects: list[Effect], now: float) -> list[Effect]:
    """With what the session does when its connection has room for the resyncs that it wants."""
    again = [topic for effect in effects if isinstance(effect, Resync) for topic in effect.topics]
    return effects + session.resync(again, now) if again else effects


class Player:
    """Plays transcripts through sessions of one venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._defaults = {name: _default_options(venue, name) for name in venue.channels}

    def play(self, transcript: Transcript) -> None:
        """Compares each answer of a new session with the one that is written."""
        session = self._venue.session(Opening(self._venue.feed))
        now = 0.0
        lines = list(transcript.lines)
        if lines[0] != "* opened":
            session.opened(now)
        while lines:
            line = lines.pop(0)
            wanted: list[str] = []
            while lines and lines[0][0] in ">=":
                wanted.append(lines.pop(0))
            if line.startswith("* wait "):
                now += float(line.removeprefix("* wait "))
                continue
            effects = resynced(session, self._do(session, line, now), now)
            told = [text for effect in effects for text in self.show(effect)]
            assert matched(told, wanted) == wanted, line

    def topic(self, text: str) -> Topic:
        path, _, query = text.partition("?")
        channel, _, key = path.partition("/")
        options = dict(pair.split("=") for pair in query.split("&")) if query else {}
        return self._venue.topic(channel, key, options)

    def _do(self, session: Session, line: str, now: float) -> list[Effect]:
        mark, _, text = line.partition(" ")
        if mark == "<":
            return session.received([(TEXT, text.encode())], now)
        if mark == "<b":
            return session.received([(BINARY, text.encode())], now)
        if mark == "<m":
            packed = msgspec.msgpack.encode(msgspec.json.decode(text))
            return session.received([(BINARY, packed)], now)
        assert mark == "*", line
        verb, *words = shlex.split(text)
        if verb == "opened":
            return session.opened(now)
        if verb == "ping":
            return session.ping(now)
        ask = {"subscribe": session.subscribe, "unsubscribe": session.unsubscribe, "resync": session.resync}
        return ask[verb]([self.topic(word) for word in words], now)

    def show(self, effect: Effect) -> Iterator[str]:
        match effect:
            case Send(payload=payload):
                yield f"> {payload if isinstance(payload, str) else _as_json(payload)}"
            case Deliver(pairs=pairs):
                yield from (f"= {self._names([topic])} {told(event)}" for topic, event in pairs)
            case Confirm(topics=topics, assumed=assumed):
                yield f"= {'assumed' if assumed else 'confirmed'} {self._names(topics)}"
            case Resent(topics=topics):
                yield f"= resent {self._names(topics)}"
            case Missed(topics=topics, reason=reason):
                yield f"= missed {self._names(topics)} ({reason})"
            case Reject(topics=topics, reason=reason, retry_after=retry_after):
                again = "" if retry_after is None else f"; again after {retry_after:g} s"
                yield f"= rejected {self._names(topics)}: {reason}{again}"
            case VenueState(until_ns=until_ns):
                yield f"= state {effect}" + ("" if until_ns is None else f" until {until_ns}")
            case ConnectionCloses(text=text):
                yield f"= closes: {text}"
            case Complain(code=code, text=text):
                yield f"= complaint {code}: {text}"
            case End(reason=reason):
                yield f"= end {type(reason).__name__} {reason.code}: {reason.text}"
            case Quarantine(error=error):
                yield f"= quarantined: {error}"
            case Unrouted(count=count) | Duplicates(count=count):
                yield f"= {type(effect).__name__.lower()} {count}"
            case Answered() | Announce():
                yield f"= {type(effect).__name__.lower()}"

    def _names(self, topics: tuple[Topic, ...] | list[Topic]) -> str:
        return " ".join(self._name(topic) for topic in topics)

    def _name(self, topic: Topic) -> str:
        """Without the feed, and without options that are the default."""
        if topic.options == self._defaults[topic.channel]:
            topic = structs.replace(topic, options=())
        return str(topic).partition("/")[2]


def _as_json(packed: bytes) -> str:
    return msgspec.json.encode(msgspec.msgpack.decode(packed)).decode()


def _default_options(venue: Venue, channel: str) -> Options:
    """What a topic has of which no option is said; none, where it takes no such key."""
    try:
        return venue.topic(channel, "0x1", {}).options
    except LinewardenError:
        return ()


def matched(told: list[str], wanted: list[str]) -> list[str]:
    """What was told, with the lines that the transcript cuts short cut short."""
    cuts = [want[:-1] if want.endswith("…") else None for want in wanted] + [None] * len(told)
    return [
        cut + "…" if cut is not None and text.startswith(cut) else text
        for text, cut in zip(told, cuts, strict=False)
    ]


def told(event: Any) -> str:
    """An event in one line: its fields that are not the default, and levels as price:quantity."""
    parts = [type(event).__name__]
    for field in structs.fields(event):
        value = getattr(event, field.name)
        if value == field.default:
            continue
        if isinstance(value, tuple) and all(hasattr(level, "quantity") for level in value):
            value = ",".join(f"{level.price}:{level.quantity}" for level in value) or "-"
        elif not isinstance(value, (str, int)):
            value = msgspec.json.encode(value).decode()
        parts.append(f"{field.name}={value}")
    return " ".join(parts)
