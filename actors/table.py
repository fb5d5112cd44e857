"""What `linewarden run` shows on a terminal: a row a line, and at the end what became of each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actors.events import Gap
from actors.logs import printable
from actors.status import LineStatus, Status, TopicStatus

WINDOW = 3.0  # seconds over which events are counted
KEY = 16  # characters of a key that are shown in full
COLOURS = {"live": "green", "backoff": "yellow", "paused": "blue", "failed": "bold red", "stopped": "dim"}


class StatusTable:
    """Turns one status after the other into a table. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, deque[tuple[float, int]]] = {}

    def render(self, status: Status, now: float) -> RenderableType:
        table = plain_table(
            "feed", "line", "state", "events/s", "topics", "restored", "gaps", "last gap", "cause"
        )
        for column in (3, 5, 6):
            table.columns[column].justify = "right"
        for feed, its in status.feeds.items():
            for number, (name, line) in enumerate(its.lines.items()):
                table.add_row(
                    feed if number == 0 else "",
                    name,
                    Text(state(line), style=COLOURS.get(line.state, "cyan")),
                    f"{self._rate(name, line, now):,.0f}",
                    topics(line.topics),
                    f"{line.counters.restored:,}/{line.counters.restarts:,}",
                    f"{line.counters.gaps:,}",
                    Text(last_gap(line.last_gap)),
                    Text(cause(line)),
                )
        notes = [f"{status.name}: {status.state}", *_notes(status)]
        return Group(table, Text(" · ".join(notes), style="dim"))

    def _rate(self, name: str, line: LineStatus, now: float) -> float:
        counts = self._counts.setdefault(name, deque())
        counts.append((now, line.counters.decoded))
        while len(counts) > 2 and counts[1][0] <= now - WINDOW:
            counts.popleft()
        (since, before), (until, after) = counts[0], counts[-1]
        return (after - before) / (until - since) if until > since else 0.0


def summary(status: Status, seconds: float) -> Iterator[str]:
    """What became of every line, a sentence each."""
    lines = status.lines()
    live = sum(line.state == "live" for line in lines.values())
    yield f"{status.name} ran for {seconds:.1f} s; {live} of {len(lines)} lines live at the end."
    for name, line in lines.items():
        counters = line.counters
        parts = [
            f"{counters.decoded:,} events",
            f"{topics(line.topics)} topics confirmed",
            f"restored after {counters.restored:,} of {counters.restarts:,} losses",
            f"{counters.gaps:,} gaps",
        ]
        if line.reason is not None:
            parts.append(f"last loss: {cause(line)}")
        yield f"  {name}: {state(line)}; {', '.join(parts)}."
    for note in _notes(status):
        yield f"  {note}."


def state(line: LineStatus) -> str:
    if line.state == "backoff" and line.next_attempt_s is not None:
        return f"backoff, again in {line.next_attempt_s:.1f} s (attempt {line.attempt + 1})"
    if line.held_by:
        return f"{line.state}, held by a full stream"
    return line.state


def topics(wanted: tuple[TopicStatus, ...]) -> str:
    """Confirmed and desired, and what is wrong with the rest."""
    confirmed = sum(topic.state.state == "confirmed" for topic in wanted)
    parts = [f"{confirmed}/{len(wanted)}"]
    if rejected := sum(topic.state.state == "rejected" for topic in wanted):
        parts.append(f"{rejected} rejected")
    if stale := sum(topic.stale for topic in wanted):
        parts.append(f"{stale} stale")
    return ", ".join(parts)


def last_gap(gap: Gap | None) -> str:
    """When it ended (local time), how long it was, and of what."""
    if gap is None:
        return ""
    at = time.strftime("%H:%M:%S", time.localtime(gap.until_ns / 1e9))
    length = f"{(gap.until_ns - gap.since_ns) / 1e9:.2f} s of " if gap.until_ns > gap.since_ns else ""
    missed = "" if gap.missed is None else f", {gap.missed:,} missed"
    key = gap.topic.key if len(gap.topic.key) <= KEY else f"{gap.topic.key[:6]}…{gap.topic.key[-4:]}"
    what = "/".join(part for part in (gap.topic.channel, key) if part)
    return printable(f"{at} {length}{what} ({gap.reason}{missed})")


def cause(line: LineStatus) -> str:
    if line.reason is None:
        return ""
    words = f"{line.reason.code}: {line.reason.text}"
    return printable(f"{words}. {line.reason.advice}" if line.reason.advice else words)


def plain_table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _notes(status: Status) -> Iterator[str]:
    if gaps := sum(stream.gaps for stream in status.streams):
        yield f"{gaps:,} gaps in streams"
    if status.quarantine.count:
        yield f"{status.quarantine.count:,} messages in quarantine"
    if status.dead_letters.count:
        yield f"{status.dead_letters.count:,} dead letters"
    for actor in status.actors:
        if actor.state != "running":
            yield f"{actor.id} is {actor.state}"
