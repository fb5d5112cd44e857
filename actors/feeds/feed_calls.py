"""The calls of a runtime that change its feeds while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.actor import Reply
from actors.calls import CALL, answer_of
from actors.delivery.waits import calls_handlers
from actors.feed_spec import FeedSpec, Specs
from actors.feeds.wanted import WantedFeeds
from actors.market.foreign_prices import ForeignPrices
from actors.messages import AwaitGone, Reload
from actors.settings import Settings, load
from actors.settings.added_feeds import Change, reloaded, with_feed, without_feed
from actors.settings.diff import Plan
from actors.streams import Streams
from actors.supervision.tree import Tree
from actors.timers import check_seconds
from actors.trading.accounts import Accounts

if TYPE_CHECKING:
    from actors.simulators import Simulator


class FeedCalls:
    """A part of `Runtime`, which has its tree, its streams and its feeds."""

    _tree: Tree
    _streams: Streams
    _wanted: WantedFeeds
    _foreign: ForeignPrices
    _accounts: Accounts

    @property
    def settings(self) -> Settings:
        """The config as it is wanted now."""
        self._tree.home.check()
        return self._wanted.settings

    def simulator(self, feed: str) -> Simulator:
        """The embedded simulator that this feed talks to."""
        self._tree.home.check()
        return self._wanted.simulator(feed)

    def reload(self, config: str | Path | Mapping[str, Any] | Settings, *, plan_only: bool = False) -> Plan:
        """Bring the feeds in line with another config; what did not change keeps its sockets.

        Feeds that `add_feed` has added are kept, except for those that the config has, too: there the config
        counts. `plan_only`: say what would change, and change nothing.

        Raises:
            ConfigError: the config has mistakes; nothing has changed.
            Timeout: the supervisor does not answer; the change goes on.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        return self._change(partial(reloaded, new=load(config)), "the reload", plan_only=plan_only)

    def add_feed(self, name: str, table: Mapping[str, Any]) -> Plan:
        """Add a feed, or give the running one of this name another table; others keep their sockets.

        `table` is what `[feeds.NAME]` holds in a config: `${NAME}` is read from the environment, `[defaults]`
        and `[calendars]` are those of the config, and paths are relative to it. A running feed changes as by
        a reload: it is connected again only if that is needed, and keeps its streams if its venue and their
        channels remain. Returns what has changed; connections are made afterwards (`wait_live(name)`).

        A feed that is added sends no orders: `trading = true` is refused, unless the running feed of this
        name sends orders to the same gateway already.

        Raises:
            ConfigError: the table has mistakes, each named as `[feeds.NAME] key`; nothing has changed.
            LinewardenError: the venue refuses a key or an option; nothing has changed.
            Timeout: the supervisor does not answer; the change goes on.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        return self._change(partial(with_feed, name=name, table=table), f"adding feed {name}")

    def remove_feed(self, name: str, timeout: float = 5.0) -> Plan:
        """Remove a feed: its connections, streams and views end, and what `put_price` has put for it goes.

        Its streams end first. Returns when its connections have been given back too; inside an inline handler
        it does not wait for that. A reload of a config that has the feed adds it again. To stop a feed and
        keep its streams, pause it: `runtime.supervisor.pause(name)`.

        Raises:
            LinewardenError: there is no such feed.
            Timeout: its connections have not ended within `timeout` seconds; the feed is removed.
            RuntimeStopped: the runtime has ended.
        """
        check_seconds("timeout", timeout)
        self._tree.check()
        self._wanted.spec_of(name)
        plan = self._change(partial(without_feed, name=name), f"removing feed {name}")
        if not calls_handlers():
            too_late = f"feed {name} was removed; its connections have not ended within {timeout:g} s"
            answer_of(self._tree.ask(AwaitGone(name)), timeout, too_late)
        return plan

    def _spec_of(self, feed: str) -> FeedSpec:
        """Raises LinewardenError: there is no such feed. Streams have this: one in use keeps its runtime."""
        return self._wanted.spec_of(feed)

    def _change(self, changed: Callable[[Settings], Change], what: str, *, plan_only: bool = False) -> Plan:
        questions: list[Reply] = []

        def hand_on(specs: Specs) -> None:
            questions.append(self._tree.ask(Reload(specs)))
            self._streams.leave(self._wanted.feeds)  # a signal handler may have made newer ones
            self._foreign.keep_only(self._wanted.feeds)

        plan = self._wanted.change(changed, hand_on, self._tree.check, plan_only=plan_only)
        try:
            for question in questions:
                answer_of(question, CALL, f"{what} is not done within {CALL:g} s; it goes on")
                self._accounts.begin()
        finally:
            self._tree.shared.note_change()
        return plan
