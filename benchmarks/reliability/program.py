"""A client of `clients/` in its own process, and what it said, with the time at which that was heard."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from msgspec import Struct

_ROOT = Path(__file__).parents[2]


class Said(Struct, frozen=True):
    """One line: see `clients/say.py`."""

    at: float  # monotonic seconds
    kind: str
    what: Any


class Program:
    """A context manager: the process is killed when it is left."""

    def __init__(
        self, python: Path, client: str, shape: str, address: Mapping[str, Any], raise_at: int
    ) -> None:
        self._command = [str(python), "-E", "-s", "-m", f"benchmarks.reliability.clients.{client}"]
        self._asked = json.dumps({"shape": shape, "address": dict(address), "raise_at": raise_at})
        self._said: list[Said] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
        )
        assert self._process.stdin is not None
        self._process.stdin.write(self._asked)
        self._process.stdin.close()
        self._reader.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def said(self) -> Sequence[Said]:
        with self._changed:
            return list(self._said)

    def wait_for(self, found: Callable[[Said], bool], timeout: float, since: int = 0) -> Said | None:
        """The first of what was said that is so, from the line `since` on; None: there was none in time."""
        deadline, looked = time.monotonic() + timeout, since
        with self._changed:
            while True:
                for said in self._said[looked:]:
                    if found(said):
                        return said
                looked = max(looked, len(self._said))
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return None

    def wait_heard(self, above: int, timeout: float) -> Said | None:
        """The first event with a number above this one."""
        return self.wait_for(lambda said: said.kind == "heard" and said.what > above, timeout)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                ((kind, what),) = json.loads(line).items()
            except (ValueError, AttributeError):  # a library may print, too
                kind, what = "printed", line.strip()
            with self._changed:
                self._said.append(Said(time.monotonic(), kind, what))
                self._changed.notify_all()
