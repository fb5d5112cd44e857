"""A forked child that outlives the service: it keeps neither the path nor the port of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from actors.service.unix_socket import UnixSocket

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
# Listens at a path and at a port, and forks a child that stays.
SERVICE = """
import os, sys
from pathlib import Path
from actors.service.listeners import listen
from actors.service.unix_socket import UnixSocket

own, port = UnixSocket(Path(sys.argv[1])), listen("127.0.0.1", 0)
number = port.getsockname()[1]
if os.fork():
    os.wait()
else:
    own.close()
    os.write(1, f"{number} {port.fileno()}\\n".encode())
    sys.stdin.read()
"""


def test_a_child_that_outlives_the_service_does_not_listen_in_its_place() -> None:
    with tempfile.TemporaryDirectory(prefix="lw-") as folder:
        path = Path(folder, "desk.sock")
        command = [sys.executable, "-c", SERVICE, str(path)]
        # The child ends with its standard input.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            port, descriptor = map(int, run.stdout.readline().split())
            assert descriptor == -1
            assert path.is_socket()  # what a child closes is its own copy, not the service's file
            socket.create_connection(("127.0.0.1", port), timeout=20.0).close()
            run.kill()
            run.wait()
            UnixSocket(path).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=20.0)
