"""Who is measured: each a program of `clients/`, in the virtualenv that it needs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks import installs
from benchmarks.shapes import SHAPES

ROOT = Path(__file__).parents[1]
FAST, SLOW = 200_000, 40_000  # messages of a full blast, so that a run takes a second or some
PROJECTX = ("projectx", "projectx-quotes")
EVERY = ("o2", "o2-tls", "o2-depth", "alpaca", "binance", "tplus", *PROJECTX)
# Where there is an SDK to compare with: latency is measured there, too.
COMPARED = ("o2", "alpaca", "alpaca-msgpack", "binance", "tplus", "projectx")
LINEWARDEN, WEBSOCKETS = "linewarden", "websockets"
LOSSLESS = {"policy": "block", "capacity": 100_000}


class Peer(Struct, frozen=True, kw_only=True):
    """`hears`: the shapes that it can read. Without `packages` it runs in our own virtualenv."""

    name: str
    client: str  # a module of benchmarks.clients
    hears: tuple[str, ...]
    echo: str = ""  # a module of benchmarks.clients: its round trips
    packages: tuple[str, ...] = ()
    python: str = installs.HERE  # version
    options: Mapping[str, Any] = {}
    messages: int = FAST
    paced: bool = True  # its latency is measured, too
    is_raw: bool = False  # a library and a decode, and nothing else: the fastest one is the ceiling
    root: Path = ROOT  # of the tree that its program is in

    def interpreter(self) -> Path:
        """Raises: NotHereError, RuntimeError: as `python_with` does."""
        if not self.packages:
            return Path(sys.executable)
        return installs.python_with(*self.packages, version=self.python)


def _variant(name: str, hears: tuple[str, ...], paced: bool = False, **options: Any) -> Peer:
    """Linewarden with options of `clients/linewarden.py`; it loses nothing."""
    options = {**LOSSLESS, **options}
    return Peer(name=f"{LINEWARDEN}.{name}", client="linewarden", hears=hears, options=options, paced=paced)


def _sdk(name: str, client: str, hears: tuple[str, ...], package: str, python: str = installs.HERE) -> Peer:
    return Peer(name=name, client=client, hears=hears, packages=(package,), python=python, messages=SLOW)


def _raw(name: str, library: str, *packages: str, **more: Any) -> Peer:
    """The programs `raw_LIBRARY` and `echo_LIBRARY`, with msgspec for the decode."""
    if packages:
        packages = (*packages, installs.MSGSPEC)
    client, echo = f"raw_{library}", f"echo_{library}"
    return Peer(name=name, client=client, echo=echo, hears=EVERY, packages=packages, is_raw=True, **more)


PEERS = (
    Peer(name=LINEWARDEN, client="linewarden", hears=tuple(SHAPES), echo="echo_linewarden", options=LOSSLESS),
    _variant("get_many", ("o2", "alpaca"), read="get_many"),
    _variant("inline", COMPARED, paced=True, inline=True),
    _variant("book", ("o2-depth",), book=True),
    Peer(name="linewarden.drop_oldest", client="linewarden", hears=EVERY, paced=False),
    _sdk("o2-sdk", "o2_sdk", ("o2", "o2-tls"), installs.O2_SDK),
    _sdk("alpaca-py", "alpaca_py", ("alpaca-msgpack",), installs.ALPACA_PY),
    _sdk("tpluspy", "tpluspy", ("tplus",), installs.TPLUSPY),
    _sdk("project-x-py", "project_x_py", PROJECTX, installs.PROJECT_X_PY, "3.12"),
    _sdk("signalrcore", "signalr_core", PROJECTX, installs.SIGNALRCORE),
    _sdk("unicorn-binance", "ubwa", ("binance",), installs.UBWA),
    _sdk("cryptofeed", "crypto_feed", ("binance",), installs.CRYPTOFEED, "3.13"),
    _raw(WEBSOCKETS, "websockets"),
    _raw("picows", "picows", installs.PICOWS),
    # The virtualenv is named after the first package.
    _raw("picows.uvloop", "picows", installs.UVLOOP, installs.PICOWS, options={"loop": "uvloop"}),
    _raw("websocket-rs", "websocket_rs", installs.WEBSOCKET_RS, python="3.12"),
    _raw("websocket-rs.async", "websocket_rs_async", installs.WEBSOCKET_RS, python="3.12"),
    _raw("ws4py", "ws4py", installs.WS4PY, messages=SLOW),
)
