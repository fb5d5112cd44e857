"""Restarts lines for their health: the hands of `rules/poor_health.py`, in the supervisor's thread."""

from __future__ import annotations

from collections.abc import Mapping

from actors.actor import Roles
from actors.events import seconds_text
from actors.messages import EndConnection
from actors.reasons import Retryable
from actors.rules.line import LineState, RotationState
from actors.rules.poor_health import Poor, Vitals
from actors.supervision.connect_limits import ConnectLimiters
from actors.supervision.state import LineRecord
from actors.timers import Clock


class HealthRestarts:
    """Ends the connection of a line with the sign as its reason; what follows is as after any loss.

    A restart, and no rotation: what a mute connection did not bring may be missing, which a `Gap` is to show,
    and a venue with one connection per account would refuse the candidate and pause the account.
    """

    def __init__(
        self, records: Mapping[str, LineRecord], roles: Roles, limiters: ConnectLimiters, clock: Clock
    ) -> None:
        self._records, self._roles, self._limiters, self._clock = records, roles, limiters, clock
        self._last: dict[str, tuple[str, int]] = {}  # by feed: line and epoch that were ended last

    def look(self, line: LineRecord, vitals: Vitals) -> None:
        now, policy = self._clock.monotonic(), line.spec.policy.health
        poor = line.health.look(policy, vitals, self._judged_since(line, now), now)
        if poor is not None and self._may_come_back(line):
            self._end(line, poor, now)

    def _judged_since(self, line: LineRecord, now: float) -> float | None:
        """Since when it is live. None: it is not, or for so short that its end would spend the budget."""
        is_settled = line.state is LineState.LIVE and line.rotating is RotationState.NONE
        if line.live_at is None or not is_settled:
            return None
        return line.live_at if now - line.live_at > line.spec.policy.restart.stable_after else None

    def _may_come_back(self, line: LineRecord) -> bool:
        """Whether it could connect at once, and no other line of the feed is on its way back from this."""
        name, epoch = self._last.get(line.feed, ("", 0))
        other = self._records.get(name)
        if other is not None and other is not line:
            is_ending = other.epoch == epoch and other.state in {LineState.LIVE, LineState.UNSETTLED}
            if is_ending or other.state.is_on_its_way:
                return False
        return self._limiters.is_open(line.spec, line.doors.at)

    def _end(self, line: LineRecord, poor: Poor, now: float) -> None:
        line.health.restarted(now)
        self._last[line.feed] = line.name, line.epoch
        rest = seconds_text(line.health.hold_off(line.spec.policy.health, now))
        text = f"{poor.text}; restarted for its health, and left alone for {rest} after it is live"
        self._roles.connection(line.name).tell(EndConnection(Retryable(text, poor.code)), line.epoch)
