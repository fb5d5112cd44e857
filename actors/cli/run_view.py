"""What `linewarden run` shows on a terminal: a row a line, and at the end what became of each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from actors.cli.logs import printable
from actors.events import Gap, Topic
from actors.protocol.formatting import short
from actors.rules.counters import StreamStatus
from actors.status import LineStatus, Status, TopicStatus

WINDOW = 3.0  # seconds over which events are counted
STATE = 23  # characters; a column that grows and shrinks makes the others jump
OTHERS = 35  # characters beside state, line and topics
WIDE = 110  # columns of a terminal that has room for the last gap beside the rest
PIPE = 10_000  # columns of what is no terminal
COLOURS = {"live": "green", "backoff": "yellow", "paused": "blue", "failed": "bold red", "stopped": "dim"}


class StatusTable:
    """Turns one status after the other into a table. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._rates = Rates()

    def render(self, status: Status, now: float, width: int = 120) -> RenderableType:
        """A row a line, none of them folded, and notes beneath."""
        table = plain_table("line", "state", "events/s", "topics", "restored", "gaps")
        for column in table.columns:
            column.no_wrap, column.overflow = True, "ellipsis"
        for number in (2, 4, 5):
            table.columns[number].justify = "right"
        lines = status.lines()
        names = max(map(len, ("line", *lines)))
        counts = max(map(len, ("topics", *(topics(line.topics) for line in lines.values()))))
        table.columns[1].width = max(7, min(STATE, width - OTHERS - names - counts))
        if wide := width >= WIDE:
            table.add_column("last gap", no_wrap=True, overflow="ellipsis", ratio=1)
            table.expand = True
        notes = []
        for name, line in lines.items():
            gap = last_gap(line)
            table.add_row(
                name,
                Text(state(line), style=COLOURS.get(line.state, "cyan")),
                f"{self._rates.rate(name, line.counters.decoded, now):,.0f}",
                topics(line.topics),
                f"{line.counters.restored:,}/{line.counters.restarts:,}",
                f"{line.counters.gaps:,}",
                *([Text(gap)] if wide else []),
            )
            if gap and not wide:
                notes.append(Text(f"{name}: last gap {gap}", "dim", no_wrap=True, overflow="ellipsis"))
            if line.state == "failed" or (line.state == "backoff" and line.attempt > 1):
                notes.append(Text(f"{name}: {cause(line)}", COLOURS[line.state]))
        general = " · ".join([f"{status.name}: {status.state}", *oddities(status)])
        return Group(table, *notes, Text(general, "dim", no_wrap=True, overflow="ellipsis"))


class Rates:
    """How many events a second, of each line, over a short while. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, deque[tuple[float, int]]] = {}

    def rate(self, name: str, count: int, now: float) -> float:
        """`count` is all there were until now; fewer than last time: another process counts."""
        counts = self._counts.setdefault(name, deque())
        if counts and count < counts[-1][1]:
            counts.clear()
        counts.append((now, count))
        while len(counts) > 2 and counts[1][0] <= now - WINDOW:
            counts.popleft()
        (since, before), (until, after) = counts[0], counts[-1]
        return (after - before) / (until - since) if until > since else 0.0


def summary(status: Status, seconds: float) -> Iterator[str]:
    """What became of every line and every event, a sentence each."""
    lines = status.lines()
    live = sum(line.state == "live" for line in lines.values())
    yield f"{status.name} ran for {seconds:.1f} s; {live} of {len(lines)} lines live at the end."
    for name, line in lines.items():
        counters = line.counters
        tries = counters.restarts - counters.restored if line.state == "live" else 0
        lost = f"lost {_times(counters.restarts)}" + (
            f", {tries:,} of them before it was back" if tries else ""
        )
        last = f" (last: {line.reason.text})" if line.reason is not None else ""
        restored = f"restored {_times(counters.restored)}"
        gaps, events = _count(counters.gaps, "gap"), _count(counters.decoded, "event")
        parts = (f"{lost}{last}", restored, gaps, events, f"{topics(line.topics)} topics confirmed")
        yield printable(f"  {name}: {state(line)}; {', '.join(parts)}.")
    if status.streams:
        yield f"  streams: {_sum(_stream_book(status.streams))}; {_count(_gaps(status), 'gap')} marked."
    if lines and not (wrong := list(_unbalanced(status))):
        yield f"  books balanced: {_sum(_line_book(lines.values()))}."
    else:
        yield from (f"  {sentence}" for sentence in wrong)
    for note in oddities(status):
        yield f"  {note}."


def troubles(status: Status) -> list[str]:
    """Why this is no good end, a sentence each: a loss that is not made good, a book that is not closed."""
    down = [
        f"{name} is not live: {state(line)}{f' ({cause(line)})' if line.reason else ''}."
        for name, line in status.lines().items()
        if line.state != "live"
    ]
    return [*down, *_unbalanced(status)]


def _unbalanced(status: Status) -> Iterator[str]:
    books = {name: _line_book([line]) for name, line in status.lines().items()}
    for stream in status.streams:
        books[f"stream {stream.id} ({stream.feed}/{stream.channel})"] = _stream_book([stream])
    for name, book in books.items():
        total, *parts = book.values()
        if total != sum(parts):
            yield f"the books of {name} do not balance: {_sum(book).replace(' = ', ' is not ')}."


def _line_book(lines: Iterable[LineStatus]) -> dict[str, int]:
    names = ("decoded", "routed", "unrouted", "quarantined", "duplicates", "lost")
    every = [line.counters for line in lines]
    return {name: sum(getattr(counters, name) for counters in every) for name in names}


def _stream_book(streams: Iterable[StreamStatus]) -> dict[str, int]:
    names = ("received", "delivered", "dropped", "conflated", "queued")
    return {name: sum(getattr(stream, name) for stream in streams) for name in names}


def _sum(book: Mapping[str, int]) -> str:
    """`5 received = 4 delivered + 1 dropped`: the first of the book is the sum of the rest."""
    (name, total), second, *rest = book.items()
    parts = [f"{number:,} {what}" for what, number in (second, *rest) if number or what == second[0]]
    return f"{total:,} {name} = {' + '.join(parts)}"


def _gaps(status: Status) -> int:
    return sum(stream.gaps for stream in status.streams)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number:,} times")


def state(line: LineStatus) -> str:
    if line.state == "backoff" and line.next_attempt_s is not None:
        seconds = line.next_attempt_s
        return f"backoff, try {line.attempt} in {seconds:.{0 if seconds >= 9.95 else 1}f} s"
    if line.paused_by_streams:
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
    if quiet := sum(topic.freshness is not None and topic.freshness.cause == "closed" for topic in wanted):
        parts.append(f"{quiet} quiet")
    return ", ".join(parts)


def last_gap(line: LineStatus) -> str:
    """When it ended (local time), how long it was, of what, and why."""
    gap = line.last_gap
    if gap is None:
        return ""
    at = time.strftime("%H:%M:%S", time.localtime(gap.until_ns / 1e9))
    length = f"{seconds_of(gap)} of " if seconds_of(gap) else ""
    missed = "" if gap.missed is None else f", {gap.missed:,} missed"
    why = f": {line.reason.text}" if gap.reason == "disconnect" and line.reason is not None else ""
    return printable(f"{at} {length}{topic_words(gap.topic)} ({gap.reason}{missed}{why})")


def seconds_of(gap: Gap) -> str:
    """How long it was; empty where it has no length."""
    return f"{(gap.until_ns - gap.since_ns) / 1e9:.2f} s" if gap.until_ns > gap.since_ns else ""


def topic_words(topic: Topic) -> str:
    return " ".join(part for part in (topic.channel, short(topic.key)) if part)


def cause(line: LineStatus) -> str:
    if line.reason is None:
        return ""
    words = f"{line.reason.code}: {line.reason.text}"
    return printable(f"{words}. {line.reason.advice}" if line.reason.advice else words)


def console() -> Console:
    """For stdout as it is now. A pipe has no width: nothing is folded to one it does not have."""
    shown = Console(highlight=False, markup=False, emoji=False)
    return shown if shown.is_terminal else Console(highlight=False, markup=False, emoji=False, width=PIPE)


def plain_table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def oddities(status: Status) -> Iterator[str]:
    """What else somebody should look at."""
    if status.quarantine.count:
        yield f"{_count(status.quarantine.count, 'message')} in quarantine"
    if status.dead_letters.count:
        yield _count(status.dead_letters.count, "dead letter")
    for feed, known in status.feeds.items():
        if known.refused:
            first, why = next(iter(known.refused.items()))
            more = f" and {len(known.refused) - 1} more" if len(known.refused) > 1 else ""
            yield f"{feed}: no line takes {first}{more} ({why})"
    for name, line in status.lines().items():
        stale = {
            topic.topic: topic.freshness.text for topic in line.topics if topic.freshness and topic.stale
        }
        if stale:
            first, why = next(iter(stale.items()))
            more = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
            yield printable(f"{name}: {first}{more} stale ({why})")
    for actor in status.actors:
        # A connection that is to come back is its line's news, and that has a row.
        if actor.state == "wedged" or (actor.state != "running" and not actor.id.startswith("connection/")):
            yield f"{actor.id} is {actor.state}"
