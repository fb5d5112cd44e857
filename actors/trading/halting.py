"""The halts of one runtime: it makes them, reads what other processes wrote, and shows them.

Another process may begin or end a halt at any moment, so the file is looked at once a second; it is read
only where it has changed. Orders do not wait for that: each reads the halts in its own transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from actors import log_queue
from actors.status import HaltStatus
from actors.timers import Timer, Timers
from actors.trading.halt_target import HaltTarget
from actors.trading.halts import new_halt, unreadable
from actors.trading.records import Halt

if TYPE_CHECKING:
    from actors.trading.order_store import OrderStore

log = log_queue.logger("actors.trading.halting")

PERIOD: Final = 1.0  # seconds between two looks at the file
EVERY: Final = 10  # looks, of which one reads it in any case: a time stamp is coarse

Job = Callable[[], object]
Show = Callable[[tuple[HaltStatus, ...]], object]


class Halting:
    """Any thread. Its own thread reads and writes the file, from `begin` to `stop`.

    `store`: the order store, opened when it is first asked for; or why it cannot be opened. `held`: halts
    that no store could take. `show`: is called with the halts that stand, where they have changed.
    """

    def __init__(
        self,
        store: Callable[[], tuple[OrderStore | None, str]],
        held: list[Halt],
        show: Show,
        timers: Timers,
    ) -> None:
        self._store, self._held, self._show, self._timers = store, held, show, timers
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._looking = threading.Lock()
        self._standing: dict[str, Halt] = {}
        self._mark: object = None  # of the file, when it was read last
        self._unread = 0  # looks since then
        self._is_due = False  # a look lies in the queue
        self._timer: Timer | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def begin(self) -> None:
        """Looks at the file from now on."""
        self._thread = threading.Thread(target=self._run, name="halts", daemon=True)
        self._thread.start()
        self.tell(None)

    def stop(self, timeout: float = 0.0) -> None:
        """What was asked for is done, then the thread ends; it is waited for. Any number of times."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self._jobs.put(None)
        if self._thread is not None and timeout:  # else it may be called on any thread, its own one too
            self._thread.join(timeout)

    def tell(self, _: Any) -> None:
        """The timer's: a look is due."""
        if self._is_stopped:
            return
        if not self._is_due:  # a look that waits for another process is not asked for twice
            self._is_due = True
            self.put(self._look_when_due)
        self._timer = self._timers.send_after(PERIOD, self, None)

    def put(self, job: Job) -> None:
        """Do this on its thread."""
        self._jobs.put(job)

    def halt(self, target: HaltTarget, *, reason: str, by: str) -> Halt:
        """Halts from now on. It may wait for transactions of other processes, for seconds at most."""
        store, error = self._store()
        if store is not None:
            halt = store.halt(target.host, target.account, reason=reason, by=by)
        else:
            now_ns = self._timers.clock.wall_ns()
            made = new_halt(target.host, target.account, "asked", reason, by, now_ns)
            halt = structs.replace(made, is_written=False)
            self._held.append(halt)
            log.error(
                "halt.unwritten", "%s. It cannot be written, and holds in this process alone: %s", halt, error
            )
        self.look()
        return halt

    def standing(self) -> tuple[Halt, ...]:
        """The halts that stood at the last look."""
        return tuple(self._standing.values())

    def look(self) -> None:
        """Reads the halts now, tells which have begun or ended, and shows them."""
        with self._looking:
            self._read()

    # ── on its own thread ──

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                log.exception("halt.failed", "Unexpected error at the halts of this process.")

    def _look_when_due(self) -> None:
        self._is_due = False
        with self._looking:
            if self._is_stopped:
                return
            self._unread += 1
            store, _ = self._store()
            if store is None or self._unread >= EVERY or _mark(store.path) != self._mark:
                self._read()

    def _read(self) -> None:
        store, error = self._store()
        if store is None:
            now_ns = self._timers.clock.wall_ns()
            found: Sequence[Halt] = (unreadable("", None, error, now_ns), *self._held)
        else:
            self._mark, self._unread = _mark(store.path), 0  # first: what is written meanwhile is read next
            found = store.halts()
        # One that was there keeps its time: `unreadable` is made at each look.
        standing = {each.id: self._standing.get(each.id, each) for each in found}
        if standing.keys() != self._standing.keys():
            _tell_changes(self._standing, standing)
            self._standing = standing
            self._show(tuple(map(shown, standing.values())))


def _tell_changes(former: Mapping[str, Halt], standing: Mapping[str, Halt]) -> None:
    for id, halt in standing.items():
        if id not in former:
            end = f"linewarden unhalt {id}" if halt.is_written else "it can be read and written again"
            log.warning("halt.began", "%s. What adds risk is refused until: %s", halt, end)
    for id, halt in former.items():
        if id not in standing:
            log.warning("halt.ended", "%s is halted no longer by halt %s", halt.target, id)


def shown(halt: Halt) -> HaltStatus:
    """The halt as a status shows it."""
    return HaltStatus(halt.id, halt.target, halt.reason, halt.begun_ns, halt.by, halt.is_written)


def _mark(path: Path) -> object:
    """Changes with each transaction that writes the file; None: the file is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
