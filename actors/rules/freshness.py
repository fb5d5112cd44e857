"""Whether a subscription's data is live, quiet as expected, or stale: a policy for each. Whether it is fresh.

Two ages are judged apart. Silence counts from the last event's receipt: is anything coming? The lag is how
old the newest event was by the venue's own time when it came: is what comes worth anything? Both count in
market time where the policy has a calendar, so nights and holidays make nothing stale.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from actors.events import Cause, Company, Freshness, Standing, Told, Topic, VenueState, seconds_text
from actors.rules.calendar import HORIZON, SECOND, Calendar

LONG: Final = 60.0  # seconds without an event that are shown where no policy has a limit

LONGEST: Final = 400 * 86_400 * SECOND  # nanoseconds; more market time than that is not counted


class FreshnessPolicy(Struct, frozen=True):
    """What a subscription promises; seconds. 0: it promises nothing of that kind."""

    stale_after: float = 0.0  # without an event
    max_event_lag: float = 0.0  # between an event's time, by the venue, and its receipt
    calendar: Calendar | None = None  # None: open at any time

    @property
    def promises(self) -> bool:
        """It can be broken."""
        return bool(self.stale_after or self.max_event_lag)

    @property
    def says_nothing(self) -> bool:
        """One with a calendar alone says when the market is closed."""
        return self.calendar is None and not self.promises

    def over(self, config: FreshnessPolicy | None) -> FreshnessPolicy:
        """This one, with what it leaves out taken from the config's."""
        if config is None or config == self:
            return self
        return FreshnessPolicy(
            self.stale_after or config.stale_after,
            self.max_event_lag or config.max_event_lag,
            self.calendar or config.calendar,
        )

    def counted(self, since_ns: int, until_ns: int) -> float:
        """The seconds between two moments that count."""
        if self.calendar is None:
            return (until_ns - since_ns) / SECOND
        return self.calendar.open_seconds(max(since_ns, until_ns - LONGEST), until_ns)

    def due_in(self, silence: float, now_ns: int) -> float:
        """Seconds until a silence that has lasted so long may break it, and no later; 0: it has.

        It may be too early, where the market closes meanwhile.
        """
        left = self.stale_after - self.counted(now_ns - round(silence * SECOND), now_ns)
        if left <= 0 or self.calendar is None or self.calendar.is_open(now_ns):
            return max(0.0, left)
        opens = self.calendar.opens_after(now_ns)
        return left + (HORIZON.total_seconds() if opens is None else opens.timestamp() - now_ns / SECOND)


NO_POLICY: Final = FreshnessPolicy()
Policies = tuple[FreshnessPolicy, ...]  # of all who follow a topic, each once


def blind(cause: Cause, text: str, about: object) -> Freshness:
    """Not fresh, whatever its last event was: a topic, a line or a stream."""
    return Freshness("blind", cause, text=text, topic=str(about))


class Signs(Struct, frozen=True):
    """The last signs of life of a line, in its present life; monotonic seconds, 0: none."""

    bytes_at: float = 0.0  # anything at all, pongs among it
    message_at: float = 0.0  # a message of the venue's
    ack_at: float = 0.0  # one that answered a subscription
    event_at: float = 0.0  # one with an event, of any topic

    def since(self, moment: float, *, no_event_yet: bool) -> Company:
        """What came after a topic's last event (or its line's login), other than its own events."""
        if self.event_at > moment:
            return "others"
        if self.message_at > max(moment, self.ack_at):
            return "heartbeats"
        if self.ack_at and (no_event_yet or self.ack_at > moment):
            return "acks"
        return "pongs" if self.bytes_at > moment else "nothing"


_BRINGS: dict[Company, str] = {
    "nothing": "its line receives nothing at all",
    "pongs": "its line receives pongs only",
    "acks": "its line receives answers to subscriptions only",
    "heartbeats": "its line receives heartbeats and no event",
    "others": "its line receives other topics",
}


class Evidence(Struct, frozen=True):
    """What there is to judge one topic by, at one moment."""

    now: float  # monotonic seconds
    now_ns: int  # the same by the wall clock
    since: float  # monotonic seconds of the login
    at: float | None  # monotonic seconds of the last event; None: none in this life
    signs: Signs
    venue_ns: int | None = None  # the venue's time of the newest event; None: it named none
    received_ns: int = 0  # our wall clock when that came
    is_broken: bool = False  # no event has come since something of the topic was missing
    told: VenueState | None = None  # by the venue, which explains silence
    resumed_ns: int = 0  # when the last such state ended; 0: there was none

    @property
    def silent_since(self) -> float:
        """Monotonic seconds: of the last event, or of what silence counts from where that was later."""
        since = self.since if self.at is None else self.at
        if not 0 < self.resumed_ns <= self.now_ns:  # a wall clock that was set back says nothing
            return since
        return max(since, self.now - (self.now_ns - self.resumed_ns) / SECOND)

    @property
    def age(self) -> float:
        """Seconds since the last event, or since the login where there was none."""
        return max(0.0, self.now - (self.since if self.at is None else self.at))

    @property
    def is_from_before(self) -> bool:
        """Whether the last event came before the end of a state that explained silence."""
        return self.at is not None and self.received_ns < self.resumed_ns


def judge(policy: FreshnessPolicy, evidence: Evidence) -> Freshness:
    """Stale by silence goes before stale by lag: where nothing comes, its age is of no use."""
    no_event_yet = evidence.at is None
    silent_since = evidence.silent_since
    passed = max(0.0, evidence.now - silent_since)
    limit, told = policy.stale_after, evidence.told
    if told is not None and (passed >= (limit or LONG) or evidence.received_ns <= told.at_ns):
        return _explained(told, no_event_yet, passed)
    if limit and passed >= limit:
        silence = policy.counted(evidence.now_ns - round(passed * SECOND), evidence.now_ns)
        if silence >= limit:
            company = evidence.signs.since(silent_since, no_event_yet=no_event_yet)
            nothing = "nothing since it was subscribed, for" if no_event_yet else "nothing for"
            counted = " of market time" if policy.calendar else ""
            text = f"{nothing} {seconds_text(silence)}{counted}, though the line is up; {_BRINGS[company]}"
            return Freshness("stale", company, no_event_yet, silence, text)
    if policy.max_event_lag and evidence.venue_ns is not None:
        lag = max(0.0, policy.counted(evidence.venue_ns, evidence.received_ns))
        if lag >= policy.max_event_lag:
            text = f"the newest event was {seconds_text(lag)} old by the venue's time when it came"
            return Freshness("stale", "venue_time", no_event_yet, lag, text)
    if not no_event_yet and not evidence.is_from_before and passed < (limit or LONG):
        return Freshness("live", age_s=passed)
    return _quiet(policy, evidence, passed, no_event_yet)


def worst(policies: Iterable[FreshnessPolicy], evidence: Evidence) -> Freshness:
    """A topic that several subscriptions follow, each by its policy: stale goes before quiet."""
    found = [judge(policy, evidence) for policy in policies] or [judge(NO_POLICY, evidence)]
    return max(found, key=lambda each: _RANK[each.state])


def worst_of(answers: Iterable[tuple[Topic, Freshness]]) -> Freshness:
    """Of several topics: one that is not fresh, or the oldest of all. Of none, nothing is known."""
    found = max(answers, key=_badness, default=None)
    if found is None:
        return Freshness("unknown", "not_subscribed", text="there is no subscription")
    return found[1].about(found[0])


def _badness(answer: tuple[Topic, Freshness]) -> tuple[bool, int, float]:
    found = answer[1]
    return not found.fresh, _RANK[found.state], found.age_s


_RANK: dict[Standing, int] = {"live": 0, "quiet": 1, "stale": 2, "blind": 3, "unknown": 4}


def assess(
    policies: Policies,
    evidence: Evidence,
    *,
    max_age: float | None = None,
    dated: bool = False,
    alive_within: float | None = None,
    found: Freshness | None = None,
) -> Freshness:
    """Whether the data of a topic on a line that is live and reads is fresh. What is unknown is not.

    `max_age`: seconds of silence, and by the venue's time where that is `dated`. `alive_within`: seconds, of
    an account channel, whose events come only where something changes. Without `stale_after` its silence is
    judged by that of its line. `found`: what `worst` says of the same, where that is known.
    """
    told, passed = evidence.told, evidence.age
    if told is not None:
        return _explained(told, evidence.at is None, passed)
    if found is None:
        found = worst(policies, evidence)
    for policy in policies:
        if policy.calendar is not None and not policy.calendar.is_open(evidence.now_ns):
            return _quiet(policy, evidence, passed, evidence.at is None)
    is_watched = any(policy.stale_after for policy in policies)
    if alive_within is not None and not is_watched and found.state != "stale":
        return _by_its_line(evidence, max(alive_within, max_age or 0.0))
    if found.state == "stale":
        return found
    if evidence.at is None:
        text = f"no event has come since the login {seconds_text(passed)} ago"
        return Freshness("unknown", "no_event", True, passed, text)
    if evidence.is_broken:
        text = "no event has come since something was missing"
        return Freshness("unknown", "gap", age_s=passed, text=text)
    if found.cause == "not_due":
        return found
    if evidence.is_from_before:
        return Freshness(
            "quiet", "not_due", age_s=passed, text="no event has come since the venue is open again"
        )
    if max_age is None:
        if is_watched:
            return Freshness("live", age_s=passed, fresh=True)
        text = "nothing says how old is too old: set stale_after, or give max_age"
        return Freshness("quiet", "unwatched", age_s=passed, text=text)
    if passed > max_age:
        text = f"its last event came {seconds_text(passed)} ago; max_age is {seconds_text(max_age)}"
        return Freshness("stale", "max_age", age_s=passed, text=text)
    age = (evidence.now_ns - evidence.venue_ns) / SECOND if dated and evidence.venue_ns is not None else 0.0
    if age > max_age:
        limit = seconds_text(max_age)
        text = f"its last event is {seconds_text(age)} old by the venue's time; max_age is {limit}"
        return Freshness("stale", "venue_time", age_s=age, text=text)
    return Freshness("live", age_s=passed, fresh=True)


def _by_its_line(evidence: Evidence, limit: float) -> Freshness:
    """Of an account channel: any sign of life of the line counts."""
    silence = max(0.0, evidence.now - max(evidence.signs.bytes_at, evidence.since))
    if not limit:
        text = "no pings say whether its line is alive: set stale_after, or give max_age"
        return Freshness("quiet", "unwatched", age_s=silence, text=text)
    if silence > limit:
        text = f"its line has received nothing at all for {seconds_text(silence)}"
        return Freshness("stale", "nothing", evidence.at is None, silence, text)
    return Freshness("live", no_event_yet=evidence.at is None, age_s=silence, fresh=True)


def _explained(told: VenueState, no_event_yet: bool, passed: float) -> Freshness:
    cause: Told = "halted" if told.state == "halted" else "maintenance"
    return Freshness("quiet", cause, no_event_yet, passed, f"{cause}: {told.text}" if told.text else cause)


def _quiet(policy: FreshnessPolicy, evidence: Evidence, passed: float, no_event_yet: bool) -> Freshness:
    calendar = policy.calendar
    if calendar is not None and not calendar.is_open(evidence.now_ns):
        opens = calendar.opens_after(evidence.now_ns)
        until = f" until {opens:%a %Y-%m-%d %H:%M %Z}" if opens else ""
        return Freshness("quiet", "closed", no_event_yet, passed, f"{calendar.name} is closed{until}")
    if policy.stale_after:
        text = f"an event is due within {seconds_text(policy.stale_after)}"
        return Freshness("quiet", "not_due", no_event_yet, passed, text)
    return Freshness("quiet", "unwatched", no_event_yet, passed, "no stale_after: silence is not judged")
