"""The pages of the view: details of a line, troubles, the journal, topics that are not fresh, the keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actors.cli import journal_view
from actors.cli.formatting import plain_table
from actors.cli.watch.keys import KEYS
from actors.cli.watch.looks import Look
from actors.display import status_troubles
from actors.display.escaping import printable
from actors.display.status_screen import STYLES
from actors.display.status_troubles import KINDS, stream_words
from actors.display.status_words import cause, last_gap, state, state_words
from actors.display.text import day_and_clock, span, times
from actors.events import Freshness
from actors.protocol.formatting import counted
from actors.rules.journal import JournalEntry
from actors.status import LineStatus, Status, TopicStatus

MOST = 200  # topics or endings of a page
MOVES = (
    ("↑ ↓", "Choose a line, or scroll a page."),
    ("PgUp PgDn", "A page up or down."),
    ("Home End", "The first, the last."),
    ("Esc", "Back; in the list: show all lines again."),
    ("! *", "Before a line: it needs a person; it is in trouble that may end by itself."),
)


def details(look: Look, name: str, width: int) -> RenderableType:
    """All that is known of one line: what is wrong comes first."""
    status = look.status
    line = status.lines().get(name)
    if line is None:
        return Text(f"{name} is not among the lines of {status.name} now.")
    return Group(
        _facts(look, line),
        Text(),
        *_topics(line.topics),
        Text(),
        Text("Journal, oldest first", "bold"),
        journal_view.journal({name: line.entries()}, width),
    )


def _facts(look: Look, line: LineStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for what, words in _known(look, line):
        table.add_row(what, Text(printable(words)))
    return table


def _known(look: Look, line: LineStatus) -> Iterator[tuple[str, str]]:
    counters = line.counters
    yield "state", state(line) + _since(line.since_ns, look.taken_at)
    if line.down_since_ns is not None:
        yield "down", _since(line.down_since_ns, look.taken_at).removeprefix(" ")
    if line.reason is not None:
        yield ("reason" if line.state != "live" else "last loss"), cause(line)
    if line.degraded:
        yield "degraded", line.degraded
    streams = {stream.id: stream for stream in look.status.streams}
    for number in line.paused_by_streams:
        yield "held by", stream_words(streams.get(number), number)
    yield "last gap", last_gap(line) or "none"
    if line.lag.cause:
        yield "lag", line.lag.text
    for told in line.venue_states:
        yield "venue says", state_words(told)
    if line.last_venue_error:
        yield "venue error", line.last_venue_error
    yield "address", line.url + ("" if line.verify_tls else " (certificates are not checked)")
    age = "none yet" if line.data_age_s is None else f"{span(line.data_age_s)} ago"
    rtt = "" if line.rtt_ms is None else f", round trip {line.rtt_ms:,.1f} ms"
    yield "last data", f"{age}{rtt}, health {line.health.score}"
    yield (
        "counters",
        f"{counted(counters.decoded, 'event')}, lost {times(counters.restarts)}"
        f" (restored {times(counters.restored)}), {counted(counters.gaps, 'gap')}"
        f" ({counters.unrepaired:,} not filled), {counters.quarantined:,} in quarantine",
    )


def _since(since_ns: int | None, at: float) -> str:
    """` since 11-30 13:22:00 (4 m)`; `at`: seconds of the wall clock."""
    if since_ns is None:
        return ""
    return f" since {day_and_clock(since_ns)} ({span(max(0.0, at - since_ns / 1e9))})"


def _topics(every: Sequence[TopicStatus]) -> Iterator[RenderableType]:
    troubled = [(topic, trouble) for topic in every if (trouble := _trouble(topic))]
    if not troubled:
        yield Text(f"Topics: none of {len(every):,} is in trouble.", "bold")
        return
    yield Text(f"Topics in trouble: {len(troubled):,} of {len(every):,}", "bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for topic, trouble in troubled[:MOST]:
        table.add_row(printable(topic.topic), Text(printable(trouble), "yellow"))
    yield table
    if len(troubled) > MOST:
        yield Text(f"... and {len(troubled) - MOST:,} more; linewarden status --json has all", "yellow")


def _trouble(topic: TopicStatus) -> str:
    """Why a topic needs a look; empty: it does not."""
    if topic.state.state == "rejected":
        return f"rejected by the venue: {topic.state.reason or 'no reason given'}"
    if topic.state.state != "confirmed":
        return f"{topic.state.state}: not confirmed by the venue"
    if topic.stale:
        return f"stale: {topic.freshness.text}" if topic.freshness is not None else "stale"
    return ""


def troubles(look: Look) -> RenderableType:
    """All that is wrong, the worst first."""
    known = status_troubles.troubles(look.status, look.taken_at)
    every = [each for each in known if KINDS[each.kind].level != "extra"]
    rows = [Text(each.text, STYLES[KINDS[each.kind].level]) for each in every]
    return Group(*(rows or [Text("Nothing is wrong.")]))


def journal(status: Status, width: int) -> RenderableType:
    """The newest endings of all lines, oldest first."""
    every = [(entry.at_ns, name, entry) for name, line in status.lines().items() for entry in line.entries()]
    every.sort(key=lambda each: each[:2])
    newest: dict[str, list[JournalEntry]] = {}
    for _, name, entry in every[-MOST:]:
        newest.setdefault(name, []).append(entry)
    more = len(every) - MOST
    head = [Text(f"{more:,} older entries are not shown: linewarden journal LINE", "dim")] if more > 0 else []
    return Group(*head, journal_view.journal(newest, width))


def not_fresh(untrusted: Mapping[str, Freshness]) -> RenderableType:
    """The worst first."""
    rows = sorted(untrusted.items(), key=lambda row: (row[1].state, row[0]))
    texts = [Text(printable(f"{topic} is not fresh ({found.cause}): {found.text}")) for topic, found in rows]
    more = len(rows) - MOST
    texts[MOST:] = [Text(f"... and {more:,} more; linewarden status --json has all")] if more > 0 else []
    return Group(*(texts or [Text("Every topic is fresh.")]))


def keys(rights: Collection[str]) -> RenderableType:
    table = plain_table("key", "what it does")
    for key in KEYS:
        lacks = "" if key.needs in ("", *rights) else f" Not now: you do not have the right {key.needs}."
        table.add_row(Text(key.shown, "bold"), key.help + lacks)
    for shown, words in MOVES:
        table.add_row(Text(shown, "bold"), words)
    return table
