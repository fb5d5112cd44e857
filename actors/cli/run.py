"""`linewarden run`: the feeds of a config, until it is told to end."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from msgspec import Struct, field

from actors import log_queue
from actors.cli import logs
from actors.cli.arguments import Config, complain, config_of, one_of, report, settings_of
from actors.cli.check import placed
from actors.cli.formatting import console
from actors.cli.reload import Reloader
from actors.cli.run_view import Screen, summary, troubles
from actors.cli.signals import HANG_UP, SLICE, Ending, endings
from actors.cli.stream_view import StreamView
from actors.cli.systemd import Systemd
from actors.errors import ConfigError, LinewardenError, RuntimeStopped
from actors.protocol.formatting import counted
from actors.settings import Settings
from actors.settings.schema import LogFormat, LogLevel
from actors.status import Status
from actors.supervision.cooldown_file import usual_file

if TYPE_CHECKING:
    from actors.runtime import Runtime

log = log_queue.logger("actors.cli.run")


TURN = 0.25  # seconds between two looks whether all is well, and between two at the status at the end
SETTLE = 5.0  # seconds that a judged run waits at its end for lines to come back...
SETTLE_TOLD = 1.5  # ...and if it was told to end
DESCRIPTORS, DESCRIPTORS_A_LINE = 128, 4  # open files: for the rest, and for a line
STOP_WITHIN = 2.5  # seconds for all actors; the promise is 5 for the whole process, its service included
LOG_WITHIN = 0.5  # seconds for the last log records


def run(
    config: Config = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--duration", min=0.0, metavar="SECONDS", help="End after this time, and judge the run."
        ),
    ] = None,
    show_events: Annotated[
        bool,
        typer.Option("--show-events", help="Show the events that CONFIG subscribes to, and judge the run."),
    ] = False,
    no_service: Annotated[
        bool,
        typer.Option(
            "--no-service", help="Open no socket and no port: linewarden status cannot ask this run."
        ),
    ] = False,
    log_format: Annotated[
        LogFormat | None,
        one_of("--log-format", get_args(LogFormat), "The format of log lines; by default as in [log]."),
    ] = None,
    log_level: Annotated[
        LogLevel | None,
        one_of("--log-level", get_args(LogLevel), "The lowest level that is logged; by default as in [log]."),
    ] = None,
) -> None:
    """Run the feeds of CONFIG until Ctrl-C or SIGTERM.

    On a terminal it shows a table with one row per line; elsewhere it writes its log to stderr. It answers
    linewarden status and the other commands at the address in [service]. SIGHUP reloads CONFIG.

    At the end it prints a summary. It exits with 0, with 78 if CONFIG has mistakes, or with 1 if the port is
    taken. A judged run also exits with 1 if a loss was not restored, a line is not live or decodes nothing
    at the end, or the counters do not reconcile.
    """
    config = config_of(config)
    settings = settings_of(config)
    logs.set_up(log_format or settings.log.format, log_level or settings.log.level)
    _raise_file_limit(_lines(settings))
    with endings(*HANG_UP) as ending:
        run = _Run(
            config=config,
            settings=settings,
            ending=ending,
            seconds=math.inf if seconds is None else seconds,
            judged=show_events or seconds is not None,
            show_events=show_events,
            serve=not no_service,
        )
        code, sentences = run.until_the_end()
        is_held = run.screen is not None and run.screen.is_held()
        if is_held or not log_queue.flush(LOG_WITHIN):  # nothing reads stdout or stderr: an exit would wait
            os._exit(code)
        _print(sentences)
    raise typer.Exit(code)


def _print(sentences: Sequence[str]) -> None:
    shown = console()
    try:
        for sentence in sentences:
            shown.print(sentence, soft_wrap=not shown.is_terminal)
        sys.stdout.flush()
    except OSError:  # the reader of a pipe has ended, or the terminal has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still in the buffer goes there


class _Run(Struct):
    """One run of a config, from its start to its summary."""

    config: Path
    settings: Settings
    ending: Ending
    seconds: float  # after which it ends
    judged: bool
    show_events: bool
    serve: bool
    systemd: Systemd = field(default_factory=Systemd)
    began: float = field(default_factory=time.monotonic)
    screen: Screen | None = None

    def until_the_end(self) -> tuple[int, Sequence[str]]:
        """Returns the exit code, and the sentences to end with."""
        from actors.service import ServiceError
        from actors.service.listeners import Place

        try:
            if self.serve:  # before a venue is connected, whose slot another run may hold
                Place.of(self.settings.service, self.settings.runtime.name, os.environ).test()
            runtime = _start(self.settings)
        except ConfigError as error:
            return report(error), ()
        except ServiceError as error:
            return complain(str(error)), ()
        try:
            status = self._serve_and_watch(runtime)
        except ServiceError as error:
            return complain(str(error)), ()
        except LinewardenError as error:  # the supervisor is gone: there is nothing left to watch
            log.critical("runtime.stopped", "%s", error)
            return 1, ()
        finally:
            if left := runtime.stop(STOP_WITHIN):
                log.warning("runtime.left_behind", "These actors did not end in time: %s.", ", ".join(left))
            logs.tell_folded(rest=True)
        if status is None:
            return 1, ["No status could be read; see the log."]
        return self._judgement(status)

    def _serve_and_watch(self, runtime: Runtime) -> Status | None:
        from actors.service import Service

        reload = Reloader(runtime, self.config, self.systemd, lambda new: _raise_file_limit(_lines(new)))
        service = Service(runtime, self.settings.service, reload=reload, end=self.ending.end)
        try:
            if self.serve:
                service.start()
            else:
                self._warn_of_switches()
            streams = StreamView(runtime.subscribe, self.settings) if self.show_events else None
            with Screen(runtime.status, streams) as self.screen:
                return self._watch(runtime, reload)
        finally:
            self.systemd.stopping()
            service.stop()

    def _warn_of_switches(self) -> None:
        for name in (name for name, feed in self.settings.feeds.items() if feed.is_watched):
            log.warning(
                "switch.off",
                "%s: its dead man's switch is off: without a service no program can beat",
                name,
                feed=name,
            )

    def _watch(self, runtime: Runtime, reload: Reloader) -> Status | None:
        """Returns the last status that could be read; none is built before the end, but by what shows one.

        A line may be down at the moment of the end, and an event on its way: a judged run waits a little.

        Raises:
            RuntimeStopped: there is nothing left to watch.
        """
        status: Status | None = None
        due, over_at = time.monotonic(), math.inf
        while True:
            now = time.monotonic()
            if self.ending.take_hang_up():
                reload(False)
            if over_at == math.inf and (self.ending.told or now >= self.began + self.seconds):
                over_at = due = now
            if now >= due:
                due = now + TURN
                self._tend(runtime)
                if now >= over_at:
                    found = _look(runtime)
                    status = found or status
                    is_settled = found is not None and not (self.judged and troubles(found))
                    if is_settled or now >= over_at + self._patience():
                        return status
            time.sleep(SLICE)

    def _tend(self, runtime: Runtime) -> None:
        """Raises: RuntimeStopped: the runtime has ended."""
        if runtime.end_reason is not None:
            raise RuntimeStopped(runtime.end_reason)
        logs.tell_folded()
        self.systemd.tell(runtime._status.glance, alive=runtime._tree.moves())

    def _patience(self) -> float:
        patience = SETTLE_TOLD if self.ending.told else SETTLE
        return patience if self.judged else 0.0

    def _judgement(self, status: Status) -> tuple[int, Sequence[str]]:
        wrong = troubles(status) if self.judged else []
        good = ["Every loss was restored."] if self.judged and not wrong else []
        try:
            told = [*summary(status, time.monotonic() - self.began)]
        except Exception:
            log.exception("view.failed", "The summary could not be made.")
            told = []
        return 1 if wrong else 0, (*told, *wrong, *good)


def _start(settings: Settings) -> Runtime:
    from actors.runtime import Runtime

    # The process may be started again by its service manager: the next one keeps the cool-downs of this one.
    return Runtime(settings, cooldown_file=usual_file(settings.runtime.name, os.environ))


def _look(runtime: Runtime) -> Status | None:
    """None: something failed. The lines go on, and so does the run.

    Raises:
        RuntimeStopped: the runtime has ended.
    """
    try:
        status = runtime.status()
    except Exception:
        log.exception("service.status_failed", "No status could be read. The run goes on.")
        return None
    if status.state == "stopped":
        raise RuntimeStopped(runtime.end_reason or "stopped")
    return status


def _raise_file_limit(lines: int) -> None:
    """Raise the limit of open files if this number of lines needs more."""
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
    shown = counted(lines, "line")
    log.info(
        "service.file_limit", "The limit of open files was raised from %d to %d for %s.", soft, allowed, shown
    )
    if allowed < needed:
        log.warning(
            "service.file_limit_low",
            "%d open files may not be enough for %s; raise ulimit -n.",
            allowed,
            shown,
        )


def _lines(settings: Settings) -> int:
    return sum(len(placed(feed)) for feed in settings.feeds.values())
