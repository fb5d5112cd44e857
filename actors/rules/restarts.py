"""Whether, when and how often a line is tried again: tenacity holds the policy, the supervisor the timer.

A lost line is tried again after `d * uniform(0.5, 1)` seconds, `d` doubling from `initial` to `maximum`.
The first attempt after a healthy life is made within `initial`. A slow reason waits as long as the venue
asks, up to `retry_after_cap`, or exactly the locally computed delay; a fatal one waits until a person acts.
Lives that reached the venue and ended before they were stable are counted: more than `max_restarts` of them
within `period` park the line, and it is probed. The counters reset after `stable_after` seconds live.

After a stable life with the same URL and credentials (`proved`), a refusal is judged otherwise: a verdict is
probed, and weather is retried once as a loss, and slow from then on, until refusals have repeated for
`verdict_after` seconds. Then a verdict waits until a person acts, and weather parks the line, which goes on
being probed.
"""

from __future__ import annotations

import random
from collections import deque
from functools import cached_property
from typing import Annotated, Literal

import tenacity
from msgspec import Meta, Struct, structs
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from actors.reasons import Crashed, Fatal, Reason, Retryable, Slow, Stopped, Weather

SLOW_MAXIMUM = 300.0  # seconds: what a slow reason's own backoff doubles to


YEAR = 366 * 86_400.0  # seconds; a longer time is a slip of the pen

Seconds = Annotated[float, Meta(gt=0, le=YEAR, description="seconds, more than 0 and at most a year")]
Interval = Annotated[float, Meta(ge=0, le=YEAR, description="seconds, 0 or more and at most a year")]
SlowSeconds = Annotated[
    float, Meta(gt=0, le=SLOW_MAXIMUM, description="seconds, more than 0 and at most 300")
]
Growth = Annotated[float, Meta(ge=1, le=1000, description="a number from 1 to 1000")]
Count = Annotated[int, Meta(ge=0, le=1_000_000, description="a whole number, 0 or more")]


class RestartPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[defaults.restart]` and `[feeds.NAME.restart]`; times in seconds."""

    initial: Seconds = 0.25
    maximum: Seconds = 30.0
    multiplier: Growth = 2.0
    max_restarts: Count = 20
    period: Seconds = 300.0
    stable_after: Interval = 10.0
    probe_interval: Interval = 60.0  # 0: a line that is parked for its short lives is never probed
    slow_initial: SlowSeconds = 30.0
    retry_after_cap: Seconds = 3_600.0
    verdict_after: Interval = 1_800.0  # 0: the first refusal is final
    refused_interval: Interval = 900.0  # 0: a line that was refused is never probed
    give_up: Literal["wait", "close"] = "wait"  # what streams do once all of their lines have failed


class Retry(Struct, frozen=True):
    """Start the line again in `delay` seconds; it will be try number `attempt`."""

    delay: float
    attempt: int


class Park(Struct, frozen=True):
    """The line has failed. It is tried again in `probe_after` seconds; None: when a person acts."""

    probe_after: float | None


class RestDelay(Struct, frozen=True):
    """The line was stopped on purpose."""


Verdict = Retry | Park | RestDelay


class Ended(Exception):  # noqa: N818 - tenacity wants outcomes to be exceptions; this one is a fact
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class wait_equal_jitter(wait_base):  # noqa: N801 - named as tenacity names its waits
    """Half of the delay is certain, half is chance: alive at the cap, where tenacity's own has none."""

    def __init__(self, policy: RestartPolicy, chance: random.Random) -> None:
        self._policy = policy
        self._chance = chance

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        policy = self._policy
        # The exponent is bounded, since a float is: a line may be down for months.
        growth = policy.multiplier ** min(retry_state.attempt_number - 1, 64)
        return min(policy.initial * growth, policy.maximum) * self._chance.uniform(0.5, 1.0)


class wait_as_asked(wait_base):  # noqa: N801
    """What a venue asked for, or else a long wait that doubles."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        doubled = self._policy.slow_initial * 2.0 ** min(retry_state.attempt_number - 1, 16)
        reason = reason_of(retry_state)
        asked = getattr(reason, "retry_after", None) or 0.0
        return asked if _is_exact(reason) else max(asked, min(doubled, SLOW_MAXIMUM))


class stop_when_spent(stop_base):  # noqa: N801
    """OTP's intensity and period: more than `max_restarts` young deaths within `period` seconds."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._deaths: tuple[float, ...] = ()

    def count(self, now: float) -> None:
        self._deaths = (*(at for at in self._deaths if at >= now - self._policy.period), now)

    def clear(self) -> None:
        self._deaths = ()

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return len(self._deaths) > self._policy.max_restarts


def reason_of(retry_state: tenacity.RetryCallState) -> Reason:
    assert retry_state.outcome is not None
    error = retry_state.outcome.exception()
    assert isinstance(error, Ended)
    return error.reason


def _is_exact(reason: Reason) -> bool:
    return isinstance(reason, Slow) and reason.exact


def _may_pass(error: BaseException) -> bool:
    """OTP's transient child: one that was told to end stays down. So does one with a fatal reason."""
    return isinstance(error, Ended) and isinstance(error.reason, Retryable | Slow | Crashed)


class Restarts:
    """One line's law and its memory. Not thread-safe; `now` is monotonic seconds."""

    def __init__(self, policy: RestartPolicy, chance: random.Random | None = None) -> None:
        self.policy = policy
        self._chance = chance or random.Random()  # jitter, no secret
        self._spent = stop_when_spent(policy)
        self._slow = wait_as_asked(policy)
        self.attempt = 0  # tries since the line was last stable
        self.parked = False
        self._slow_turns = 0
        self._healthy = False
        self._refused_at: float | None = None  # monotonic seconds: the first refusal since it was last stable

    @cached_property
    def _law(self) -> tenacity.Retrying:
        """Made at the first ending: most lines of a large program have none."""
        return tenacity.Retrying(
            wait=wait_equal_jitter(self.policy, self._chance),
            stop=self._spent,
            retry=tenacity.retry_if_exception(_may_pass),
        )

    def stable(self) -> None:
        """The line stayed live for `stable_after`: all is forgotten."""
        self.clear()
        self._healthy = True

    def clear(self) -> None:
        """A person asked for a new start."""
        self.attempt = self._slow_turns = 0
        self.parked = self._healthy = False
        self._refused_at = None
        self._spent.clear()

    def under(self, policy: RestartPolicy) -> Restarts:
        """The same line by another policy: counters begin at zero, health and first refusal are kept."""
        other = Restarts(policy, self._chance)
        other._healthy, other._refused_at = self._healthy, self._refused_at
        return other

    def judged(self, reason: Fatal, *, proved: bool, now: float) -> Reason:
        """What a refusal means for this line: the reason by which it goes on.

        `proved`: a life with the same URL and credentials was stable, and no verdict on them came since.
        """
        return self._refused(reason, now) if proved else Fatal(reason.text, reason.code, reason.advice)

    def capped(self, reason: Reason) -> Reason:
        """The reason with as much of the pause that the venue asks for as the policy observes."""
        cap = self.policy.retry_after_cap
        match reason:
            case Slow(retry_after=asked, exact=False) if asked is not None and asked > cap:
                return structs.replace(reason, retry_after=cap)
        return reason

    def _refused(self, reason: Fatal, now: float) -> Reason:
        """A refusal of a line that worked. Weather is slow from the second on: one may be a stray."""
        is_first = self._refused_at is None
        if self._refused_at is None:
            self._refused_at = now
        left = self._refused_at + self.policy.verdict_after - now
        often = self.policy.refused_interval or None
        if isinstance(reason, Weather):
            text = f"{reason.text}; it worked before"
            if left > 0:
                return Retryable(text, reason.code) if is_first else Slow(text, reason.code, shared=True)
            return Fatal(reason.text, reason.code, reason.advice, often)
        return structs.replace(reason, probe_after=min(often, left) if often and left > 0 else None)

    def ended(self, reason: Reason, *, reached: bool, now: float) -> Verdict:
        """A life ended; `reached`: the venue had accepted its WebSocket."""
        first_after_health, self._healthy = self._healthy, False
        if isinstance(reason, Stopped):
            return RestDelay()
        if reached and not first_after_health:
            self._spent.count(now)
        self.attempt += 1
        if not _is_exact(reason):
            self._slow_turns = self._slow_turns + 1 if isinstance(reason, Slow) else 0
        outcome = self._outcome(reason)
        if not self._law.retry(outcome):
            self.parked = True
            assert isinstance(reason, Fatal)  # all others may pass
            return Park(reason.probe_after)
        if self.parked or self._law.stop(outcome):
            return self._park(reason, outcome)
        return Retry(self._delay(reason, outcome, first_after_health), self.attempt)

    def _park(self, reason: Reason, outcome: tenacity.RetryCallState) -> Park:
        self.parked = True
        if not self.policy.probe_interval:
            return Park(None)
        asked = self._slow(outcome) if isinstance(reason, Slow) else 0.0
        return Park(max(self.policy.probe_interval, asked))

    def _delay(self, reason: Reason, outcome: tenacity.RetryCallState, first_after_health: bool) -> float:
        if isinstance(reason, Slow):
            return self._slow(outcome)
        if first_after_health:
            return self._chance.uniform(0.0, self.policy.initial)
        return float(self._law.wait(outcome))

    def _outcome(self, reason: Reason) -> tenacity.RetryCallState:
        state = tenacity.RetryCallState(self._law, None, (), {})
        state.attempt_number = self._slow_turns if isinstance(reason, Slow) else self.attempt
        error = Ended(reason)
        state.set_exception((Ended, error, None))
        return state


class Intensity:
    """OTP's limit for the workers, whose restarts do not wait: over `limit` within `period` ends all."""

    def __init__(self, limit: int = 5, period: float = 60.0) -> None:
        self.limit, self.period = limit, period
        self._deaths: deque[float] = deque()

    def exceeded(self, now: float) -> bool:
        """Count a death; whether it was one too many."""
        self._deaths.append(now)
        while self._deaths[0] < now - self.period:
            self._deaths.popleft()
        return len(self._deaths) > self.limit
