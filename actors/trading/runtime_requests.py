"""What `runtime.ask` needs of a runtime: its logins, its order store, the requester. One per runtime."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from msgspec import Struct

from actors.actor import Address
from actors.errors import AskError, LinewardenError, RuntimeStopped
from actors.feed_spec import FeedSpec, Specs
from actors.http_types import is_loopback
from actors.lazy import imported
from actors.market.latest_prices import LatestPrices
from actors.protocol.rest import RestApi
from actors.protocol.trading import Contract, Intent, TradingApi, adds_risk, lane_of
from actors.rules.account.view import Flat
from actors.settings import FeedSettings, Settings
from actors.timers import Timers, seconds_left
from actors.trading.asks import Access
from actors.trading.limits import Facts, limit_check
from actors.trading.login import Login, Logins
from actors.trading.mutation import MutationAsk, Terms
from actors.trading.order_handle import OrderHandle, OutcomeReply
from actors.trading.records import Check
from actors.trading.requests import Requests
from actors.trading.settlement import Settlement

if TYPE_CHECKING:
    from actors.trading.order_store import OrderStore
    from actors.trading.records import Halt

MARK_AGE: Final = 15.0  # seconds: an older price is no mark for a price band
RECORDING: Final = 0.5  # seconds that a thread has for its record, where a stop has none left
DAY_NS: Final = 86_400 * 10**9
CONTRACTS: Final = 86_400.0  # seconds for which a contract that was resolved is known


RECENT_NS: Final = 600 * 10**9  # nanoseconds: idle accounts are looked at each 300 s


class Unsettled(Struct, frozen=True):
    """The tags of intents without a known outcome. `why`: why they are not known; empty: they are.

    `placed`: orders of the last 10 minutes that the venue has accepted, each with its tag and the time at
    which it began; wall clock, nanoseconds.
    """

    tags: tuple[str, ...] = ()
    why: str = ""
    placed: tuple[tuple[str, int], ...] = ()


OnMutation = Callable[[str, Intent, OutcomeReply], object]  # with the feed


def _unfollowed(*_: object) -> Flat:
    """The default of `flat`."""
    return Flat("unknown", ("the account is not followed",))


def _unwatched(feed: str, intent: Intent, reply: OutcomeReply) -> None:
    """The default of `on_mutation`."""


class FeedWay:
    """The way to the venue of one feed, as the config has it now.

    Raises LinewardenError: there is no such feed, or its venue has no requests.
    """

    def __init__(self, runtime: RuntimeRequests, specs: Specs, feed: str) -> None:
        spec = specs.feeds.get(feed)
        if spec is None:
            raise LinewardenError(f"feed {feed!r} is not in the config")
        self._runtime, self._spec, self._feed = runtime, spec, feed
        venue = spec.venue
        api = venue.rest()
        if api is None:
            raise LinewardenError(
                f"{venue.feed}: venue {venue.name!r} has no requests that can be asked here"
            )
        self.api: RestApi = api
        self._settings = cast(Settings, specs.settings)
        self.settings: FeedSettings = self._settings.feeds[feed]
        self.has_store = bool(self._settings.trading.dir)

    @property
    def why_no_orders(self) -> str:
        """Why a mutation is refused before it leaves; empty: it is not."""
        return self._settings.why_no_orders(self._feed)

    def flat(self, account: int) -> Flat:
        return self._runtime.flat(self._feed, account)

    def known_contract(self, text: str) -> Contract | None:
        """What this text was resolved to within the last day."""
        known = self._runtime.contracts.get((self._feed, self.api.host, text))
        if known is None or self._runtime.timers.clock.monotonic() - known[1] > CONTRACTS:
            return None
        return known[0]

    def know_contract(self, text: str, contract: Contract) -> None:
        self._runtime.know_contract(self._feed, self.api.host, text, contract)

    def access(self, left: Callable[[], float]) -> Access:
        spec = self._spec
        login = self._runtime.login(spec, self.api)
        needs_token = spec.venue.needs_token(self._feed)
        return Access(self._feed, login, spec.token_store, spec.dial, left, needs_token=needs_token)

    def wait_settled(self, timeout: float | None) -> bool:
        return self._runtime.settlement.wait(self._feed, timeout)

    def terms(self) -> Terms:
        runtime = self._runtime
        store, store_error = runtime.order_store()
        return Terms(
            api=cast(TradingApi, self.api),
            host=self.api.host,
            check=self._check,
            now_ns=runtime.timers.clock.wall_ns,
            store=store,
            store_error=store_error,
            dry_run=self.settings.dry_run,
            settling=runtime.settlement.is_under_way(self._feed),
            note=partial(runtime.on_mutation, self._feed),
            barred=partial(runtime.why_not_now, self._feed, self.api.host),
        )

    def first_with(self, tag: str, ask: MutationAsk) -> MutationAsk:
        """The mutation that is under way with this tag; this one, if there is none."""
        with self._runtime.naming:
            first = self._runtime.named.get(tag)
            if first is None or not first.reply.open:
                first = self._runtime.named[tag] = ask
        return first

    def _check(self, access: Access, intent: Intent, contract: Contract | None) -> Check:
        """Reads what the limits compare with. A read that fails leaves it unknown, and the limit refuses."""
        limits, mutation = self.settings.limits, intent.mutation
        exposure, asked_ns = None, self._runtime.timers.clock.wall_ns()
        if adds_risk(mutation) and limits.needs_exposure and contract is not None:
            with suppress(AskError):
                call = cast(TradingApi, self.api).exposure(mutation.account, contract.id)
                exposure = access.read(call, lane_of(mutation))
        needs_mark = adds_risk(mutation) and limits.price_band is not None and contract is not None
        mark = self._mark(contract.id) if needs_mark and contract is not None else None
        facts = Facts(contract=contract, exposure=exposure, asked_ns=asked_ns, mark=mark)
        return limit_check(limits, self._feed, intent, facts)

    def _mark(self, symbol: str) -> Decimal | None:
        """The market's price of a contract, if a stream has brought a fresh one."""
        try:
            found = self._runtime.prices.latest(self._spec.venue, symbol, MARK_AGE, 0.0)
        except LinewardenError:
            return None
        if found.last is not None:
            return Decimal(found.last)
        if found.bid is not None and found.ask is not None:
            return (Decimal(found.bid) + Decimal(found.ask)) / 2
        return None


class RuntimeRequests:
    """Makes the requests of each feed. Any thread. `specs`: the feeds as they are in force."""

    def __init__(
        self, requester: Address, timers: Timers, specs: Callable[[], Specs], prices: LatestPrices
    ) -> None:
        self.timers, self.prices = timers, prices
        self._requester, self._specs = requester, specs
        self.is_stopping = False
        self._logins = Logins()
        self._opening = threading.Lock()
        self._store: OrderStore | None = None
        self.held: list[Halt] = []  # which no store could take: the first one that opens takes them
        self._temporary: TemporaryDirectory[str] | None = None
        self.naming = threading.Lock()
        self.named: WeakValueDictionary[str, MutationAsk] = WeakValueDictionary()  # by tag
        self.contracts: dict[tuple[str, str, str], tuple[Contract, float]] = {}  # by feed, host and text
        self.settlement = Settlement({}, self.store, self._settle, self._tags, self._is_at)
        # The accounts that are followed set both: the first is called with each mutation before it leaves.
        self.on_mutation: OnMutation = _unwatched
        self.flat: Callable[[str, int], Flat] = _unfollowed

    @property
    def settings(self) -> Settings:
        """The config as it is in force."""
        return cast(Settings, self._specs().settings)

    def _spec_of(self, feed: str) -> FeedSpec:
        spec = self._specs().feeds.get(feed)
        if spec is None:
            raise LinewardenError(f"feed {feed!r} is not in the config")
        return spec

    def begin(self) -> None:
        """Settles what former processes left open, in the background."""
        hosts = {
            name: api.host
            for name, feed in self.settings.feeds.items()
            if feed.trading and (api := self._spec_of(name).venue.trading()) is not None
        }
        self.settlement = Settlement(hosts, self.store, self._settle, self._tags, self._is_at)

    def requests(self, feed: str, holder: object, check: Callable[[], None]) -> Any:
        """The facade of this feed's venue. `holder` is kept; `check` raises once the runtime has ended.

        Raises:
            LinewardenError: there is no such feed, or its venue has no requests.
        """
        venue = self._spec_of(feed).venue
        if not venue.requests:
            raise LinewardenError(f"{feed}: venue {venue.name!r} has no requests that can be asked here")
        way = FeedWay(self, self._specs(), feed)
        way.access(lambda: 0.0)  # imports an HTTP client, before a deadline runs
        facade: Callable[[Requests], Any] = imported(venue.requests)
        return facade(self.core(feed, holder, check))

    def core(self, feed: str, holder: object, check: Callable[[], None]) -> Requests:
        """The part of a feed's requests that all venues share."""

        def way() -> FeedWay:
            check()
            if self.is_stopping:
                raise RuntimeStopped("stop() was called")
            return FeedWay(self, self._specs(), feed)

        return Requests(feed, way, self._requester, self.timers, holder)

    def _settle(self, feed: str, tag: str) -> OrderHandle:
        return self.core(feed, None, lambda: None).settle(tag)

    def _tags(self, feed: str) -> Mapping[int, tuple[str, ...]]:
        """Of the orders of the last day. Raises LinewardenError."""
        requests = self.core(feed, None, lambda: None)
        api: TradingApi = requests.api
        return requests.read(api.tags(self.timers.clock.wall_ns() - DAY_NS)).get()

    def _is_at(self, feed: str, host: str) -> bool:
        """Whether this feed is in the config, and its orders are at this host."""
        spec = self._specs().feeds.get(feed)
        api = None if spec is None else spec.venue.trading()
        return api is not None and api.host == host

    def why_not_now(self, feed: str, host: str) -> str:
        """Why an order of this feed may not leave for this host by the config as it is now; empty: it may."""
        settings = self.settings
        if not self._is_at(feed, host) or feed not in settings.feeds:
            return f"feed {feed} was removed, or has another venue or address now"
        if settings.feeds[feed].dry_run:
            return f"feed {feed} has dry_run = true now"
        return settings.why_no_orders(feed)

    def know_contract(self, feed: str, host: str, text: str, contract: Contract) -> None:
        """What this text was resolved to just now at this host."""
        self.contracts[feed, host, text] = contract, self.timers.clock.monotonic()

    def unsettled(self, host: str, account: int) -> Unsettled:
        """What any process has sent for an account, or is about to, of which no outcome is known."""
        from actors.trading.folder import StoreError

        if not self.settings.trading.dir:
            return Unsettled(
                why="the config has no [trading] dir, so orders of other processes are not known"
            )
        store, error = self.order_store()
        if store is None:
            return Unsettled(why=f"the order store cannot be opened: {error}")
        try:
            since_ns = self.timers.clock.wall_ns() - RECENT_NS
            found = store.of_account(host, account, since_ns)
            return Unsettled(found.open, placed=found.placed)
        except (sqlite3.Error, StoreError) as error_of_file:
            return Unsettled(why=f"the order store cannot be read: {error_of_file}")

    # ── what feeds share ──

    def login(self, spec: FeedSpec, api: RestApi) -> Login:
        """Feeds of one account share its connections and its meter."""
        name = spec.venue.account()
        return self._logins.named(name, lambda: self._new_login(name, api))

    def _new_login(self, name: str, api: RestApi) -> Login:
        from actors.trading.request_meter import RequestMeter, usual_folder
        from actors.wire.kept_connections import KeptConnections  # an HTTP client, where one is needed

        trading = self.settings.trading
        is_simulated = is_loopback(urlsplit(f"//{api.host}").hostname or "")
        if trading.dir:
            folder = Path(trading.dir)
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
        """The store, opened when it is first needed; or why it cannot be opened. The config has it."""
        from actors.trading.folder import StoreError
        from actors.trading.order_store import OrderStore  # SQLite, where there are orders

        with self._opening:
            if self._store is None:
                if self.is_stopping:  # what is opened now would never be closed
                    return None, "the runtime has ended."
                trading = self.settings.trading
                try:
                    store = OrderStore(Path(trading.dir), require_durable=trading.require_durable)
                except StoreError as error:
                    return None, str(error)
                while self.held:
                    halt = self.held.pop()
                    store.halt(halt.host, halt.account, reason=halt.reason, by=halt.by)
                self._store = store
            return self._store, ""

    def store(self) -> OrderStore | None:
        return self.order_store()[0]

    # ── the end ──

    def stop(self) -> None:
        """What has not left does not leave. Waits for nothing."""
        self.is_stopping = True
        self.settlement.stop()
        for ask in self._logins.asks():
            ask.stop()

    def abandon(self) -> None:
        """The runtime was forgotten by its program: what has left is not waited for."""
        self.close(0.0)

    def close(self, deadline: float) -> None:
        """What has left is waited for until then, in monotonic seconds of the machine."""
        self.stop()
        under_way = self._logins.asks()
        for ask in under_way:
            if isinstance(ask, MutationAsk):
                ask.reply.outcome(seconds_left(deadline))
                ask.give_up(RuntimeStopped("it was stopped before the venue answered"))
        for ask in under_way:
            if isinstance(ask, MutationAsk):  # its outcome is to be on the disk before the store is closed
                ask.await_thread(max(RECORDING, seconds_left(deadline)))
        self._logins.close()
        with self._opening:
            if self._store is not None:
                self._store.close()
        if self._temporary is not None:
            self._temporary.cleanup()
