"""The situations that a hunt has to come through, each noted from what can be observed."""

from __future__ import annotations

from enum import StrEnum


class Rare(StrEnum):
    """Situations that a hunt has to come through. Each is noted from what can be observed."""

    HELD = "a full stream held its line at a rest"
    HELD_OVER_ROTATION = "a hold lasted across a rotation"
    LATE_CANDIDATE = "a candidate died after its subscriptions were confirmed"
    LATE_PREDECESSOR = "a connection died while its successor was ready"
    REFUSED_CANDIDATE = "the venue refused a candidate"
    CUT = "a stream was cut and its topic began again"
    JOINED_BESIDE_CUT = "a stream joined a topic on which another one was cut"
    REMOVED_IN_RESYNC = "a topic was removed while its resync was pending"
    WOKE_DISPATCHER = "a wedged dispatcher was replaced and woke"
    WOKE_REGISTRY = "a wedged registry was replaced and woke"
    WOKE_CONNECTION = "a wedged connection was replaced and woke"
    WOKE_IN_BURST = "a replaced thread woke while the venue was sending"
    LOST_WHILE_FULL = "a connection ended while a full stream held it"
    CLOSED_WHILE_FULL = "a stream was closed while it held its line"
    FEED_REMOVED_WHILE_FULL = "a feed was removed while a stream held its line"
    FEED_BACK = "a feed was removed and added again"
    ADDED_WHILE_HELD = "a topic was added while its line was held"
    ADDED_WHILE_DOWN = "a topic was added while its line was down"
    OVERFLOWED = "a block stream overflowed after its time"
    DISPATCHER_IN_OUTAGE = "the dispatcher was killed during an outage"
    REGISTRY_IN_OUTAGE = "the registry was killed during an outage"
    PAUSED = "a line was paused at a rest"
    REJECTED = "a topic was rejected at a rest"
    DIED_TOGETHER = "registry, dispatcher, heartbeat and a connection died at once"
    DEAD_READER = "a reader stood still over a whole outage"
    VENUE_STOPPED = "SIGSTOP made a line lose its venue"
    PROGRAM_STOPPED = "SIGSTOP held the whole program while its venues were sending"


STOPPED = {Rare.VENUE_STOPPED, Rare.PROGRAM_STOPPED}  # only where the venues are other processes
