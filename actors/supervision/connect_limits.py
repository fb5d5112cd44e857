"""The limiters that lines go through to connect: one for each venue and credential, whatever feeds it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import structs

from actors import log_queue
from actors.errors import LinewardenError
from actors.feed_spec import FeedSpec
from actors.protocol.limits import RateLimit
from actors.reasons import Reason, Slow
from actors.rules.connect_limit import ConnectLimiter, Wait, strictest, wait_of, wanted_rest
from actors.supervision.cooldown_file import Cooldown
from actors.supervision.state import Environment, SharedState

log = log_queue.logger("actors.supervision.connect_limits")


class Deferral(NamedTuple):
    """After so many seconds the line is to ask again; 0.0: it may connect now."""

    seconds: float
    why: str = ""
    wait: Wait = "backoff"


class ConnectLimiters:
    """The supervisor's; one thread at a time. What it knows of cool-downs is published in `shared`."""

    def __init__(self, environment: Environment, shared: SharedState) -> None:
        self._clock, self._chance = environment.timers.clock, environment.chance
        self._file, self._shared = environment.cooldowns, shared
        self._shared.cooldowns = self._file.load(self._clock.wall_ns())
        self._limiters: dict[str, ConnectLimiter] = {}
        self._reckoned: Mapping[str, FeedSpec] = {}  # the feeds from which...
        self._budgets: dict[str, RateLimit] = {}  # ...these were reckoned, by account

    def open_door(self, spec: FeedSpec, at: int) -> int:
        """The first address from this one on without a cool-down, or the one whose cool-down ends first."""
        if not spec.others:
            return 0
        count, now = len(spec.doors), self._clock.monotonic()
        doors = [(at + step) % count for step in range(count)]
        return min(doors, key=lambda door: max(0.0, self._of(spec, door).closed_until - now))

    def try_acquire(self, line: str, spec: FeedSpec, door: int = 0) -> Deferral:
        """Whether the line may connect now, which is counted; else when it is to ask again, and why.

        `door`: the address that it connects to; each has its own limit.
        """
        limiter, budget = self._of(spec, door), self._budget(spec, door)
        now = self._clock.monotonic()
        seconds = limiter.try_acquire(line, budget, now)
        if not seconds:
            return Deferral(0.0)
        if now < limiter.closed_until:
            return Deferral(seconds, limiter.why, limiter.wait)
        return Deferral(seconds, f"{budget.burst} connects at once, then one in {budget.interval:g} s")

    def is_open(self, spec: FeedSpec, door: int) -> bool:
        """Whether a line might connect now. Nothing is counted."""
        return self._of(spec, door).is_open(self._budget(spec, door), self._clock.monotonic())

    def note_refusal(
        self, line: str, spec: FeedSpec, reason: Reason, door: int = 0, *, reached: bool = False
    ) -> None:
        """The line was refused: a pause that its venue asks for holds for all lines of the account.

        What an address asks for before it accepts the WebSocket holds for that address, else for all.
        """
        seconds = wanted_rest(reason, spec.policy.restart.slow_initial)
        if not seconds and spec.others and not reached and isinstance(reason, Slow) and not reason.exact:
            seconds = spec.policy.restart.slow_initial  # the line itself goes to another address meanwhile
        if not seconds:
            return
        for each in range(len(spec.doors)) if reached else (door,):
            self._close(line, spec, each, seconds, reason)

    def _close(self, line: str, spec: FeedSpec, door: int, seconds: float, reason: Reason) -> None:
        account, wait = spec.doors[door].account(), wait_of(reason)
        if self._of(spec, door).close(self._clock.monotonic() + seconds, reason.text, wait):
            log.warning(
                "cooldown.began",
                "%s: no line of this account connects for %.0f s: %s",
                account,
                seconds,
                reason.text,
                feed=line.partition("/")[0],
            )
            until_ns = self._clock.wall_ns() + int(seconds * 1e9)
            self._keep(account, Cooldown(until_ns, reason.text, line, wait == "asked"))

    def open(self, account: str) -> None:
        """A person acts: the lines of the account may connect at once, whatever the venue has asked for."""
        if account in self._limiters:
            self._limiters[account].open()
        for spec in self._shared.specs.feeds.values():
            if account in spec.accounts:
                spec.token_store.forget_pause()
        if account in self._shared.cooldowns:
            self._keep(account, None)

    def clear(self, wanted: str) -> tuple[str, ...]:
        """End the cool-down of this account, or of a feed's; of all of them: "". Returns their names.

        Raises:
            LinewardenError: there is no such cool-down.
        """
        now_ns = self._clock.wall_ns()
        known = [account for account, each in self._shared.cooldowns.items() if now_ns < each.until_ns]
        feed = self._shared.specs.feeds.get(wanted)
        accounts = {wanted} if feed is None else set(feed.accounts)
        if wanted and not accounts & set(known):
            there = f"There are: {', '.join(known)}." if known else "There is none."
            raise LinewardenError(f"there is no cool-down of {wanted!r}. {there}")
        found = tuple(each for each in known if not wanted or each in accounts)
        for each in found:
            self.open(each)
        return found

    def _budget(self, spec: FeedSpec, door: int) -> RateLimit:
        """The strictest of all feeds of the account: the venue meters the account."""
        feeds = self._shared.specs.feeds
        if feeds is not self._reckoned:
            budgets: dict[str, list[RateLimit]] = {}
            for each in feeds.values():
                for account in each.accounts:
                    budgets.setdefault(account, []).append(_own(each))
            self._reckoned = feeds
            self._budgets = {account: strictest(found) for account, found in budgets.items()}
        return self._budgets.get(spec.doors[door].account()) or _own(spec)

    def _of(self, spec: FeedSpec, door: int) -> ConnectLimiter:
        account = spec.doors[door].account()
        limiter = self._limiters.get(account)
        if limiter is None:
            limiter = self._limiters[account] = ConnectLimiter(self._chance)
            if (known := self._shared.cooldowns.get(account)) is not None:
                now_ns, cap = self._clock.wall_ns(), spec.policy.restart.retry_after_cap
                left = (known.until_ns - now_ns) / 1e9
                if left > cap:  # a clock that was wrong must not keep the account from connecting for years
                    left = cap
                    self._keep(account, structs.replace(known, until_ns=now_ns + int(cap * 1e9)))
                wait: Wait = "asked" if known.is_asked else "cooling"
                limiter.close(self._clock.monotonic() + left, known.why, wait)
        return limiter

    def _keep(self, account: str, cooldown: Cooldown | None) -> None:
        now_ns = self._clock.wall_ns()
        others = {name: each for name, each in self._shared.cooldowns.items() if name != account}
        kept = others if cooldown is None else {**others, account: cooldown}
        kept = {name: each for name, each in kept.items() if each.until_ns > now_ns}
        self._shared.cooldowns = kept
        self._shared.note_change()
        self._file.save(kept)


def _own(spec: FeedSpec) -> RateLimit:
    return spec.policy.connect_rate or spec.venue.connect_rate
