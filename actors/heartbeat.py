"""Sends pings at an interval; an unanswered ping ends the connection.

It sends the protocol's pings and the venue's own, and watches subscriptions that have a freshness policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from actors.actor import Actor, ActorContext, Lease
from actors.events import Topic
from actors.messages import (
    BeatDue,
    EndIfSilent,
    LineLost,
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
from actors.rules.freshness import Freshness, FreshnessPolicy
from actors.rules.liveness import Rhythm, Watch, Watched


class Heartbeat(Actor):
    """One for all lines. A new one is told of every life again, so no state outlives it."""

    def __init__(
        self,
        context: ActorContext[Lease],
        *,
        rhythm: Callable[[str], Rhythm | None],
        last_event_at: Callable[[Topic], float | None],
        judge: Callable[[str, Topic, Watched], Freshness],
        shown: dict[str, Watched],
    ) -> None:
        super().__init__(context)
        self._supervisor = self.address("supervisor")
        self._rhythm = rhythm
        self._last_event_at = last_event_at
        self._judge = judge
        self._watches: dict[str, Watch] = {}
        self._shown = shown  # by line, for all to see
        self._number = self.incarnation << 32  # of the last watch: no former keeper had it

    def on_receive(self, message: Any) -> None:
        if isinstance(message, SessionOpened):
            self._begin(message)
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
            case StaleDue():
                self._look_for_stale(watch, message)
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
        if rhythm.policies:
            self.send_later(_pause(rhythm.policies.values()), StaleDue(line, epoch, number))

    def _beat(self, watch: Watch, due: BeatDue) -> None:
        if watch.beats.may_beat:
            beat = watch.beats.beat()
            self.connection(due.line).tell(SendPing(beat), watch.epoch)
            overdue = PongOverdue(due.line, due.epoch, watch.number, beat)
            self.send_later(watch.rhythm.pong_timeout, overdue)
        self.send_later(watch.rhythm.ping_interval, due)

    def _look_for_stale(self, watch: Watch, due: StaleDue) -> None:
        """Report the stale topics, if they have changed; look again when the next may be stale."""
        shown = watch.shown()
        judged = {
            topic: self._judge(due.line, topic, shown)
            for topic, policy in watch.rhythm.policies.items()
            if policy.max_event_lag or self._silence(watch, topic) >= policy.stale_after
        }
        stale = {topic: found for topic, found in judged.items() if found.state == "stale"}
        if stale.keys() != watch.stale.keys():
            self._supervisor.tell(TopicsStale(due.line, due.epoch, stale))
        watch.stale = stale
        self.send_later(self._next_look(watch), due)

    def _next_look(self, watch: Watch) -> float:
        """Seconds until the next silence may be too long, or an event may have come that is too old."""
        policies, now_ns = watch.rhythm.policies, self._clock.wall_ns()
        waits = [each.max_event_lag / 2 for each in policies.values() if each.max_event_lag]
        for topic, policy in policies.items():
            if policy.stale_after:
                due = policy.due_in(self._silence(watch, topic), now_ns)
                waits.append(due or policy.stale_after / 2)
        return max(min(waits), _pause(policies.values()) / 50, 0.01)

    def _silence(self, watch: Watch, topic: Topic) -> float:
        """From the last event, or from the login where there was none."""
        return self._clock.monotonic() - max(self._last_event_at(topic) or 0.0, watch.since)


def _pause(policies: Iterable[FreshnessPolicy]) -> float:
    """Until the first of them may be broken, seconds."""
    return min(limit for each in policies for limit in (each.stale_after, each.max_event_lag) if limit)
