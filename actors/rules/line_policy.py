"""How the lines of a feed are run: what a user may choose, with its defaults."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from actors.protocol.limits import RateLimit, SendRate
from actors.rules.backfill import ACCOUNT_HOLD, LONGEST_HOLD, BackfillPolicy
from actors.rules.poor_health import HealthPolicy
from actors.rules.restarts import Interval, RestartPolicy, Seconds

LARGEST = 1 << 30  # bytes
Bytes = Annotated[int, Meta(ge=1, le=LARGEST, description=f"a number of bytes from 1 to {LARGEST}")]


Hold = Annotated[
    float, Meta(gt=0, le=LONGEST_HOLD, description=f"seconds, more than 0 and at most {LONGEST_HOLD:g}")
]


class HeartbeatPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[defaults.heartbeat]` and `[feeds.NAME.heartbeat]`; times in seconds."""

    ping_interval: Interval = 10.0  # 0: no pings
    pong_timeout: Seconds = 5.0
    venue_ping_interval: Interval | None = None  # 0: none of the venue's pings; None: as the venue wants it


class LinePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of `[feeds.NAME]` that the supervisor and its children follow; times in seconds."""

    ack_timeout: Seconds = 10.0
    block_timeout: Interval = 5.0
    rotate_every: Interval = 0.0  # after which a connection is replaced, make before break; 0: never
    send_buffer: Bytes = 1_048_576
    max_message: Bytes = 16 * 1_048_576
    send_rate: SendRate | None = None  # None: as the venue wants it
    connect_rate: RateLimit | None = None  # None: as the venue wants it
    backfill: bool | tuple[str, ...] | None = None  # True: all channels that can be; None: those of accounts
    backfill_hold: Hold = ACCOUNT_HOLD
    restart: RestartPolicy = RestartPolicy()
    heartbeat: HeartbeatPolicy = HeartbeatPolicy()
    health: HealthPolicy = HealthPolicy()

    @property
    def backfills(self) -> BackfillPolicy:
        """Which channels are asked for the events of a loss."""
        return BackfillPolicy(self.backfill, self.backfill_hold)
