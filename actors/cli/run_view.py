"""What `linewarden run` shows on stdout: a live table on a terminal, and a summary at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live

from actors import log_queue
from actors.cli.formatting import console
from actors.cli.status_view import StatusView
from actors.cli.stream_view import StreamView
from actors.display.escaping import printable
from actors.display.status_words import cause, how_many_live, oddities, state, topics
from actors.display.text import times
from actors.protocol.formatting import counted
from actors.rules.counters import StreamStatus
from actors.status import Counters, Status

log = log_queue.logger("actors.cli.run")

# The first counter is the sum of the others.
OF_LINES = ("decoded", "routed", "unrouted", "quarantined", "duplicates", "lost")
OF_STREAMS = ("received", "delivered", "dropped", "conflated", "queued")
FOR_STREAMS = 12  # rows of the terminal that the lines leave to them


REFRESH = 0.25  # seconds between two pictures, at least...
SHARE = 0.05  # ...and at least so many that pictures take no larger share of a core...
SLOWEST = 10.0  # ...but never more
ENDS_WITHIN = 0.5  # seconds for the last picture
THREAD = "linewarden/view"


class Screen:
    """Draws the lines and the streams on a terminal. Elsewhere it prints what happens to the streams.

    It has a thread of its own: a terminal that takes nothing holds this thread alone. What fails here is
    logged, and shown again at the next turn. `look` gives the status; it is called for a terminal only.
    A context manager; leaving it leaves the last picture on the terminal.
    """

    def __init__(self, look: Callable[[], Status], streams: StreamView | None) -> None:
        self._look, self._streams = look, streams
        self._console = console()
        self._status = StatusView(moving=True, brief=streams is not None)
        self._live: Live | None = None
        if self._console.is_terminal:
            # A stderr that goes elsewhere is not drawn above the table.
            redirect = sys.stderr.isatty()
            self._live = Live(console=self._console, auto_refresh=False, redirect_stderr=redirect)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._is_lost = False  # stdout is gone

    def __enter__(self) -> Self:
        if self._live is not None or self._streams is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(ENDS_WITHIN)

    def is_held(self, timeout: float = ENDS_WITHIN) -> bool:
        """Whether stdout takes nothing: after so many more seconds a write to it has not returned."""
        if self._thread.is_alive():
            self._thread.join(timeout)
        return self._thread.is_alive()

    def _run(self) -> None:
        if self._live is not None:
            self._guarded(self._live.start)
        while not (self._is_lost or self._ending.wait(self._turn())):
            pass
        if not self._is_lost:
            self._guarded(self.show)
        if self._live is not None:
            self._guarded(self._live.stop)

    def _turn(self) -> float:
        """Shows once. Returns the seconds until the next time."""
        begun = time.thread_time()
        self._guarded(self.show)
        return pause(time.thread_time() - begun)

    def _guarded(self, show: Callable[[], object]) -> None:
        try:
            show()
        except OSError as error:  # such as a pipe whose reader has ended
            if not self._is_lost:
                log.warning(
                    "view.failed", "Nothing can be shown on stdout any more (%s). The run goes on.", error
                )
            self._is_lost = True
        except Exception:
            log.exception("view.failed", "The view could not be drawn. The run goes on.")

    def show(self) -> None:
        """Draws or prints what there is now."""
        if self._live is not None:
            picture = self._picture(self._look(), time.monotonic(), time.time())
            self._live.update(picture, refresh=True)
        elif self._streams is not None:
            for line in self._streams.lines(time.monotonic()):
                print(line, flush=True)

    def _picture(self, status: Status, now: float, at: float) -> Group:
        width, height = self._console.size
        if self._streams is None:
            return self._status.render(status, now, at, width, height)
        lines = self._status.render(status, now, at, width, height - FOR_STREAMS)
        return Group(lines, self._streams.render(width, height - len(lines.renderables), now))


def pause(cost: float) -> float:
    """Returns the seconds between two pictures, if one takes so many of a core."""
    return min(SLOWEST, max(REFRESH, cost / SHARE))


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
