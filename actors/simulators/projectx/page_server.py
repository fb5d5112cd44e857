"""Serves the pages: counts a request, meters it, plays its fault, and says when its answer leaves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from actors.simulators.base.client import HttpReply, Later, Request, retry_header
from actors.simulators.base.faults import PendingFaults
from actors.simulators.projectx.clock import VenueClock
from actors.simulators.projectx.codes import CODES
from actors.simulators.projectx.envelope import failure
from actors.simulators.projectx.meters import BARS, Meter
from actors.simulators.projectx.page_faults import PageFault, take_fault
from actors.simulators.projectx.rest import Pages
from actors.simulators.projectx.seen import Seen
from actors.simulators.projectx.settings import SimulatedProjectXSettings
from actors.simulators.signalr.negotiate import bearer


class Host(Protocol):
    """What it needs of the simulator."""

    settings: SimulatedProjectXSettings
    pending: PendingFaults
    clock: VenueClock
    seen: Seen

    def call_later(self, seconds: float, call: Callable[[], None]) -> None: ...
    def announce(self) -> None: ...
    def telling_later(self, seconds: float) -> AbstractContextManager[None]: ...


class PageServer:
    """Called under the simulator's lock."""

    def __init__(self, host: Host, pages: Pages, meters: dict[str, Meter]) -> None:
        self._host = host
        self._pages = pages
        self._meters = meters

    def serve(self, request: Request) -> HttpReply | Later:
        """The answer to a request for a page, now or later."""
        name = self._pages.name_of(request.path)
        if not name:
            return self._pages.answer(request, "")
        self._host.seen.came(name, request.body)
        if not self._meters["bars" if name == BARS else "rest"].takes():
            return self._sent(HttpReply(429, b"", retry_header(self._host.settings.limit_retry_after)))
        return self._play(request, name, take_fault(self._host.pending, name))

    def _play(self, request: Request, name: str, fault: PageFault) -> HttpReply | Later:
        """The answer to a request, whatever its fault makes of it and of its time."""
        hold = fault.hold + self._host.settings.latency
        if fault.hang_up:
            self._host.call_later(fault.wait, lambda: self._do(request, name, fault))
            return self._sent(HttpReply(cut_at=0, reset=fault.reset))
        if not fault.wait and not hold:
            return self._sent(self._carry_out(request, name, fault))

        def promise(take: Callable[[HttpReply], None]) -> None:
            def act() -> None:
                reply = self._carry_out(request, name, fault)
                self._host.call_later(hold, lambda: take(self._sent(reply)))

            if fault.wait:
                self._host.call_later(fault.wait, act)
            else:
                act()

        return Later(promise)

    def _do(self, request: Request, name: str, fault: PageFault) -> None:
        """Carries out a request whose connection has ended."""
        self._carry_out(request, name, fault)

    def _carry_out(self, request: Request, name: str, fault: PageFault) -> HttpReply:
        """Does what a request asks for, unless it is not to take effect; what is answered then."""
        reply = HttpReply()
        if fault.effect:
            with self._host.telling_later(fault.events_wait):
                reply = self._pages.answer(request, _header(request))
        if fault.instead is not None:
            reply = fault.instead
        elif fault.ambiguity is not None:
            reply = failure(CODES[name][fault.ambiguity], None)
        elif fault.edit is not None and reply.status == 200:
            reply = fault.edit(reply)
        return msgspec.structs.replace(reply, cut_at=fault.cut_at, reset=fault.reset)

    def _sent(self, reply: HttpReply) -> HttpReply:
        """An answer that leaves now, with the venue's time."""
        self._host.seen.answered()
        self._host.announce()
        return msgspec.structs.replace(reply, headers={"Date": self._host.clock.date(), **reply.headers})


def _header(request: Request) -> str:
    """The token of a page, which shows it in the header alone."""
    return "" if "access_token" in request.query else bearer(request)
