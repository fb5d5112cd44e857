"""The `linewarden` command."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from actors.cli import check, run, service_commands, simulate, venues

app = typer.Typer(
    name="linewarden",
    help="Run and monitor supervised real-time feeds.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # a plain traceback, without locals: they hold what a config holds
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (run.run, check.check, venues.venues):
    app.command()(command)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(simulate.sim)
app.add_typer(service_commands.app)


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
