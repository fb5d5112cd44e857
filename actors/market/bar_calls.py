"""The calls of a runtime about bars."""

from __future__ import annotations

from collections.abc import Callable

from actors.events import Key, Option
from actors.market.bar_handlers import BarHandler
from actors.market.bars import Bars
from actors.protocol.trading import Contract
from actors.rules.bars.frame import BarEvent
from actors.rules.bars.view import BarsView
from actors.streams import Streams
from actors.supervision.tree import Tree


class BarCalls:
    """A part of `Runtime`, which has its tree and its streams."""

    _tree: Tree
    _streams: Streams
    _bars: Bars

    def bars(
        self,
        feed: str,
        key: Key | Contract,
        *timeframes: str,
        calendar: str | None = None,
        history: int | None = None,
        keep: int | None = None,
        wait: float | None = None,
        **options: Option,
    ) -> BarsView:
        """The bars of this key in these timeframes as they are now. The first call begins to follow them.

        A timeframe is such as "15s", "5min", "4h", "1day", "1week", "1month" or "session"; none: those that
        are followed. `calendar`: one of [calendars], for sessions (the only one, if there is one), and for
        the zone of days, weeks and months, which is UTC otherwise. `history`: finished bars that the venue's
        REST is asked for; by default 300, of weeks 104, of months 24. `keep`: how many are kept, 1,000 by
        default. 100,000 at most of both. `wait`: seconds that may be spent until they are synced; without it
        the answer comes at once. `options` are those of the channel of trades.

        A venue with contracts takes a `Contract` that was read, or a name such as `MNQ`, in place of a key.
        A name is resolved strictly, on the first call, within 10 s, and followed as that contract until
        `forget_bars`.

        Raises:
            Timeout: `wait` is over; what is missing is named, and the bars are followed all the same.
            SubscribeError: `wait` was given, and the venue has rejected the subscription.
            StreamClosed: its feed was removed, or the bars forgotten, while this call waited.
            AskRefusedError, AskFailedError: the name could not be resolved to one contract.
            LinewardenError: the feed, the key, a timeframe, the calendar or an option is not known here,
                or the venue has no trades that make bars.
            RuntimeError: the machine is out of threads. Nothing was subscribed.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        self._streams.refuse_wait(wait, feed)
        return self._bars.view(
            feed, _key(key), timeframes, options, calendar=calendar, history=history, keep=keep, wait=wait
        )

    def on_bar(
        self,
        feed: str,
        key: Key | Contract,
        *timeframes: str,
        handler: Callable[[BarEvent], object],
        calendar: str | None = None,
        history: int | None = None,
        keep: int | None = None,
        **options: Option,
    ) -> BarHandler:
        """Calls a handler with each bar that is finished, corrected or repaired; see `BarEvent`.

        It has a thread of its own, so it may ask the runtime for anything, and wait. One call at a time; it
        keeps the runtime in use until it is closed, or the bars are forgotten. An exception is logged, and
        the next call comes. It is told of bars that end after this call. Otherwise as `bars`.

        Raises:
            LinewardenError: as `bars` does; or `handler` cannot be called.
        """
        self._tree.check()
        return self._bars.listen(
            feed, _key(key), timeframes, options, handler, self, calendar=calendar, history=history, keep=keep
        )

    def forget_bars(self, feed: str, key: Key | Contract, **options: Option) -> None:
        """Follow the bars of this key no longer; their handlers end. One that is not followed is no mistake.

        Raises:
            LinewardenError: as `bars` does.
        """
        self._tree.check()
        self._bars.forget(feed, _key(key), options)


def _key(key: Key | Contract) -> Key:
    return key.id if isinstance(key, Contract) else key
