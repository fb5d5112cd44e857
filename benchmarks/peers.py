"""Who is measured: each a program of `clients/`, in the virtualenv that it needs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks.installs import MSGSPEC, PICOWS, python_with

FAST = 300_000  # messages of a full blast, so that a run takes some seconds


class Peer(Struct, frozen=True, kw_only=True):
    """`hears`: the shapes that it can read. Without `packages` it runs in our own virtualenv."""

    name: str
    client: str  # a module of benchmarks.clients
    hears: tuple[str, ...]
    packages: tuple[str, ...] = ()
    version: str = ""  # of Python; empty: ours
    options: Mapping[str, Any] = {}
    messages: int = FAST

    def python(self) -> Path:
        """Raises: NotHereError, RuntimeError: as `python_with` does."""
        if not self.packages:
            return Path(sys.executable)
        return python_with(*self.packages, **({"version": self.version} if self.version else {}))


EVERY = ("o2",)

PEERS = (
    Peer(
        name="linewarden",
        client="linewarden",
        hears=EVERY,
        options={"policy": "block", "capacity": 100_000},
    ),
    Peer(
        name="linewarden, get_many",
        client="linewarden",
        hears=EVERY,
        options={"policy": "block", "capacity": 100_000, "read": "get_many"},
    ),
    Peer(name="linewarden, drop_oldest", client="linewarden", hears=EVERY),
    Peer(name="websockets", client="raw_websockets", hears=EVERY),
    Peer(name="picows", client="raw_picows", hears=EVERY, packages=(PICOWS, MSGSPEC)),
)
