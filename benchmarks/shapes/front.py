"""TLS in front of a simulator: what a client says is decrypted, what it is sent is encrypted."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import threading
from asyncio import StreamReader, StreamWriter
from pathlib import Path
from typing import Any

import trustme

PIECE = 1 << 18  # bytes that are handed on at once


class Front:
    """Listens on a port of its own, for `localhost`, and hands on to the port `behind`."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._relays: set[Any] = set()  # tasks
        self._directory = tempfile.TemporaryDirectory()
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority = trustme.CA()
        authority.issue_cert("localhost").configure_cert(self._context)
        self.ca_file = str(Path(self._directory.name, "ca.pem"))
        authority.cert_pem.write_to_path(self.ca_file)
        self._listening = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        self._listening.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._directory.cleanup()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._relay, "127.0.0.1", ssl=self._context, limit=PIECE)
        self.port: int = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._over.wait()
        server.close()
        if self._relays:  # whoever is behind has gone, so they end
            await asyncio.wait(self._relays, timeout=1.0)

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._relays.add(asyncio.current_task())
        behind = await asyncio.open_connection("127.0.0.1", self._behind, limit=PIECE)
        await asyncio.gather(_pass_on(reader, behind[1]), _pass_on(behind[0], writer))


async def _pass_on(reader: StreamReader, writer: StreamWriter) -> None:
    with contextlib.suppress(OSError):  # either may be gone
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
    writer.close()
