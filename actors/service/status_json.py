"""A status as JSON, written piece by piece: a piece keeps other threads waiting for less than a millisecond.

The bytes are those of `to_json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Raw, Struct

from actors.service.responses import to_json
from actors.status import FeedStatus, LineStatus, Status
from actors.timers import give_way

AT_ONCE: Final = 200  # topics


def status_json(status: Status) -> bytes:
    feeds = _object((name, _feed(feed)) for name, feed in status.feeds.items())
    untrusted = b"{" + b",".join(_members(status.untrusted)) + b"}"
    return _fields(status, feeds=feeds, untrusted=untrusted)


def _feed(feed: FeedStatus) -> bytes:
    return _fields(feed, lines=_object((name, _line(line)) for name, line in feed.lines.items()))


def _line(line: LineStatus) -> bytes:
    return _fields(line, topics=b"[" + b",".join(_inner(line.topics)) + b"]")


def _inner(items: Sequence[Any]) -> Iterator[bytes]:
    """The items of an array, so many at a time."""
    for since in range(0, len(items), AT_ONCE):
        yield to_json(items[since : since + AT_ONCE])[1:-1]
        give_way()


def _members(values: Mapping[str, Any]) -> Iterator[bytes]:
    """The members of an object, so many at a time."""
    items = list(values.items())
    for since in range(0, len(items), AT_ONCE):
        yield to_json(dict(items[since : since + AT_ONCE]))[1:-1]
        give_way()


def _object(members: Iterable[tuple[str, bytes]]) -> bytes:
    return b"{" + b",".join(to_json(name) + b":" + value for name, value in members) + b"}"


def _fields(value: Struct, **written: bytes) -> bytes:
    """A struct, of which these fields are written already."""
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return to_json(fields | {name: Raw(piece) for name, piece in written.items()})
