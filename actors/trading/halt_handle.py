"""What a program holds of a halt: it is in force at once, and its cancels are told one by one."""

from __future__ import annotations

import threading

from actors import log_queue
from actors.trading.halt_sweep import CancelReport, HaltReport, Progress, Sweep
from actors.trading.records import Halt

log = log_queue.logger("actors.trading.halt_sweep")


class HaltHandle:
    """A halt, and the cancels that were asked for with it. Any thread; it never raises."""

    def __init__(self, halt: Halt, sweep: Sweep | None = None) -> None:
        self.halt = halt
        self._progress = Progress() if sweep is None else sweep.progress
        self._ended = threading.Event()
        if sweep is None:
            self._progress.left = ()
            self._ended.set()
            return
        try:
            threading.Thread(target=self._run, args=(sweep,), name="halt/cancel", daemon=True).start()
        except RuntimeError as error:
            self._fail(f"no thread can be started ({error}), so nothing was cancelled")

    @property
    def done(self) -> bool:
        """Whether `get` returns its result at once."""
        return self._ended.is_set()

    @property
    def cancels(self) -> tuple[CancelReport, ...]:
        """The cancels so far, in their order. Unknown outcomes are among them."""
        return self._progress.cancels

    def get(self, timeout: float | None = None) -> HaltReport:
        """What came of it; waits for at most `timeout` seconds, None: until all is done, a minute at most.

        After `timeout` seconds: what is known so far, and it goes on.
        """
        self._ended.wait(timeout)
        told = self._progress
        return HaltReport(self.halt, told.cancels, told.kept, told.left, told.is_clear)

    def __repr__(self) -> str:
        return f"<HaltHandle {self.halt.target}, {'done' if self.done else 'under way'}>"

    def _run(self, sweep: Sweep) -> None:
        try:
            sweep.run()
        except Exception as error:
            log.exception(
                "halt.failed", "The cancels of halt %s ended with an unexpected error.", self.halt.id
            )
            self._fail(f"unexpected error ({type(error).__name__}); look at the venue what works there")
        else:
            self._tell()
            self._ended.set()

    def _fail(self, why: str) -> None:
        self._progress.left = (*self._progress.left, why)
        self._ended.set()

    def _tell(self) -> None:
        told = self._progress
        if told.is_clear:
            log.warning("halt.clear", "Halt %s: no order is left that can open a position", self.halt.id)
        for sentence in told.left:
            log.error("halt.orders_left", "Halt %s: %s", self.halt.id, sentence)
