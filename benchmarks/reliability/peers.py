"""Who is tried: each a program of `clients/`, in the virtualenv that it needs, with the venue it hears."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks import installs
from benchmarks.shapes import SHAPES, Shape


class Peer(Struct, frozen=True, kw_only=True):
    """Without a `package` it runs in our own virtualenv."""

    name: str
    client: str  # a module of clients/
    hears: str  # a shape
    package: str = ""
    has_handlers: bool = True

    def interpreter(self) -> Path:
        """Raises: NotHereError, RuntimeError: as `python_with` does."""
        return installs.python_with(self.package) if self.package else Path(sys.executable)

    def market(self) -> Shape[Any]:
        return SHAPES[self.hears](1)


def _linewarden(hears: str) -> Peer:
    return Peer(name="Linewarden", client="linewarden", hears=hears)


def _library(package: str, client: str, hears: str, has_handlers: bool = True) -> Peer:
    name = package.replace("==", " ")
    return Peer(name=name, client=client, hears=hears, package=package, has_handlers=has_handlers)


PEERS = (
    _linewarden("projectx"),
    _library(installs.SIGNALRCORE, "signalr_core", "projectx"),
    _library(installs.PYSIGNALR, "py_signalr", "projectx"),
    _linewarden("binance"),
    _library(installs.UBWA, "ubwa", "binance"),
    _linewarden("alpaca"),
    _library(installs.ALPACA_PY, "alpaca_py", "alpaca-msgpack"),
    _linewarden("o2"),
    _library(installs.O2_SDK, "o2_sdk", "o2", has_handlers=False),
)
