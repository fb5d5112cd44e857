"""Which streams of a line were told that a topic is stale, until an event ends that. One thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from actors.delivery.holder import Holder
from actors.delivery.inlet import Inlet
from actors.delivery.table import RouteTable
from actors.events import Fresh, Freshness, Stale, Topic
from actors.rules.freshness import FreshnessPolicy, judge

PolicyOf = Callable[[Topic], FreshnessPolicy | None]


class StaleTopics:
    """Writes `Stale` and `Fresh`. Each stream is judged by its own policy, over that of the config."""

    def __init__(self, holder: Holder, table: RouteTable, config_policy: PolicyOf) -> None:
        self._holder, self._right, self._config_policy = holder, holder.right, config_policy
        self._told: dict[Topic, dict[Inlet, None]] = {}
        for stream, inlet in table.inlets.items():  # they were told on a former connection
            for topic in inlet.stale.copy():
                if topic in table.wants(stream):
                    self._told.setdefault(topic, {})[inlet] = None

    def __bool__(self) -> bool:
        return bool(self._told)

    def begin(self, topic: Topic, inlets: Iterable[Inlet], now: float, now_ns: int) -> None:
        """Streams whose policy the topic breaks now are told so; permits, of that of the config, too."""
        known = self._told.get(topic, {})
        broken: dict[FreshnessPolicy, None] = {}
        config = self._config_policy(topic)
        if config is not None and self._judge(topic, config, now, now_ns).state == "stale":
            broken[config] = None
        for inlet in inlets:
            if inlet in known:
                continue
            policy = self._policy(topic, inlet)
            found = self._judge(topic, policy, now, now_ns)
            if found.state == "stale":
                stale = Stale(topic, found.cause, found.age_s, found.text, self._holder.epoch, now_ns)
                inlet.mark_stale(self._right, stale)
                self._told.setdefault(topic, {})[inlet] = None
                broken[policy] = None
        for policy in broken:
            self._holder.note_stale(topic, policy)

    def end(self, topics: Iterable[Topic], now: float, now_ns: int) -> None:
        """Events of these have just come, and are known to the holder: `Fresh` stands before them."""
        for topic in topics:
            told = self._told.get(topic)
            if told is None:
                continue
            for inlet in list(told):
                if self._judge(topic, self._policy(topic, inlet), now, now_ns).state == "stale":
                    continue
                inlet.mark_fresh(self._right, Fresh(topic, self._holder.epoch, now_ns))
                del told[inlet]
            if not told:
                del self._told[topic]

    def forget(self, topic: Topic, inlets: Iterable[Inlet]) -> None:
        """These streams read it no longer."""
        told = self._told.get(topic)
        if told is not None:
            for inlet in inlets:
                told.pop(inlet, None)
            if not told:
                del self._told[topic]

    def _policy(self, topic: Topic, inlet: Inlet) -> FreshnessPolicy:
        return inlet.freshness.over(self._config_policy(topic))

    def _judge(self, topic: Topic, policy: FreshnessPolicy, now: float, now_ns: int) -> Freshness:
        if not policy.promises:
            return _UNWATCHED
        return judge(policy, self._holder.evidence(topic, now, now_ns, dated=bool(policy.max_event_lag)))


_UNWATCHED = Freshness("quiet", "unwatched")
