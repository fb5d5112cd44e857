"""What an operator is shown of a running service: its lines, its journal, what it put aside."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actors.cli.logs import printable
from actors.cli.run_view import COLOURS, STATE, Rates, cause, oddities, plain_table, state, topics
from actors.diagnostics import DeadLetter
from actors.rules.counters import StreamStatus
from actors.rules.journal import KEPT, LineExit, RecoveryTimes
from actors.status import FeedStatus, LineStatus, QuarantineStatus, Status

# Columns of a terminal: from here on with round trip, data age and losses, and with the reason.
ROOMY, WIDE = 112, 150
BESIDE, BESIDE_ROOMY = 40, 70  # of them for what stands beside line, state and topics
TROUBLED = ("backoff", "failed")  # states that the reason is the reason of; elsewhere it is history
REJECTED = 5  # topics that are told by name
STEPS = ("detect", "wait", "connect", "login", "subscribe", "first_data")


class Board:
    """One status after the other as tables. Times are seconds: `now` monotonic, `at` of the wall clock.

    `moving`: there will be several, so events are told a second; else they are told in all.
    """

    def __init__(self, *, moving: bool = False) -> None:
        self._rates = Rates() if moving else None

    def render(self, status: Status, now: float, at: float, width: int) -> RenderableType:
        lines = status.lines()
        live = sum(line.state == "live" for line in lines.values())
        head = [f"{status.name}: {status.state}", f"{live} of {len(lines)} lines live", *oddities(status)]
        parts: list[RenderableType] = [self._lines(status.feeds, now, at, width)] if lines else []
        parts += _notes(lines, told=width >= WIDE)
        if status.streams:
            parts += [Text(), _streams(status.streams, width)]
            parts += [
                Text(f"stream {stream.id}: its handler failed {stream.handler_errors:,} times", "yellow")
                for stream in status.streams
                if stream.handler_errors
            ]
        return Group(*parts, *([Text()] if parts else []), _one_row(" · ".join(head), "bold"))

    def _lines(self, feeds: Mapping[str, FeedStatus], now: float, at: float, width: int) -> Table:
        roomy, wide = width >= ROOMY, width >= WIDE
        events = "events" if self._rates is None else "events/s"
        table = plain_table("line", "state", "for", events, "topics")
        for heading in ("rtt", "age", "restored") * roomy + ("gaps", "score"):
            table.add_column(heading)
        for number, column in enumerate(table.columns):
            column.no_wrap, column.overflow = True, "ellipsis"
            column.justify = "left" if number in {0, 1, 4} else "right"
        rows = dict(_grouped(feeds))
        lines = [line for row in rows.values() if isinstance(line := row, LineStatus)]
        names = max(map(len, ("line", *rows)))
        counts = max(map(len, ("topics", *(topics(line.topics) for line in lines))))
        beside = BESIDE_ROOMY if roomy else BESIDE
        table.columns[1].width = max(7, min(STATE, width - beside - names - counts))
        if wide:
            table.add_column("reason", overflow="fold")
        for name, row in rows.items():
            if isinstance(row, FeedStatus):
                live = sum(line.state == "live" for line in row.lines.values())
                table.add_row(Text(name, "bold"), f"{live} of {len(row.lines)} live")
                continue
            cells: list[RenderableType] = [
                name,
                Text(state(row), COLOURS.get(row.state, "cyan")),
                _since(row, at),
                self._events(name.strip(), row, now),
                topics(row.topics),
                *_measures(row) * roomy,
                f"{row.counters.gaps:,}",
                str(row.health.score),
                *[Text(cause(row), COLOURS[row.state] if row.state in TROUBLED else "dim")] * wide,
            ]
            table.add_row(*cells)
        return table

    def _events(self, name: str, line: LineStatus, now: float) -> str:
        count = line.counters.decoded
        return f"{count if self._rates is None else self._rates.rate(name, count, now):,.0f}"


def _grouped(feeds: Mapping[str, FeedStatus]) -> Iterator[tuple[str, FeedStatus | LineStatus]]:
    """A feed with several lines stands above them."""
    for name, feed in feeds.items():
        if list(feed.lines) == [name]:
            yield name, feed.lines[name]
            continue
        yield f"{name}:", feed
        yield from ((f"  {line}", status) for line, status in feed.lines.items())


def _measures(line: LineStatus) -> list[str]:
    rtt = "" if line.rtt_ms is None else f"{line.rtt_ms:,.1f} ms"
    age = "" if line.data_age_s is None else span(line.data_age_s)
    return [rtt, age, f"{line.counters.restored:,}/{line.counters.restarts:,}"]


def _since(line: LineStatus, at: float) -> str:
    """How long it has been live; or not, as far back as its journal goes."""
    if line.live_for_s is not None:
        return span(line.live_for_s)
    down = list(line.journal)
    for number, ending in reversed(list(enumerate(line.journal))):
        if ending.lived_s is not None:  # what came after it are tries
            down = down[number:]
            break
    more = ">" if len(down) == KEPT else ""
    return more + span(max(0.0, at - down[0].at_ns / 1e9)) if down else ""


def _notes(lines: Mapping[str, LineStatus], *, told: bool) -> Iterator[Text]:
    """Below the table. `told`: the reasons stand in it already."""
    for name, line in lines.items():
        if not told and line.state != "live" and line.reason is not None:
            yield Text(f"{name}: {cause(line)}", COLOURS[line.state] if line.state in TROUBLED else "dim")
        for stream in line.paused_by_streams:
            yield Text(f"{name}: waits for stream {stream}, which is full", "yellow")
        rejected = [topic for topic in line.topics if topic.state.state == "rejected"]
        for topic in rejected[:REJECTED]:
            why = f": {topic.state.reason}" if topic.state.reason else ""
            yield Text(printable(f"{topic.topic}: rejected by the venue{why}"), "yellow")
        if more := rejected[REJECTED:]:
            yield Text(f"{name}: {len(more):,} more topics are rejected; --json has them all", "yellow")
        if line.last_venue_error:
            yield Text(printable(f"{name}: last error of the venue: {line.last_venue_error}"), "dim")
        if not line.verify_tls:
            yield Text(f"{name}: certificates are not checked (verify_tls = false)", "yellow")


def _streams(streams: Iterable[StreamStatus], width: int) -> Table:
    more = width >= ROOMY
    headings = ("stream", "of", "policy", "queued", "received", "dropped", "gaps")
    table = plain_table(*headings, *("topics", "delivered", "conflated") * more)
    for number, column in enumerate(table.columns):
        column.no_wrap, column.overflow = True, "ellipsis"
        column.justify = "left" if number in {1, 2} else "right"
    for stream in streams:
        numbers = [stream.received, stream.dropped, stream.gaps]
        numbers += [stream.topics, stream.delivered, stream.conflated] * more
        table.add_row(
            str(stream.id),
            f"{stream.feed}/{stream.channel}",
            stream.policy,
            Text(
                f"{stream.queued:,}/{stream.capacity:,}",
                "yellow" if stream.queued >= stream.capacity else "",
            ),
            *(f"{number:,}" for number in numbers),
        )
    return table


# ── the journal ─────────────────────────────────────────────────────────────────────────────────


def journal(endings: Mapping[str, Sequence[LineExit]], width: int) -> RenderableType:
    """Every ending of these lines, oldest first; times of the day are local."""
    every = [(name, ending) for name, told in endings.items() for ending in told]
    every.sort(key=lambda pair: pair[1].at_ns)
    if not every:
        return Text("No line has been lost.")
    if width < WIDE:
        return Group(*(row for name, ending in every for row in _told(name, ending)))
    table = plain_table(
        "when", "line", "epoch", "kind", "code", "try", "lived", *map(_heading, STEPS), "what happened"
    )
    for column in table.columns[:-1]:
        column.no_wrap = True
    for column in (table.columns[2], *table.columns[5:-1]):
        column.justify = "right"
    for name, ending in every:
        table.add_row(
            moment(ending.at_ns),
            name,
            str(ending.epoch),
            ending.kind,
            printable(ending.code),
            str(ending.attempt),
            "" if ending.lived_s is None else span(ending.lived_s),
            *(_ms(ending.split, step) for step in STEPS),
            printable(ending.text),
        )
    return Group(table, Text("detect to first data: the way back, in ms", "dim"))


def blind_times(lines: Mapping[str, LineStatus]) -> RenderableType:
    """How long each topic of these lines was without data that could be trusted; days are UTC's."""
    blind = [topic for line in lines.values() for topic in line.topics if topic.blind_s]
    if not blind:
        return Group()
    table = plain_table("subscription", "blind today", "since the start")
    for column in table.columns[1:]:
        column.justify = "right"
    for topic in blind:
        table.add_row(printable(topic.topic), span(topic.blind_today_s), span(topic.blind_s))
    return Group(Text(), table)


def _told(name: str, ending: LineExit) -> Iterator[Text]:
    """The same in two rows, where a table has no room."""
    where = f"{moment(ending.at_ns)}  {name}#{ending.epoch}  {ending.kind} {ending.code}: {ending.text}"
    yield Text(printable(where))
    lived = "never live" if ending.lived_s is None else f"lived {span(ending.lived_s)}"
    steps = [f"{_heading(step)} {_ms(ending.split, step)}" for step in STEPS if _ms(ending.split, step)]
    yield Text(f"    try {ending.attempt}, {lived}; ms: {', '.join(steps)}", "dim")


def _heading(step: str) -> str:
    return step.replace("_", " ")


def _ms(split: RecoveryTimes, step: str) -> str:
    milliseconds: float | None = getattr(split, step)
    if milliseconds is None:
        return ""
    return f"{milliseconds:,.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"


# ── what was put aside ──────────────────────────────────────────────────────────────────────────


def quarantine(kept: QuarantineStatus) -> RenderableType:
    table = plain_table("when", "line", "bytes", "why", "begins with")
    table.columns[2].justify = "right"
    for column in (*table.columns[:3], table.columns[4]):
        column.no_wrap, column.overflow = True, "ellipsis"
    for each in kept.newest:
        words = (printable(each.error), printable(each.raw))
        table.add_row(moment(each.at_ns), each.line, f"{each.size:,}", *words)
    return _kept(table, kept.count, len(kept.newest), "message", "quarantine")


def dead_letters(newest: Sequence[DeadLetter], count: int) -> RenderableType:
    table = plain_table("to", "message", "why")
    for letter in newest:
        table.add_row(*(printable(text) for text in (letter.to, letter.message, letter.why)))
    return _kept(table, count, len(newest), "dead letter", "dead letters")


def _kept(table: Table, count: int, kept: int, noun: str, command: str) -> RenderableType:
    if not count:
        return Text(f"There is no {noun}{' in quarantine' if command == 'quarantine' else ''}.")
    nouns = noun if count == 1 else f"{noun}s"
    newest = f"; the newest {kept:,} are kept" if kept < count else ""
    return Group(table, Text(f"{count:,} {nouns}{newest}.", "dim"))


# ── small things ────────────────────────────────────────────────────────────────────────────────


def span(seconds: float) -> str:
    """How long: `4.2 s`, `42 s`, `12 m`, `3 h 5 m`, `4 d 3 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} m"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} m" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def moment(at_ns: int) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.localtime(at_ns / 1e9))


def _one_row(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")
