"""What the health of a line is judged by, read on the heartbeat's thread."""

from __future__ import annotations

from collections.abc import Mapping

from actors.events import Freshness, Topic
from actors.rules.liveness import HealthInputs, Watch
from actors.rules.poor_health import MENDABLE, Vitals
from actors.supervision.freshness import FreshnessLooks, LineLook
from actors.supervision.state import LineView, SharedState


class VitalSigns:
    """Reads what others publish; no actor is asked."""

    def __init__(self, shared: SharedState, looks: FreshnessLooks) -> None:
        self._shared, self._looks = shared, looks

    def read(self, name: str, watch: Watch, stale: Mapping[Topic, Freshness]) -> Vitals | None:
        """One look at a line that is watched. None: it has just gone."""
        line = self._shared.lines.get(name)
        if line is None:
            return None
        look = self._looks.line(name, line.spec)
        beats, rhythm = watch.beats, watch.rhythm
        mendable = {topic: found for topic, found in stale.items() if found.cause in MENDABLE}
        return Vitals(
            inputs=HealthInputs(
                live=True,
                rtt_ms=None if beats.rtt is None else beats.rtt * 1000.0,
                missed_pongs=beats.missed,
                restarts=0,
                quarantined=line.counters.quarantined,
                stale_topics=len(mendable),
                decodes_nothing=line.counters.decodes_nothing,
            ),
            rtt=max(beats.rtt or 0.0, rhythm.pong_timeout) if beats.missed else beats.rtt,
            pings=beats.number if rhythm.ping_interval else None,
            stale=_told(mendable),
            is_explained=_is_unread(look) or _is_closed(watch, look) or self._is_quiet(line, look),
        )

    def _is_quiet(self, line: LineView, look: LineLook) -> bool:
        """The venue says that the whole line is halted or in maintenance."""
        states = self._shared.cells.venue_states(line.name).present(look.now_ns)
        return any(told.explains_silence and not str(told.scope) for told in states)


def _is_unread(look: LineLook) -> bool:
    """This process is at fault, or the line is not up."""
    return look.trouble is not None and look.trouble.cause != "undecodable"


def _is_closed(watch: Watch, look: LineLook) -> bool:
    """No market of its topics is open; those without a calendar are not counted."""
    policies = (policy for each in watch.policies.values() for policy in each)
    calendars = {policy.calendar for policy in policies if policy.calendar is not None}
    return bool(calendars) and not any(calendar.is_open(look.now_ns) for calendar in calendars)


def _told(stale: Mapping[Topic, Freshness]) -> str:
    """The one that has been stale for longest, and how many there are."""
    if not stale:
        return ""
    topic, found = max(stale.items(), key=lambda pair: pair[1].age_s)
    more = f" (and {len(stale) - 1:,} more)" if len(stale) > 1 else ""
    return f"{topic}{more} is stale: {found.text}"
