"""Cool-downs that venues have asked for, kept in a file, so that they outlive the process."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from actors import log_queue

log = log_queue.logger("actors.supervision.cooldown_file")


def usual_file(name: str, environ: Mapping[str, str]) -> Path:
    """Where a service of this name keeps them: what systemd gave it, or the user's own place (XDG)."""
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]  # systemd.exec(5): several, with colons
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "/", ".local", "state")
    return Path(given or Path(environ.get("XDG_STATE_HOME") or home, "linewarden"), f"cooldowns-{name}.json")


class Cooldown(Struct, frozen=True):
    """A cool-down of an account."""

    until_ns: int  # wall-clock nanoseconds
    why: str  # for people
    line: str = ""  # that was refused
    is_asked: bool = False  # the venue named the time; else it is `slow_initial`


class Cooldowns:
    """The file of one runtime; None: nothing is kept. Read once; written on a thread of its own.

    Accounts stand in it as the venue's name, its host and a digest: no secret can be had from it.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._turn = threading.Lock()  # held while the file is written
        self._newest: Mapping[str, Cooldown] = {}
        self._is_unwritable = False  # by the log

    def load(self, now_ns: int) -> dict[str, Cooldown]:
        """Those that are not over, by account. A file that cannot be read is as good as none."""
        if self._path is None:
            return {}
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Cooldown])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning(
                "cooldown.unreadable",
                "%s: cannot be read (%s); earlier cool-downs are lost",
                self._path,
                error,
            )
            return {}
        return {account: each for account, each in kept.items() if now_ns < each.until_ns}

    def save(self, cooldowns: Mapping[str, Cooldown]) -> None:
        """Keep these. Returns at once: no disk is waited for."""
        if self._path is None:
            return
        self._newest = cooldowns
        try:
            threading.Thread(target=self._write, name="cooldowns", daemon=True).start()
        except RuntimeError as error:  # out of threads
            self._complain(error)

    def write(self, cooldowns: Mapping[str, Cooldown]) -> None:
        """Keep these, on this thread. Raises OSError."""
        if self._path is not None:
            beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(msgspec.json.encode(cooldowns))
            beside.replace(self._path)

    def _write(self) -> None:
        with self._turn:
            try:
                self.write(self._newest)
            except OSError as error:
                self._complain(error)
            else:
                if self._is_unwritable:
                    log.info("cooldown.writable", "%s: can be written again", self._path)
                self._is_unwritable = False

    def _complain(self, error: Exception) -> None:
        """Once, until it can be written again."""
        if not self._is_unwritable:
            text = "%s: cannot be written (%s); cool-downs will not survive a restart of this process"
            log.warning("cooldown.unwritable", text, self._path, error)
        self._is_unwritable = True
