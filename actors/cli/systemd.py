"""Notifies systemd: ready, reloading, stopping, alive, and a status text.

The protocol is sd_notify(3): datagrams of NAME=value rows to the socket in NOTIFY_SOCKET. Without that
variable nothing happens.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from actors import log_queue
from actors.display.escaping import printable
from actors.display.status_words import how_many_live
from actors.display.text import cut
from actors.status import LineGlance

log = log_queue.logger("actors.cli.systemd")

NAMED = 3  # lines that are not live, by name in the status text
LONGEST = 160  # characters about one of them
PAUSE = 1.0  # seconds between two status texts: systemd sends each one to D-Bus
PATIENCE = 1.0  # seconds for systemd to read a message; a failed one is sent again later


class Systemd:
    """Called from the loop of `run`; it has no thread of its own.

    WATCHDOG=1 is sent by a loop that runs, while the supervisor is alive. So where one of them hangs, none is
    sent, and systemd restarts the process.
    `clock` is monotonic seconds, CLOCK_MONOTONIC's.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._clock = clock
        self._beat = _half_the_watchdog(environ)  # seconds
        self._beat_at = clock() if self._beat < math.inf else math.inf
        self._ready = False
        self._sentence, self._said_at = "", -math.inf
        self._failed = False

    def tell(self, glance: Callable[[], Mapping[str, LineGlance]], *, alive: bool = True) -> None:
        """Sends what is new or due. `glance` gives the lines; `alive`: the supervisor makes progress."""
        if self._address is None:
            return
        now, said = self._clock(), self._sentence
        if now >= self._said_at + PAUSE:
            said = sentence(glance())
        speaks = said != self._sentence
        beats = alive and now >= self._beat_at
        words = ["READY=1"] * (not self._ready) + [f"STATUS={said}"] * speaks + ["WATCHDOG=1"] * beats
        if not words or not self._send(*words):
            return
        self._ready = True
        if speaks:
            self._sentence, self._said_at = said, now
        if beats:
            self._beat_at = now + self._beat

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Around a reload, however it ends."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(self._clock() * 1e6)}", "STATUS=reloading")
        self._sentence, self._said_at = "", -math.inf
        try:
            yield
        finally:
            self._ready = self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=stopping")

    def _send(self, *words: str) -> bool:
        """Whether systemd has it. A failure is logged once: the feeds do not depend on it."""
        if self._address is None:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(PATIENCE)
                sock.sendto("\n".join(words).encode(errors="replace"), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("service.systemd_lost", "cannot notify systemd of %s: %s", words[0], error)
            self._failed = True
            return False
        if self._failed:
            log.info("service.systemd_restored", "systemd is notified again")
        self._failed = False
        return True


def sentence(lines: Mapping[str, LineGlance]) -> str:
    """`3 of 4 lines live; alpaca: backoff (no pong for 5 s)`. It changes when a state does, not with time."""
    down = {name: line for name, line in lines.items() if line.state != "live"}
    parts = [how_many_live(lines)]
    for name, line in list(down.items())[:NAMED]:
        why = f" ({line.reason.text})" if line.reason is not None and line.state != "paused" else ""
        parts.append(cut(f"{name}: {line.state}{why}", LONGEST))
    if len(down) > NAMED:
        parts.append(f"and {len(down) - NAMED} more")
    return printable("; ".join(parts))  # a line break in a venue's words would begin a message


def _address(name: str) -> str | None:
    """A path, or after an @ a name in Linux's abstract namespace."""
    if not hasattr(socket, "AF_UNIX") or len(name) < 2 or name[0] not in "/@":
        return None
    return f"\0{name[1:]}" if name[0] == "@" else name


def _half_the_watchdog(environ: Mapping[str, str]) -> float:
    """Seconds; infinite: systemd does not watch, or watches another process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return math.inf
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return math.inf
    return microseconds / 2e6 if microseconds > 0 else math.inf
