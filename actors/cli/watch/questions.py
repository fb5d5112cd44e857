"""What is asked before a command is sent to the service. It names what will happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from actors.protocol.formatting import counted
from actors.status import LineStatus, Status

Command = Literal["restart", "pause", "resume"]


class Question(Struct, frozen=True):
    """Whether to send this command about this line, and its effects in sentences."""

    command: Command
    line: str
    effects: tuple[str, ...]


def about_restart(status: Status, name: str) -> Question:
    """`name`: of a line in the status."""
    line = status.lines()[name]
    return Question("restart", name, (*_restarted(line), *_readers(status, name)))


def about_pause(status: Status, name: str) -> Question:
    """Whether to pause it; or to resume it, if it is paused. `name`: of a line in the status."""
    line = status.lines()[name]
    effects = _resumed() if line.state == "paused" else _paused(line)
    return Question(
        "resume" if line.state == "paused" else "pause", name, (*effects, *_readers(status, name))
    )


def _restarted(line: LineStatus) -> Iterator[str]:
    if line.live_for_s is not None:
        yield f"Its connection is closed, and a new one is opened. {_gap(line)}"
    elif line.waiting:
        yield f"It is {line.waiting}. A restart does not shorten that."
    else:
        yield "It is not live. It is tried at once; the gap goes on until it is live."
    yield "Its failures are counted from zero again."


def _paused(line: LineStatus) -> Iterator[str]:
    if line.live_for_s is not None:
        yield f"Its connection is closed until it is resumed. {_gap(line)}"
    else:
        yield "It is not live. It is not tried again until it is resumed; the gap goes on."
    yield "Meanwhile linewarden status exits with 1, and /readyz answers 503."
    yield "A pause does not survive the process."


def _resumed() -> Iterator[str]:
    yield "It is connected again. The gap of each topic ends with its first data."


def _gap(line: LineStatus) -> str:
    """What readers will miss."""
    if not line.topics:
        return "It has no topic, so no reader gets a gap."
    each = "Its topic gets" if len(line.topics) == 1 else f"Each of its {len(line.topics):,} topics gets"
    return f"{each} a gap: what the venue sends meanwhile is missed, unless it can be back-filled."


def _readers(status: Status, name: str) -> Iterator[str]:
    feed = next(feed for feed, known in status.feeds.items() if name in known.lines)
    if readers := sum(stream.feed == feed for stream in status.streams):
        yield f"{counted(readers, 'stream')} of {feed} {'stays' if readers == 1 else 'stay'} open."
