"""`linewarden run`: the feeds of a config, until it is told to end."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live

from actors import log_queue
from actors.cli import logs
from actors.cli.arguments import Config, complain, report, settings_of
from actors.cli.check import placed
from actors.cli.reload import Reloader
from actors.cli.run_view import StatusTable, console, summary, troubles
from actors.cli.signals import HANG_UP, SLICE, Ending, endings
from actors.cli.stream_view import Tape
from actors.cli.systemd import Systemd
from actors.errors import ConfigError, LinewardenError, RuntimeStopped
from actors.settings import Settings
from actors.status import Status
from actors.supervision.cooldown_file import usual_file

if TYPE_CHECKING:
    from actors.runtime import Runtime

log = log_queue.logger("actors.cli.run")


REFRESH = 0.25  # seconds between two looks at the status
SETTLE = 5.0  # seconds that a run with a summary waits at its end for lines to come back...
SETTLE_TOLD = 1.5  # ...and if somebody waits for it to end
DESCRIPTORS, DESCRIPTORS_A_LINE = 128, 4  # open files: for the rest, and for a line
STOP_WITHIN = 2.5  # seconds for all actors; the promise is 5 for the whole process, its service included
LOG_WITHIN = 0.5  # seconds for the last log records


def run(
    config: Config,
    seconds: Annotated[
        float | None,
        typer.Option("--duration", min=0.0, metavar="SECONDS", help="End after so long, and judge the run."),
    ] = None,
    tape: Annotated[
        bool,
        typer.Option("--show-events", help="Subscribe to what CONFIG wants, show it, and judge the run."),
    ] = False,
    alone: Annotated[bool, typer.Option("--no-service", help="Open no port.")] = False,
    log_format: Annotated[logs.Format, typer.Option(help="How log lines look.")] = "text",
    log_level: Annotated[logs.Level, typer.Option(help="Which log lines are written.")] = "info",
) -> None:
    """Run the feeds of CONFIG until Ctrl-C or SIGTERM.

    On a terminal it shows a table of all lines, elsewhere log lines on stderr. It serves
    linewarden status and the like at [service] listen. SIGHUP reloads CONFIG.

    It prints a summary and exits with 0, or with 1 if the config has mistakes or its port is taken. A
    judged run (--duration, --show-events) also exits with 1 if a loss was not restored, a line is not
    live, or the counters do not reconcile.
    """
    settings = settings_of(config)
    logs.set_up(log_format, log_level)
    _make_room(_lines(settings))
    with endings(*HANG_UP) as ending:
        code, sentences = _run(config, settings, seconds, tape, serve=not alone, ending=ending)
        if not log_queue.flush(
            LOG_WITHIN
        ):  # nothing reads stderr, and the end of `logging` would wait for it
            os._exit(code)
        shown = console()
        for sentence in sentences:
            shown.print(sentence, soft_wrap=not shown.is_terminal)
    raise typer.Exit(code)


def _start(settings: Settings) -> Runtime:
    from actors.runtime import Runtime

    # A service is started again by whoever watches it: what venues asked for is kept for the next one.
    return Runtime(settings, cooldown_file=usual_file(settings.runtime.name, os.environ))


def _run(
    config: Path, settings: Settings, seconds: float | None, taped: bool, *, serve: bool, ending: Ending
) -> tuple[int, Sequence[str]]:
    """Returns the exit code, and what is to be said at the end."""
    from actors.service import Service, ServiceError
    from actors.service.server import listen

    systemd = Systemd()
    begun = time.monotonic()
    until = math.inf if seconds is None else begun + seconds
    judged = taped or seconds is not None
    try:
        if serve:  # before a venue is connected: its one slot may be that of whoever holds the port
            listen(*settings.service.address).close()
        runtime = _start(settings)
    except ConfigError as error:
        return report(error), ()
    except ServiceError as error:
        return complain(str(error)), ()
    reload = Reloader(runtime, config, systemd, lambda new: _make_room(_lines(new)))
    service = Service(runtime, settings.service, reload=reload)
    try:
        if serve:
            service.start()
        tape = Tape(runtime.subscribe, settings) if taped else None
        status = _watch(runtime, ending, until, judged, tape, systemd, reload)
    except ServiceError as error:
        return complain(str(error)), ()
    except LinewardenError as error:  # the supervisor is gone: there is nothing left to watch
        log.critical("%s", error)
        return 1, ()
    finally:
        systemd.stopping()
        service.stop()
        if left := runtime.stop(STOP_WITHIN):
            log.warning("These did not end in time: %s.", ", ".join(left))
        logs.tell_folded(rest=True)
    if status is None:
        return 1, ["No status could be taken; the log says why."]
    wrong = troubles(status) if judged else []
    good = ["Every loss was restored."] if judged and not wrong else []
    return 1 if wrong else 0, (*summary(status, time.monotonic() - begun), *wrong, *good)


def _watch(
    runtime: Runtime,
    ending: Ending,
    until: float,
    judged: bool,
    tape: Tape | None,
    systemd: Systemd,
    reload: Reloader,
) -> Status | None:
    """Shows the status until the end, on a terminal; elsewhere the log and the tape say all there is.

    A line may be down just when the end comes, and an event on its way: a judged run waits a little.
    Returns the last status that could be taken.

    Raises:
        RuntimeStopped: there is nothing left to watch.
    """
    shown, table = console(), StatusTable()
    # Where stderr goes elsewhere, it is not the table's to draw.
    live = Live(console=shown, auto_refresh=False, redirect_stderr=sys.stderr.isatty())
    show = live if shown.is_terminal else None
    status = found = None
    with show or nullcontext():
        due, over_at = time.monotonic(), math.inf
        while True:
            now = time.monotonic()
            if ending.take_hang_up():
                reload(False)
            if ending.told or now >= until:
                over_at = min(over_at, now)
            if now >= min(due, over_at):
                found = _look(runtime)  # also where nothing is shown: it tells whether there is a runtime
                status, due = found or status, now + REFRESH
                logs.tell_folded()
                if found is not None:
                    systemd.tell(found, alive=runtime._tree.moves())
                if status is not None and show is not None:
                    parts = [table.render(status, now, shown.width)]
                    parts += [tape.render(shown.width, shown.height)] if tape is not None else []
                    show.update(Group(*parts), refresh=True)
                elif tape is not None:
                    for line in tape.lines(now):
                        print(line, flush=True)
            patience = (SETTLE_TOLD if ending.told else SETTLE) if judged else 0.0
            settled = found is not None and not troubles(found)
            if now >= over_at and (now >= over_at + patience or settled):
                return status
            time.sleep(SLICE)


def _look(runtime: Runtime) -> Status | None:
    """None: something failed. The lines go on, and so does the run.

    Raises:
        RuntimeStopped: the runtime has ended.
    """
    try:
        status = runtime.status()
    except Exception:
        log.exception("No status could be taken. The run goes on.")
        return None
    if status.state == "stopped":
        raise RuntimeStopped(runtime.end_reason or "stopped")
    return status


def _make_room(lines: int) -> None:
    """Raise the limit of open files where so many lines need more than there are."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    needed = DESCRIPTORS + DESCRIPTORS_A_LINE * lines
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    log.info("The limit of open files was %d; it is %d now, for %d lines.", soft, allowed, lines)
    if allowed < needed:
        log.warning("%d open files may not be enough for %d lines; raise ulimit -n.", allowed, lines)


def _lines(settings: Settings) -> int:
    return sum(len(placed(feed)) for feed in settings.feeds.values())
