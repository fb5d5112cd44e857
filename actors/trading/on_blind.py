"""Halts an account to which this runtime has been blind for too long (`on_blind` of a feed).

What counts is the account's own channels: without them a program does not learn what became of its orders.
If none of them is subscribed to, the lines of the feed count. Prices are judged by `require`, before an
order, and halt nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from actors import log_queue
from actors.events import Freshness, Topic
from actors.feed_spec import FeedSpec
from actors.rules.blindness import Account, BlindTimes, LongBlind
from actors.rules.dead_mans_switch import Rounds
from actors.settings import FeedSettings
from actors.supervision.freshness import FreshnessLooks, policies_of
from actors.supervision.state import SharedState
from actors.timers import Timer, Timers

log = log_queue.logger("actors.trading.on_blind")

PERIOD: Final = 1.0  # seconds between two looks
BLIND: Final = frozenset({"blind", "stale"})  # where the venue itself says that it is closed, it is `quiet`

Act = Callable[[FeedSettings, LongBlind], object]


class OnBlind:
    """Looks once a second, on the thread of the timers. `act` is called with what is to be halted."""

    def __init__(self, shared: SharedState, timers: Timers, act: Act) -> None:
        self._shared, self._timers, self._act = shared, timers, act
        self._looks = FreshnessLooks(shared, timers)
        self._times: dict[str, tuple[float, BlindTimes]] = {}  # by feed, with its delay
        self._rounds = Rounds(PERIOD, timers.clock.monotonic())
        self._timer: Timer | None = None
        self._is_stopped = False

    def begin(self) -> None:
        self._rounds = Rounds(PERIOD, self._timers.clock.monotonic())
        self._timer = self._timers.send_after(PERIOD, self, None)

    def stop(self) -> None:
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def tell(self, _: Any) -> None:
        """The timer's: a round is due. One that is late judges nothing: this process was paused."""
        if self._is_stopped:
            return
        try:
            if self._rounds.begin(self._timers.clock.monotonic()):
                self._look()
        except Exception:
            log.exception("halt.failed", "It could not be judged which accounts are blind.")
        self._timer = self._timers.send_after(PERIOD, self, None)

    def _look(self) -> None:
        for spec in self._shared.specs.feeds.values():
            settings = spec.policy
            if isinstance(settings, FeedSettings) and settings.halts_when_blind:
                for found in self._times_of(settings).look(self._blind(spec), self._timers.clock.monotonic()):
                    self._act(settings, found)

    def _times_of(self, settings: FeedSettings) -> BlindTimes:
        known = self._times.get(settings.name)
        if known is None or known[0] != settings.on_blind_after:
            known = settings.on_blind_after, BlindTimes(settings.on_blind_after)
            self._times[settings.name] = known
        return known[1]

    def _blind(self, spec: FeedSpec) -> Mapping[Account, str]:
        """The accounts that are blind now, and why. A channel without a key counts for all that are named."""
        feed = spec.venue.feed
        topics = self._shared.cells.topics_of_feed(feed)
        own = [topic for topic in topics if spec.venue.channels[topic.channel].account]
        if not own:
            return dict(self._blind_lines(spec))
        own = [topic for topic in own if not self._is_closed(spec, topic)]
        named = tuple(dict.fromkeys(account for topic in own if (account := account_of(topic)) is not None))
        blind: dict[Account, str] = {}
        for topic in own:
            found = self._looks.topic(topic, None, None)
            if found.state in BLIND:
                account = account_of(topic)
                for each in (named or (None,)) if account is None else (account,):
                    blind.setdefault(each, _words(topic, found))
        return blind

    def _is_closed(self, spec: FeedSpec, topic: Topic) -> bool:
        """Whether a calendar of the topic says that the market is closed: then no order is filled."""
        cell, now_ns = self._shared.cells.get(topic), self._timers.clock.wall_ns()
        policies = () if cell is None else policies_of(spec, topic, cell)
        return any(each.calendar is not None and not each.calendar.is_open(now_ns) for each in policies)

    def _blind_lines(self, spec: FeedSpec) -> Iterator[tuple[Account, str]]:
        for name, line in self._shared.lines.copy().items():
            if line.feed == spec.venue.feed and (trouble := self._looks.line(name, spec).trouble) is not None:
                yield None, f"{name}: {trouble.text}"


def account_of(topic: Topic) -> Account:
    """The number of the account that a topic of an account channel names; None: it names none."""
    return int(topic.key) if topic.key.isascii() and topic.key.isdecimal() else None


def _words(topic: Topic, found: Freshness) -> str:
    return f"{topic}: {found.text}"
