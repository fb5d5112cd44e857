"""What a hub was asked to push: subscriptions made by invocations, and the topics that rest on them.

A topic may need several of them, and several topics may share one. Each is asked for once in the
life of a connection, and given up by its last topic. A hub may handle two calls at once, so nothing
is said of a subscription while an answer about it is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, KeysView, Sequence
from enum import Enum
from functools import partial

import msgspec
from msgspec import Struct

from actors.events import Topic
from actors.protocol.session import Complain, Confirm, Effect, Missed, Resent
from actors.protocol.signalr.calls import Call, CallOutcome, CallRefused, Returned, Then, Unanswered
from actors.reasons import Reason, Retryable

TIMEOUT = "invocation_timeout"


class HubSubscription(Struct, frozen=True, gc=False):
    """How a hub is made to push something, and to leave off; None: it cannot be told to."""

    subscribe: Call
    unsubscribe: Call | None = None

    @property
    def key(self) -> tuple[str, bytes]:
        """By what the hub is sent: to Python, 1 and True are equal."""
        return self.subscribe.target, msgspec.json.encode(self.subscribe.arguments)


class HubSubscriptionState(Enum):
    NEW = "new"
    ASKED = "asked"
    MADE = "made"
    LEAVING = "leaving"


class HeldTopic:
    """One subscription on this connection, and the topics that rest on it."""

    __slots__ = ("key", "standing", "subscription", "topics")

    def __init__(self, subscription: HubSubscription) -> None:
        self.subscription = subscription
        self.key = subscription.key
        self.standing = HubSubscriptionState.NEW
        self.topics: dict[Topic, None] = {}


class HubSubscriptions:
    """Of one connection. `invoke`, `end` and `refused` are its session's."""

    def __init__(
        self,
        needs: Callable[[Topic], Sequence[HubSubscription]],
        invoke: Callable[[Call, Then | None], list[Effect]],
        end: Callable[[Reason], list[Effect]],
        refused: Callable[[tuple[Topic, ...], Call, str], list[Effect]],
    ) -> None:
        self._needs, self._invoke, self._end, self._refused = needs, invoke, end, refused
        self._held: dict[tuple[str, bytes], HeldTopic] = {}
        self._wanted: dict[Topic, tuple[HeldTopic, ...]] = {}

    @property
    def wanted(self) -> KeysView[Topic]:
        return self._wanted.keys()

    def want(self, topics: Iterable[Topic]) -> list[Effect]:
        """Ask for what is not there and not under way; what is there is confirmed at once."""
        topics = tuple(topics)
        effects: list[Effect] = []
        for topic in topics:
            if topic not in self._wanted:
                self._rest(topic)
        for held in [held for topic in topics for held in self._wanted[topic]]:
            if held.standing is HubSubscriptionState.NEW:
                effects += self._begin(held)
        return effects + self._confirm(topics)

    def drop(self, topics: Iterable[Topic]) -> list[Effect]:
        """Give up what no topic rests on any more."""
        effects: list[Effect] = []
        for topic in topics:
            for held in self._wanted.pop(topic, ()):
                held.topics.pop(topic, None)
                if not held.topics and held.standing is HubSubscriptionState.MADE:
                    effects += self._leave(held)
        return effects

    def again(self, topics: Iterable[Topic]) -> list[Effect]:
        """Makes the hub start these again; topics that share their subscription get the same seam."""
        ours = [topic for topic in topics if topic in self._wanted]
        shared = [topic for one in ours for held in self._wanted[one] for topic in held.topics]
        seam = tuple(dict.fromkeys((*ours, *shared)))
        if not seam:
            return []
        return [Missed(seam, "unknown"), Resent(seam), *self.drop(seam), *self.want(seam)]

    # ── one subscription ──

    def _rest(self, topic: Topic) -> None:
        held = []
        for subscription in self._needs(topic):
            one = HeldTopic(subscription)
            one = self._held.setdefault(one.key, one)
            one.topics[topic] = None
            held.append(one)
        self._wanted[topic] = tuple(held)

    def _begin(self, held: HeldTopic) -> list[Effect]:
        call = held.subscription.subscribe
        if not call.blocking:
            held.standing = HubSubscriptionState.MADE
            return self._invoke(call, None)
        held.standing = HubSubscriptionState.ASKED
        return self._invoke(call, partial(self._begun, held))

    def _begun(self, held: HeldTopic, outcome: CallOutcome) -> list[Effect]:
        topics = tuple(held.topics)
        match outcome:
            case Returned():
                held.standing = HubSubscriptionState.MADE
                return self._confirm(topics) if topics else self._leave(held)
            case CallRefused(words=words):
                self._forget(held)
                if not topics:
                    return []
                given_up = self.drop(topics)  # what else they rested on
                return [*self._refused(topics, held.subscription.subscribe, words), *given_up]
            case Unanswered(lost=lost):
                return [] if lost else self._doubt(held, held.subscription.subscribe)

    def _leave(self, held: HeldTopic) -> list[Effect]:
        call = held.subscription.unsubscribe
        if call is None:
            return []  # it stays, and is there already when it is wanted again
        if not call.blocking:
            self._forget(held)
            return self._invoke(call, None)
        held.standing = HubSubscriptionState.LEAVING
        return self._invoke(call, partial(self._left, held, call))

    def _left(self, held: HeldTopic, call: Call, outcome: CallOutcome) -> list[Effect]:
        effects: list[Effect] = []
        match outcome:
            case Unanswered(lost=lost):
                return [] if lost else self._doubt(held, call)
            case CallRefused(words=words):
                effects.append(Complain("hub_refusal", f"the hub refused {call.target}: {words}"))
        if held.topics:
            return effects + self._begin(held)  # wanted again meanwhile
        self._forget(held)
        return effects

    def _doubt(self, held: HeldTopic, call: Call) -> list[Effect]:
        """The hub may have acted or not. To ask again could make two of one; a new connection cannot."""
        text = f"the hub did not answer {call.target} in time: its outcome is unknown"
        if held.topics:
            return self._end(Retryable(text, TIMEOUT))
        self._forget(held)
        return [Complain(TIMEOUT, text)]

    def _forget(self, held: HeldTopic) -> None:
        if self._held.get(held.key) is held:
            del self._held[held.key]

    # ── topics ──

    def _confirm(self, topics: Iterable[Topic]) -> list[Effect]:
        """Those of them all of whose subscriptions are made; assumed where the hub answers nothing."""
        ready = {
            topic: all(held.subscription.subscribe.blocking for held in self._wanted[topic])
            for topic in topics
            if all(held.standing is HubSubscriptionState.MADE for held in self._wanted.get(topic, ()))
        }
        certain = tuple(topic for topic, answered in ready.items() if answered)
        assumed = tuple(topic for topic, answered in ready.items() if not answered)
        effects: list[Effect] = [Confirm(certain)] if certain else []
        return [*effects, Confirm(assumed, assumed=True)] if assumed else effects
