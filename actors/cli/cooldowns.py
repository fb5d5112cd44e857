"""`linewarden cooldowns`: the pauses that venues asked for, of a running service or in its file."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec import Struct

from actors.cli import kept_view
from actors.cli.arguments import complain, known_name
from actors.cli.configured_service import read_settings
from actors.cli.service_client import CommandClient, in_path
from actors.cli.service_commands import AsJson, Config, Url, asking, show
from actors.display.escaping import printable
from actors.errors import ServiceUnreachableError
from actors.settings import Settings
from actors.status import CooldownStatus
from actors.supervision.cooldown_file import Cooldowns, usual_file
from actors.supervision.snapshot import cooldowns_of


def cooldowns(
    action: Annotated[
        str, typer.Argument(metavar="clear", help="End them. By default they are listed.")
    ] = "",
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="An account as listed, or a feed; all by default.")
    ] = "",
    url: Url = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the cool-downs of accounts, or end them.

    When one ends, the lines of its account connect at once. A venue may lock an account that does not observe
    the pause that it asked for. Without a running service the command uses the file in which `linewarden run`
    keeps them; with --url it asks a service only.
    """
    if action:
        known_name("clear", action, ("clear",))
    with asking(url, config) as service:
        if action:
            _clear(service, account, url, config)
        else:
            _list(service, url, config, as_json=as_json)


def _list(service: CommandClient, url: str | None, config: Path | None, *, as_json: bool) -> None:
    try:
        known: Sequence[CooldownStatus] = service.status().cooldowns
    except ServiceUnreachableError as error:
        now_ns = time.time_ns()
        known = cooldowns_of(_file(error, url, config).load(now_ns), now_ns)
    show(known, kept_view.cooldowns(known), as_json=as_json)


def _clear(service: CommandClient, account: str, url: str | None, config: Path | None) -> None:
    path = f"/cooldowns/clear/{in_path(account)}" if account else "/cooldowns/clear"
    try:
        cleared: Sequence[str] = msgspec.json.decode(service.post(path), type=_Cleared).cleared
    except ServiceUnreachableError as error:
        cleared = _clear_in(_file(error, url, config), account)
    for each in cleared:
        typer.echo(f"cleared: {printable(each)}")
    if not cleared:
        typer.echo("There is no cool-down.")


class _Cleared(Struct):
    cleared: tuple[str, ...]


def _file(error: ServiceUnreachableError, url: str | None, config: Path | None) -> Cooldowns:
    """The file of the service of this config; where `url` names a service, its absence stays an error.

    A service that listens and cannot be asked has the file in use.

    Raises:
        ConfigError: [runtime] of the config has mistakes.
        ServiceUnreachableError: `error`.
    """
    if url or not error.is_absent:
        raise error
    runtime = (read_settings(config, "runtime") if config is not None else Settings(feeds={})).runtime
    path = Path(runtime.cooldown_file) if runtime.cooldown_file else usual_file(runtime.name, os.environ)
    complain(f"no service answers; {path} is used.")
    return Cooldowns(path)


def _clear_in(file: Cooldowns, account: str) -> Sequence[str]:
    known = file.load(time.time_ns())
    if account and account not in known:
        there = f"There are: {', '.join(known)}." if known else "There is none."
        raise typer.Exit(complain(printable(f"there is no cool-down of {account!r}. {there}")))
    cleared = [account] if account else list(known)
    try:
        file.write({name: each for name, each in known.items() if name not in cleared})
    except OSError as error:
        raise typer.Exit(complain(f"the file cannot be written: {error.strerror}")) from None
    return cleared
