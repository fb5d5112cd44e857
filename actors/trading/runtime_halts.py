"""`runtime.halt`, and what halts by itself. One per runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from functools import partial

from actors.client.configured_service import configured_service
from actors.errors import LinewardenError
from actors.protocol.trading import TradingApi
from actors.rules.blindness import LongBlind
from actors.settings import FeedSettings
from actors.supervision.state import SharedState
from actors.trading.beats import Beats
from actors.trading.halt_handle import HaltHandle
from actors.trading.halt_sweep import Sweep
from actors.trading.halt_target import HaltTarget, halt_target
from actors.trading.halting import Halting
from actors.trading.on_blind import OnBlind
from actors.trading.records import OpenIntent
from actors.trading.runtime_requests import RuntimeRequests


class RuntimeHalts:
    """Any thread. `check` raises once the runtime has ended."""

    def __init__(self, requests: RuntimeRequests, shared: SharedState, check: Callable[[], None]) -> None:
        self._requests, self._shared, self._check = requests, shared, check
        timers = requests.timers
        self._monotonic = timers.clock.monotonic
        self._halting = Halting(requests.order_store, requests.held, shared.show_halts, timers)
        self._on_blind = OnBlind(shared, timers, self._halt_blind)
        self._stopped = threading.Event()
        self._beats: dict[str, Beats] = {}
        self._beating = threading.Lock()

    def begin(self) -> None:
        """Looks at the halts from now on, where a feed trades."""
        if any(feed.trading for feed in self._feeds()):
            self._halting.begin()
            self._on_blind.begin()

    def stop(self, timeout: float = 0.0) -> None:
        """Begins no look and no cancel any more. Any number of times."""
        self._stopped.set()
        for beats in list(self._beats.values()):
            beats.stop()
        self._on_blind.stop()
        self._halting.stop(timeout)

    def halt(
        self, target: str, *, reason: str, cancel: bool = False, every: bool = False, by: str = ""
    ) -> HaltHandle:
        """See `Runtime.halt`."""
        if not reason.strip():
            raise LinewardenError("a halt has a reason: it is what people read. Nothing is halted.")
        if not self._requests.settings.trading.dir:
            raise LinewardenError("nothing trades here: the config has no [trading] dir. Nothing is halted.")
        found = halt_target(target, {feed.name: self._host(feed.name) for feed in self._feeds()})
        return self._halt(found, reason=reason, by=by or self._own_name(), cancel=cancel, every=every)

    def beat(self, feed: str, *, last: bool) -> None:
        """See `Runtime.beat`."""
        watched = [each.name for each in self._feeds() if each.is_watched]
        if feed not in watched and (feed or len(watched) != 1):
            told = f"the feeds that have one: {', '.join(watched)}" if watched else "no feed has one"
            raise LinewardenError(f"feed {feed!r} has no dead man's switch; {told}")
        beats = self._beats_of(feed or watched[0])
        if last:
            del self._beats[feed or watched[0]]
            beats.end()
        else:
            beats.beat()

    def _beats_of(self, feed: str) -> Beats:
        settings = self._requests.settings
        with self._beating:
            if feed not in self._beats:
                service, name = settings.service, settings.runtime.name
                find = partial(configured_service, service.socket, service.local_url, name)
                self._beats[feed] = Beats(find, feed, by=name, token=service.tokens.act)
            return self._beats[feed]

    def _halt(
        self, target: HaltTarget, *, reason: str, by: str, cancel: bool, every: bool = False
    ) -> HaltHandle:
        halt = self._halting.halt(target, reason=reason, by=by)
        return HaltHandle(halt, self._sweep(target, every=every) if cancel else None)

    def _sweep(self, target: HaltTarget, *, every: bool) -> Sweep:
        covered = [
            feed.name
            for feed in self._feeds()
            if feed.trading and (host := self._host(feed.name)) is not None and target.covers(host)
        ]
        feeds = {name: self._requests.core(name, None, self._check) for name in covered}
        return Sweep(
            feeds,
            target.account,
            self._open_intents,
            every=every,
            monotonic=self._monotonic,
            wait=self._stopped.wait,
        )

    def _open_intents(self) -> Iterable[OpenIntent]:
        store, error = self._requests.order_store()
        if store is None:
            raise LinewardenError(f"what other processes have sent is not known: {error}")
        return store.open_intents()

    # ── what halts by itself ──

    def _halt_blind(self, feed: FeedSettings, found: LongBlind) -> None:
        """On the thread of the timers."""
        if (host := self._host(feed.name)) is not None:
            target = HaltTarget(host, found.account)
            self._halting.put(partial(self._halt_once, target, f"on_blind of {feed.name}", feed, found))

    def _halt_once(self, target: HaltTarget, by: str, feed: FeedSettings, found: LongBlind) -> None:
        """A halt of a former blindness that stands is enough, also one that another process has written."""
        self._halting.look()
        wanted = target.host, target.account, by
        if any((each.host, each.account, each.by) == wanted for each in self._halting.standing()):
            return
        reason = f"blind for {found.seconds:.0f} s: {found.text}"
        self._halt(target, reason=reason, by=by, cancel=feed.on_blind == "halt+cancel")

    # ── the config ──

    def _feeds(self) -> Iterable[FeedSettings]:
        return self._requests.settings.feeds.values()

    def _host(self, feed: str) -> str | None:
        spec = self._shared.specs.feeds.get(feed)
        api: TradingApi | None = None if spec is None else spec.venue.trading()
        return None if api is None else api.host

    def _own_name(self) -> str:
        return f"{self._requests.settings.runtime.name} (process {os.getpid()})"
