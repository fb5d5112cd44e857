"""A program on somebody else's SDK in its own process, and what it told."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest


class Program:
    """A process that says a JSON object a line, each with the `stream` that it is of."""

    def __init__(self, python: Path, script: str, *arguments: str) -> None:
        """Starts a script of this directory."""
        self.told: dict[str, queue.Queue[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [python, "-I", Path(__file__).with_name(script), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
        )
        self._readers = [
            threading.Thread(target=each, daemon=True) for each in (self._read, self._read_errors)
        ]
        self._errors: list[str] = []
        for reader in self._readers:
            reader.start()

    def hear(self, stream: str) -> dict[str, Any]:
        try:
            return self._queue(stream).get(timeout=20)
        except queue.Empty:
            pytest.fail(f"nothing came on {stream!r}; the program said: {''.join(self._errors)}")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _queue(self, stream: str) -> queue.Queue[dict[str, Any]]:
        with self._lock:
            return self.told.setdefault(stream, queue.Queue())

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.startswith("{"):  # an SDK may print, too
                self._errors.append(line)
                continue
            told = json.loads(line)
            self._queue(told["stream"]).put(told)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(self._process.stderr)
