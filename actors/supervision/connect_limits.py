"""The limiters that lines go through to connect: one for each venue and credential, whatever feeds it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors import log_queue
from actors.feed_spec import FeedSpec
from actors.protocol.limits import RateLimit
from actors.protocol.venue import Venue
from actors.reasons import Reason, Slow
from actors.rules.connect_limit import ConnectLimiter, strictest, wanted_rest
from actors.supervision.cooldown_file import Cooldown
from actors.supervision.state import Environment

log = log_queue.logger("actors.supervision.connect_limits")


class ConnectLimiters:
    """The supervisor's; one thread at a time. `feeds`: those that are wanted now."""

    def __init__(self, environment: Environment, feeds: Callable[[], Mapping[str, FeedSpec]]) -> None:
        self._clock, self._chance = environment.timers.clock, environment.chance
        self._cooldowns = environment.cooldowns
        self._known = self._cooldowns.load(self._clock.wall_ns())  # by account
        self._limiters: dict[str, ConnectLimiter] = {}
        self._feeds = feeds
        self._reckoned: Mapping[str, FeedSpec] = {}  # the feeds from which...
        self._budgets: dict[str, RateLimit] = {}  # ...these were reckoned, by account

    def open_door(self, spec: FeedSpec, at: int) -> int:
        """The first address from this one on without a cool-down, or the one whose cool-down ends first."""
        count = len(spec.doors)
        doors = [(at + step) % count for step in range(count)]
        now = self._clock.monotonic()
        return min(doors, key=lambda door: max(0.0, self._of(spec.doors[door]).closed_until - now))

    def try_acquire(self, line: str, spec: FeedSpec, door: int = 0) -> tuple[float, str]:
        """0.0: the line may connect now. Else the seconds after which it is to try_acquire again, and why.

        `door`: the address that it connects to; each has its own limit.
        """
        limiter, budget = self._of(spec.doors[door]), self._budget(spec, spec.doors[door])
        now = self._clock.monotonic()
        seconds = limiter.try_acquire(line, budget, now)
        if not seconds:
            return 0.0, ""
        if now < limiter.closed_until:
            return seconds, limiter.why
        return seconds, f"{budget.burst} connects at once, then one in {budget.interval:g} s"

    def note_refusal(self, spec: FeedSpec, reason: Reason, door: int = 0, *, reached: bool = False) -> None:
        """A line has ended: a pause that its venue asks for holds for all lines of the account.

        What an address asks for before it accepts the WebSocket holds for that address, else for all.
        """
        seconds = wanted_rest(reason, spec.policy.restart.slow_initial)
        if not seconds and spec.others and not reached and isinstance(reason, Slow) and not reason.exact:
            seconds = spec.policy.restart.slow_initial  # the line itself goes to another address meanwhile
        if not seconds:
            return
        for venue in spec.doors if reached else spec.doors[door : door + 1]:
            self._close(venue, seconds, reason)

    def _close(self, venue: Venue, seconds: float, reason: Reason) -> None:
        account = venue.account()
        if self._of(venue).close(self._clock.monotonic() + seconds, reason.text):
            log.warning("%s: no line of this account connects for %.0f s: %s", account, seconds, reason.text)
            self._known[account] = Cooldown(self._clock.wall_ns() + int(seconds * 1e9), reason.text)
            self._save()

    def open(self, spec: FeedSpec) -> None:
        """A person acts on this feed: its lines may connect at once, whatever the venue has asked for."""
        for venue in spec.doors:
            self._of(venue).open()
            if self._known.pop(venue.account(), None) is not None:
                self._save()

    def _budget(self, spec: FeedSpec, venue: Venue) -> RateLimit:
        """The strictest of all feeds of the account: the venue meters the account."""
        feeds = self._feeds()
        if feeds is not self._reckoned:
            budgets: dict[str, list[RateLimit]] = {}
            for each in feeds.values():
                for door in each.doors:
                    budgets.setdefault(door.account(), []).append(_own(each))
            self._reckoned = feeds
            self._budgets = {account: strictest(found) for account, found in budgets.items()}
        return self._budgets.get(venue.account()) or _own(spec)

    def _of(self, venue: Venue) -> ConnectLimiter:
        account = venue.account()
        limiter = self._limiters.get(account)
        if limiter is None:
            limiter = self._limiters[account] = ConnectLimiter(self._chance)
            if (known := self._known.get(account)) is not None:
                left = (known.until_ns - self._clock.wall_ns()) / 1e9
                limiter.close(self._clock.monotonic() + left, known.why)
        return limiter

    def _save(self) -> None:
        now_ns = self._clock.wall_ns()
        self._known = {account: each for account, each in self._known.items() if each.until_ns > now_ns}
        self._cooldowns.save(dict(self._known))


def _own(spec: FeedSpec) -> RateLimit:
    return spec.policy.connect_rate or spec.venue.connect_rate
