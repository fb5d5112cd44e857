"""What `runtime.ask` needs of a runtime: its logins, its order store, the requester. One per runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from actors import log_queue
from actors.actor import Roles
from actors.errors import LinewardenError, RuntimeStopped
from actors.feed_spec import FeedSpec
from actors.http_types import is_loopback
from actors.lazy import imported
from actors.protocol.trading import AnyMutation, Contract, TradingApi
from actors.timers import Timers, seconds_left
from actors.trading.asks import Access
from actors.trading.login import Login, Logins
from actors.trading.mutation import Check, MutationAsk, Terms
from actors.trading.order_handle import OrderHandle
from actors.trading.requests import Requests
from actors.trading.settlement import Settlement

if TYPE_CHECKING:
    from actors.trading.order_store import OrderStore

log = log_queue.logger("actors.trading")

CONTRACTS: Final = 86_400.0  # seconds for which a contract that was resolved is known


class FeedWay:
    """The way to the venue of one feed, as the config has it now."""

    def __init__(self, runtime: RuntimeRequests, spec: FeedSpec) -> None:
        self._runtime, self._spec = runtime, spec
        venue = spec.venue
        api = venue.trading()
        if api is None:
            raise LinewardenError(
                f"{venue.feed}: venue {venue.name!r} has no requests that can be asked here"
            )
        self.api: TradingApi = api
        self.trades: bool = trades(spec)

    def known_contract(self, text: str) -> Contract | None:
        """What this text was resolved to within the last day."""
        known = self._runtime.contracts.get((self._spec.venue.feed, text))
        if known is None or self._runtime.timers.clock.monotonic() - known[1] > CONTRACTS:
            return None
        return known[0]

    def know_contract(self, text: str, contract: Contract) -> None:
        key, now = (self._spec.venue.feed, text), self._runtime.timers.clock.monotonic()
        self._runtime.contracts[key] = contract, now

    def access(self, left: Callable[[], float]) -> Access:
        spec = self._spec
        login = self._runtime.login(spec, self.api)
        needs_token = spec.venue.needs_token(spec.venue.feed)
        return Access(spec.venue.feed, login, spec.token_store, spec.dial, left, needs_token=needs_token)

    def terms(self) -> Terms:
        runtime = self._runtime
        store, store_error = runtime.order_store() if self.trades else (None, "")
        return Terms(
            api=self.api,
            host=self.api.host,
            limits=self._limits,
            now_ns=runtime.timers.clock.wall_ns,
            store=store,
            store_error=store_error,
            dry_run=getattr(self._spec.policy, "dry_run", False),
            settling=runtime.settlement.is_under_way(self._spec.venue.feed),
        )

    def _limits(self, access: Access, mutation: AnyMutation, contract: Contract | None) -> Check:
        return lambda view: None


def trades(spec: FeedSpec) -> bool:
    return getattr(spec.policy, "trading", False)


class RuntimeRequests:
    """Makes the requests of each feed. Any thread."""

    def __init__(
        self, roles: Roles, timers: Timers, spec_of: Callable[[str], FeedSpec], folder: str = ""
    ) -> None:
        self.timers = timers
        self._requester, self._spec_of, self._folder = roles.named("requester"), spec_of, folder
        self._logins = Logins()
        self._opening = threading.Lock()
        self._store: OrderStore | None = None
        self._temporary: TemporaryDirectory[str] | None = None
        self.contracts: dict[tuple[str, str], tuple[Contract, float]] = {}
        self.settlement = Settlement({}, self.store, self._settle)

    def begin(self, feeds: Mapping[str, FeedSpec]) -> None:
        """Settles what former processes left open, in the background."""
        hosts = {
            name: api.host for name, spec in feeds.items() if trades(spec) and (api := spec.venue.trading())
        }
        self.settlement = Settlement(hosts, self.store, self._settle)

    def requests(self, feed: str, holder: object, check: Callable[[], None]) -> Any:
        """The facade of this feed's venue. `holder` is kept; `check` raises once the runtime has ended.

        Raises:
            LinewardenError: there is no such feed, or its venue has no requests.
        """
        spec = self._spec_of(feed)
        if not spec.venue.requests:
            raise LinewardenError(f"{feed}: venue {spec.venue.name!r} has no requests that can be asked here")
        FeedWay(self, spec).access(lambda: 0.0)  # imports an HTTP client, before a deadline runs
        facade: Callable[[Requests], Any] = imported(spec.venue.requests)
        return facade(self._requests(feed, holder, check))

    def _requests(self, feed: str, holder: object, check: Callable[[], None]) -> Requests:
        def way() -> FeedWay:
            check()
            return FeedWay(self, self._spec_of(feed))

        return Requests(way, self._requester, self.timers, holder)

    def _settle(self, feed: str, tag: str) -> OrderHandle:
        return self._requests(feed, None, lambda: None).settle(tag)

    # ── what feeds share ──

    def login(self, spec: FeedSpec, api: TradingApi) -> Login:
        """Feeds of one account share its connections and its meter."""
        name = spec.venue.account()
        return self._logins.named(name, lambda: self._new_login(name, api))

    def _new_login(self, name: str, api: TradingApi) -> Login:
        from actors.trading.request_meter import RequestMeter, usual_folder
        from actors.wire.kept_connections import KeptConnections  # an HTTP client, where one is needed

        is_simulated = is_loopback(urlsplit(f"//{api.host}").hostname or "")
        if self._folder:
            folder = Path(self._folder)
        elif is_simulated:  # it has no other processes to share a record with
            folder = Path(self._own_folder())
        else:
            folder = usual_folder(os.environ)
        clock = self.timers.clock.monotonic
        meter = RequestMeter(folder, name, api.meters, monotonic=clock, starts_spent=not is_simulated)
        return Login(name, meter, KeptConnections())

    def _own_folder(self) -> str:
        """One that ends with the runtime."""
        if self._temporary is None:
            self._temporary = TemporaryDirectory(prefix="linewarden-")
        return self._temporary.name

    def order_store(self) -> tuple[OrderStore | None, str]:
        """The store, opened when it is first needed; or why it cannot be opened."""
        from actors.trading.folder import StoreError
        from actors.trading.order_store import OrderStore

        with self._opening:
            if self._store is None:
                if not self._folder:
                    return None, "the config has no [trading] dir."
                try:
                    self._store = OrderStore(Path(self._folder), now_ns=self.timers.clock.wall_ns)
                except StoreError as error:
                    return None, str(error)
            return self._store, ""

    def store(self) -> OrderStore | None:
        return self.order_store()[0]

    # ── the end ──

    def close(self, deadline: float) -> None:
        """Nothing more leaves. What has left is waited for until then; monotonic seconds of the machine."""
        self.settlement.stop()
        under_way = self._logins.asks()
        for ask in under_way:
            ask.stop()
        for ask in under_way:
            if isinstance(ask, MutationAsk):
                ask.reply.outcome(seconds_left(deadline))
                ask.give_up(RuntimeStopped("it was stopped before the venue answered"))
        self._logins.close()
        with self._opening:
            if self._store is not None:
                self._store.close()
        if self._temporary is not None:
            self._temporary.cleanup()
