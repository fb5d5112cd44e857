"""The commands that ask a running service: status, tail, restart, journal and their like.

Each exits with 3 where no service answers, with 1 where it says no.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec import Struct
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from actors.cli import status_view
from actors.cli.run_view import console
from actors.cli.service_client import DeclinedError, Remote, UnreachableError, found, in_path, read_status
from actors.errors import ConfigError
from actors.rules.journal import LineExit
from actors.status import Status

LOOK = 1.0  # seconds between two looks of --watch
COMPLETE = 0.5  # seconds that a shell's Tab may take

app = typer.Typer()

_UNSAFE = re.compile(r"[\x7f-\x9f\u2028\u2029]")  # what JSON leaves as it is and a terminal may obey


def _targets(incomplete: str) -> list[str]:
    """The feeds and lines of a service at the usual place, for a shell's completion."""
    with suppress(Exception):
        status = found(os.environ.get("LINEWARDEN_URL"), None, timeout=COMPLETE).status()
        names = dict.fromkeys((*status.feeds, *status.lines()))
        return [name for name in names if name.startswith(incomplete)]
    return []


Url = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="LINEWARDEN_URL", metavar="URL", help="Where the service is.", show_default=False
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", metavar="CONFIG", help="The service's config: it says where.", show_default=False
    ),
]
Target = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="A feed or a line.", autocompletion=_targets, show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="All of it, for programs.")]


# ── looking ─────────────────────────────────────────────────────────────────────────────────────


@app.command()
def status(
    url: Url = None,
    config: Config = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second until Ctrl-C.")] = False,
) -> None:
    """Show every line of a running service.

    Exits with 0 if all are live, with 1 if some are not, with 3 if no service answers.
    """
    with _asking(url, config) as remote:
        if watch:
            _watch(remote, as_json)
            return
        body = remote.get("/status")
        told = read_status(body, remote.url) if not as_json else None
        if told is not None:
            _show(status_view.Board().render(told, time.monotonic(), time.time(), _width()))
            live = all(feed.live for feed in told.feeds.values())
        else:
            _write(body.decode())
            live = all(feed.live for feed in msgspec.json.decode(body, type=_Liveness).feeds.values())
        raise typer.Exit(0 if live else 1)


class _FeedLiveness(Struct):
    live: bool


class _Liveness(Struct):
    """What --json has to understand of what it prints: a service of another version may speak."""

    feeds: dict[str, _FeedLiveness]


def _watch(remote: Remote, as_json: bool) -> None:
    """Whoever watches wants to see the service come back: only the first look has to succeed."""
    shown, picture = console(), status_view.Board(moving=True)
    live = Live(console=shown, auto_refresh=False) if shown.is_terminal and not as_json else None
    told: Status | None = None
    with suppress(KeyboardInterrupt), live or nullcontext():
        while True:
            try:
                body = remote.get("/status")
                if as_json:
                    _write(body.decode())
                else:
                    told = read_status(body, remote.url)
                    part = picture.render(told, time.monotonic(), time.time(), _width())
            except UnreachableError as error:
                if told is None:
                    raise
                part = Text(str(error), "yellow")
            if live is not None:
                live.update(part, refresh=True)
            elif not as_json:
                shown.print(part, "")
            time.sleep(LOOK)


@app.command()
def tail(
    feed: Annotated[str, typer.Argument(metavar="FEED", autocompletion=_targets, show_default=False)],
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", show_default=False)],
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", show_default=False)] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="The channel's own; or policy=, capacity=."),
    ] = None,
    markers: Annotated[bool, typer.Option("--markers", help="Also what happened in between.")] = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Show a feed's events as they come.

    A JSON object a line, until Ctrl-C. It has a stream of its own in the service,
    which drops its oldest events where this is too slow.
    """
    pairs = [_option(text) for text in options or ()]
    with (
        suppress(KeyboardInterrupt),
        _asking(url, config) as remote,
        closing(remote.tail(feed, channel, keys or (), pairs, markers=markers)) as frames,
    ):
        for frame in frames:
            try:
                _write(frame)
            except BrokenPipeError:  # whoever read this has had enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not of the form name=value", param_hint="--option")
    return name, value


@app.command()
def journal(
    line: Annotated[
        str | None,
        typer.Argument(metavar="[LINE]", help="Or a feed.", autocompletion=_targets, show_default=False),
    ] = None,
    url: Url = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show how each line ended and came back.

    Its last twenty endings: when, why, and where the time went until data flowed again. Below them, how
    long each subscription was without data that could be trusted.
    """
    with _asking(url, config) as remote:
        every = msgspec.json.decode(remote.get("/journal"), type=dict[str, tuple[LineExit, ...]])
        if line is not None:
            wanted = {name for name in every if name == line or name.startswith(f"{line}/")}
            if not wanted:
                remote.get(f"/journal/{in_path(line)}")  # the service knows what to say
            every = {name: endings for name, endings in every.items() if name in wanted}
        if as_json:
            _write(msgspec.json.encode(every).decode())
        else:
            lines = {name: told for name, told in remote.status().lines().items() if name in every}
            _show(Group(status_view.journal(every, _width()), status_view.blind_times(lines)))


@app.command()
def quarantine(url: Url = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show what venues sent and nobody could read."""
    with _asking(url, config) as remote:
        told = remote.status().quarantine
        _write(msgspec.json.encode(told).decode()) if as_json else _show(status_view.quarantine(told))


@app.command()
def dead_letters(url: Url = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show the newest dead letters.

    Those are messages from actor to actor that reached nobody. One now and then means nothing.
    """
    with _asking(url, config) as remote:
        told = remote.status().dead_letters
        if as_json:
            _write(msgspec.json.encode(told).decode())
        else:
            _show(status_view.dead_letters(told.newest, told.count))


# ── acting ──────────────────────────────────────────────────────────────────────────────────────


@app.command()
def restart(target: Target, url: Url = None, config: Config = None) -> None:
    """Connect a feed or a line anew.

    Its failures, attempts and a pause are forgotten. It is accepted at once; status tells what came of it.
    """
    _command("restart", target, url, config)


@app.command()
def pause(target: Target, url: Url = None, config: Config = None) -> None:
    """Disconnect a feed or a line until it is resumed.

    What is wanted of it stays wanted.
    """
    _command("pause", target, url, config)


@app.command()
def resume(target: Target, url: Url = None, config: Config = None) -> None:
    """Undo a pause."""
    _command("resume", target, url, config)


def _command(name: str, target: str, url: str | None, config: Path | None) -> None:
    if not target:
        raise typer.BadParameter("it is empty", param_hint="TARGET")
    with _asking(url, config) as remote:
        answer = msgspec.json.decode(remote.post(f"/{name}/{in_path(target)}"), type=_Accepted)
        typer.echo(f"{name} {target}: {answer.answer}")


class _Accepted(Struct):
    answer: str


@app.command()
def reload(
    plan: Annotated[bool, typer.Option("--plan", help="Say what would change, and change nothing.")] = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """Have the service read its config again.

    Feeds that did not change keep their connections. A config with mistakes changes nothing; they are
    told, and the exit code is 1.
    """
    with _asking(url, config) as remote:
        body = remote.post(f"/reload{'?plan=1' if plan else ''}")
        told = msgspec.json.decode(body, type=_Reloaded)
        for problem in told.problems:
            typer.echo(problem, err=True)
        for change in told.changes:
            typer.echo(f"would be: {change}" if plan else change)
        if told.problems:
            raise DeclinedError("Nothing has changed.")
        if not told.changes:
            typer.echo("The config says what it said before.")


class _Reloaded(Struct):
    changes: tuple[str, ...]
    problems: tuple[str, ...]


# ── small things ────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _asking(url: str | None, config: Path | None) -> Iterator[Remote]:
    """The service that is meant; whatever goes wrong with it is told in a sentence, and is an exit code."""
    try:
        try:
            remote = found(url, config)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--url or LINEWARDEN_URL") from None
        yield remote
    except msgspec.MsgspecError:
        typer.echo(f"what {remote.url} answers is not in the words of this version of Linewarden.", err=True)
        raise typer.Exit(3) from None
    except UnreachableError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    except (DeclinedError, ConfigError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _show(picture: RenderableType) -> None:
    console().print(picture)


def _width() -> int:
    return console().width


def _write(text: str) -> None:
    """JSON, a line, at once; the same JSON, but harmless to a terminal."""
    text = _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    sys.stdout.buffer.write(text.encode() + b"\n")
    sys.stdout.buffer.flush()
