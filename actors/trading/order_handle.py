"""What a program holds of a mutation: its tag at once, and its outcome when there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from actors.actor import Reply, ReplyTimeout
from actors.protocol.trading import OrderOutcome, Unknown
from actors.supervision.forks import Home
from actors.timers import check_seconds
from actors.trading.gathering import Gettable

UNDER_WAY = "under way"


class OutcomeReply(Reply):
    """The reply to the letter that asks for a mutation: it is never an error.

    `given_up`: is called where the letter is not read, or not read to its end. It ends what has not begun.
    `told`: is called with each outcome; of two the second replaces an `Unknown`.
    """

    def __init__(self, tag: str) -> None:
        super().__init__("requester")
        self.tag = tag
        self.told: Callable[[OrderOutcome], object] = _unheard
        self.given_up: Callable[[BaseException], object] = lambda error: self.finish(Unknown(tag, str(error)))
        self._outcome: OrderOutcome | None = None
        self._finishing = threading.Lock()

    def finish(self, outcome: OrderOutcome) -> None:
        """The first outcome counts; but an `Unknown` is replaced by what the venue answered after all."""
        with self._finishing:
            is_news = self._outcome is None or isinstance(self._outcome, Unknown)
            if is_news:
                self._outcome = outcome
        self.set(outcome)
        if is_news:
            self.told(outcome)

    def set_exception(self, exc_info: Any = None) -> None:
        self.given_up(exc_info[1] if exc_info else RuntimeError("the requester failed"))

    def outcome(self, timeout: float | None) -> OrderOutcome:
        try:
            super().get(timeout=timeout)
        except ReplyTimeout:
            return Unknown(self.tag, UNDER_WAY)
        assert self._outcome is not None
        return self._outcome


def _unheard(outcome: OrderOutcome) -> None:
    """The default of `told`."""


class OrderHandle(Gettable[OrderOutcome]):
    """A mutation under way. Any thread, any number of times; what comes of it is never raised."""

    def __init__(self, reply: OutcomeReply) -> None:
        self._reply = reply
        self._home = Home()

    @property
    def tag(self) -> str:
        """The tag of the order, or of the intent: `settle(tag)` finds out what came of it."""
        return self._reply.tag

    @property
    def done(self) -> bool:
        """Whether `get` returns its outcome at once."""
        return not self._reply.open

    def get(self, timeout: float | None = None) -> OrderOutcome:
        """What came of it; waits for at most `timeout` seconds, None: until its own deadline.

        Returns `Accepted`, `Refused` or `Unknown`. `Unknown(tag, "under way")`: `timeout` is over, and it
        goes on; a later `get` gives the outcome. Never place it again with another tag: it may be at the
        venue.

        Raises:
            LinewardenError: `timeout` is no number of seconds.
        """
        check_seconds("timeout", timeout, optional=True)
        if self._home.is_left:
            return Unknown(self.tag, "this is a forked child; its parent has the outcome")
        return self._reply.outcome(timeout)

    def __repr__(self) -> str:
        return f"<OrderHandle {self.tag}, {'done' if self.done else 'under way'}>"
