"""The commands that ask a running service: status, tail, journal, restart and others.

Each exits with 3 if no service answers, and with 1 if the service declines.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec import Raw, Struct
from rich.console import Group, RenderableType
from rich.text import Text

from actors.cli import journal_view, kept_view, status_view
from actors.cli.arguments import complain, report
from actors.cli.formatting import console, screen_width
from actors.cli.service_client import CommandClient, find_service, in_path, read_status
from actors.display.escaping import printable, printable_json
from actors.display.status_rows import BY_TROUBLE, REDACTED, SORTS
from actors.errors import ConfigError, ServiceDeclinedError, ServiceUnreachableError
from actors.protocol.formatting import suggestion
from actors.rules.journal import JournalEntry
from actors.status import Status

PROMPT = 1  # row of the terminal, below what a command has printed
LOOK = 1.0  # seconds between two looks of --watch
COMPLETE = 0.5  # seconds that a shell's Tab may take


def _targets(context: typer.Context, incomplete: str) -> list[str]:
    """The feeds and lines of the service, for a shell's completion."""
    with suppress(Exception):
        url, config = context.params.get("url"), context.params.get("config")
        status = find_service(url, Path(config) if config else None, timeout=COMPLETE).status()
        names = dict.fromkeys((*status.feeds, *status.lines()))
        return [name for name in names if name.startswith(incomplete)]
    return []


def _nearest(context: typer.Context, url: str | None) -> str | None:
    """Drops the URL of LINEWARDEN_URL if the command line names a config, and no URL."""
    given = {name: getattr(context.get_parameter_source(name), "name", "") for name in ("url", "config")}
    return None if given == {"url": "ENVIRONMENT", "config": "COMMANDLINE"} else url


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="LINEWARDEN_URL",
        callback=_nearest,
        metavar="URL",
        help="The address of the service: unix:/path, https://… or http://…",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        envvar="LINEWARDEN_CONFIG",
        metavar="CONFIG",
        help="The config of the service; [service] has its address.",
    ),
]
Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="The name of a feed or of a line.", autocompletion=_targets)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")]


# ── looking ─────────────────────────────────────────────────────────────────────────────────────


def _known_sort(column: str) -> str:
    if column not in SORTS:
        raise typer.BadParameter(f"there is no column {column!r}{suggestion(column, SORTS)}")
    return column


def status(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET", help="The name of a feed or of a line; all by default.", autocompletion=_targets
        ),
    ] = None,
    url: Url = None,
    config: Config = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")] = False,
    down: Annotated[
        bool, typer.Option("--down", help="List only lines that are not live, or degraded.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="List topics that are not fresh; exit with 1 if there are any."),
    ] = False,
    sort: Annotated[
        str,
        typer.Option(
            "--sort", metavar="COLUMN", callback=_known_sort, help=f"Sort lines by: {', '.join(SORTS)}."
        ),
    ] = BY_TROUBLE,
    every: Annotated[bool, typer.Option("--all", help="Show all rows, also those below the screen.")] = False,
) -> None:
    """Show the lines of a running service, those in trouble first.

    On a terminal, what has no room is counted. Exits with 0 if all lines are live, with --fresh if all topics
    are fresh, too; with 1 if some are not, with 3 if no service answers.
    """
    with asking(url, config) as service:
        body = service.get("/status")
        liveness = msgspec.json.decode(body, type=_Liveness)
        liveness.check(target)
        if watch:
            if as_json:
                _watch_json(service)
            else:
                _watch(service, target, down=down, fresh=fresh, sort=sort)
            return
        if as_json:
            _write((body if target is None else _part(body, target)).decode())
        else:
            view = status_view.StatusView(fresh=fresh, target=target, down=down, sort=sort)
            _print_status(read_status(body, service.name), view, whole=every)
        is_well = liveness.is_live(target) and (not fresh or liveness.is_fresh(target))
        raise typer.Exit(0 if is_well else 1)


class _TopicName(Struct):
    topic: str


class _LineLiveness(Struct):
    state: str
    degraded: str = ""
    topics: tuple[_TopicName, ...] = ()


class _FeedLiveness(Struct):
    live: bool
    lines: dict[str, _LineLiveness] = {}


class _Liveness(Struct):
    """All that the exit code needs of a status: the service may be of another version."""

    feeds: dict[str, _FeedLiveness]
    untrusted: dict[str, Raw] = {}

    def check(self, target: str | None) -> None:
        """Raises `typer.BadParameter` if there is no such feed or line."""
        lines = [name for feed in self.feeds.values() for name in feed.lines]
        names = dict.fromkeys((*self.feeds, *lines))
        if target is not None and target not in names:
            near = suggestion(target, names)
            text = f"there is no feed or line {target!r}{near} There are: {', '.join(names) or 'none'}."
            raise typer.BadParameter(text, param_hint="TARGET")

    def is_live(self, target: str | None) -> bool:
        """Whether every line is, or those of this feed, or this one."""
        if target in self.feeds:
            return self.feeds[target].live
        return all(
            line.state == "live" and not line.degraded
            for feed in self.feeds.values()
            for name, line in feed.lines.items()
            if target in {None, name}
        )

    def is_fresh(self, target: str | None) -> bool:
        """Whether every topic is, or those of this feed, or of this line."""
        if target is None:
            return not self.untrusted
        if target in self.feeds:
            return not any(topic.partition("/")[0] == target for topic in self.untrusted)
        lines = (line for feed in self.feeds.values() for name, line in feed.lines.items() if name == target)
        return not any(topic.topic in self.untrusted for line in lines for topic in line.topics)


def _part(body: bytes, target: str) -> bytes:
    """The status with this feed alone, or this line."""
    whole = msgspec.json.decode(body, type=dict[str, Raw])
    feeds = msgspec.json.decode(whole["feeds"], type=dict[str, dict[str, Raw]])
    if target in feeds:
        kept = {target: feeds[target]}
    else:
        kept = {}
        for name, feed in feeds.items():
            lines = msgspec.json.decode(feed["lines"], type=dict[str, Raw])
            if target in lines:
                kept[name] = {**feed, "lines": Raw(msgspec.json.encode({target: lines[target]}))}
    return msgspec.json.encode({**whole, "feeds": kept})


def _print_status(status: Status, view: status_view.StatusView, *, whole: bool) -> None:
    """In a pipe, each row is whole."""
    shown = console()
    is_screen = shown.is_terminal
    width = shown.width if is_screen else None
    height = shown.height - PROMPT if is_screen and not whole else None
    shown.print(view.render(status, time.monotonic(), time.time(), width, height), soft_wrap=True)


def _watch(service: CommandClient, target: str | None, *, down: bool, fresh: bool, sort: str) -> None:
    from actors.cli.watch.listing import Wanted
    from actors.cli.watch.start import watch

    watch(service, Wanted(target=target, down=down, sort=sort), fresh=fresh)


def _watch_json(service: CommandClient) -> None:
    _write(service.get("/status").decode())
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(LOOK)
            with suppress(ServiceUnreachableError):
                _write(service.get("/status").decode())


def tail(
    feed: Annotated[
        str, typer.Argument(metavar="FEED", help="A feed of the service's config.", autocompletion=_targets)
    ],
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="See: linewarden venues NAME.")],
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY", help="Such as symbols.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="NAME=VALUE", help="An option of the channel, policy= or capacity=."
        ),
    ] = None,
    markers: Annotated[
        bool, typer.Option("--markers", help="Also print gaps and changes of the line.")
    ] = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Print the events of a feed as they arrive.

    One JSON object per line, until Ctrl-C. The service opens a stream for this command. It drops its
    oldest events when the command is too slow.
    """
    pairs = [_option(text) for text in options or ()]
    with (
        suppress(KeyboardInterrupt),
        asking(url, config) as service,
        closing(service.tail(feed, channel, keys or (), pairs, markers=markers)) as frames,
    ):
        for frame in frames:
            try:
                _write(frame)
            except BrokenPipeError:  # the reader has ended
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not of the form name=value", param_hint="--option")
    return name, value


def journal(
    line: Annotated[
        str | None,
        typer.Argument(
            metavar="LINE", help="The name of a line or of a feed; all by default.", autocompletion=_targets
        ),
    ] = None,
    url: Url = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show how connections ended and were restored.

    The last twenty endings of each line: when, why, and how long each step took until data arrived again; and
    the last twenty states that its venue told, such as a halt. Below them, how long each subscription was
    without trusted data.
    """
    with asking(url, config) as service:
        every = msgspec.json.decode(service.get("/journal"), type=dict[str, tuple[JournalEntry, ...]])
        if line is not None:
            wanted = {name for name in every if name == line or name.startswith(f"{line}/")}
            if not wanted:
                service.get(f"/journal/{in_path(line)}")  # the service answers with the nearest name
            every = {name: entries for name, entries in every.items() if name in wanted}
        if as_json:
            _write(msgspec.json.encode(every).decode())
        else:
            lines = {name: line for name, line in service.status().lines().items() if name in every}
            console().print(
                Group(journal_view.journal(every, console().width), journal_view.blind_times(lines))
            )


def quarantine(url: Url = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show messages that could not be decoded."""
    with asking(url, config) as service:
        status = service.status()
        kept = status.quarantine
        _show_kept(status, kept, kept_view.quarantine(kept, screen_width()), as_json=as_json)


def dead_letters(url: Url = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show undelivered actor messages.

    Occasional ones are harmless.
    """
    with asking(url, config) as service:
        status = service.status()
        kept = status.dead_letters
        _show_kept(status, kept, kept_view.dead_letters(kept, screen_width()), as_json=as_json)


def _show_kept(status: Status, kept: object, picture: RenderableType, *, as_json: bool) -> None:
    """With a sentence, where the caller may not see all."""
    parts = [picture, Text(REDACTED, "yellow")] if status.redacted else [picture]
    show(kept, Group(*parts), as_json=as_json)


# ── acting ──────────────────────────────────────────────────────────────────────────────────────


def restart(target: Target, url: Url = None, config: Config = None) -> None:
    """Close the connection of a feed or a line and open a new one.

    The counters of its failures start at zero, and a pause ends. The command returns when the service has
    accepted it; linewarden status shows the result.
    """
    _command("restart", target, url, config)


def pause(target: Target, url: Url = None, config: Config = None) -> None:
    """Disconnect a feed or a line until it is resumed.

    Its subscriptions are kept.
    """
    _command("pause", target, url, config)


def resume(target: Target, url: Url = None, config: Config = None) -> None:
    """Connect a paused feed or line."""
    _command("resume", target, url, config)


def _command(name: str, target: str, url: str | None, config: Path | None) -> None:
    if not target:
        raise typer.BadParameter("expected the name of a feed or a line", param_hint="TARGET")
    with asking(url, config) as service:
        answer = msgspec.json.decode(service.post(f"/{name}/{in_path(target)}"), type=_Accepted)
        typer.echo(printable(f"{name} {target}: {answer.answer}"))


class _Accepted(Struct):
    answer: str


def reload(
    plan: Annotated[bool, typer.Option("--plan", help="Print the changes; make none.")] = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Make the service read its config again.

    Unchanged feeds keep their connections. A config with mistakes changes nothing: they are printed, and the
    exit code is 1.
    """
    with asking(url, config) as service:
        body = service.post(f"/reload{'?plan=1' if plan else ''}")
        answer = msgspec.json.decode(body, type=_ReloadAnswer)
        complain(*answer.problems)
        if answer.answer:
            typer.echo(printable(answer.answer))
            return
        for change in answer.changes:
            typer.echo(printable(f"planned: {change}" if plan else change))
        if answer.problems:
            raise ServiceDeclinedError("Nothing has changed.")
        if not answer.changes:
            typer.echo("No changes.")


class _ReloadAnswer(Struct):
    changes: tuple[str, ...]
    problems: tuple[str, ...]
    answer: str = ""  # instead of changes, where another reload is running


# ── small things ────────────────────────────────────────────────────────────────────────────────


@contextmanager
def asking(url: str | None, config: Path | None) -> Iterator[CommandClient]:
    """The service of these options. Its errors are printed as sentences and become exit codes."""
    try:
        try:
            service = find_service(url, config)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--url or LINEWARDEN_URL") from None
        yield service
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        text = f"{service.name} answers in the format of another version of Linewarden."
        raise typer.Exit(complain(text, code=3)) from None
    except ServiceUnreachableError as error:
        raise typer.Exit(complain(str(error), code=3)) from None
    except ConfigError as error:
        raise typer.Exit(report(error)) from None
    except ServiceDeclinedError as error:
        raise typer.Exit(complain(str(error))) from None


def show(value: object, picture: RenderableType, *, as_json: bool) -> None:
    if as_json:
        _write(msgspec.json.encode(value).decode())
    else:
        console().print(picture)


def _write(text: str) -> None:
    """Print this JSON as one line, without characters that control a terminal."""
    sys.stdout.buffer.write(printable_json(text).encode() + b"\n")
    sys.stdout.buffer.flush()
