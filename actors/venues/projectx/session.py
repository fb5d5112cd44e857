"""What the gateway's two hubs have in common as connections: their calls, refusals and logouts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from msgspec import Raw

from actors.protocol import Deliver, Effect, EffectBatch, Missed, Resent, Slow, Topic
from actors.protocol.signalr import Call, HubSession, HubSubscription
from actors.protocol.signalr.formatting import said
from actors.venues.projectx.hub_methods import BY_TARGET, LOGOUT, STREAMS, HubMethods
from actors.venues.projectx.normalise import FoundEvent, elements_of
from actors.venues.projectx.pending import WaitingEvents
from actors.venues.projectx.platforms import Hub


class GatewaySession(HubSession):
    """One hub's connection. What is pushed before its subscription is answered waits for the answer."""

    hub: ClassVar[Hub]

    def __init__(self, feed: str) -> None:
        super().__init__()
        self._feed = feed
        self._waiting = WaitingEvents()

    # ── what the hubs differ in ──

    @abstractmethod
    def handle_push(self, stream: HubMethods, arguments: list[Raw], out: EffectBatch) -> None:
        """Raises, before anything is done: the arguments are none of this push's."""

    def distrust(self, topics: Iterable[Topic]) -> None:
        """Something of these is missing: what was built up of it is no longer true."""

    def forget(self, topics: Iterable[Topic]) -> list[Effect]:
        """These are unwanted, or resubscribed."""
        return self._waiting.forget(topics)

    # ── what the runtime wants ──

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        return [*super().unsubscribe(topics, now), *self.forget(topics)]

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """A topic without an answer is starting already: its first message must not be dropped."""
        answered = [topic for topic in topics if self._waiting.is_over(topic)]
        under_way = tuple(topic for topic in topics if topic in self.wanted and topic not in answered)
        effects = [*self.forget(answered), *super().resync(answered, now)]
        return [*effects, Missed(under_way, "unknown"), Resent(under_way)] if under_way else effects

    # ── what the hub says ──

    def needs(self, topic: Topic) -> Sequence[HubSubscription]:
        return (STREAMS[topic.channel].subscription(topic),)

    def pass_on(self, effects: list[Effect]) -> list[Effect]:
        return self._waiting.behind(effects)

    def refused(self, topics: tuple[Topic, ...], call: Call, words: str) -> list[Effect]:
        return [*super().refused(topics, call, words), *self.forget(topics)]

    def invoked(self, target: str, arguments: Raw, out: EffectBatch) -> None:
        name = target.lower()
        if name == LOGOUT:
            self._log_out(arguments, out)
        elif (stream := BY_TARGET.get(name)) is not None and stream.hub == self.hub:
            self.handle_push(stream, elements_of(arguments), out)
        else:
            out.unrouted += 1

    def spoiled(self, record: bytes, out: EffectBatch) -> None:
        super().spoiled(record, out)
        self.distrust(self.wanted)

    # ── for both ──

    def tell(self, topic: Topic, events: Sequence[Any], out: EffectBatch) -> None:
        """Delivers these to their topic; after the hub's answer, where that has not come yet."""
        if self._waiting.is_over(topic):
            out.deliver_all(topic, events)
        elif topic not in self.wanted:
            out.unrouted += len(events)
        elif events:
            out.add(*self._waiting.hold(topic, Deliver([(topic, event) for event in events])))

    def put_aside(
        self, found: FoundEvent, error: Exception, topics: Iterable[Topic], out: EffectBatch
    ) -> None:
        """It could not be read, and is missing in these topics."""
        out.quarantine(bytes(found.raw), error)
        topics = tuple(topics)
        self.distrust(topics)
        if missed := tuple(topic for topic in topics if self._waiting.is_over(topic)):
            out.add(Missed(missed, "quarantine"))
        for topic in topics:
            if topic not in missed:
                out.add(*self._waiting.hold(topic, Missed((topic,), "quarantine")))

    def _log_out(self, arguments: Raw, out: EffectBatch) -> None:
        """The gateway ends the session, in favour of another one maybe: two that came back at once would
        go on throwing each other out. A token that has ended with it is turned away at the next connect,
        and a new one is made then.
        """
        words = said(bytes(arguments).decode("utf-8", "replace"), otherwise="")
        words = f": {words}" if words not in ("", "[]") else ""
        text = f"ProjectX logged this session out (GatewayLogout){words}"
        out.add(*self.end(Slow(text, "gateway_logout")))
