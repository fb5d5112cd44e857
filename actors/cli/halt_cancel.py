"""`linewarden halt --cancel`: halts, and takes back what can open a position, in this process.

It logs in by itself and needs no service, so it works where the service hangs. The halt stands in the file
before the first cancel leaves, for every process of the folder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import typer

from actors.cli.arguments import complain, report, user_name
from actors.display.escaping import printable
from actors.errors import ConfigError, LinewardenError
from actors.settings import Settings, load
from actors.trading.halt_handle import HaltHandle
from actors.trading.halt_sweep import HaltReport
from actors.trading.processes import living
from actors.trading.without_lines import halts_without_lines

LOOK = 0.1  # seconds between two looks whether there is something to print


def halt_and_cancel(config: Path, target: str, reason: str, *, every: bool) -> int | None:
    """Returns the exit code: 0 if the halt is written and two looks show nothing that can open a position.

    None: the config has mistakes, so there is no way to the venue; nothing is halted yet.
    """
    try:
        settings = load(config)
    except ConfigError as error:
        report(error)
        complain("Nothing can be cancelled with this config. It is halted all the same, if that is possible:")
        return None
    logging.getLogger("actors").addHandler(logging.NullHandler())  # all of it is printed here
    try:
        with halts_without_lines(settings) as halts:
            handle = halts.halt(target, reason=reason, cancel=True, every=every, by=user_name())
            _tell_halt(handle, settings, config)
            _tell_cancels(handle)
            return _judgement(handle.get())
    except LinewardenError as error:
        return complain(printable(str(error)))


def _tell_halt(handle: HaltHandle, settings: Settings, config: Path) -> None:
    halt = handle.halt
    if halt.is_written:
        typer.echo(printable(f"{halt}. To end it: linewarden unhalt {halt.id} -c {config}"))
    else:
        text = "it could not be written, and no other process is halted. Stop the programs that trade"
        complain(printable(f"{halt}: {text}."))
    with suppress(OSError):
        for process in living(Path(settings.trading.dir)):
            if process.pid != os.getpid():
                typer.echo(f"trading: process {process.pid or 'of unknown number'}")


def _tell_cancels(handle: HaltHandle) -> None:
    """Each one when it is known."""
    told = 0
    while not handle.done or told < len(handle.cancels):
        cancels = handle.cancels
        for each in cancels[told:]:
            typer.echo(printable(str(each)))
        told = len(cancels)
        handle.get(LOOK)


def _judgement(told: HaltReport) -> int:
    _each("stays: ", told.kept)
    if told.is_clear:
        typer.echo("Two looks at the venue show no order that can open a position.")
    else:
        complain(*(printable(f"left: {each}") for each in told.left))
        complain("It is not certain that no order is left that can open a position: look at the venue.")
    return 0 if told.is_clear and told.halt.is_written else 1


def _each(begin: str, sentences: Sequence[str]) -> None:
    for sentence in sentences:
        typer.echo(printable(f"{begin}{sentence}"))
