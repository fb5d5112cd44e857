"""Sockets that listen end with their process: a forked child closes its copies.

Else a child that outlives the service would keep its path and its port, and let clients wait forever.
"""

from __future__ import annotations

import os
import socket
from weakref import WeakSet

_OPEN: WeakSet[socket.socket] = WeakSet()


def closed_in_children(sock: socket.socket) -> socket.socket:
    """Returns the same; forked children close theirs."""
    _OPEN.add(sock)
    return sock


def _forked() -> None:
    for sock in list(_OPEN):
        sock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
