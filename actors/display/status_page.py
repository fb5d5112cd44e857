"""A runtime and its status in a notebook: lines and streams, those with trouble first, and what is odd."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from typing import Any

from actors.display.html import NOTES, ROWS, Row, notes, page, table
from actors.display.status_words import (
    TROUBLED,
    cause,
    how_many_live,
    last_gap,
    login_words,
    oddities,
    state,
    topics,
)
from actors.display.text import day_and_clock, span
from actors.rules.counters import StreamStatus
from actors.status import LineStatus, Status

LINE = ("line", "state", "live for", "events", "topics", "restored", "gaps", "data age", "reason or last gap")
STREAM = ("stream", "of", "policy", "queued", "received", "delivered", "dropped", "gaps", "lag")


def of_runtime(runtime: Any) -> str:
    """Returns its status. Of a runtime that has no status here, such as in a forked child, its `repr`."""
    if getattr(runtime, "_status", None) is None or runtime._tree.home.is_left:
        return page(repr(runtime))
    return _page("Runtime", runtime._status.look())


def of_status(status: Status) -> str:
    """Returns the lines, streams and oddities of a status."""
    return _page("Status", status)


def _page(what: str, status: Status) -> str:
    lines = status.lines()
    streams = sorted(status.streams, key=lambda stream: (not _is_troubled(stream), stream.id))
    rows = [_line(name, line) for name, line in lines.items()]
    rows.sort(key=lambda row: not row.troubled)
    return page(
        f"{what} {status.name}: {status.state}",
        notes(f"{each}, since {day_and_clock(each.since_ns)}" for each in status.halts),
        notes([" · ".join([how_many_live(lines), *oddities(status)])]),
        table(LINE, rows, "lines", right=LINE[2:4] + LINE[5:8]),
        _streams(streams),
        notes(_logins(status)),
        notes(_accounts(status)),
        _not_fresh(status),
    )


def _streams(streams: list[StreamStatus]) -> str:
    rows = [_stream(stream) for stream in streams[:ROWS]]
    return table(STREAM, rows, "streams", right=STREAM[3:], left_out=len(streams) - len(rows))


def _line(name: str, line: LineStatus) -> Row:
    why = cause(line) if line.state in TROUBLED else last_gap(line) or cause(line)
    counters = line.counters
    cells = (
        name,
        state(line),
        "" if line.live_for_s is None else span(line.live_for_s),
        f"{counters.decoded:,}",
        topics(line.topics),
        f"{counters.restored:,}/{counters.restarts:,}",
        f"{counters.gaps:,}",
        "" if line.data_age_s is None else span(line.data_age_s),
        why,
    )
    return Row(cells, troubled=line.state != "live" or bool(line.degraded or line.paused_by_streams))


def _is_troubled(stream: StreamStatus) -> bool:
    is_full = stream.queued >= stream.capacity > 0
    return is_full or bool(stream.dropped or stream.handler_errors)


def _stream(stream: StreamStatus) -> Row:
    counts = (stream.received, stream.delivered, stream.dropped, stream.gaps)
    queued = f"{stream.queued:,} of {stream.capacity:,}" if stream.capacity else f"{stream.queued:,}"
    cells = (str(stream.id), f"{stream.feed}/{stream.channel}", stream.policy, queued)
    return Row(
        (*cells, *(f"{count:,}" for count in counts), span(stream.lag_s)), troubled=_is_troubled(stream)
    )


def _logins(status: Status) -> Iterator[str]:
    for name, feed in status.feeds.items():
        if feed.login_variables:
            yield f"{name}: {login_words(feed.login_variables)}"


def _accounts(status: Status) -> Iterator[str]:
    for name, each in status.accounts.items():
        yield f"account {name}: " + "; ".join(filter(None, (each.state, each.untrusted, each.reason)))


def _not_fresh(status: Status) -> str:
    """The topics that cannot be acted on now, the worst first."""
    untrusted = status.untrusted
    worst = nsmallest(NOTES, untrusted.items(), key=lambda item: (item[1].state, item[0]))
    told = [f"{topic} is not fresh ({found.cause}): {found.text}" for topic, found in worst]
    return notes(told, more=len(untrusted) - len(told))
