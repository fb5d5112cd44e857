"""`linewarden drain`: ends a running service for a deployment."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer
from msgspec import Struct

from actors.cli.service_client import CommandClient
from actors.cli.service_commands import Config, Url, asking
from actors.errors import ServiceDeclinedError, ServiceUnreachableError

USUAL = 10.0  # seconds
LOOK = 0.2  # seconds between two looks whether it has ended
GRACE = 10.0  # seconds beyond the timeout, for the end of its connections


def drain(
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=0.0,
            metavar="SECONDS",
            help="The longest time for tails to end.",
        ),
    ] = USUAL,
    url: Url = None,
    config: Config = None,
) -> None:
    """End a running service: for deployments.

    It is not ready from now on, and refuses new tails and books. Each tail gets what is queued for it and
    ends. Then, or when --timeout is over, the process ends with 0. The command returns when it has ended, and
    exits with 1 if it has not.
    """
    with asking(url, config) as service:
        body = service.post(f"/drain?timeout={timeout:g}")
        before = msgspec.json.decode(body, type=_Progress)
        deadline = time.monotonic() + timeout + GRACE
        while _is_there(service, before.pid):
            if time.monotonic() > deadline:
                raise ServiceDeclinedError(f"{service.name} still runs (process {before.pid}); see its log.")
            time.sleep(LOOK)
        typer.echo("The service has ended.")


class _Progress(Struct):
    pid: int


def _is_there(service: CommandClient, pid: int) -> bool:
    """Whether that process still answers: a service manager may have started the next one."""
    try:
        return msgspec.json.decode(service.get("/drain"), type=_Progress).pid == pid
    except ServiceUnreachableError:
        return False
    except ServiceDeclinedError:  # it stops just now, or is full
        return True
