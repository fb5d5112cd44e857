"""`linewarden sim`: a simulated venue on localhost."""

from __future__ import annotations

import shlex
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.arguments import known_name
from actors.cli.signals import SLICE, endings
from actors.errors import ConfigError
from actors.lazy import imported

if TYPE_CHECKING:
    from actors.simulators import Simulator


def sim(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The venue to simulate, such as o2; or a simulator of yours, as module:Class.",
        ),
    ],
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="The port on loopback; 0: any free one.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.0, help="Market steps per second.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed makes the same market.")] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="FAULT", help='A fault such as "drop every=5"; may be repeated.'),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Print the faults of this simulator and exit.")
    ] = False,
    list_settings: Annotated[
        bool, typer.Option("--list-settings", help="Print the settings of this simulator and exit.")
    ] = False,
) -> None:
    """Run a simulated venue on localhost.

    It prints its URL, which a feed's config takes as url. Ctrl-C or SIGTERM ends it with exit code 0.

    Each further setting of the simulator is an option as well.
    """
    from actors.simulators import made
    from actors.simulators.base.faults import table_of
    from actors.simulators.base.parameters import parameters_of

    kind = _kind(name)
    if list_faults:
        for row in table_of(kind):
            print(f"{row}\n    {row.meaning}")
            for each in row.parameters:
                print(f"        {each.name}: {each.described}")
        return
    if list_settings:
        for each in parameters_of(kind.Settings):
            if each.kind:
                option = each.name.replace("_", "-")
                print(f"--{option} {shlex.quote(each.default or '')}\n    {each.described}")
        return
    try:
        given = {"port": port, "rate": rate, "seed": seed}.items()
        texts = [*((key, str(value)) for key, value in given if value is not None), *_settings(context.args)]
        simulator = made(f"simulator {name!r}", kind, faults or (), texts)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None
    with endings() as ending:
        try:
            simulator.start()
        except OSError as error:
            print(f"{error.strerror}.", file=sys.stderr)
            raise typer.Exit(1) from None
        print(simulator.url, flush=True)
        try:
            while not ending.told:
                time.sleep(SLICE)
        finally:
            simulator.stop()


def _kind(name: str) -> type[Simulator]:
    """A simulator that is built in, or the one at `module:Class`."""
    from actors.simulators import SIMULATORS, Simulator

    if ":" not in name:
        return SIMULATORS[known_name("NAME", name, SIMULATORS)]
    try:
        kind = imported(name)
    except (ImportError, AttributeError, ValueError) as error:
        text = f"{name!r} cannot be imported ({type(error).__name__}: {error})"
        if isinstance(error, ImportError):
            text += "; install it, or put its directory into PYTHONPATH"
        raise typer.BadParameter(text, param_hint="NAME") from None
    if not (isinstance(kind, type) and issubclass(kind, Simulator)):
        raise typer.BadParameter(f"{name!r} is no subclass of actors.simulators.Simulator", param_hint="NAME")
    return kind


def _settings(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The settings out of `--name value`, `--name=value` and, for true, `--name`."""
    left = deque(words)
    while left:
        word = left.popleft()
        if not word.startswith("--"):
            raise typer.BadParameter(f"{word!r} is no option")
        name, equals, value = word.removeprefix("--").partition("=")
        if not equals:
            value = "true" if not left or left[0].startswith("--") else left.popleft()
        yield name.replace("-", "_"), value
