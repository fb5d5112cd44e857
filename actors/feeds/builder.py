"""From a feed's settings to its spec: the venue, the token, the topics, and a simulator to talk to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from actors.errors import ConfigError
from actors.events import Topic
from actors.feed_spec import FeedSpec, Specs
from actors.login.token_store import TokenStore
from actors.protocol.venue import Venue
from actors.rules.freshness import FreshnessPolicy
from actors.rules.topics import topics_of
from actors.settings import FeedSettings, Settings
from actors.settings.diff import SOFT, without_new_orders
from actors.settings.wording import sentence
from actors.timers import Clock
from actors.wire.connect import Dial
from actors.wire.lookups import Lookups

if TYPE_CHECKING:
    from actors.simulators import Simulator


class FeedBuilder:
    """Builds the specs of one runtime, and owns its embedded simulators. One thread at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lookups = Lookups()
        self.simulators: dict[str, Simulator] = {}  # by feed
        self._ending: list[Simulator] = []  # to be stopped: an interrupt may come before one has been

    def build(self, settings: Settings, former: Specs) -> Specs:
        """The next generation; a feed that has not changed keeps its spec, and none begins to send orders.

        Raises:
            LinewardenError: a venue refuses a key or an option of its feed.
            ConfigError: a feed's simulator cannot start.
        """
        if isinstance(former.settings, Settings):
            settings = without_new_orders(former.settings, settings)
        started: dict[str, Simulator] = {}
        self._stop()
        try:
            feeds = {
                name: self._spec(feed, former, settings.file, started)
                for name, feed in settings.feeds.items()
            }
        except BaseException:  # of a venue of yours, too
            self._stop(*started.values())
            raise
        replaced = [self.simulators[name] for name in started if name in self.simulators]
        self.simulators.update(started)
        self._stop(*replaced)
        return Specs(generation=former.generation + 1, settings=settings, feeds=feeds)

    def keep_only(self, feeds: Mapping[str, FeedSettings]) -> None:
        """Stop the simulators of feeds that are gone, or that have another address now."""
        feeds = {name: feed for name, feed in feeds.items() if _is_simulated(feed)}
        for feed in [feed for feed in self.simulators if feed not in feeds]:
            self._ending.append(self.simulators[feed])
            del self.simulators[feed]
        self._stop()

    def _stop(self, *simulators: Simulator) -> None:
        """Stops these, and those that an interrupt has left."""
        self._ending += simulators
        while self._ending:
            self._ending[-1].stop()
            del self._ending[-1]

    def _spec(self, feed: FeedSettings, former: Specs, file: str, started: dict[str, Simulator]) -> FeedSpec:
        before = former.settings.feeds.get(feed.name) if isinstance(former.settings, Settings) else None
        if before == feed and feed.name in former.feeds:
            return former.feeds[feed.name]
        venue = self._venue(feed, before, file, started)
        wanted: dict[Topic, FreshnessPolicy] = {}
        for entry in feed.subscribe:
            for topic in topics_of(venue, venue.channel(entry.channel), entry.keys, entry.options):
                wanted[topic] = FreshnessPolicy(entry.stale_after, entry.max_event_lag, entry.calendar)
        dial = Dial(
            connect_timeout=feed.connect_timeout,
            proxy=feed.proxy,
            ca_file=feed.ca_file,
            verify_tls=feed.verify_tls,
            compression=feed.compression,
            lookups=self.lookups,
        )
        return FeedSpec(
            venue=venue,
            others=tuple(feed.build_venue(url) for url in feed.doors[1:]),
            token_store=self._token_store(feed, venue, dial, before, former.feeds.get(feed.name)),
            login_variables=feed.login_variables,
            kind=feed.kind,
            identity=tuple(getattr(feed, key) for key in feed.__struct_fields__ if key not in SOFT),
            dial=dial,
            policy=feed,
            price_sources=feed.price_sources,
            wanted=tuple(wanted),
            freshness={topic: each for topic, each in wanted.items() if not each.says_nothing},
        )

    def _token_store(
        self, feed: FeedSettings, venue: Venue, dial: Dial, before: FeedSettings | None, spec: FeedSpec | None
    ) -> TokenStore:
        """A changed config keeps the feed's token, unless it is about the login or the way to it."""
        if before is not None and spec is not None and _login(before, spec.dial) == _login(feed, dial):
            return spec.token_store
        return TokenStore(venue, dial, self._clock, feed.restart.retry_after_cap)

    def _venue(
        self, feed: FeedSettings, before: FeedSettings | None, file: str, started: dict[str, Simulator]
    ) -> Venue:
        """The feed's venue; one with a `sim://` address gets a simulator of its own to talk to."""
        if not _is_simulated(feed):
            return feed.build_venue()
        from actors.simulators import embed  # most programs talk to real venues

        simulator = self.simulators.get(feed.name)
        if simulator is None or before is None or before.own.url != feed.own.url:
            own, where = {feed.kind.name: feed.kind.simulator}, f"[feeds.{feed.name}]"

            def made(simulator: Simulator) -> None:
                started[feed.name] = simulator

            try:
                simulator = embed(feed.own.url, own, made)
            except ConfigError as error:
                raise ConfigError([f"{file}: {where} {each}" for each in error.problems]) from None
            except OSError as error:
                raise ConfigError([sentence(file, where, "url", str(error.strerror))]) from None
        return feed.build_venue(simulator.url)


def _is_simulated(feed: FeedSettings) -> bool:
    return feed.own.url.startswith("sim:")


def _login(feed: FeedSettings, dial: Dial) -> tuple[object, ...]:
    """All that a feed's token depends on."""
    names = feed.kind.login_settings
    own = [getattr(feed.own, name) for name in feed.own.__struct_fields__ if names is None or name in names]
    return feed.kind, own, dial.proxy, dial.ca_file, dial.verify_tls
