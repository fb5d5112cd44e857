"""The accounts that a runtime follows: each from the first look at it. Any thread."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from actors import log_queue
from actors.actor import Roles
from actors.delivery.arrivals import Right
from actors.delivery.inlet import Inlet, Put
from actors.delivery.waits import SLICE, is_reader
from actors.errors import LinewardenError, StreamClosed, SubscribeError, Timeout
from actors.events import Topic
from actors.market.latest_prices import LatestPrices
from actors.protocol.trading import Intent, TradingApi
from actors.rules.account.budget import AuditBudget
from actors.rules.account.flat import NO_LEGS
from actors.rules.account.keeper import MAX_AGE, AccountKeeper
from actors.rules.account.view import AccountEvent, AccountView, Flat
from actors.rules.stream_buffer import Batch, Origin
from actors.status import AccountStatus
from actors.stream import Stream
from actors.streams import Streams, end_unused, handle
from actors.supervision.state import SharedState
from actors.trading.account_way import AccountWay
from actors.trading.followed_account import FollowedAccount, LoginLooks
from actors.trading.order_handle import OutcomeReply
from actors.trading.request_meter import MARGIN, REST
from actors.trading.runtime_requests import RuntimeRequests

log = log_queue.logger("actors.trading.accounts")

CHANNEL: Final = "account"  # what people read as the channel of its streams
CAPACITY: Final = 100_000  # events
EVIDENCE: Final = 20.0  # seconds that a sweep waits until it is known whether the account is flat
LOOK_AGAIN: Final = 1.0  # seconds: how often a caller that waits for a view checks it

Name = tuple[str, int]  # feed and account


class Accounts:
    """It keeps no runtime in use; what follows an account ends once the runtime is no longer in use."""

    def __init__(
        self,
        streams: Streams,
        requests: RuntimeRequests,
        prices: LatestPrices,
        shared: SharedState,
        roles: Roles,
        check: Callable[[], None],
    ) -> None:
        """`check` raises once the runtime has ended."""
        self._streams = weakref.ref(streams)
        self._requests, self._prices, self._shared, self._roles = requests, prices, shared, roles
        self._check = check
        self._followed: dict[Name, FollowedAccount] = {}
        self._handlers: dict[Name, tuple[Inlet, ...]] = {}
        self._logins: dict[str, LoginLooks] = {}
        self._opening = threading.RLock()
        self._configured: set[Name] = set()
        self._asked: set[Name] = set()  # by the program
        self._hosts: dict[Name, str] = {}  # at which each is followed
        self._moving: set[Name] = set()  # those whose feed has another gateway: they are begun again
        requests.on_mutation, requests.flat = self._note, self._flat_now
        shared.accounts = self.status

    # ── looking ──

    def view(self, feed: str, account: int, wait: float | None) -> AccountView:
        """What `Runtime.account` answers."""
        followed = self._asked_for(feed, account)
        return followed.view() if wait is None else self._await(followed, wait)

    def flat(self, feed: str, account: int, max_age: float, wait: float) -> Flat:
        """What `Runtime.flat` answers."""
        followed = self._asked_for(feed, account)
        found = followed.flat(max_age)
        if found.answer != "unknown" or not wait:
            return found
        deadline = time.monotonic() + wait
        followed.confirm()
        while _may_be_known(found) and (left := deadline - time.monotonic()) > 0:
            followed.await_change(min(left, LOOK_AGAIN))
            if followed.ended is not None:
                self._check()
                raise StreamClosed(followed.ended, f"the account {followed}")
            found = followed.flat(max_age)
        return found

    def _flat_now(self, feed: str, account: int) -> Flat:
        """For a program that has closed a position: it waits for the evidence, on a thread of its own."""
        try:
            return self.flat(feed, account, MAX_AGE, EVIDENCE)
        except LinewardenError as error:
            return Flat("unknown", (str(error),))

    def look(self, feed: str, account: int) -> FollowedAccount | None:
        """None: it is not followed. Takes no lock."""
        found = self._followed.get((feed, account))
        return None if found is None or found.ended is not None else found

    def status(self) -> Mapping[str, AccountStatus]:
        """By feed and number."""
        return {str(each): each.status() for each in self._all() if each.ended is None}

    # ── following ──

    def begin(self) -> None:
        """Follows the accounts of the config, on a thread of its own.

        Those that have left the config are forgotten, unless the program has asked for them. What is known
        of those whose feed has another gateway now is forgotten too: it is not of the account that has this
        number there.
        """
        feeds = self._requests.settings.feeds.values()
        wanted = {(feed.name, account) for feed in feeds for account in feed.accounts}
        gone, self._configured = self._configured - wanted, wanted
        for name in gone - self._asked:
            self.forget(*name)
        moved = self._leave_former_gateways()
        missing = sorted({name for name in wanted if self.look(*name) is None} | moved)
        if missing:
            threading.Thread(
                target=self._begin_all, args=(missing,), name="account/begin", daemon=True
            ).start()

    def _begin_all(self, names: Sequence[Name]) -> None:
        for feed, account in names:
            try:
                self._follow(feed, account)
            except LinewardenError as error:  # the runtime ends, or a reload has removed the feed
                log.warning(
                    "account.not_followed",
                    "%s/%d: the account is not followed: %s",
                    feed,
                    account,
                    error,
                    feed=feed,
                )
                if (feed, account) in self._moving:
                    self._moving.discard((feed, account))
                    self._close_handlers((feed, account), str(error))

    def _leave_former_gateways(self) -> set[Name]:
        moved: set[Name] = set()
        with self._opening:
            for name, host in self._hosts.items():
                if self.look(*name) is not None and self._host_of(name[0]) not in {host, ""}:
                    moved.add(name)
                    self._moving.add(name)
                    self._followed.pop(name).stream.close()
        return moved

    def _host_of(self, feed: str) -> str:
        """Of its orders; empty: it was removed, or has none."""
        spec = self._shared.specs.feeds.get(feed)
        api = None if spec is None else spec.venue.trading()
        return "" if api is None else api.host

    def on_events(
        self,
        feed: str,
        account: int,
        handler: Callable[[Any], object],
        on_marker: Callable[[Any], object] | None,
    ) -> Stream[AccountEvent]:
        """What `Runtime.on_account` returns."""
        streams = self._of_runtime()
        topics_of_account(streams, feed, account)
        name = feed, account
        with self._opening:  # first of all, so that it is told what the first look shows
            stream: Stream[AccountEvent] = streams.open_told(feed, CHANNEL, CAPACITY)
            self._handlers[name] = (*self._handlers.get(name, ()), stream._inlet)
        try:
            self._asked_for(feed, account)
        except BaseException:
            stream.close()
            raise
        thread, failed = f"on_account/{feed}/{account}", streams.failure_log()
        streams.start_handler(stream, lambda: handle(stream, handler, on_marker, failed), thread)
        return stream

    def forget(self, feed: str, account: int) -> None:
        """What `Runtime.forget_account` does."""
        with self._opening:
            self._asked.discard((feed, account))
            followed = self._followed.pop((feed, account), None)
        if followed is not None:
            followed.stream.close()

    def resync(self, feed: str, account: int) -> None:
        """What `Runtime.resync_account` does."""
        self._follow(feed, account).resync()

    def abandon(self) -> None:
        """From the garbage collector, where no lock of a stream may be taken: the runtime is not in use."""
        end_unused(self._all(), "account/end")

    def _asked_for(self, feed: str, account: int) -> FollowedAccount:
        followed = self._follow(feed, account)
        self._asked.add((feed, account))
        return followed

    def _follow(self, feed: str, account: int) -> FollowedAccount:
        followed = self.look(feed, account)
        if followed is not None:
            return followed
        streams = self._of_runtime()
        with self._opening:
            followed = self.look(feed, account)
            if followed is None:
                followed = self._begin(streams, feed, account)
            return followed

    def _begin(self, streams: Streams, feed: str, account: int) -> FollowedAccount:
        topics = topics_of_account(streams, feed, account)
        way = AccountWay(feed, account, self._requests, self._prices, self._shared, self._roles, self._check)
        stream = streams.open_view(feed, CHANNEL, topics, CAPACITY)
        looks = self._looks(streams, feed)
        now = way.now()
        keeper = AccountKeeper(
            feed, account, since_ns=way.session_since_ns(topics), now=now, budget=looks.budget
        )

        def tell(events: Sequence[AccountEvent]) -> None:
            self._tell((feed, account), events)

        def ended(reason: str) -> None:
            if self._followed.get(name, followed) is followed and name not in self._moving:
                self._close_handlers(name, reason)

        name = feed, account
        followed = FollowedAccount(way, stream, keeper, looks, tell, ended)
        self._followed[name], self._hosts[name] = followed, self._host_of(feed)
        self._moving.discard(name)
        streams.start_handler(stream, followed.follow, f"account/{feed}/{account}")
        return followed

    def _looks(self, streams: Streams, feed: str) -> LoginLooks:
        venue = streams.spec_of(feed).venue
        api: TradingApi | None = venue.trading()
        if api is None:
            raise LinewardenError(f"{feed}: venue {venue.name!r} has no lists of an account")
        name = venue.account()
        if name not in self._logins:
            self._logins[name] = LoginLooks(AuditBudget(api.meters[REST], MARGIN))
        return self._logins[name]

    def _of_runtime(self) -> Streams:
        self._check()
        streams = self._streams()
        if streams is None:
            raise LinewardenError("the runtime is no longer in use")
        return streams

    def _all(self) -> Collection[FollowedAccount]:
        return tuple(self._followed.copy().values())

    # ── what happens ──

    def _note(self, feed: str, intent: Intent, reply: OutcomeReply) -> None:
        """A mutation of this process is about to leave."""
        followed = self.look(feed, intent.mutation.account)
        if followed is not None:
            followed.expect(intent, reply)

    def _tell(self, name: Name, events: Sequence[AccountEvent]) -> None:
        """On the thread of the account. Handlers whose stream is closed are forgotten."""
        inlets = self._handlers.get(name, ())
        if not events or not inlets:
            return
        clock, arrivals = self._requests.timers.clock, self._shared.arrivals
        now, topic = clock.monotonic(), Topic(name[0], CHANNEL, str(name[1]))
        right = Right(makes_calls=False)
        try:
            origin = Origin(clock.wall_ns(), 0, arrivals.begin(right), now)
            batch = Batch([topic] * len(events), list(events), origin)
            closed = {inlet for inlet in inlets if inlet.put(right, batch, now) is Put.REFUSED}
        finally:
            arrivals.end(right)
        if closed:
            with self._opening:
                self._handlers[name] = tuple(each for each in self._handlers[name] if each not in closed)

    def _close_handlers(self, name: Name, reason: str) -> None:
        """The account is followed no longer. Their streams end after what waits in them."""
        with self._opening:
            inlets = self._handlers.pop(name, ())
        for inlet in inlets:
            inlet.close(reason, quiet=True)

    # ── waiting ──

    def _await(self, followed: FollowedAccount, wait: float) -> AccountView:
        streams, deadline = self._of_runtime(), time.monotonic() + wait
        while not (view := followed.view()).synced:
            if (left := deadline - time.monotonic()) <= 0:
                why = "; ".join(view.reasons) or f"it is {view.state}"
                raise Timeout(f"the account {followed} is not synced within {wait:g} s: {why}")
            streams.refuse_wait(wait, followed.way.feed)
            states = streams.answers(followed.way.feed, followed.topics, left)
            if (ended := followed.ended) is not None:
                self._check()
                raise StreamClosed(ended, f"the account {followed}")
            if states is not None and any(state.state == "rejected" for state in states.values()):
                raise SubscribeError(followed.stream, states)
            if states is not None:
                look_again = SLICE if is_reader() else LOOK_AGAIN
                followed.wait(max(0.0, min(deadline - time.monotonic(), look_again)))
        return view


def topics_of_account(streams: Streams, feed: str, account: int) -> tuple[Topic, ...]:
    """The topics that tell what an account has. Raises LinewardenError: the venue has none."""
    venue = streams.spec_of(feed).venue
    if not venue.account_channels:
        raise LinewardenError(f"{feed}: venue {venue.name!r} has no channels that tell what an account has")
    channels = [venue.channel(name) for name in venue.account_channels]
    return tuple(venue.topic(each.name, str(account) if each.key else "", {}) for each in channels)


def _may_be_known(found: Flat) -> bool:
    """Whether it is worth waiting for: what the venue never lists does not come."""
    return found.answer == "unknown" and found.reasons != (NO_LEGS,)
