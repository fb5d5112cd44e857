"""Arguments that several commands share, and the messages about mistakes in them."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.display.escaping import printable, printable_rows
from actors.errors import ConfigError
from actors.settings.config_path import find_config

if TYPE_CHECKING:
    from actors.settings import Settings
    from actors.venues.declarative import DeclarativeVenue

CONFIG_MISTAKE = 78  # EX_CONFIG of sysexits.h: with this exit code, systemd does not start it again

Config = Annotated[
    Path | None,
    typer.Argument(
        metavar="CONFIG",
        help="A file such as config/desk.toml; without it: LINEWARDEN_CONFIG, else linewarden.toml here, of "
        "the user or of the machine.",
    ),
]


def config_of(config: Path | None) -> Path:
    """The config that is given, else the one that is found; its path is printed. None: the command ends."""
    if config is not None:
        return config
    try:
        found = find_config(os.environ)
    except ConfigError as error:
        raise typer.Exit(report(error)) from None
    print(f"config: {found.path} ({found.because})", file=sys.stderr)
    return found.path


def described_venue(config: Path) -> type[DeclarativeVenue] | None:
    """The venue, if this file is a venue's table. Mistakes in it are printed and end the command."""
    from actors.settings import described

    try:
        return described(config)
    except ConfigError as error:
        raise typer.Exit(report(error)) from None


def settings_of(config: Path) -> Settings:
    """The settings. Warnings are printed; mistakes are printed and end the command."""
    from actors.settings import load  # commands that ask a service read no config

    try:
        settings = load(config)
    except ConfigError as error:
        raise typer.Exit(report(error)) from None
    for warning in settings.warnings:
        print(printable(f"warning: {warning}"), file=sys.stderr)
    return settings


def report(error: ConfigError) -> int:
    """As `complain`, of mistakes in a config."""
    return complain(*error.problems, code=CONFIG_MISTAKE)


def complain(*sentences: str, code: int = 1) -> int:
    """Print them to stderr; returns the exit code. They may quote a venue or a service."""
    for sentence in sentences:
        print(printable_rows(sentence), file=sys.stderr)
    return code


def user_name() -> str:
    """Who runs the command; in a container the user may have a number alone."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def one_of(parameter: str, values: Sequence[str], help: str) -> Any:
    """An option that takes one of these values; a mistake is answered with the nearest one, or with all."""
    return typer.Option(
        parameter,
        help=help,
        metavar=f"<{'|'.join(values)}>",
        parser=lambda text: known_name(parameter, text, values),
        autocompletion=lambda incomplete: [value for value in values if value.startswith(incomplete)],
    )


def known_name(parameter: str, name: str, known: Collection[str]) -> str:
    if name in known:
        return name
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}."
    raise typer.BadParameter(f"{name!r} is unknown; {hint}", param_hint=parameter)
