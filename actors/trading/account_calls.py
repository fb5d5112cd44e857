"""The calls of `Runtime` about accounts."""

from __future__ import annotations

from collections.abc import Callable

from actors.delivery.handlers import check_handler
from actors.events import Marker
from actors.rules.account.keeper import MAX_AGE
from actors.rules.account.view import AccountEvent, AccountView, Flat
from actors.stream import Stream
from actors.streams import Streams
from actors.supervision.permit import checked_limits
from actors.supervision.tree import Tree
from actors.timers import check_seconds
from actors.trading.accounts import Accounts
from actors.trading.arguments import AccountNumber, account_number


class AccountCalls:
    """A part of `Runtime`. An account is the venue's number of it, also as text. Any thread may call."""

    _tree: Tree
    _streams: Streams
    _accounts: Accounts

    def account(self, feed: str, account: AccountNumber, *, wait: float | None = None) -> AccountView:
        """What an account has now: positions, working orders, fills and balance. The first call follows it.

        It is started by the venue's lists once its channels are subscribed to, kept by their events, and
        compared with the lists again after each loss, each minute with a position or a working order, and
        each 5 minutes without. Only a `synced` view is what the account has; `reasons` says why another is
        not. The view is the same object until something happens, for a second at most.

        `wait`: seconds that may be spent until it is synced; without it the answer comes at once.

        Raises:
            Timeout: `wait` is over; what is missing is named, and the account is followed all the same.
            SubscribeError: `wait` was given, and the venue has rejected a channel of the account.
            StreamClosed: its feed was removed, or the account forgotten, while this call waited.
            LinewardenError: the feed is not known here, its venue has no accounts, or `account` is no number.
            RuntimeError: the machine is out of threads. Nothing was subscribed.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        self._streams.refuse_wait(wait, feed)
        return self._accounts.view(feed, account_number(account), wait)

    def on_account(
        self,
        feed: str,
        account: AccountNumber,
        *,
        handler: Callable[[AccountEvent], object],
        on_marker: Callable[[Marker], object] | None = None,
    ) -> Stream[AccountEvent]:
        """Calls a function for each change of an account, in order, on a thread of its own; it is followed.

        The handler may call anything of the runtime. One that raises is logged and counted, and goes on with
        the next event, as with `on`. An event is told when the view has it. `on_marker` is called with the
        `Gap` of events that were given up because 100,000 waited, and with `Closed`. `close()` of the stream
        that is returned ends it; it ends with the feed, the runtime, and `forget_account` as well.

        Raises:
            LinewardenError: as `account`; or a handler cannot be called, or no call runs its body.
            RuntimeError: the machine is out of threads.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        check_handler(handler)
        if on_marker is not None:
            check_handler(on_marker, "on_marker", "marker")
        return self._accounts.on_events(feed, account_number(account), handler, on_marker)

    def flat(self, feed: str, account: AccountNumber, *, max_age: float = MAX_AGE, wait: float = 0.0) -> Flat:
        """Whether the account has no position and no order that could open one: yes, no, or unknown.

        Truthy for "yes" alone, which takes two looks at the venue's lists that agree, 2 s apart, fills that
        agree with them, no mutation of any process of the host without outcome (which takes a [trading] dir),
        and no doubt about its channels. `max_age`: seconds since the last look at most. `wait`: seconds
        that may be spent until it is "yes" or "no".

        Raises:
            LinewardenError: as `account`.
            RuntimeStopped: the runtime has ended.
        """
        check_seconds("max_age", max_age)
        checked_limits(max_age)
        check_seconds("wait", wait)
        self._tree.check()
        self._streams.refuse_wait(wait or None, feed)
        return self._accounts.flat(feed, account_number(account), max_age, wait)

    def resync_account(self, feed: str, account: AccountNumber) -> None:
        """Ends all doubts about an account: what the next look shows is taken over as it is.

        It is meant for a `disputed` view, whose lists and events contradict each other for good.

        Raises:
            LinewardenError: as `account`.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        self._accounts.resync(feed, account_number(account))

    def forget_account(self, feed: str, account: AccountNumber) -> None:
        """Follow this account no longer; its handlers end. One that is not followed is no mistake.

        Raises:
            LinewardenError: `account` is no number.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        self._accounts.forget(feed, account_number(account))
