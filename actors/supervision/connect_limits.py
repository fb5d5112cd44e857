"""The limiters that lines go through to connect: one for each venue and credential, whatever feeds it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors import log_queue
from actors.feed_spec import FeedSpec
from actors.protocol.limits import RateLimit
from actors.reasons import Reason
from actors.rules.connect_limit import ConnectLimiter, is_asked, strictest, wanted_rest
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

    def try_acquire(self, line: str, spec: FeedSpec) -> tuple[float, str]:
        """0.0: the line may connect now. Else the seconds after which it is to try_acquire again, and why."""
        limiter, budget = self._of(spec), self._budget(spec)
        now = self._clock.monotonic()
        seconds = limiter.try_acquire(line, budget, now)
        if not seconds:
            return 0.0, ""
        if now < limiter.closed_until:
            return seconds, limiter.why
        return seconds, f"{budget.burst} connects at once, then one in {budget.interval:g} s"

    def note_refusal(self, line: str, spec: FeedSpec, reason: Reason) -> None:
        """The line was refused: a pause that its venue asks for holds for all lines of the account."""
        seconds = wanted_rest(reason, spec.policy.restart.slow_initial)
        if not seconds:
            return
        account = spec.venue.account()
        if self._of(spec).close(self._clock.monotonic() + seconds, reason.text, is_asked=is_asked(reason)):
            log.warning("%s: no line of this account connects for %.0f s: %s", account, seconds, reason.text)
            until_ns = self._clock.wall_ns() + int(seconds * 1e9)
            self._known[account] = Cooldown(until_ns, reason.text, line, is_asked(reason))
            self._save()

    def open(self, spec: FeedSpec) -> None:
        """A person acts on this feed: its lines may connect at once, whatever the venue has asked for."""
        account = spec.venue.account()
        self._of(spec).open()
        for each in self._feeds().values():
            if each.venue.account() == account:
                each.token_store.forget_pause()
        if self._known.pop(account, None) is not None:
            self._save()

    def _budget(self, spec: FeedSpec) -> RateLimit:
        """The strictest of all feeds of the account: the venue meters the account."""
        feeds = self._feeds()
        if feeds is not self._reckoned:
            budgets: dict[str, list[RateLimit]] = {}
            for each in feeds.values():
                budgets.setdefault(each.venue.account(), []).append(_own(each))
            self._reckoned = feeds
            self._budgets = {account: strictest(found) for account, found in budgets.items()}
        return self._budgets.get(spec.venue.account()) or _own(spec)

    def _of(self, spec: FeedSpec) -> ConnectLimiter:
        account = spec.venue.account()
        limiter = self._limiters.get(account)
        if limiter is None:
            limiter = self._limiters[account] = ConnectLimiter(self._chance)
            if (known := self._known.get(account)) is not None:
                # A clock that was wrong must not keep the account from connecting for years.
                left = min(
                    (known.until_ns - self._clock.wall_ns()) / 1e9, spec.policy.restart.retry_after_cap
                )
                limiter.close(self._clock.monotonic() + left, known.why, is_asked=known.is_asked)
        return limiter

    def _save(self) -> None:
        now_ns = self._clock.wall_ns()
        self._known = {account: each for account, each in self._known.items() if each.until_ns > now_ns}
        self._cooldowns.save(dict(self._known))


def _own(spec: FeedSpec) -> RateLimit:
    return spec.policy.connect_rate or spec.venue.connect_rate
