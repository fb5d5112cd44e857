"""A hub's table with a feed's own keys put in: what its sessions go by. Immutable."""

from __future__ import annotations

from collections.abc import Mapping

from actors.protocol import Topic
from actors.protocol.signalr import Call, HubSubscription, HubTerms
from actors.venues.declarative.path import MISSING
from actors.venues.declarative.protocol import EventRule, Vocabulary
from actors.venues.declarative.states import StateRule
from actors.venues.signalr.table import CallTable, HubTable


class HubProtocol(Vocabulary):
    """What the sessions of a hub share."""

    def __init__(self, table: HubTable, feed: str, own: Mapping[str, str]) -> None:
        super().__init__(table, feed, own)
        self.table = table
        self.terms = HubTerms(table.keep_alive, table.server_timeout, table.answer_timeout)
        self.ignored = {target.lower() for target in table.ignore}
        # In lower case: the JavaScript client of SignalR takes targets in any, and so do we.
        self.rules: dict[str, list[EventRule]] = {}
        for entry, rule in zip(table.events, self.events, strict=True):
            self.rules.setdefault(entry.target.lower(), []).append(rule)
        self.states: dict[str, list[StateRule]] = {}
        for state in table.venue_states:
            self.states.setdefault(state.target.lower(), []).append(StateRule(state, self.names))

    def subscription(self, topic: Topic) -> HubSubscription | None:
        """How the hub is made to push this topic; None: it does so by itself.

        Raises:
            ValueError: its key or an option is missing in the call, or none that it can be made with.
        """
        channel = self.table.channels[topic.channel]
        if channel.subscribe is None:
            return None
        subscribe = self._call(channel.subscribe, topic, channel.acknowledged)
        if channel.unsubscribe is None:
            return HubSubscription(subscribe)
        return HubSubscription(subscribe, self._call(channel.unsubscribe, topic, channel.acknowledged))

    def _call(self, table: CallTable, topic: Topic, blocking: bool) -> Call:
        """A hub answers those calls that ask for it, and no others."""
        values = {**self.own, **self.values(topic)}
        method = table.method.render(values)
        if method is MISSING:
            raise ValueError(f"it wants {' and '.join(sorted(table.method.slots - values.keys()))}")
        return Call(str(method), table.arguments.filled(values), blocking)
