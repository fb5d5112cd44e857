"""A status as the terminal, `--watch` and a notebook show it: a summary, troubles, and lines in columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from actors.display.escaping import printable
from actors.display.status_troubles import KINDS, Trouble, troubles
from actors.display.status_words import attempt, bare_state, topics
from actors.display.text import brief_span, span
from actors.protocol.formatting import counted
from actors.rules.counters import StreamStatus
from actors.status import LineStatus, Status

COLOURS = {"live": "green", "backoff": "yellow", "paused": "blue", "failed": "bold red", "stopped": "dim"}
REDACTED = "accounts, orders and raw messages are not shown: that needs the right `account`"
NONE = "-"  # in a cell that has no value
LAST = math.inf
RANKS = {kind: rank for rank, kind in enumerate(KINDS)}
WELL = sum(known.level in {"person", "trouble"} for known in KINDS.values())

# Counts that never fall, and what was asked for.
LASTING = frozenset({"quarantine", "dead_letter", "metrics", "silent_loss", "paused", "stopped"})


class LineRow(Struct, frozen=True):
    """One line, and its place among the others."""

    name: str
    feed: str
    line: LineStatus
    since_s: float | None  # in this state; of a line that is down, since the outage began
    rank: int  # 0: the worst; that of its worst trouble in `KINDS`
    rate: float | None = None  # events per second

    @property
    def is_troubled(self) -> bool:
        return self.rank < WELL

    @property
    def colour(self) -> str:
        return "yellow" if self.line.degraded else COLOURS.get(self.line.state, "cyan")

    def cell(self, column: str) -> str:
        """The words of this line in a column of `COLUMNS`."""
        return COLUMNS[column].words(self) or NONE


class Column(Struct, frozen=True):
    """`words`: of a line, and `short` where there is little room; `order`: its key in a sorted list.

    `keep`: where there is no room, columns with a smaller number go first.
    """

    words: Callable[[LineRow], str]
    order: Callable[[LineRow], Any]
    keep: int
    right: bool = True
    short: Callable[[LineRow], str] | None = None


class StatusRows(Struct, frozen=True):
    """All that is shown of a status, in the order of the screen."""

    summary: tuple[str, ...]
    troubles: tuple[Trouble, ...]
    lines: tuple[LineRow, ...]
    streams: tuple[StreamStatus, ...] = ()


# Of streams, as they are shown below the lines.
STREAM_COLUMNS: dict[str, Callable[[StreamStatus], str]] = {
    "stream": lambda stream: str(stream.id),
    "of": lambda stream: printable(f"{stream.feed}/{stream.channel}"),
    "policy": lambda stream: stream.policy,
    "queued": lambda stream: f"{stream.queued:,}/{stream.capacity:,}",
    "received": lambda stream: f"{stream.received:,}",
    "dropped": lambda stream: f"{stream.dropped:,}",
    "gaps": lambda stream: f"{stream.gaps:,}",
    "lag": lambda stream: brief_span(stream.lag_s),
    "topics": lambda stream: f"{stream.topics:,}",
    "delivered": lambda stream: f"{stream.delivered:,}",
    "conflated": lambda stream: f"{stream.conflated:,}",
}


def _optional_span(seconds: float | None) -> str:
    return "" if seconds is None else brief_span(max(0.0, seconds))


def _confirmed(row: LineRow) -> str:
    return topics(row.line.topics).partition(",")[0]


def _reconnects(row: LineRow) -> str:
    is_open = row.line.counters.restarts and row.line.down_since_ns is not None
    return f"{row.line.counters.restored:,}{' (1 open)' if is_open else ''}"


def _unconfirmed(row: LineRow) -> tuple[int, int]:
    wrong = sum(topic.state.state != "confirmed" or topic.stale for topic in row.line.topics)
    return -wrong, -len(row.line.topics)


def _try(row: LineRow) -> str:
    return f"{attempt(row.line):,}" if attempt(row.line) else ""


def _rtt(row: LineRow) -> str:
    return "" if row.line.rtt_ms is None else f"{row.line.rtt_ms:,.1f}ms"


def _largest(value: float | None) -> float:
    return LAST if value is None else -value


def _smallest(value: float | None) -> float:
    return LAST if value is None else value


# In the order of the screen. A sorted list begins with the worst of a column.
COLUMNS: dict[str, Column] = {
    "line": Column(lambda row: printable(row.name), lambda row: row.name, 99, right=False),
    "state": Column(
        lambda row: bare_state(row.line), lambda row: (row.rank, row.line.state), 98, right=False
    ),
    "since": Column(lambda row: _optional_span(row.since_s), lambda row: _smallest(row.since_s), 97),
    "try": Column(_try, lambda row: -attempt(row.line), 95),
    "next": Column(
        lambda row: _optional_span(row.line.next_attempt_s),
        lambda row: _smallest(row.line.next_attempt_s),
        94,
    ),
    "last-data": Column(
        lambda row: _optional_span(row.line.data_age_s),
        # No event at all comes first.
        lambda row: -LAST if row.line.data_age_s is None else -row.line.data_age_s,
        93,
    ),
    "rtt": Column(_rtt, lambda row: _largest(row.line.rtt_ms), 82),
    "lag": Column(lambda row: brief_span(row.line.lag.seconds), lambda row: -row.line.lag.seconds, 91),
    "subs": Column(lambda row: topics(row.line.topics), _unconfirmed, 96, right=False, short=_confirmed),
    "events/s": Column(
        lambda row: "" if row.rate is None else f"{row.rate:,.0f}", lambda row: _largest(row.rate), 90
    ),
    "reconnects": Column(_reconnects, lambda row: -row.line.counters.restored, 83, right=False),
    "gaps": Column(lambda row: f"{row.line.counters.gaps:,}", lambda row: -row.line.counters.gaps, 81),
    "health": Column(lambda row: str(row.line.health.score), lambda row: row.line.health.score, 92),
}
BY_TROUBLE = "trouble"
SORTS: dict[str, Callable[[LineRow], Any]] = {
    BY_TROUBLE: lambda row: row.rank,
    **{name: column.order for name, column in COLUMNS.items()},
}


def status_rows(
    status: Status,
    at: float,
    *,
    target: str | None = None,
    down: bool = False,
    sort: str = BY_TROUBLE,
    fresh: bool = False,
    rates: Mapping[str, float] | None = None,
) -> StatusRows:
    """All that is shown of a status. `at`: seconds of the wall clock; `rates`: events per second, by line.

    `target`: of this feed or line only. `down`: only lines that are not live, or degraded. `sort`: of
    `SORTS`. `fresh`: with each topic that is not fresh. Summary and troubles of the whole process are shown
    with any of them.
    """
    whole = troubles(status, at, fresh=fresh)
    every = [each for each in whole if _concerns(each, target)]
    ranks = _ranks(every)
    rows = [
        LineRow(name, feed, line, _since(line, at), ranks.get(name, WELL), (rates or {}).get(name))
        for feed, known in status.feeds.items()
        for name, line in known.lines.items()
        if target in {None, feed, name} and not (down and line.state == "live" and not line.degraded)
    ]
    rows.sort(key=SORTS[sort])
    streams = [each for each in status.streams if target is None or each.feed == target.partition("/")[0]]
    summary = (
        *_summary(status, whole),
        *["every topic is fresh"] * (fresh and not status.untrusted),
        *[f"{target} has no lines: nothing of it is subscribed to"] * _is_idle(status, target),
    )
    return StatusRows(summary, tuple(every), tuple(rows), tuple(streams))


def taken_at(status: Status) -> float:
    """Seconds of the wall clock of its process."""
    return status.process.started_ns / 1e9 + status.process.uptime_s


def _is_idle(status: Status, target: str | None) -> bool:
    """Whether this is a feed without lines. One that is added may have topics that no line takes."""
    feed = status.feeds.get(target or "")
    return feed is not None and not feed.lines and not feed.refused


def _concerns(trouble: Trouble, target: str | None) -> bool:
    return target is None or not trouble.feed or target in {trouble.feed, trouble.line}


def _ranks(every: Sequence[Trouble]) -> dict[str, int]:
    """The worst of each line."""
    ranks: dict[str, int] = {}
    for each in every:
        if each.line and (rank := RANKS[each.kind]) < WELL:
            ranks.setdefault(each.line, rank)
    return ranks


def _since(line: LineStatus, at: float) -> float | None:
    since = line.since_ns if line.down_since_ns is None else line.down_since_ns
    return line.live_for_s if since is None else max(0.0, at - since / 1e9)


def _summary(status: Status, every: Sequence[Trouble]) -> Iterator[str]:
    lines = status.lines().values()
    states = Counter(line.state for line in lines)
    live = states.pop("live", 0)
    degraded = sum(bool(line.degraded) for line in lines)
    parts = [f"{status.name}: {status.state}", *_needs_person(status, every)]
    parts += [f"{live:,} of {counted(len(lines), 'line')} live"]
    parts += [f"{number:,} {state}" for state, number in states.most_common()]
    parts += [f"{degraded:,} degraded"] if degraded else []
    parts += [counted(len(status.halts), "halt")] if status.halts else []
    yield printable(" · ".join(parts))
    process = status.process
    parts = [f"up {span(process.uptime_s)}", f"linewarden {process.version}".strip(), f"pid {process.pid}"]
    yield printable(" · ".join([*parts, *filter(None, [process.config])]))
    if status.redacted:
        yield REDACTED


def _needs_person(status: Status, every: Sequence[Trouble]) -> Iterator[str]:
    """Whether a person has to act; nothing while all is well, and after the end."""
    if persons := sum(KINDS[each.kind].level == "person" for each in every):
        yield f"{persons:,} need{'s' * (persons == 1)} a person (!)"
    elif status.state != "stopped" and any(_may_end(each.kind) for each in every):
        yield "may end by itself"


def _may_end(kind: str) -> bool:
    return KINDS[kind].level == "trouble" and kind not in LASTING
