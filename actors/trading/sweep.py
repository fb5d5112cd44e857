"""Several mutations that a program asks for with one call: each is an intent of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Final, TypeAlias

from msgspec import Struct

from actors import log_queue
from actors.errors import LinewardenError
from actors.protocol.trading import OrderOutcome
from actors.timers import check_seconds
from actors.trading.gathering import Gettable
from actors.trading.order_handle import UNDER_WAY, OrderHandle

log = log_queue.logger("actors.trading")

PAUSE: Final = 0.25  # seconds between two looks at the account


class Sweep(Struct, frozen=True):
    """What came of each mutation so far, in their order.

    `is_complete`: the venue's lists, looked at twice afterwards, show that nothing is left; `why`: why not.
    """

    outcomes: tuple[OrderOutcome, ...]
    is_complete: bool
    why: str = ""


class SweepIncompleteError(Exception):
    """Something is left, or it is not known whether; the text says why."""


# It yields the handles of mutations that it has begun; it is resumed with their outcomes.
Steps: TypeAlias = Generator[list[OrderHandle], list[OrderOutcome], None]


class SweepHandle(Gettable[Sweep]):
    """A sweep under way, on a thread of its own. Any thread may look; what comes of it is never raised."""

    def __init__(self, name: str, steps: Steps, first: OrderHandle | None = None) -> None:
        self._first = first
        self._outcomes: tuple[OrderOutcome, ...] = ()
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
            return Sweep(self._outcomes, False, UNDER_WAY)
        return self._result

    def __repr__(self) -> str:
        return f"<SweepHandle {self.tag}, {'done' if self.done else 'under way'}>"

    def _run(self, steps: Steps) -> None:
        try:
            handles = next(steps)
            while True:
                outcomes = [handle.get() for handle in handles]
                self._outcomes += tuple(outcomes)
                handles = steps.send(outcomes)
        except StopIteration:
            self._end(True, "")
        except (SweepIncompleteError, LinewardenError) as error:
            self._end(False, str(error))
        except Exception as error:
            log.exception("A sweep ended with an unexpected error.")
            self._end(False, f"unexpected error ({type(error).__name__})")

    def _end(self, is_complete: bool, why: str) -> None:
        self._result = Sweep(self._outcomes, is_complete, why)
        self._ended.set()


def pause() -> None:
    """Before the account is looked at again."""
    threading.Event().wait(PAUSE)


def repeat(look: Callable[[], list[OrderHandle]], most: int, left: str) -> Steps:
    """Until two looks in a row find nothing to do; `left` says what is left after so many.

    Raises:
        SweepIncompleteError: there is always more.
    """
    quiet = 0
    for _ in range(most):
        handles = look()
        quiet = 0 if handles else quiet + 1
        if quiet == 2:
            return
        if handles:
            yield handles
        pause()
    raise SweepIncompleteError(left)
