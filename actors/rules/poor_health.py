"""Whether a line that is live is restarted for its health, and how long it is left alone after that.

A feed names the signs that count: a topic that is stale, a round trip that is too long, a low score. A sign
counts once it has been there at each look for `poor_for` seconds; one of pings also needs three of them, so
that one slow pong restarts nothing. A line is left alone for `hold_off` seconds from being live, and that
doubles with each such restart of the last six hours, up to an hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from actors.events import Cause
from actors.rules.liveness import HealthInputs, RecentRoundTrips, health
from actors.rules.restarts import Interval, Seconds

Sign = Literal["stale", "rtt", "health"]  # the code of the reason, too

PINGS: Final = 3  # in a row, that show the same
MEMORY: Final = 6 * 3_600.0  # seconds for which a restart makes the hold-off longer
LONGEST: Final = 3_600.0  # seconds that the hold-off doubles to
OFTEN: Final = 5.0  # seconds between two looks, at most

# Of a topic that is stale: its line brings no events at all. Where it brings others, or late ones, another
# connection would do the same.
MENDABLE: Final = frozenset[Cause]({"nothing", "pongs", "acks", "heartbeats"})

Score = Annotated[int, Meta(ge=0, le=100, description="a whole number from 0 to 100")]


class HealthPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[defaults.health]` and `[feeds.NAME.health]`; times in seconds. By default nothing is restarted."""

    stale_action: Literal["none", "restart"] = "none"
    health_floor: Score = 0  # 0: no score is too low
    rtt_ceiling: Interval = 0.0  # 0: no round trip is too long
    poor_for: Seconds = 30.0
    hold_off: Seconds = 60.0

    @property
    def acts(self) -> bool:
        """A line may be restarted."""
        return bool(self.stale_action == "restart" or self.health_floor or self.rtt_ceiling)

    @property
    def look_every(self) -> float:
        """Seconds between two looks."""
        return min(OFTEN, self.poor_for / 3)


class Vitals(Struct, frozen=True):
    """One look at a line."""

    inputs: HealthInputs  # without what a restart cannot mend: former restarts, topics that are not mendable
    rtt: float | None = None  # seconds; a ping without an answer counts as its time-out
    pings: int | None = None  # sent so far; None: none are sent
    stale: str = ""  # a topic that a restart may mend, and why it is stale
    is_explained: bool = (
        False  # by a closed market, by the venue's word, or because this process does not read
    )


class Poor(Struct, frozen=True):
    """Why a line is to be restarted."""

    code: Sign
    text: str


class _Begun(NamedTuple):
    """When a sign was seen first."""

    at: float
    pings: int


class HealthWatch:
    """One line's. One thread at a time; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._begun: dict[Sign, _Begun] = {}
        self._restarts = RecentRoundTrips(MEMORY)
        self.restarted_at = -math.inf
        self.looked_at = -math.inf

    def look(self, policy: HealthPolicy, vitals: Vitals, live_at: float | None, now: float) -> Poor | None:
        """What the line is to be restarted for now. `live_at`: since when it is live; None: it is not.

        A look that comes late says nothing of the time between: signs begin again.
        """
        is_late = now - self.looked_at > 2 * policy.look_every
        self.looked_at = now
        is_judged = live_at is not None and not vitals.is_explained
        signs = dict(_signs(policy, vitals)) if is_judged else {}
        former: dict[Sign, _Begun] = {} if is_late else self._begun
        pings = vitals.pings or 0
        self._begun = {sign: _since(former.get(sign), now, pings) for sign in signs}
        lasting = [sign for sign in signs if self._lasts(policy, sign, vitals, now)]
        if live_at is None or not lasting or now < self.held_until(policy, live_at, now):
            return None
        return Poor(lasting[0], signs[lasting[0]])

    def restarted(self, now: float) -> None:
        """The line has been told to end for its health."""
        self._restarts.add(now)
        self._begun, self.restarted_at = {}, now

    def hold_off(self, policy: HealthPolicy, now: float) -> float:
        """Seconds that the line is left alone."""
        doubled = policy.hold_off * 2.0 ** min(self._restarts.count(now), 32)
        return min(doubled, max(LONGEST, policy.hold_off))

    def held_until(self, policy: HealthPolicy, live_at: float, now: float) -> float:
        """Monotonic seconds: until then it is left alone."""
        return max(live_at, self.restarted_at) + self.hold_off(policy, now)

    def _lasts(self, policy: HealthPolicy, sign: Sign, vitals: Vitals, now: float) -> bool:
        begun = self._begun[sign]
        is_measured = sign == "stale" or vitals.pings is None or vitals.pings - begun.pings >= PINGS - 1
        return is_measured and now - begun.at >= policy.poor_for


def _since(begun: _Begun | None, now: float, pings: int) -> _Begun:
    """Pings are counted from zero where the line has another connection, or another heartbeat watches it."""
    return _Begun(now, pings) if begun is None or pings < begun.pings else begun


def _signs(policy: HealthPolicy, vitals: Vitals) -> Iterator[tuple[Sign, str]]:
    if policy.stale_action == "restart" and vitals.stale:
        yield "stale", vitals.stale
    if policy.rtt_ceiling and vitals.rtt is not None and vitals.rtt > policy.rtt_ceiling:
        ceiling = f"rtt_ceiling is {policy.rtt_ceiling * 1e3:,.0f} ms"
        yield "rtt", f"the round trip is {vitals.rtt * 1e3:,.0f} ms; {ceiling}"
    score = health(vitals.inputs).score
    if score < policy.health_floor:
        yield "health", f"the health score is {score}; health_floor is {policy.health_floor}"
