"""Runtimes that follow accounts of a simulated ProjectX, for the tests of the account view."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors import AccountEvent, AccountView, Runtime
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.followed_account import FollowedAccount
from tests.support.virtual_time import Clockwork
from tests.trading import halts
from tests.trading.halts import ACCOUNT, until

FEED = "projectx"
USER = "projectx/user"
OTHER = 4243
EP = "CON.F.US.EP.Z26"
ENQ = "CON.F.US.ENQ.Z26"
PATIENT = {"pong_timeout": 60.0}  # a pong comes in real time, which virtual time may overtake
RESTART = {"initial": 0.05, "maximum": 0.2, "stable_after": 0.05, "max_restarts": 10_000}


def config(folder: Path, venue: SimulatedProjectX, **feed: Any) -> dict[str, Any]:
    return halts.config(folder, venue, **{"restart": RESTART} | feed)


def followed(runtime: Runtime, account: int = ACCOUNT) -> FollowedAccount:
    found = runtime._accounts.look(FEED, account)
    assert found is not None
    return found


PING = b'{"type":6}\x1e'  # of the hub, whose clock is real: a line that gets none for 30 s ends
SLICE = 10.0  # seconds between two of them


class AccountClock(Clockwork):
    """Its time goes on when no account has anything to do."""

    def __init__(self, config: Mapping[str, Any], venue: SimulatedProjectX) -> None:
        self._venue = venue
        super().__init__(config)

    def advance(self, seconds: float) -> None:
        while seconds > 0:
            self._hear()
            super().advance(min(seconds, SLICE))
            seconds -= SLICE

    def _hear(self) -> None:
        """The hubs send a sign of life to each line that is up."""
        before = self._frames()
        self._venue.say(PING)
        until(lambda: all(count > before.get(line, -1) for line, count in self._frames().items()))

    def _frames(self) -> dict[str, int]:
        return {name: line.counters.frames for name, line in self.lines().items() if line.state == "live"}

    def _settle(self) -> None:
        super()._settle()
        self.rest()

    def rest(self) -> None:
        """Returns when what has come is taken, and no look is under way."""
        until(lambda: not any(each.is_busy for each in self.runtime._accounts._all()))

    def view(self, account: int = ACCOUNT) -> AccountView:
        """Once what has come is taken."""
        self.rest()
        return self.runtime.account(FEED, account)

    def synced(self, account: int = ACCOUNT) -> AccountView:
        """Begins to follow an account; returns when two looks agree, 2 s apart.

        A look that was begun before the last change does not count, so there may be another one.
        """
        self.runtime.account(FEED, account, wait=10.0)
        self.advance(2.0)
        for _ in range(3):
            if (view := self.view(account)).unproved == ():
                break
            self.advance(2.0)
        assert view.synced, view.reasons
        assert view.unproved == ()
        return view


@contextmanager
def account_clock(folder: Path, venue: SimulatedProjectX, **feed: Any) -> Iterator[AccountClock]:
    clock = AccountClock(config(folder, venue, **{"heartbeat": PATIENT} | feed), venue)
    with clock.runtime:
        clock.runtime.wait_live(timeout=10.0)
        yield clock


class Told:
    """A handler that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[AccountEvent] = []
        self._changed = threading.Condition()

    def __call__(self, event: AccountEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(
        self, wanted: Callable[[list[AccountEvent]], object], seconds: float = 10.0
    ) -> list[AccountEvent]:
        """What it was told, once that is as wanted."""
        with self._changed:
            assert self._changed.wait_for(lambda: wanted(self.events), seconds), self.events
            return list(self.events)

    def of(self, kind: type) -> list[AccountEvent]:
        """The events with a row of this type."""
        with self._changed:
            return [event for event in self.events if isinstance(event.row, kind)]


def price(venue: SimulatedProjectX, contract: str = EP) -> Decimal:
    return venue.listings[contract].last


def place(
    venue: SimulatedProjectX, side: int = 0, size: int = 1, account: int = ACCOUNT, **terms: Any
) -> int:
    """Another client of the account trades at the market; the id of its order."""
    return int(venue.place(account, EP, side=side, size=size, **terms)["id"])
