"""The `linewarden` command."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from actors.cli import check, cooldowns, orders, run, service_commands, simulate, venues

app = typer.Typer(
    name="linewarden",
    help="Run and monitor supervised real-time feeds.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # a plain traceback, without locals: they hold what a config holds
    context_settings={"help_option_names": ["-h", "--help"]},
)

commands = (
    run.run,
    check.check,
    venues.venues,
    cooldowns.cooldowns,
    orders.orders,
    orders.halt,
    orders.unhalt,
)
for command in commands:
    app.command()(command)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(simulate.sim)
app.add_typer(service_commands.app)


def main(command_begins: Callable[[], object] | None = None) -> None:
    """Runs the command line of this process. `command_begins` is called when the arguments are understood."""
    app(prog_name="linewarden", obj=command_begins)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"linewarden {version('linewarden')}")
        raise typer.Exit


@app.callback()
def linewarden(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.obj is not None:
        context.obj()
