"""How many received bytes of a socket wait in the kernel."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import fcntl
    import termios


def kernel_bytes(fd: int) -> int | None:
    """Under TLS they are encrypted. None: the system does not tell."""
    if sys.platform == "win32":
        return None
    try:
        told = fcntl.ioctl(fd, termios.FIONREAD, bytes(4))
    except (OSError, ValueError):  # the socket was closed
        return None
    return int.from_bytes(told, sys.byteorder)
