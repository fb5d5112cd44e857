"""How many requests a login has sent: sliding windows, shared by all its processes on this host.

The record is one small file, under `flock`. Its times are those of the boot-time clock, which all processes
of a host share. A window is kept `MARGIN` longer than the venue's: requests may arrive closer together than
they left.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
import zlib
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from actors import log_queue
from actors.protocol.limits import FrameLimit
from actors.protocol.rest import Lane
from actors.rules.account.budget import share_of
from actors.supervision.forks import Home
from actors.timers import SystemClock
from actors.trading.file_lock import FileLock
from actors.trading.folder import MOUNTS, check_file_system, make_folder

log = log_queue.logger("actors.trading.request_meter")

REST: Final = "rest"  # the meter that mutations use
AUDIT: Final = "audit"  # a part of it: the requests of looks at accounts count in both
MARGIN: Final = 1.0  # seconds
LONGEST_LEAVE: Final = 3_600.0  # seconds
BUSY: Final = 0.02  # seconds until the record is asked for again, where another process has it
STUCK: Final = 0.5  # seconds for which it may have it; then the own count alone decides
HEADER: Final = 8  # bytes: checksum and length
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
# What the lanes leave of a meter that mutations use too; 40 and 20 of ProjectX's 200.
LEFT: Final[Mapping[Lane, float]] = {"read": 0.2, "change": 0.1, "flatten": 0.0}
# What a start without a record leaves to reads for one window. Of ProjectX's 200, 140 count as sent by a
# process that has left no record; reads, changes, and what reduces risk have 20 each to begin with.
FIRST: Final = 0.1


class Window(Struct, array_like=True):
    """The requests of one meter: their times, ascending; until when the venue wants none, and since when."""

    times: list[float] = []
    closed_until: float = 0.0
    closed_at: float = 0.0


class Record(Struct, array_like=True):
    """What the file holds: seconds of the boot-time clock since the boot with this id."""

    boot: str
    meters: dict[str, Window] = {}


class RequestMeter:
    """The meters of one login. Any thread, any number of processes; a forked child raises ForkError."""

    def __init__(
        self,
        folder: Path,
        login: str,
        limits: Mapping[str, FrameLimit],
        *,
        monotonic: Callable[[], float] = SystemClock.monotonic,
        boot: str | None = None,
        starts_spent: bool = True,
        mounts: Path = MOUNTS,
    ) -> None:
        """Opens the record in a folder, which is made where it is missing.

        `login`: a name of the account that holds no secret, such as `Venue.account()`. `limits`: by name of
        the meter; `rest` is the one that mutations use, and `audit`, which is made here, a quarter of it.
        `starts_spent` False: without a record nothing counts as sent, which is for simulators. `monotonic`:
        seconds of the boot-time clock.

        A record that cannot be opened is told, and the requests of this process alone are counted.

        Raises:
            StoreError: the folder lies on a network file system, or has no absolute path.
        """
        self._limits = {**limits, AUDIT: share_of(limits[REST])}
        self._monotonic = monotonic
        self._starts_spent = starts_spent
        self._boot = _boot_id() if boot is None else boot
        self._home = Home()
        self._turn = threading.Lock()
        self._alone = Record(self._boot)  # the record as it was last, and what this process has sent since
        self._unwritten: list[tuple[str, float]] = []  # meters and times of these
        self._is_alone = self._is_closed = False
        digest = hashlib.sha256(login.encode()).hexdigest()[:16]
        self._path = folder / f"requests-{digest}"
        self._lock: FileLock | None = None
        try:
            make_folder(folder)
            check_file_system(folder, mounts)
            self._lock = FileLock(self._path)
        except (
            OSError
        ) as error:  # a full disk, or one that is read-only: a position can be closed all the same
            self._tell_alone(error.strerror or "unknown error")

    def take(self, meter: str, lane: Lane) -> float:
        """Counts one request and returns 0.0: send it. Else returns the seconds until it may be asked again.

        A read that a mutation waits for is taken in the lane of that mutation. It waits half a second at
        most; then, and where the record cannot be used, the requests of this process alone decide.
        """
        wait = 0.0

        def count(record: Record, now: float) -> None:
            nonlocal wait
            names = _counted_in(meter)
            wait = max(self._wait(record, name, lane, now) for name in names)
            for name in () if wait else names:
                record.meters[name].times.append(now)

        self._change(count)
        return wait

    def _wait(self, record: Record, meter: str, lane: Lane, now: float) -> float:
        window, limit = record.meters[meter], self._limits[meter]
        closed = _closed(window, limit, lane, now)
        return _wait(window, limit, room(limit.frames, lane, is_shared=_is_shared(meter)), now, closed)

    def now(self) -> float:
        """Seconds of its clock."""
        return self._monotonic()

    def late(self, meter: str, took: float) -> None:
        """A request that was counted `took` seconds ago has ended only now, and counts from now on.

        It may have arrived at any time since, so for all that is known the venue's window begins now.
        """

        def move(record: Record, now: float) -> None:
            begun = now - took
            for name in _counted_in(meter):
                times = record.meters[name].times
                if begun > now - self._limits[name].seconds - MARGIN:  # else it is in no window any more
                    at = bisect_left(times, begun)
                    del times[at : at + 1]
                times.append(now)

        self._change(move)

    def leave(self, meter: str, seconds: float) -> None:
        """Closes a meter for so many seconds, an hour at most: the venue answered 429.

        What reduces risk tries again after one window: it may be the way out of a position.
        """

        def close(record: Record, now: float) -> None:
            for name in _counted_in(meter):
                window = record.meters[name]
                window.closed_until = max(window.closed_until, now + min(seconds, LONGEST_LEAVE))
                window.closed_at = now

        self._change(close)

    def close(self) -> None:
        """Closes the file; what was counted stays. Any number of times."""
        self._is_closed = True
        if self._lock is not None:
            self._lock.close()

    # ── the record ──

    def _change(self, change: Callable[[Record, float], None]) -> None:
        """Reads the record, changes it, and writes it, all under its lock."""
        self._home.check()
        with self._turn:
            self._open_again()
            if self._lock is None or not self._locked(self._lock):
                self._change_alone(change, "another process holds it")
                return
            try:
                now = self._monotonic()
                record = self._read(self._lock.fd, now)
                self._add_unwritten(record)
                change(record, now)
                self._write(self._lock.fd, record)
                if self._is_alone:
                    log.info("store.writable", "%s: can be used again", self._path)
                self._alone, self._unwritten, self._is_alone = record, [], False
            except OSError as error:
                self._change_alone(change, error.strerror or "unknown error")
            finally:
                with suppress(OSError):
                    self._lock.release()

    def _open_again(self) -> None:
        """A record that was removed or replaced is not that of the other processes any more."""
        if self._is_closed:
            return
        with suppress(OSError):
            if self._lock is not None and os.path.samestat(os.fstat(self._lock.fd), self._path.stat()):
                return
        with suppress(OSError):
            lock = FileLock(self._path)
            if self._lock is not None:
                self._lock.close()
            self._lock = lock

    def _locked(self, lock: FileLock) -> bool:
        deadline = self._monotonic() + STUCK
        with suppress(OSError):
            while not lock.try_acquire():
                if self._monotonic() >= deadline:
                    return False
                time.sleep(BUSY)
            return True
        return False

    def _change_alone(self, change: Callable[[Record, float], None], why: str) -> None:
        if not self._is_closed:  # by the runtime's end, while its last request was counted
            self._tell_alone(why)
        now = self._monotonic()
        record = self._pruned(self._alone, now)
        before = {name: len(window.times) for name, window in record.meters.items()}
        change(record, now)
        self._unwritten += [
            (name, now) for name, count in before.items() if len(record.meters[name].times) > count
        ]

    def _add_unwritten(self, record: Record) -> None:
        """What was sent while the record could not be used."""
        for name, at in self._unwritten:
            insort(record.meters[name].times, at)
        for name, window in self._alone.meters.items() if self._is_alone else ():
            known = record.meters[name]
            known.closed_until = max(known.closed_until, window.closed_until)
            known.closed_at = max(known.closed_at, window.closed_at)

    def _tell_alone(self, why: str) -> None:
        if not self._is_alone:
            text = "%s: cannot be used (%s); the requests of this process alone are counted meanwhile"
            log.error("store.failed", text, self._path, why)
        self._is_alone = True

    def _read(self, fd: int, now: float) -> Record:
        record = _decoded(os.pread(fd, os.fstat(fd).st_size, 0))
        if record is None:  # what this process knew of it goes on
            self._unwritten = []
            record = Record(self._boot, self._alone.meters)
        is_to_come = any(w.times and w.times[-1] > now for w in record.meters.values())
        if record.boot != self._boot or (is_to_come and not self._boot):
            record = _of_former_boot(record, self._boot)
        elif is_to_come:  # another clock of this boot, as in a container with a time namespace
            for window in record.meters.values():
                window.times = [min(at, now) for at in window.times]
        return self._pruned(record, now)

    def _pruned(self, record: Record, now: float) -> Record:
        """Without what has left its window; a meter without a record counts as spent."""
        for name, limit in self._limits.items():
            window = record.meters.get(name)
            if window is None:
                window = record.meters[name] = self._first_window(name, limit, now)
            since = now - limit.seconds - MARGIN
            window.times = [at for at in window.times if at > since]
        return record

    def _first_window(self, name: str, limit: FrameLimit, now: float) -> Window:
        if name == AUDIT:  # the meter that it is a part of counts as spent
            return Window()
        spent = room(limit.frames, "read", is_shared=_is_shared(name)) - math.ceil(limit.frames * FIRST)
        return Window([now] * max(0, spent) if self._starts_spent else [])

    def _write(self, fd: int, record: Record) -> None:
        """In one piece. One that a kill tears in two has a wrong checksum, and counts as missing."""
        body = msgspec.msgpack.encode(record)
        size = 256 + 16 * sum(
            limit.frames for limit in self._limits.values()
        )  # a full disk can be written over
        header = zlib.crc32(body).to_bytes(4, "big") + len(body).to_bytes(4, "big")
        os.pwrite(fd, (header + body).ljust(size, b"\0"), 0)


def room(frames: int, lane: Lane, *, is_shared: bool = True) -> int:
    """Returns how many requests in a window this lane may see sent, its own among them."""
    return max(1, frames - math.ceil(frames * LEFT[lane])) if is_shared else frames


def _is_shared(meter: str) -> bool:
    """Whether mutations use it too; the others are for reads alone."""
    return meter == REST


def _counted_in(meter: str) -> tuple[str, ...]:
    return (AUDIT, REST) if meter == AUDIT else (meter,)


def _closed(window: Window, limit: FrameLimit, lane: Lane, now: float) -> float:
    """Seconds for which the venue wants none of this lane."""
    until = window.closed_until
    if lane == "flatten":
        until = min(until, window.closed_at + limit.seconds + MARGIN)
    return max(0.0, until - now)


def _wait(window: Window, limit: FrameLimit, room: int, now: float, wait: float) -> float:
    """Seconds until one more request has room, `wait` at least; 0.0: it has."""
    if len(window.times) >= room:
        oldest = window.times[len(window.times) - room]
        wait = max(wait, oldest + limit.seconds + MARGIN - now, BUSY)
    return wait


def _decoded(data: bytes) -> Record | None:
    """None: there is no record, or it is torn."""
    checksum, length = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:HEADER], "big")
    body = data[HEADER : HEADER + length]
    if not body or len(body) < length or zlib.crc32(body) != checksum:
        return None
    try:
        return msgspec.msgpack.decode(body, type=Record)
    except msgspec.MsgspecError:
        return None


def _of_former_boot(record: Record, boot: str) -> Record:
    """All of it was sent before this boot, which is time 0 of its clock."""
    return Record(boot, {name: Window([0.0] * len(window.times)) for name, window in record.meters.items()})


def _boot_id() -> str:
    """Empty where the system has none."""
    try:
        return BOOT.read_text("ascii").strip()
    except OSError:
        return ""


def usual_folder(environ: Mapping[str, str]) -> Path:
    """Where the record is without `[trading] dir`: what systemd gave, or the user's own place (XDG)."""
    from actors.supervision.cooldown_file import usual_file

    return usual_file("", environ).parent
