"""Topics that a session asked its venue for, and what the venue answered."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from actors.events import Topic
from actors.protocol.session import Confirm, EffectBatch, Missed, Reject


class TopicAnswer(Enum):
    """What a venue answered to the request for a topic."""

    WAITING = "waiting"
    ASSUMED = "assumed"  # a sign that is no answer confirmed it
    CONFIRMED = "confirmed"
    REFUSED = "refused"


WAITING, ASSUMED, CONFIRMED, REFUSED = TopicAnswer


class AskedTopic:
    """A topic that was asked for on this connection. A venue's subclass adds what it must know of it."""

    __slots__ = ("answer", "healed_at", "topic")

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.answer = WAITING
        self.healed_at = float("-inf")  # monotonic seconds: when the session itself subscribed to it again


def topics_of(asked: Iterable[AskedTopic]) -> tuple[Topic, ...]:
    """Returns their topics, in order."""
    return tuple(each.topic for each in asked)


def confirm(asked: Iterable[AskedTopic], out: EffectBatch) -> None:
    """Confirms these topics, but for those that are confirmed already."""
    new = [each for each in asked if each.answer is not CONFIRMED]
    for each in new:
        each.answer = CONFIRMED
    if new:
        out.add(Confirm(topics_of(new)))


def refuse(
    asked: Iterable[AskedTopic], reason: str, out: EffectBatch, retry_after: float | None = None
) -> None:
    """Rejects these topics; those that were confirmed or assumed get a `Missed` before."""
    refused = list(asked)
    was_up = [each for each in refused if each.answer in (ASSUMED, CONFIRMED)]
    for each in refused:
        each.answer = REFUSED
    if was_up:
        out.add(Missed(topics_of(was_up), "unknown"))
    if refused:
        out.add(Reject(topics_of(refused), reason, retry_after))
