"""The `linewarden` command."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from msgspec import NODEFAULT, structs
from rich.console import Group
from rich.live import Live
from rich.table import Table

from actors import log_queue
from actors.cli import logs, service_commands
from actors.cli.reload import Reloader
from actors.cli.run_view import StatusTable, console, plain_table, summary, troubles
from actors.cli.stream_view import Tape
from actors.cli.systemd import Systemd
from actors.errors import ConfigError, LinewardenError, RuntimeStopped
from actors.events import Topic
from actors.protocol.venue import Channel, Venue, VenueSettings
from actors.secret import Secret
from actors.settings import FeedSettings, Settings, described, expected, known_venues, load
from actors.status import Status
from actors.supervision.cooldown_file import usual_file
from actors.venues.declarative import DeclarativeVenue

if TYPE_CHECKING:
    from actors.runtime import Runtime

log = log_queue.logger("actors.cli")

REFRESH = 0.25  # seconds between two looks at the status
SETTLE = 5.0  # seconds that a run with a summary waits at its end for lines to come back...
SETTLE_TOLD = 1.5  # ...and if somebody waits for it to end
DESCRIPTORS, DESCRIPTORS_A_LINE = 128, 4  # open files: for the rest, and for a line
HANG_UP = [] if sys.platform == "win32" else [signal.SIGHUP]
SLICE = 0.05  # seconds between two looks at whether to end
STOP_WITHIN = 2.5  # seconds for all actors; the promise is 5 for the whole process, its service included
LOG_WITHIN = 0.5  # seconds for the last log records

app = typer.Typer(
    name="linewarden",
    help="Supervised real-time connections: keeps feeds alive, and says what it knows of them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # a plain traceback, without locals: they hold what a config holds
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(service_commands.app)

Config = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="A file such as config/desk.toml.", show_default=False)
]


def main() -> None:
    """The entry point of `linewarden` and of `python -m actors`."""
    app(prog_name="linewarden")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"linewarden {version('linewarden')}")
        raise typer.Exit


@app.callback()
def linewarden(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


# ── run ─────────────────────────────────────────────────────────────────────────────────────────


@app.command()
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
    settings = _settings(config)
    logs.set_up(log_format, log_level)
    _make_room(_lines(settings))
    with _endings(*HANG_UP) as ending:
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
        return _told(error), ()
    except ServiceError as error:
        return _complain(str(error)), ()
    reload = Reloader(runtime, config, systemd, lambda new: _make_room(_lines(new)))
    service = Service(runtime, settings.service, reload=reload)
    try:
        if serve:
            service.start()
        tape = Tape(runtime.subscribe, settings) if taped else None
        status = _watch(runtime, ending, until, judged, tape, systemd, reload)
    except ServiceError as error:
        return _complain(str(error)), ()
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


# ── check ───────────────────────────────────────────────────────────────────────────────────────


@app.command()
def check(
    config: Config,
    sample: Annotated[
        Path | None,
        typer.Option("--sample", metavar="FILE", help="Play these captured messages, one a line, to a feed."),
    ] = None,
    feed: Annotated[
        str, typer.Option("--feed", metavar="NAME", help="Which feed, if there are several.")
    ] = "",
) -> None:
    """Validate CONFIG without connecting. Exits with 0 or 1.

    CONFIG may also be a table that describes a venue. With --sample it shows how the messages of a file
    (it may be gzipped) would be routed, and ends with 1 if some would not.
    """
    described = _described(config)
    if described is not None:
        if sample is not None:
            raise typer.Exit(_play(described("sample", _stand_in(described)), (), sample))
        console().print(_channels(described), "")
        console().print(
            f"{config}: no mistakes; venue {described.name}, {_count(len(described.channels), 'channel')}."
        )
        return
    settings = _settings(config)
    if sample is not None:
        chosen = _chosen(settings, feed)
        wanted = [topic for topics in _placed(chosen).values() for topic in topics]
        raise typer.Exit(_play(chosen.build_venue(), wanted, sample))
    problems = [problem for feed in settings.feeds.values() for problem in _simulator_problems(feed)]
    if problems:
        raise typer.Exit(_told(ConfigError(problems)))
    table = plain_table("feed", "venue", "url", "lines", "topics")
    lines = topics = 0
    for each in settings.feeds.values():
        placed = _placed(each)
        wanted = [topic for line in placed.values() for topic in line]
        lines, topics = lines + len(placed), topics + len(wanted)
        url = dict(each.own.__rich_repr__())["url"] or "the venue's own"
        table.add_row(each.name, each.venue, str(url), ", ".join(placed), _shown(wanted))
    if settings.feeds:
        console().print(table)
    counts = [_count(len(settings.feeds), "feed"), _count(lines, "line"), _count(topics, "topic")]
    console().print(f"{config}: no mistakes; {', '.join(counts)}.")


def _described(config: Path) -> type[DeclarativeVenue] | None:
    """The venue, if this file is the table of one; its mistakes are told and end the command."""
    try:
        return described(config)
    except ConfigError as error:
        raise typer.Exit(_told(error)) from None


def _stand_in(kind: type[Venue]) -> VenueSettings:
    """Settings of a feed that is not there: what must be given is made up."""
    made_up: dict[str, Any] = {
        field.name: Secret("x") if field.type is Secret else next(iter(get_args(field.type)), "x")
        for field in structs.fields(kind.Settings)
        if field.required
    }
    return kind.Settings(**made_up)


def _chosen(settings: Settings, name: str) -> FeedSettings:
    if name:
        return settings.feeds[_known("--feed", name, settings.feeds)]
    if len(settings.feeds) != 1:
        known = ", ".join(settings.feeds) or "none"
        raise typer.BadParameter(
            f"say which feed the messages are of; there is {known}.", param_hint="--feed"
        )
    return next(iter(settings.feeds.values()))


def _play(venue: Venue, wanted: Iterable[Topic], file: Path) -> int:
    from actors.cli.replay import play, tables

    try:
        tally = play(venue, file, wanted)
    except (OSError, EOFError, zlib.error) as error:
        return _complain(f"{file}: it cannot be read ({getattr(error, 'strerror', '') or error}).")
    for part in tables(tally):
        console().print(part, soft_wrap=isinstance(part, str))
    return 0 if tally.understood else 1


def _simulator_problems(feed: FeedSettings) -> tuple[str, ...]:
    """What is wrong with a `sim://` URL. Its simulator is started for a moment, to nobody."""
    if not feed.own.url.startswith("sim://"):
        return ()
    from actors.simulators import embed

    try:
        embed(feed.own.url).stop()
    except ConfigError as error:
        return tuple(f"[feeds.{feed.name}] {problem}" for problem in error.problems)
    except OSError:  # the port is taken, perhaps by this very config at work
        return ()
    return ()


def _placed(feed: FeedSettings) -> dict[str, list[Topic]]:
    """The lines that this feed has at its start, each with its topics, as the registry places them."""
    venue = feed.build_venue()
    return venue.spread(
        venue.topic(wanted.channel, key, wanted.options)
        for wanted in feed.subscribe
        for key in wanted.keys or ("",)
    )


def _lines(settings: Settings) -> int:
    return sum(len(_placed(feed)) for feed in settings.feeds.values())


def _shown(topics: list[Topic]) -> str:
    counts: dict[str, int] = {}
    for topic in topics:
        counts[topic.channel] = counts.get(topic.channel, 0) + 1
    return ", ".join(f"{count} {channel}" for channel, count in counts.items())


# ── venues ──────────────────────────────────────────────────────────────────────────────────────


@app.command()
def venues(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Tell all about this one, or about a table such as tables/mine.toml.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the venues, or tell all about one.

    That is: its channels with their keys and options, its limits, its keys in a config.
    """
    known = known_venues()
    shown = console()
    if name is None:
        table = plain_table("venue", "about", "channels")
        for venue in known.values():
            table.add_row(venue.name, venue.about, ", ".join(venue.channels))
        shown.print(table)
        return
    path = Path(name)
    table_of = _described(path) if path.suffix == ".toml" else None
    kind = table_of or known[_known("NAME", name, known)]
    shown.print(f"{kind.name}: {kind.about}\n")
    if issubclass(kind, DeclarativeVenue):
        shown.print(f"url: {kind.table.url.source}\n", soft_wrap=True)
    shown.print(_channels(kind), "")
    settings = plain_table("key in [feeds.NAME]", "expected", "default")
    for field in structs.fields(kind.Settings):
        settings.add_row(field.encode_name, expected(field.type), _default(field))
    shown.print(settings, "")
    for heading, rows in (("limit", kind.limits), ("environment variable", kind.variables)):
        if rows:
            table = plain_table(heading, "")
            for key, value in rows.items():
                table.add_row(key, value)
            shown.print(table, "")


def _channels(kind: type[Venue]) -> Table:
    table = plain_table("channel", "about", "key", "options", "notes")
    for channel in kind.channels.values():
        options = "\n".join(f"{name}: {what}" for name, what in channel.options.items())
        table.add_row(channel.name, channel.about, channel.key, options, ", ".join(_notes(channel)))
    return table


def _notes(channel: Channel) -> Iterator[str]:
    if channel.deltas:
        yield "deltas, resyncable" if channel.resyncable else "deltas"
    if channel.account:
        yield "account"
    if not channel.acknowledged:
        yield "not acknowledged"
    if channel.unique:
        yield "unique"


def _default(field: structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    return "" if value is None else str(value)


# ── sim ─────────────────────────────────────────────────────────────────────────────────────────


@app.command()
def sim(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Whose other end, such as o2.", show_default=False)
    ],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="On loopback; 0: any free one.")] = 0,
    rate: Annotated[float, typer.Option(min=0.0, help="Market steps a second.")] = 10.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same market.")] = 0,
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="FAULT", help='Such as "drop every=5"; may be given several times.'),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Print the faults of this simulator, and exit.")
    ] = False,
) -> None:
    """Run a simulated venue on localhost.

    Ctrl-C or SIGTERM ends it, with exit 0. The first line on stdout is the URL for a feed's config.
    """
    from actors.simulators import SIMULATORS
    from actors.simulators.base.faults import described

    kind = SIMULATORS[_known("NAME", name, SIMULATORS)]
    if list_faults:
        for spelling, effect in described(kind):
            print(f"{spelling}\n    {effect}")
        return
    try:
        simulator = kind(port, rate=rate, seed=seed, faults=faults or ())
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with _endings() as ending:
        try:
            simulator.start()
        except OSError as error:
            print(f"port {port}: {error.strerror}", file=sys.stderr)
            raise typer.Exit(1) from None
        print(simulator.url, flush=True)
        try:
            while not ending.told:
                time.sleep(SLICE)
        finally:
            simulator.stop()


# ── small things ────────────────────────────────────────────────────────────────────────────────


class Ending:
    """Whether the process was told to end, or to reload.

    Plain flags: a lock in a signal's handler may hang.
    """

    def __init__(self) -> None:
        self.told = False
        self._hung_up = False
        self._terminals = [number for number in (0, 1, 2) if os.isatty(number)]

    def hear(self, number: int, _: FrameType | None) -> None:
        if number in HANG_UP:
            self._hung_up = True
        else:
            self.told = True
            signal.signal(number, signal.SIG_DFL)

    def take_hang_up(self) -> bool:
        """Whether SIGHUP has come since. Where it means that the terminal is gone, it ends the process."""
        hung_up, self._hung_up = self._hung_up, False
        if hung_up and any(map(_is_gone, self._terminals)):
            for number in HANG_UP:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
        return hung_up


def _is_gone(terminal: int) -> bool:
    try:
        os.get_terminal_size(terminal)
    except OSError:
        return True
    return False


@contextmanager
def _endings(*others: signal.Signals) -> Iterator[Ending]:
    """Ctrl-C and SIGTERM ask for the end; asked a second time, the process ends there and then."""
    ending = Ending()
    wanted = (signal.SIGINT, signal.SIGTERM, *others)
    before = {number: signal.signal(number, ending.hear) for number in wanted}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settings(config: Path) -> Settings:
    """The config, with its warnings told; its mistakes are told and end the command."""
    try:
        settings = load(config)
    except ConfigError as error:
        raise typer.Exit(_told(error)) from None
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return settings


def _told(error: ConfigError) -> int:
    return _complain(*error.problems)


def _complain(*sentences: str) -> int:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1


def _known(parameter: str, name: str, known: Mapping[str, Any]) -> str:
    if name in known:
        return name
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(sorted(known))}."
    raise typer.BadParameter(f"{name!r} is not known; {hint}", param_hint=parameter)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
