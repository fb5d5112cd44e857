"""What a hub pushes before it has answered the subscription that it belongs to.

A hub may push from within the method that subscribes, and gateways send a whole quote or book so; its
answer follows. Where a connection was lost, a stream's gap stands where its topic is answered for, and a
book that came before it would be taken for one from before the loss. So the answer goes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from actors.protocol import Confirm, Deliver, Effect, Topic, Unrouted

MOST: Final = 10_000  # messages of one topic; then the hub's answer is taken for granted


class WaitingEvents:
    """The topics of one connection that are answered for, and what waits for the others to be."""

    def __init__(self) -> None:
        self.answered: defaultdict[str, dict[str, Topic]] = defaultdict(dict)  # by channel and key
        self._held: dict[Topic, list[Effect]] = {}

    def is_over(self, topic: Topic) -> bool:
        """Whether it is answered for."""
        return topic.key in self.answered[topic.channel]

    def hold(self, topic: Topic, effect: Effect) -> list[Effect]:
        """What is to be done at once: nothing, unless there is too much of it."""
        held = self._held.setdefault(topic, [])
        held.append(effect)
        return self.behind([Confirm((topic,), assumed=True)]) if len(held) > MOST else []

    def behind(self, effects: Sequence[Effect]) -> list[Effect]:
        """These, and behind each confirmation what waited for it."""
        told: list[Effect] = []
        for effect in effects:
            told.append(effect)
            if isinstance(effect, Confirm):
                for topic in effect.topics:
                    self.answered[topic.channel][topic.key] = topic
                told += [held for topic in effect.topics for held in self._held.pop(topic, ())]
        return told

    def forget(self, topics: Iterable[Topic]) -> list[Effect]:
        """These are unwanted, or resubscribed: their waiting events are dropped."""
        nobodys = 0
        for topic in topics:
            self.answered[topic.channel].pop(topic.key, None)
            held = self._held.pop(topic, ())
            nobodys += sum(len(each.events) for each in held if isinstance(each, Deliver))
        return [Unrouted(nobodys)] if nobodys else []
