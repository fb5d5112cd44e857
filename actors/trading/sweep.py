"""Several mutations that a program asks for with one call: each is an intent of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Final, TypeAlias

from msgspec import Struct

from actors import log_queue
from actors.errors import LinewardenError
from actors.protocol.trading import Accepted, OrderOutcome, Refused, Unknown
from actors.rules.account.view import Flat
from actors.timers import check_seconds
from actors.trading.gathering import Gettable
from actors.trading.order_handle import UNDER_WAY, OrderHandle

log = log_queue.logger("actors.trading")

NOT_ASKED: Final = Flat("unknown", ("it was not asked for",))
PAUSE: Final = 0.25  # seconds between two looks at the account


class SweepStep(Struct, frozen=True):
    """One mutation of a sweep. `order`: the id of the order that it cancels; None: it closes the position."""

    order: int | None
    outcome: OrderOutcome

    def __str__(self) -> str:
        what = "close of the position" if self.order is None else f"cancel of order {self.order}"
        match self.outcome:
            case Accepted():
                return f"{what}: accepted"
            case Refused(code=code, message=message):
                return f"{what}: refused ({code}: {message})"
            case Unknown(tag=tag, why=why):
                return f"{what}: unknown ({why}); its tag is {tag}"


class Sweep(Struct, frozen=True):
    """What came of each mutation so far, in their order.

    `is_complete`: the venue's lists, looked at twice afterwards, show that nothing is left; `why`: why not.
    `flat`: of a close that is complete, whether the account as a whole is flat, by the evidence that
    `Runtime.flat` asks for. A list without the position is no such evidence.
    """

    steps: tuple[SweepStep, ...]
    is_complete: bool
    why: str = ""
    flat: Flat = NOT_ASKED

    @property
    def outcomes(self) -> tuple[OrderOutcome, ...]:
        """Those of the steps."""
        return tuple(step.outcome for step in self.steps)


class SweepIncompleteError(Exception):
    """Something is left, or it is not known whether; the text says why."""


Begun: TypeAlias = tuple[int | None, OrderHandle]  # the order that it cancels, as in `SweepStep`
# It yields the mutations that it has begun, and is resumed with their outcomes. It may return a `Sweep.flat`.
Steps: TypeAlias = Generator[list[Begun], list[OrderOutcome], Flat | None]


class SweepHandle(Gettable[Sweep]):
    """A sweep under way, on a thread of its own. Any thread may look; what comes of it is never raised."""

    def __init__(self, name: str, steps: Steps, first: OrderHandle | None = None) -> None:
        self._name, self._first = name, first
        self._steps: tuple[SweepStep, ...] = ()
        self._ended = threading.Event()
        self._result: Sweep | None = None
        try:
            threading.Thread(target=self._run, args=(steps,), name=name, daemon=True).start()
        except RuntimeError as error:
            self._end(False, f"no thread can be started ({error})")

    @property
    def tag(self) -> str:
        """The tag of its first mutation; empty: it is not known which there are."""
        return "" if self._first is None else self._first.tag

    @property
    def done(self) -> bool:
        """Whether `get` returns its result at once."""
        return self._ended.is_set()

    def get(self, timeout: float | None = None) -> Sweep:
        """What came of it. After `timeout` seconds: what is known so far, incomplete as it is under way.

        Raises:
            LinewardenError: `timeout` is no number of seconds.
        """
        check_seconds("timeout", timeout, optional=True)
        if not self._ended.wait(timeout) or self._result is None:
            return Sweep(self._steps, False, UNDER_WAY)
        return self._result

    def __repr__(self) -> str:
        tag = f" {self.tag}" if self.tag else ""
        return f"<SweepHandle {self._name}{tag}, {'done' if self.done else 'under way'}>"

    def _run(self, steps: Steps) -> None:
        try:
            begun = next(steps)
            while True:
                done = [SweepStep(order, handle.get()) for order, handle in begun]
                self._steps += tuple(done)
                begun = steps.send([step.outcome for step in done])
        except StopIteration as end:
            self._end(True, "", NOT_ASKED if end.value is None else end.value)
        except (SweepIncompleteError, LinewardenError) as error:
            self._end(False, str(error))
        except Exception as error:
            log.exception("order.sweep_failed", "A sweep ended with an unexpected error.")
            self._end(False, f"unexpected error ({type(error).__name__})")

    def _end(self, is_complete: bool, why: str, flat: Flat = NOT_ASKED) -> None:
        self._result = Sweep(self._steps, is_complete, why, flat)
        self._ended.set()


def pause() -> None:
    """Before the account is looked at again."""
    threading.Event().wait(PAUSE)


def repeat(look: Callable[[], list[Begun]], most: int, left: str) -> Steps:
    """Until two looks in a row find nothing to do; `left` says what is left after so many.

    Raises:
        SweepIncompleteError: there is always more.
    """
    quiet = 0
    for _ in range(most):
        begun = look()
        quiet = 0 if begun else quiet + 1
        if quiet == 2:
            return None
        if begun:
            yield begun
        pause()
    raise SweepIncompleteError(left)
