"""Sends pings at an interval; an unanswered ping ends the connection.

It sends the protocol's pings and the venue's own, watches subscriptions that have a freshness policy, and
reads the health of lines that may be restarted for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from actors.actor import Actor, ActorContext, Lease
from actors.events import Freshness, Topic
from actors.messages import (
    BeatDue,
    EndIfSilent,
    HealthDue,
    HealthLooked,
    JudgeStale,
    LineLost,
    PoliciesChanged,
    PongOverdue,
    PongReceived,
    ReadingPaused,
    ReadingResumed,
    Report,
    RoleStarted,
    SendPing,
    SendVenuePing,
    SessionOpened,
    StaleDue,
    TopicsStale,
    VenueBeatDue,
    WatchTimer,
)
from actors.rules.freshness import Policies
from actors.rules.liveness import Rhythm, Watch, Watched
from actors.rules.poor_health import Vitals


class Heartbeat(Actor):
    """One for all lines. A new one is told of every life again, so no state outlives it."""

    def __init__(
        self,
        context: ActorContext[Lease],
        *,
        rhythm: Callable[[str], Rhythm | None],
        silent_since: Callable[[Topic], float],
        policies: Callable[[str, Topic], Policies],
        judge: Callable[[str, Topic], Freshness],
        vitals: Callable[[str, Watch, Mapping[Topic, Freshness]], Vitals | None],
        shown: dict[str, Watched],
    ) -> None:
        super().__init__(context)
        self._supervisor = self.address("supervisor")
        self._rhythm = rhythm
        self._silent_since = silent_since
        self._policies, self._judge, self._vitals = policies, judge, vitals
        self._watches: dict[str, Watch] = {}
        self._shown = shown  # by line, for all to see
        self._number = self.incarnation << 32  # of the last watch: no former keeper had it

    def on_receive(self, message: Any) -> None:
        if isinstance(message, SessionOpened):
            self._begin(message)
        elif isinstance(message, PoliciesChanged):
            self._take_policies(message)
        elif isinstance(message, RoleStarted):
            pass  # the supervisor reports every life to it
        elif isinstance(message, Report):
            watch = self._watches.get(message.line)
            if watch is None or watch.epoch != message.epoch:
                return
            if not isinstance(message, WatchTimer) or message.watch == watch.number:
                self._handle_report(watch, message)
        else:
            self.unknown(message)

    def _handle_report(self, watch: Watch, message: Report) -> None:
        match message:
            case BeatDue():
                self._beat(watch, message)
            case PongReceived(beat=beat, rtt=rtt):
                watch.beats.pong(beat, rtt)
                self._shown[message.line] = watch.shown()
            case PongOverdue(beat=beat):
                if watch.beats.overdue(beat):
                    self._shown[message.line] = watch.shown()
                    overdue = EndIfSilent(beat, watch.rhythm.pong_timeout)
                    self.connection(message.line).tell(overdue, watch.epoch)
            case VenueBeatDue():
                self.connection(message.line).tell(SendVenuePing(), watch.epoch)
                self.send_later(watch.rhythm.venue_ping_interval, message)
            case StaleDue(look=look):
                if look == watch.look:
                    self._look_for_stale(watch, message)
            case HealthDue():
                self._look_at_health(watch, message)
            case ReadingPaused():
                watch.beats.freeze()
            case ReadingResumed():
                watch.beats.thaw()
            case LineLost():
                del self._watches[message.line]
                self._shown.pop(message.line, None)
            case _:
                self.unknown(message)

    def _begin(self, opened: SessionOpened) -> None:
        line, epoch = opened.line, opened.epoch
        rhythm = self._rhythm(line)
        if rhythm is None:  # the line has gone meanwhile
            return
        self._number += 1
        number = self._number
        watch = Watch(number, epoch, self._clock.monotonic(), rhythm)
        if not rhythm.reading:  # paused before this heartbeat began, or before its config changed
            watch.beats.freeze()
        self._watches[line], self._shown[line] = watch, watch.shown()
        if rhythm.ping_interval:
            self.send_later(rhythm.ping_interval, BeatDue(line, epoch, number))
        if rhythm.venue_ping_interval:
            self.send_later(rhythm.venue_ping_interval, VenueBeatDue(line, epoch, number))
        if rhythm.health_every:
            self.send_later(rhythm.health_every, HealthDue(line, epoch, number))
        self._plan_look(watch, line)

    def _beat(self, watch: Watch, due: BeatDue) -> None:
        if watch.beats.may_beat:
            beat = watch.beats.beat()
            self.connection(due.line).tell(SendPing(beat), watch.epoch)
            overdue = PongOverdue(due.line, due.epoch, watch.number, beat)
            self.send_later(watch.rhythm.pong_timeout, overdue)
        self.send_later(watch.rhythm.ping_interval, due)

    # ── freshness ──

    def _take_policies(self, changed: PoliciesChanged) -> None:
        watch = self._watches.get(changed.line)
        if watch is None:
            return
        for topic in changed.topics:
            if policies := self._policies(changed.line, topic):
                watch.policies[topic] = policies
                self._plan_look(watch, changed.line, self._next_in(watch, [topic]))
            else:
                watch.policies.pop(topic, None)
        self._tell_stale(watch, changed.line, [topic for topic in changed.topics if topic in watch.policies])

    def _tell_stale(self, watch: Watch, line: str, topics: Iterable[Topic]) -> dict[Topic, Freshness]:
        """Those of these topics that are stale. The connection marks them, if they are so still."""
        suspects = [topic for topic in topics if self._may_be_stale(watch, topic)]
        found = {topic: self._judge(line, topic) for topic in suspects}
        stale = {topic: each for topic, each in found.items() if each.state == "stale"}
        if stale:
            self.connection(line).tell(JudgeStale(tuple(stale)), watch.epoch)
        return stale

    def _look_for_stale(self, watch: Watch, due: StaleDue) -> None:
        """The supervisor is told of the first look of a life, and of changes."""
        stale = self._tell_stale(watch, due.line, watch.policies)
        if stale.keys() != watch.stale or not watch.has_looked:
            self._supervisor.tell(TopicsStale(due.line, due.epoch, stale))
        watch.has_looked = True
        watch.stale, watch.look_at = set(stale), math.inf
        self._plan_look(watch, due.line)

    def _look_at_health(self, watch: Watch, due: HealthDue) -> None:
        """The supervisor decides. What was stale at the last look is judged again."""
        found = {topic: self._judge(due.line, topic) for topic in watch.stale}
        stale = {topic: each for topic, each in found.items() if each.state == "stale"}
        vitals = self._vitals(due.line, watch, stale)
        if vitals is not None:
            self._supervisor.tell(HealthLooked(due.line, due.epoch, vitals))
        self.send_later(watch.rhythm.health_every, due)

    def _may_be_stale(self, watch: Watch, topic: Topic) -> bool:
        silence = self._silence(watch, topic)
        return any(
            policy.max_event_lag or silence >= policy.stale_after > 0 for policy in watch.policies[topic]
        )

    def _plan_look(self, watch: Watch, line: str, seconds: float | None = None) -> None:
        """Look in so many seconds, or when the first topic may be stale, unless a look is due before that."""
        if not watch.policies:
            return
        wait = self._next_in(watch, watch.policies) if seconds is None else seconds
        at = self._clock.monotonic() + wait
        if at < watch.look_at:
            watch.look, watch.look_at = watch.look + 1, at
            self.send_later(wait, StaleDue(line, watch.epoch, watch.number, watch.look))

    def _next_in(self, watch: Watch, topics: Iterable[Topic]) -> float:
        """Seconds until the next silence may be too long, or an event may have come that is too old."""
        now_ns, shortest, wait = self._clock.wall_ns(), math.inf, math.inf
        for topic in topics:
            for policy in watch.policies[topic]:
                if policy.max_event_lag:
                    shortest, wait = min(shortest, policy.max_event_lag), min(wait, policy.max_event_lag / 2)
                if policy.stale_after:
                    due = policy.due_in(self._silence(watch, topic), now_ns)
                    shortest = min(shortest, policy.stale_after)
                    wait = min(wait, due or policy.stale_after / 2)
        return max(wait, shortest / 50, 0.01)

    def _silence(self, watch: Watch, topic: Topic) -> float:
        """From the last event, or from the confirmation where there was none."""
        return self._clock.monotonic() - max(self._silent_since(topic), watch.since)
