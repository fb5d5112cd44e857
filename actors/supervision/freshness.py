"""How far the data of a line can be trusted now, topic by topic. Any thread looks; no actor is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from actors.actor import Roles
from actors.delivery.cells import Cell
from actors.delivery.holder import Holder
from actors.events import Blindness, Freshness, Topic
from actors.feed_spec import FeedSpec
from actors.messages import LookAgain
from actors.protocol.venue import Venue
from actors.rules.calendar import SECOND
from actors.rules.freshness import Evidence, FreshnessPolicy, Policies, assess, worst
from actors.supervision.state import LineView, SharedState
from actors.timers import Timers

BEHIND: Final = 1.0  # seconds that a line may take to come to the end of its socket
Placed = tuple[str, Cell, FeedSpec, Holder]  # its line, first


class Trouble(Struct, frozen=True):
    """Why no topic of a line can be fresh now."""

    cause: Blindness
    text: str
    passes: bool = False  # a permit holds again once it is over, if nothing was lost meanwhile


DOWN: Final = Trouble("not_live", "its line is not up", passes=True)
NOT_SUBSCRIBED: Final = Freshness(
    "unknown", "not_subscribed", text="nothing is subscribed to it: open a stream, or name it in the config"
)


class Judged(Struct, frozen=True):
    """How a topic stands to the policies of all who follow it, and by what that was found."""

    policies: Policies
    evidence: Evidence
    found: Freshness


class LineLook(Struct, frozen=True):
    """One line at one moment, and all by which its topics are judged."""

    spec: FeedSpec
    holder: Holder | None  # None: the line is not up
    trouble: Trouble | None
    now: float  # monotonic seconds
    now_ns: int
    distrusted: Mapping[Topic, str] = {}  # topics whose events get lost, and how that is known

    def judged(self, topic: Topic, cell: Cell) -> Judged | None:
        """How it stands to the policies of all who follow it; None: the line is not up."""
        if self.holder is None:
            return None
        policies = policies_of(self.spec, topic, cell)
        evidence = self._evidence(self.holder, topic, dated=_are_dated(policies))
        return Judged(policies, evidence, worst(policies, evidence))

    def fresh(
        self,
        topic: Topic,
        cell: Cell,
        policies: Policies | None = None,
        max_age: float | None = None,
        *,
        judged: Judged | None = None,
    ) -> Freshness:
        """Whether its data can be acted on; by these policies, or (None) by those of all who follow it.

        `judged`: what `judged` has found for these, where there is no `max_age`; it saves a second look.
        """
        holder = self.holder
        if self.trouble is not None or holder is None:
            trouble = self.trouble or DOWN
            return Freshness("blind", trouble.cause, text=trouble.text)
        if topic in holder.rejected or topic not in holder.settled:
            return _unsettled(cell, is_rejected=topic in holder.rejected)
        if topic in holder.filling:
            return Freshness("blind", "backfill", text="the venue is being asked for what a gap lacks")
        if topic in self.distrusted:
            return Freshness("blind", "silent_loss", text=self.distrusted[topic])
        alive_within = _alive_within(self.spec, topic)
        if judged is not None:
            return assess(judged.policies, judged.evidence, alive_within=alive_within, found=judged.found)
        if policies is None:
            policies = policies_of(self.spec, topic, cell)
        dated = max_age is not None and _is_market_state(holder.venue, topic)
        return assess(
            policies,
            self._evidence(holder, topic, dated=dated or _are_dated(policies)),
            max_age=max_age,
            dated=dated,
            alive_within=alive_within,
        )

    def is_silence_of_line(self, topic: Topic, policies: Policies, found: Freshness) -> bool:
        """Whether an account channel is not fresh because its line is silent: nothing is missing yet."""
        is_account = self.spec.venue.channels[topic.channel].account
        return is_account and found.cause == "nothing" and not any(each.stale_after for each in policies)

    def _evidence(self, holder: Holder, topic: Topic, *, dated: bool) -> Evidence:
        return holder.evidence(topic, self.now, self.now_ns, dated=dated)


class FreshnessLooks:
    """Looks at the lines of one runtime. Any thread; nothing waits."""

    def __init__(self, shared: SharedState, timers: Timers) -> None:
        self._shared, self._clock, self._pulse = shared, timers.clock, timers.pulse

    def line(self, name: str, spec: FeedSpec) -> LineLook:
        now, now_ns = self._clock.monotonic(), self._clock.wall_ns()
        holder = self._shared.cells.holder(name)
        if holder is not None and not holder.right.valid:  # looked at once: it may end at any moment
            holder = None
        trouble = self._trouble(name, holder, now)
        return LineLook(spec, holder, trouble, now, now_ns, self._shared.distrusted)

    def placed(self, topic: Topic) -> Placed | Freshness:
        """Where a topic lies, if the line is up; else why it cannot be fresh."""
        cell, spec = self._shared.cells.get(topic), self._shared.specs.feeds.get(topic.feed)
        if cell is None or spec is None:
            return NOT_SUBSCRIBED
        if (name := cell.line) is None:
            return no_line(cell)
        holder = self._shared.cells.holder(name)
        if holder is None or not holder.right.valid:
            return Freshness("blind", "not_live", text=_down(self._shared.lines.get(name)))
        return name, cell, spec, holder

    def topic(self, topic: Topic, own: FreshnessPolicy | None, max_age: float | None) -> Freshness:
        """One topic now; by the policy of a stream with this one of its own, or (None) by those of all."""
        placed = self.placed(topic)
        if isinstance(placed, Freshness):
            return placed
        name, cell, spec, _ = placed
        return self.line(name, spec).fresh(topic, cell, policies_of(spec, topic, cell, own), max_age)

    def behind(self, topic: Topic, received_ns: int) -> float:
        """Seconds from a receipt to that of the topic's newest event, by the wall clock of those moments."""
        placed = self.placed(topic)
        stamp = None if isinstance(placed, Freshness) else placed[3].last_events.stamps.get(topic)
        return 0.0 if stamp is None else (stamp.wall_ns - received_ns) / SECOND

    def present_spec(self, former: FeedSpec) -> FeedSpec:
        """Of the same feed, as the config has it now; if that has gone, the former one."""
        return self._shared.specs.feeds.get(former.venue.feed, former)

    def _trouble(self, name: str, holder: Holder | None, now: float) -> Trouble | None:
        if holder is None:
            return Trouble("not_live", _down(self._shared.lines.get(name)), passes=True)
        counters = holder.counters
        if not counters.reading:
            return Trouble("not_reading", _held(counters.paused_by_streams), passes=True)
        if self._pulse.is_late(now) or not counters.is_read_to_end(self._pulse.resumed_at):
            text = "this process or its machine was paused, and the line has not been read to its end since"
            return Trouble("process_paused", text, passes=True)
        if (lag := counters.receive_lag(now)) > BEHIND:
            text = f"its line has not read its socket to the end for {lag:.1f} s"
            return Trouble("not_reading", text, passes=True)
        if counters.decodes_nothing:
            return Trouble("undecodable", "no message that its line receives can be decoded")
        return None


def no_line(cell: Cell) -> Freshness:
    """Of a topic that is wanted, and lies on no line."""
    return Freshness("blind", "rejected", text=f"no line can take it: {cell.subscription.reason}")


def _unsettled(cell: Cell, *, is_rejected: bool) -> Freshness:
    """Not in the hands of the connection yet. `is_rejected`: the registry may be about to be told."""
    if is_rejected or cell.subscription.state == "rejected":
        return Freshness("blind", "rejected", text=f"the venue rejected it: {cell.subscription.reason}")
    return Freshness("blind", "unconfirmed", text="the venue has not confirmed the subscription yet")


def _are_dated(policies: Policies) -> bool:
    return any(policy.max_event_lag for policy in policies)


class LookAtAll:
    """Told by the timers that a pause of the process is over: every line looks at its socket."""

    def __init__(self, shared: SharedState, roles: Roles) -> None:
        self._shared, self._roles = shared, roles

    def tell(self, message: object) -> None:
        for line in self._shared.lines.copy():
            self._roles.connection(line).tell(LookAgain())


def policies_of(spec: FeedSpec, topic: Topic, cell: Cell, own: FreshnessPolicy | None = None) -> Policies:
    """Of all who follow a topic: that of the config, and those of streams over it.

    `own`: of one stream alone, whose policy this is.
    """
    config = spec.freshness.get(topic)
    if own is not None:
        policy = own.over(config)
        return () if policy.says_nothing else (policy,)
    if not cell.policies:
        return () if config is None else (config,)
    composed = (policy.over(config) for policy in cell.policies)
    every = (*(() if config is None else (config,)), *composed)
    return tuple(dict.fromkeys(policy for policy in every if not policy.says_nothing))


def _is_market_state(venue: Venue, topic: Topic) -> bool:
    """Whether the venue's time of an event says how old the price or book in it is: that of a bar does not.

    Of a venue that does not say which of its channels have prices, each is taken for one.
    """
    priced = venue.price_channels
    return not priced or topic.channel in priced or topic.channel == venue.book_channel


def _alive_within(spec: FeedSpec, topic: Topic) -> float | None:
    """Seconds in which the line of an account channel shows a sign of life; None: no account channel."""
    if not spec.venue.channels[topic.channel].account:
        return None
    beats = spec.policy.heartbeat
    return beats.ping_interval + beats.pong_timeout if beats.ping_interval else 0.0


def _down(line: LineView | None) -> str:
    if line is None:
        return "its line is not there yet"
    if line.state.is_open:  # the supervisor is about to be told
        return "its connection has ended"
    reason = f" ({line.reason.text})" if line.reason is not None else ""
    return f"its line is {line.state.shown}{reason}"


def _held(streams: tuple[int, ...]) -> str:
    if not streams:
        return "its line is not read"
    which = ", ".join(map(str, streams))
    return f"its line is not read: it waits for the full stream{'s' if len(streams) > 1 else ''} {which}"
