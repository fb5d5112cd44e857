"""A runtime and its status in a notebook: lines and streams, those with trouble first, and what is odd."""

from __future__ import annotations

from heapq import nsmallest
from typing import Any

from actors.display.html import LONGEST, NOTES, ROWS, Row, notes, page, table
from actors.display.rows import rows_of
from actors.display.status_rows import COLUMNS, status_rows, taken_at
from actors.display.status_troubles import KINDS, Trouble
from actors.display.text import span
from actors.rules.counters import StreamStatus
from actors.status import Status

LINE = tuple(name for name in COLUMNS if name != "events/s")
RIGHT = frozenset(name for name in LINE if COLUMNS[name].right)
STREAM = ("stream", "of", "policy", "queued", "received", "delivered", "dropped", "gaps", "lag")


def of_runtime(runtime: Any) -> str:
    """Returns its status. Of a runtime that has no status here, such as in a forked child, its `repr`."""
    if getattr(runtime, "_status", None) is None or runtime._tree.home.is_left:
        return page(repr(runtime))
    return _page("Runtime", runtime._status.look())


def of_status(status: Status) -> str:
    """Returns the summary, troubles, lines and streams of a status."""
    return _page("Status", status)


def _page(what: str, status: Status) -> str:
    found = status_rows(status, taken_at(status))
    head, *below = found.summary
    streams = sorted(status.streams, key=lambda stream: (not _is_troubled(stream), stream.id))
    rows = [
        Row(tuple(row.cell(name) for name in LINE), troubled=row.is_troubled) for row in found.lines[:ROWS]
    ]
    told = [each for each in found.troubles if KINDS[each.kind].level != "extra"]
    return page(
        f"{what} {head}",
        notes(below),
        notes(map(_sentence, told[:NOTES]), more=max(0, len(told) - NOTES)),
        table(LINE, rows, "lines", right=RIGHT, left_out=len(found.lines) - len(rows)),
        _streams(streams),
        notes(each.text for each in found.troubles if each.kind == "account"),
        _not_fresh(status),
    )


def _sentence(trouble: Trouble) -> str:
    """In one row: a quoted text is cut, advice is not."""
    return " ".join(row.text.strip() for row in rows_of(trouble.sentence, "", LONGEST, most=1))


def _streams(streams: list[StreamStatus]) -> str:
    rows = [_stream(stream) for stream in streams[:ROWS]]
    return table(STREAM, rows, "streams", right=STREAM[3:], left_out=len(streams) - len(rows))


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


def _not_fresh(status: Status) -> str:
    """The topics that cannot be acted on now, the worst first."""
    untrusted = status.untrusted
    worst = nsmallest(NOTES, untrusted.items(), key=lambda item: (item[1].state, item[0]))
    told = [f"{topic} is not fresh ({found.cause}): {found.text}" for topic, found in worst]
    return notes(told, more=len(untrusted) - len(told))
