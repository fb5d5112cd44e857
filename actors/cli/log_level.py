"""`linewarden log-level`: shows or changes what a running service logs."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import msgspec
import typer
from msgspec import Struct

from actors.cli.service_client import in_path
from actors.cli.service_commands import Config, Url, asking


def log_level(
    level: Annotated[
        str | None,
        typer.Argument(metavar="LEVEL", help="debug, info, warning, error; or reset: as at the start."),
    ] = None,
    logger: Annotated[
        str | None,
        typer.Option("--logger", metavar="NAME", help="Of this logger alone, such as actors.connection."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--for", min=0.0, metavar="SECONDS", help="As before after this time, at most a day."),
    ] = None,
    url: Url = None,
    config: Config = None,
) -> None:
    """Show or change the log level of a running service.

    A change ends after --for, with the next one, or when the service is restarted. Without LEVEL, the command
    prints the levels.
    """
    if level is None and (logger is not None or seconds is not None):
        raise typer.BadParameter("--logger and --for need a level", param_hint="LEVEL")
    with asking(url, config) as service:
        if level is None:
            body = service.get("/log-level")
        else:
            given = {"logger": logger, "for": None if seconds is None else f"{seconds:g}"}
            query = urlencode({name: value for name, value in given.items() if value is not None})
            body = service.post(f"/log-level/{in_path(level)}{'?' if query else ''}{query}")
        for name, its in msgspec.json.decode(body, type=_Levels).levels.items():
            typer.echo(f"{name}: {its}")


class _Levels(Struct):
    levels: dict[str, str]
