"""`linewarden sim`: a simulated venue on localhost."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from actors.cli.arguments import known_name
from actors.cli.signals import SLICE, endings
from actors.errors import ConfigError


def sim(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The venue to simulate, such as o2.", show_default=False)
    ],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port on loopback; 0: any free one.")] = 0,
    rate: Annotated[float, typer.Option(min=0.0, help="Market steps per second.")] = 10.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same market.")] = 0,
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="FAULT", help='A fault such as "drop every=5"; may be repeated.'),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Print the faults of this simulator and exit.")
    ] = False,
) -> None:
    """Run a simulated venue on localhost.

    It prints its URL, which a feed's config takes as url. Ctrl-C or SIGTERM ends it with exit code 0.
    """
    from actors.simulators import SIMULATORS
    from actors.simulators.base.faults import described

    kind = SIMULATORS[known_name("NAME", name, SIMULATORS)]
    if list_faults:
        for spelling, effect in described(kind):
            print(f"{spelling}\n    {effect}")
        return
    try:
        simulator = kind(port, rate=rate, seed=seed, faults=faults or ())
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with endings() as ending:
        try:
            simulator.start()
        except OSError as error:
            print(f"port {port}: {error.strerror}", file=sys.stderr)
            raise typer.Exit(1) from None
        print(simulator.url, flush=True)
        try:
            while not ending.told:
                time.sleep(SLICE)
        finally:
            simulator.stop()
