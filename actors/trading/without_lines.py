"""Halts and cancels by a config alone: its logins, its order store, and no line and no actor.

`linewarden halt --cancel` works so in its own process. It does not depend on a service that may hang.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from msgspec import structs

from actors.actor import Address, Reply
from actors.delivery.cells import Cells
from actors.feed_spec import Specs
from actors.feeds.builder import FeedBuilder
from actors.market.latest_prices import LatestPrices
from actors.settings import Settings
from actors.supervision.state import SharedState
from actors.timers import ThreadTimers, Timers
from actors.trading.ask_messages import AskMutation, AskRead
from actors.trading.asks import Ask
from actors.trading.runtime_halts import RuntimeHalts
from actors.trading.runtime_requests import RuntimeRequests

END: Final = 2.0  # seconds that requests under way have at the end


class OwnThreads:
    """In the place of the requester: each ask has a thread at once. Any thread."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def ask(self, message: AskRead | AskMutation, reply: Reply) -> Reply:
        self.tell(message.ask)
        return reply

    def tell(self, ask: Ask) -> None:
        """Carries it on; a timer does so as well, when its meter has room again."""
        threading.Thread(target=self._carry_on, args=(ask,), name="ask", daemon=True).start()

    def _carry_on(self, ask: Ask) -> None:
        if pause := ask.run():
            self._timers.send_after(pause, self, ask)


@contextmanager
def halts_without_lines(settings: Settings) -> Iterator[RuntimeHalts]:
    """What halts and cancels by this config. A feed with a simulator of its own has no orders elsewhere.

    Raises:
        LinewardenError: a venue refuses a key of its feed.
    """
    timers = ThreadTimers("halt/timers")
    real = {
        name: structs.replace(feed, subscribe=())
        for name, feed in settings.feeds.items()
        if feed.trading and not feed.is_simulated
    }
    specs = FeedBuilder(timers.clock).build(structs.replace(settings, feeds=real), Specs())
    specs = structs.replace(specs, settings=settings)
    requester = cast(Address, OwnThreads(timers))
    prices = LatestPrices(Cells(), requester, timers.clock)
    requests = RuntimeRequests(requester, timers, lambda: specs, prices)
    halts = RuntimeHalts(requests, SharedState(specs), lambda: None)
    try:
        yield halts
    finally:
        halts.stop()
        requests.close(time.monotonic() + END)
        timers.stop()
