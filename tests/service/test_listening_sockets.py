"""A forked child that outlives the service: it keeps neither the path nor the port of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from actors.service.unix_socket import UnixSocket

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
# Listens at a path and at a port, forks a child that stays, and is killed.
SERVICE = """
import os, signal, sys
from pathlib import Path
from actors.service.listeners import listen
from actors.service.unix_socket import UnixSocket

own, port = UnixSocket(Path(sys.argv[1])), listen("127.0.0.1", 0)
if not os.fork():
    own.close()
    print(os.getpid(), port.fileno(), flush=True)
    signal.pause()
print(port.getsockname()[1], flush=True)
os.wait()
"""


def test_a_child_that_outlives_the_service_does_not_listen_in_its_place() -> None:
    with tempfile.TemporaryDirectory(prefix="lw-") as folder:
        path = Path(folder, "desk.sock")
        with subprocess.Popen(
            [sys.executable, "-c", SERVICE, path], stdout=subprocess.PIPE, text=True
        ) as run:
            assert run.stdout is not None
            told = sorted((run.stdout.readline().split(), run.stdout.readline().split()), key=len)
            (port,), (child, descriptor) = told
            try:
                assert descriptor == "-1"
                assert path.is_socket()  # what a child closes is its own copy, not the service's file
                with socket.create_connection(("127.0.0.1", int(port)), timeout=20.0):
                    pass
                run.kill()
                run.wait()
                UnixSocket(path).close()
                with socket.socket() as again:
                    again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    again.bind(("127.0.0.1", int(port)))
                    again.listen()
            finally:
                os.kill(int(child), signal.SIGKILL)
