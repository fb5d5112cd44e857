"""What `linewarden run` shows on stdout: a live table on a terminal, and a summary at the end."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live

from actors.cli.formatting import console
from actors.cli.status_view import StatusView
from actors.cli.stream_view import StreamView
from actors.display.status_words import cause, how_many_live, oddities, state, topics
from actors.display.text import times
from actors.protocol.formatting import counted, printable
from actors.rules.counters import StreamStatus
from actors.status import Counters, Status

# The first counter is the sum of the others.
OF_LINES = ("decoded", "routed", "unrouted", "quarantined", "duplicates", "lost")
OF_STREAMS = ("received", "delivered", "dropped", "conflated", "queued")
FOR_STREAMS = 12  # rows of the terminal that the lines leave to them


class Screen:
    """Draws the lines and the streams on a terminal. Elsewhere it prints what happens to the streams.

    A context manager; leaving it leaves the last picture on the terminal.
    """

    def __init__(self, streams: StreamView | None) -> None:
        self._streams = streams
        self._console = console()
        self._status = StatusView(moving=True, brief=streams is not None)
        self._live: Live | None = None
        if self._console.is_terminal:
            # A stderr that goes elsewhere is not drawn above the table.
            redirect = sys.stderr.isatty()
            self._live = Live(console=self._console, auto_refresh=False, redirect_stderr=redirect)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, status: Status, now: float, at: float) -> None:
        """Times are seconds: `now` monotonic, `at` of the wall clock."""
        if self._live is not None:
            self._live.update(self._picture(status, now, at), refresh=True)
        elif self._streams is not None:
            for line in self._streams.lines(now):
                print(line, flush=True)

    def _picture(self, status: Status, now: float, at: float) -> Group:
        width, height = self._console.size
        if self._streams is None:
            return self._status.render(status, now, at, width, height)
        lines = self._status.render(status, now, at, width, height - FOR_STREAMS)
        return Group(lines, self._streams.render(width, height - len(lines.renderables), now))


def summary(status: Status, seconds: float) -> Iterator[str]:
    """The end of every line and every event, in sentences."""
    lines = status.lines()
    yield f"{status.name} ran for {seconds:.1f} s; {how_many_live(lines)} at the end."
    for name, line in lines.items():
        counters = line.counters
        tries = counters.restarts - counters.restored if line.state == "live" else 0
        lost = f"lost {times(counters.restarts)}" + (
            f", {tries:,} of them before it was back" if tries else ""
        )
        last = f" (last: {line.reason.text})" if line.reason is not None else ""
        restored = f"restored {times(counters.restored)}"
        gaps, events = counted(counters.gaps, "gap"), counted(counters.decoded, "event")
        parts = (f"{lost}{last}", restored, gaps, events, f"{topics(line.topics)} topics confirmed")
        yield printable(f"  {name}: {state(line)}; {', '.join(parts)}.")
    if status.streams:
        gaps = counted(sum(stream.gaps for stream in status.streams), "gap")
        yield f"  streams: {_equation(_sums(OF_STREAMS, status.streams))}; {gaps} marked."
    wrong = [f"  {sentence}" for sentence in _unreconciled(status)]
    if lines and not wrong:
        every = [line.counters for line in lines.values()]
        yield f"  counters reconcile: {_equation(_sums(OF_LINES, every))}."
    yield from wrong
    for note in oddities(status):
        yield f"  {note}."


def troubles(status: Status) -> list[str]:
    """Why a judged run fails, in sentences.

    A loss was not restored, a line decodes nothing, or counters do not reconcile.
    """
    down = [
        f"{name} is not live: {state(line)}{f' ({cause(line)})' if line.reason else ''}."
        for name, line in status.lines().items()
        if line.state != "live"
    ]
    lines = status.lines().items()
    degraded = [f"{name} is degraded: {line.degraded}." for name, line in lines if line.degraded]
    return [*down, *degraded, *_unreconciled(status)]


def _unreconciled(status: Status) -> Iterator[str]:
    every = {name: _sums(OF_LINES, [line.counters]) for name, line in status.lines().items()}
    for stream in status.streams:
        every[f"stream {stream.id} ({stream.feed}/{stream.channel})"] = _sums(OF_STREAMS, [stream])
    for name, counters in every.items():
        total, *parts = counters.values()
        if total != sum(parts):
            equation = _equation(counters).replace(" = ", " is not ")
            yield f"the counters of {name} do not reconcile: {equation}."


def _sums(names: Iterable[str], counting: Collection[Counters | StreamStatus]) -> dict[str, int]:
    return {name: sum(getattr(each, name) for each in counting) for name in names}


def _equation(counters: Mapping[str, int]) -> str:
    """`5 received = 4 delivered + 1 dropped`: the first counter is the sum of the others."""
    (name, total), second, *rest = counters.items()
    parts = [f"{number:,} {what}" for what, number in (second, *rest) if number or what == second[0]]
    return f"{total:,} {name} = {' + '.join(parts)}"
