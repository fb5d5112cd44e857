"""The config of one runtime as it is wanted now, from its start over each change of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from actors.errors import LinewardenError
from actors.feed_spec import Feeds, FeedSpec, Specs
from actors.feeds.builder import FeedBuilder
from actors.protocol.formatting import suggestion
from actors.settings import Settings
from actors.settings.added_feeds import Change
from actors.settings.diff import Plan
from actors.timers import Clock

if TYPE_CHECKING:
    from actors.simulators import Simulator


class WantedFeeds:
    """Its generations: each is made from the one before, and one at a time. Any thread.

    The supervisor has the newest that it was told of; this has the one that it is to be told of.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.builder = FeedBuilder(clock)
        self.specs = self.builder.build(settings, Specs())
        self.changing = threading.RLock()  # held while a generation is built and handed on

    @property
    def settings(self) -> Settings:
        """As the user wrote them, and has changed them since."""
        return cast(Settings, self.specs.settings)

    @property
    def feeds(self) -> Feeds:
        """By name."""
        return self.specs.feeds

    def spec_of(self, feed: str) -> FeedSpec:
        """Raises LinewardenError: there is no such feed."""
        feeds = self.feeds
        if not isinstance(feed, str) or feed not in feeds:
            hint, known = suggestion(str(feed), feeds), ", ".join(feeds) or "none"
            raise LinewardenError(f"there is no feed {feed!r} in the config{hint} There are: {known}.")
        return feeds[feed]

    def simulator(self, feed: str) -> Simulator:
        """The embedded simulator that this feed talks to. Raises LinewardenError: there is none."""
        self.spec_of(feed)
        if (simulator := self.builder.simulators.get(feed)) is None:
            raise LinewardenError(f"feed {feed!r} uses no embedded simulator; that takes an url of sim://...")
        return simulator

    def change(
        self,
        changed: Callable[[Settings], Change],
        hand_on: Callable[[Specs], None],
        check: Callable[[], None],
        *,
        plan_only: bool = False,
    ) -> Plan:
        """Makes the next generation of the present settings, and hands it on, unless nothing changes.

        No other change comes between; one that a signal handler makes on this thread comes before. `check`
        raises RuntimeStopped once the runtime has ended. Raises ConfigError and LinewardenError as `changed`
        and the builder do; then nothing has changed.
        """
        with self.changing:
            check()
            specs = None
            while specs is None or specs.generation <= self.specs.generation:
                change = changed(self.settings)
                if plan_only or not change.plan.changes_anything:
                    return change.plan
                specs = self.builder.build(change.settings, self.specs)
                try:
                    check()
                except BaseException:  # it has ended meanwhile, as by a signal handler on this thread
                    self.builder.keep_only({})
                    raise
            self.specs = specs
            hand_on(specs)
            self.builder.keep_only(self.settings.feeds)
            return change.plan

    def end(self, seconds: float) -> None:
        """The runtime has ended: its simulators are stopped, behind a change that is under way."""
        is_mine = self.changing.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))
        try:
            self.builder.keep_only({})
        finally:
            if is_mine:
                self.changing.release()
