"""The `linewarden` command.

The module of a command is imported when it is used: `linewarden status` needs no runtime and no venue.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, MutableMapping
from importlib import metadata
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from actors.lazy import imported

# In the order of --help: where the function of each is, in this package.
COMMANDS = {
    "run": "run:run",
    "check": "check:check",
    "venues": "venues:venues",
    "cooldowns": "cooldowns:cooldowns",
    "orders": "orders:orders",
    "halt": "orders:halt",
    "unhalt": "orders:unhalt",
    "sim": "simulate:sim",
    "status": "service_commands:status",
    "tail": "service_commands:tail",
    "journal": "service_commands:journal",
    "quarantine": "service_commands:quarantine",
    "dead-letters": "service_commands:dead_letters",
    "restart": "service_commands:restart",
    "pause": "service_commands:pause",
    "resume": "service_commands:resume",
    "reload": "service_commands:reload",
    "drain": "drain:drain",
    "log-level": "log_level:log_level",
    "version": "version:version",
}
# A simulator's own settings are options, too.
CONTEXT_SETTINGS = {"sim": {"allow_extra_args": True, "ignore_unknown_options": True}}


class Commands(MutableMapping[str, Any]):
    """The commands by name. Each is made from its function when it is asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            command = typer.Typer(add_completion=False, rich_markup_mode=None)
            function = imported(f"{__name__}.{COMMANDS[name]}")
            command.command(name, context_settings=CONTEXT_SETTINGS.get(name))(function)
            self._made[name] = typer.main.get_command(command)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class CommandGroup(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS]


app = typer.Typer(
    cls=CommandGroup,
    name="linewarden",
    help="Run and monitor supervised real-time feeds.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # a plain traceback, without locals: they hold what a config holds
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(command_begins: Callable[[], object] | None = None) -> None:
    """Runs the command line of this process. `command_begins` is called when the arguments are understood."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A character that its encoding lacks is shown as an escape, as on stderr.
        sys.stdout.reconfigure(errors="backslashreplace")
    app(prog_name="linewarden", obj=command_begins)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"linewarden {metadata.version('linewarden')}")
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
