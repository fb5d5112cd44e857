"""`linewarden version`: what is installed."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

import typer


def version() -> None:
    """Show the versions of Linewarden and of Python."""
    typer.echo(f"linewarden {version_of('linewarden')}")
    typer.echo(f"python {platform.python_version()} ({platform.system()} {platform.machine()})")
