"""Requests to the venue of one feed, from a user's thread: each call returns a future or a handle at once.

This is the venue-neutral part. What a program calls is the facade of its venue, such as `ProjectXRequests`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from actors.actor import Address
from actors.errors import LinewardenError, RuntimeStopped, Timeout
from actors.protocol.rest import Call, Lane
from actors.protocol.trading import Align, AnyMutation, Contract, OrderOutcome, Refused, Unknown, adds_risk
from actors.rules.account.view import Flat
from actors.settings import FeedSettings
from actors.timers import Timers, check_seconds
from actors.trading.arguments import check_deadline
from actors.trading.ask_messages import AskMutation, AskRead
from actors.trading.asks import Access, Ask, Asked, ReadAsk, TellingReply
from actors.trading.mutation import MutationAsk, Resolve, Terms
from actors.trading.order_handle import OrderHandle, OutcomeReply
from actors.trading.settling import SettleAsk

T = TypeVar("T")

READ: Final = 30.0  # seconds that a read has, with its waiting for a connection and for its meter
LATE: Final = 0.1  # seconds after the deadline at which a thread that hangs is no longer waited for


class Way(Protocol):
    """How requests reach the venue of one feed now; a reload may bring another one."""

    settings: FeedSettings
    has_store: bool

    @property
    def why_no_orders(self) -> str: ...
    @property
    def api(self) -> Any:
        """The venue's `TradingApi`."""

    def flat(self, account: int) -> Flat: ...
    def known_contract(self, text: str) -> Contract | None: ...
    def know_contract(self, text: str, contract: Contract) -> None: ...
    def wait_settled(self, timeout: float | None) -> bool: ...
    def access(self, left: Callable[[], float]) -> Access: ...
    def terms(self) -> Terms: ...
    def first_with(self, tag: str, ask: MutationAsk) -> MutationAsk: ...


class Requests:
    """Asks one feed's venue. Any thread. It keeps its runtime in use."""

    def __init__(
        self, feed: str, way: Callable[[], Way], requester: Address, timers: Timers, holder: object
    ) -> None:
        self.feed = feed
        self._way, self._requester, self._timers = way, requester, timers
        self._holder = holder  # the runtime

    @property
    def api(self) -> Any:
        """The venue's requests, as conversations."""
        return self._way().api

    def read(self, call: Call[T], timeout: float | None = None, *, lane: Lane = "read") -> Asked[T]:
        """`timeout`: seconds until it has failed. `lane`: of what waits for it.

        Raises:
            RuntimeStopped: the runtime has ended.
            LinewardenError: `timeout` is no number of seconds; or the feed was removed from the config.
        """
        check_seconds("timeout", timeout, optional=True)
        until = self._until(READ if timeout is None else timeout)
        return self._begin(ReadAsk(self._way().access(self._left(until)), call, until, lane=lane))

    def tell(self, call: Call[Any], seconds: float, told: Callable[[Any], None]) -> ReadAsk:
        """A read that has so many seconds: `told` is called with its answer, or its error, on any thread.

        Raises as `read` does.
        """
        until = self._until(seconds)
        ask = ReadAsk(self._way().access(self._left(until)), call, until, reply=TellingReply(told))
        self._begin(ask)
        return ask

    def _begin(self, ask: ReadAsk) -> Asked[Any]:
        self._requester.ask(AskRead(ask), ask.reply)
        self._watch(ask)
        return Asked(ask.reply, ask.feed)

    def read_of(
        self, contract: str, then: Callable[[Contract], Call[T]], timeout: float | None = None
    ) -> Asked[T]:
        """The read of a contract that is resolved first. Raises as `read` does."""
        check_seconds("timeout", timeout, optional=True)
        until, way = self._until(READ if timeout is None else timeout), self._way()
        known = way.known_contract(contract)
        if known is not None:
            return self.read(then(known), timeout)
        ask = ReadAsk(way.access(self._left(until)), way.api.contract(contract), until, then)
        return self._begin(ask)

    def contract(self, access: Access, text: str) -> Contract:
        """Resolved strictly, on the thread of an ask. Raises AskRefusedError, AskFailedError."""
        way = self._way()
        found = way.known_contract(text)
        if found is None:
            found = access.read(way.api.contract(text), "flatten")
            way.know_contract(text, found)
        return found

    def flat(self, account: int) -> Flat:
        """Whether an account is flat, by all evidence; it may wait for that for some seconds.

        Raises:
            RuntimeStopped: the runtime has ended.
            LinewardenError: the feed was removed from the config.
        """
        return self._way().flat(account)

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, by the runtime's clock."""
        return self._timers.clock.wall_ns()

    def mutate(
        self,
        mutation: AnyMutation,
        *,
        resolve: Resolve | None = None,
        tag: str | None = None,
        deadline: float | None = None,
        align: Align | None = None,
        protects: bool | None = None,
    ) -> OrderHandle:
        """Sends it once, or not at all. `resolve`: finds its contract.

        `protects`: whether the order that is cancelled protects a position; None: the venue is asked, if a
        halt needs to know.

        Raises:
            LinewardenError: an argument makes no sense; or the feed was removed from the config.
            ForkError: this is a forked child.
        """
        check_deadline(deadline)
        if tag is not None and not isinstance(tag, str):
            raise LinewardenError(f"a tag is a text, and {tag!r} is none")
        try:
            way = self._way()
        except RuntimeStopped as error:
            return refused(tag or unsent_tag(), "stopped", f"{error}. Nothing was sent.")
        if why := way.why_no_orders:
            return refused(tag or unsent_tag(), "trading", f"{why}. Nothing was sent.")
        its, terms = way.settings, way.terms()
        until = self._until(its.order_deadline if deadline is None else deadline)
        is_known = tag is not None and terms.knows(tag)
        if tag is None:
            tag = unsent_tag() if terms.store is None else terms.store.new_tag()
        if terms.settling and adds_risk(mutation) and not terms.dry_run:
            text = "it is being found out what came of orders of a former process. Nothing was sent."
            if is_known:
                return settled(Unknown(tag, text))
            return refused(tag, "settling", text, retry_after=1.0)
        align = its.align if align is None else align
        access = way.access(self._left(until))
        ask = MutationAsk(access, terms, mutation, resolve, align, tag, until, protects, is_known=is_known)
        first = way.first_with(tag, ask)
        if first is not ask and first.is_under_way_for(mutation):
            return OrderHandle(first.reply)
        self._requester.ask(AskMutation(ask), ask.reply)
        self._watch(ask)
        return OrderHandle(ask.reply)

    def wait_settled(self, timeout: float | None = None) -> None:
        """Waits until what former processes left open has been looked for: until then nothing adds risk.

        Raises:
            Timeout: that is not so after `timeout` seconds.
            RuntimeStopped: the runtime has ended.
        """
        check_seconds("timeout", timeout, optional=True)
        if not self._way().wait_settled(timeout):
            self._way()  # raises, if that is over
            raise Timeout(f"the venue has not told within {timeout:g} s what became of former orders")

    def settle(self, tag: str, timeout: float | None = None) -> OrderHandle:
        """Looks at the venue for what came of this tag, and records what is found."""
        check_seconds("timeout", timeout, optional=True)
        until, way = self._until(READ if timeout is None else timeout), self._way()
        if not way.has_store:
            return settled(Unknown(tag, "there is no order store: the config has no [trading] dir"))
        ask = SettleAsk(way.access(self._left(until)), way.terms(), tag, until)
        self._requester.ask(AskRead(ask), ask.reply)
        self._watch(ask)
        return OrderHandle(ask.reply)

    def _until(self, seconds: float) -> float:
        return self._timers.clock.monotonic() + max(0.0, seconds)

    def _left(self, until: float) -> Callable[[], float]:
        monotonic = self._timers.clock.monotonic
        return lambda: until - monotonic()

    def _watch(self, ask: Ask) -> None:
        """Its own thread ends it at its deadline; the timer, where that thread hangs."""
        left = ask.until - self._timers.clock.monotonic()
        ask.watched_by(self._timers.send_after(left + LATE, ask, None))


def refused(tag: str, code: str, message: str, retry_after: float | None = None) -> OrderHandle:
    """The handle of a mutation that is not sent."""
    return settled(Refused(tag, code, message=message, retry_after=retry_after))


def settled(outcome: OrderOutcome) -> OrderHandle:
    reply = OutcomeReply(outcome.tag)
    reply.finish(outcome)
    return OrderHandle(reply)


def unsent_tag() -> str:
    """The tag of what is not sent, where there is no store that could give one."""
    return f"unsent-{secrets.token_hex(16)}"
