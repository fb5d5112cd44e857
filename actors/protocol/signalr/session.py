"""One connection to a hub: handshake, keep-alive, invocations, and the hub's end of it.

SignalR's HubProtocol and the defaults of ASP.NET Core's HubOptions; what its documents leave open
was tried on a hub of ASP.NET Core 9.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import KeysView, Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct

from actors.events import Topic
from actors.protocol.session import (
    Announce,
    Effect,
    EffectBatch,
    End,
    Frame,
    Missed,
    Reject,
    Send,
    Session,
    SessionState,
)
from actors.protocol.signalr import handshake
from actors.protocol.signalr.calls import Call, Calls, Then
from actors.protocol.signalr.formatting import said
from actors.protocol.signalr.messages import (
    Close,
    Codec,
    Completion,
    Heard,
    Invocation,
    JsonCodec,
    Malformed,
    Ping,
)
from actors.protocol.signalr.subscriptions import HubSubscription, HubSubscriptions
from actors.reasons import Reason, Retryable, Slow

PING_INTERVAL = 1.0  # seconds between two looks at the clock: what a venue has as its `ping_interval`
POLICY = 1008  # RFC 6455, 7.4.1: the peer has a rule that we break
NO_RESULT = "this client has no result to give"


class HubTerms(Struct, frozen=True):
    """What client and hub owe each other; seconds. The defaults are those of ASP.NET Core."""

    keep_alive: float = 15.0  # we are never silent for longer
    server_timeout: float = 30.0  # nor is the hub; at least twice its own keep-alive
    patience: float = 15.0  # until an invocation is answered
    max_record: int = 16 * 2**20  # bytes of a record whose end has not come


class HubSession(Session):
    """A venue's session says what a topic needs (`needs`) and receives what the hub invokes (`invoked`).

    Its venue has PING_INTERVAL as its `ping_interval`: each `ping` is a look at the clock, and is
    said only where we have been silent. What a subclass sends goes through `invoke`.
    """

    asks_one_by_one = True

    def __init__(self, terms: HubTerms | None = None, codec: Codec | None = None) -> None:
        super().__init__()
        self.now = 0.0  # monotonic seconds, of whatever is told now
        self._terms = terms or HubTerms()
        self._codec = codec or JsonCodec(self._terms.max_record)
        self._handshake = handshake.Handshake()
        self._calls = Calls(self._codec, self._terms.patience, self.pass_on)
        self._asked = HubSubscriptions(self.needs, self.invoke, self.end, self.refused)
        self._heard_at = self._sent_at = self._looked_at = 0.0
        self._paused_at: float | None = None

    # ── what a venue overrides and calls ──

    @abstractmethod
    def needs(self, topic: Topic) -> Sequence[HubSubscription]:
        """What the hub must be asked for this topic; what topics share is asked once."""

    @abstractmethod
    def invoked(self, target: str, arguments: Raw, out: EffectBatch) -> None:
        """The hub pushes this. What is raised here quarantines the message: do nothing before."""

    def read_all(self, records: Sequence[bytes], out: EffectBatch) -> None:
        """Reads these messages of the hub.

        A venue may read its usual ones by itself, and must leave all others to `read`, which can read the
        usual ones as well: the effects of both must be the same.
        """
        for record in records:
            self.read(record, out)

    def refused(self, topics: tuple[Topic, ...], call: Call, words: str) -> list[Effect]:
        """The hub does not do what these topics need. Its words are no ground for decisions."""
        return [Reject(topics, words)]

    def spoiled(self, record: bytes, out: EffectBatch) -> None:
        """A message could not be decoded; it may be of any topic."""
        if self.wanted:
            out.add(Missed(tuple(self.wanted), "quarantine"))

    def welcomed(self) -> list[Effect]:
        """The handshake is answered. The first ping is what a hub's own time-out begins with."""
        return [*self._say(self._codec.ping(), control=True), Announce()]

    def pass_on(self, effects: list[Effect]) -> list[Effect]:
        """The effects of a subscription, or of the hub's answer to one. A venue may note and extend them."""
        return effects

    # ── what a venue may do ──

    @property
    def wanted(self) -> KeysView[Topic]:
        """The topics that are subscribed to, or will be when the hub has answered."""
        return self._asked.wanted

    @property
    def pending(self) -> int:
        """Invocations that are not answered yet."""
        return len(self._calls)

    def invoke(self, call: Call, then: Then | None = None) -> list[Effect]:
        """Call the hub. `then` is told once what came of a blocking call, and says what to do.

        Not called for a connection that is lost without a close: the session ends with it.
        """
        if call.blocking:
            return self._say(self._calls.ask(call, then, self.now))
        return self._say(self._codec.invocation(None, call.target, call.arguments))

    def written(self, message: Mapping[str, Any] | Sequence[Any]) -> str | bytes:
        """As a record of the hub protocol, with its end."""
        return self._codec.message(message)

    def end(self, reason: Reason) -> list[Effect]:
        """The connection is of no more use; what waits for an answer is told so."""
        if self.state is SessionState.ENDED:
            return []
        self._move("ended")
        return [*self._calls.lose(), End(reason)]

    # ── what the runtime wants ──

    def opened(self, now: float) -> list[Effect]:
        self._move("upgraded")
        self.now = self._heard_at = self._looked_at = now
        return self._say(handshake.request(self._codec))

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        self.now = now
        return self.pass_on(self._asked.want(topics))

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        self.now = now
        return self._asked.drop(topics)

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        self.now = now
        return self.pass_on(self._asked.again(topics))

    def ping(self, now: float) -> list[Effect]:
        """Look at the clock. A ping is sent where the next look would come too late for it."""
        self.now = now
        pause, self._looked_at = now - self._looked_at, now
        if self.state is not SessionState.OPEN:
            return []
        effects: list[Effect] = []
        if self._paused_at is None:
            silence = self._terms.server_timeout
            if now - self._heard_at >= silence:
                return self.end(Retryable(f"the hub said nothing for {silence:g} s", "server_timeout"))
            effects += self._calls.overdue(now)
        if self.state is SessionState.OPEN and now + pause >= self._sent_at + self._terms.keep_alive:
            effects += self._say(self._codec.ping(), control=True)
        return effects

    def paused(self, now: float) -> None:
        """We do not listen from now on: the hub's silence is our doing."""
        self._paused_at = now

    def resumed(self, now: float) -> None:
        """We listen again."""
        if self._paused_at is not None:
            self._calls.postpone(now - self._paused_at)
            self._heard_at, self._paused_at = now, None

    def closed(self, code: int, words: str) -> Reason:
        self.end(super().closed(code, words))
        if code == POLICY:
            return Slow(f"the hub closed the connection ({code}: {said(words)})", f"close_{code}")
        return super().closed(code, words)

    # ── hearing ──

    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        """Text or binary: a hub may send either."""
        self.now = self._heard_at = now
        out = EffectBatch()
        payloads = [payload for _, payload in frames]
        if self.state is not SessionState.OPEN:
            payloads = self._begin(payloads, out)
        self.read_all(self._codec.split(payloads), out)
        if self._codec.overflowed:  # it takes nothing more, so nothing was heard behind it
            text = f"the hub's message has more than {self._terms.max_record} bytes and no end"
            out.add(*self.end(Retryable(text, "too_big")))
        return out.effects()

    def read(self, record: bytes, out: EffectBatch) -> None:
        """Any message of the hub; nothing once the session has ended."""
        if self.state is SessionState.OPEN:
            self._handle(self._codec.read(record), out)

    def _begin(self, payloads: list[bytes], out: EffectBatch) -> list[bytes]:
        """What stands behind the answer to the handshake."""
        opened = SessionState.OPEN
        rest = [each if self.state is opened else self._shake_hands(each, out) for each in payloads]
        return rest if self.state is opened else []

    def _shake_hands(self, payload: bytes, out: EffectBatch) -> bytes:
        """What of this message stands behind the answer to the handshake."""
        if self.state is not SessionState.LOGGING_IN:
            return b""
        match self._handshake.feed(payload):
            case bytes(rest):
                self._move("welcomed")
                out.add(*self.welcomed())
                return rest
            case handshake.Denied(words=words):
                out.add(*self.end(Slow(f"the hub refused the handshake: {words}", "handshake_refused")))
            case handshake.BrokenHandshake(raw=raw, why=why):
                text = f"what the hub answered to the handshake is no answer: {why}"
                out.quarantine(raw, why)
                out.add(*self.end(Retryable(text, "handshake")))
        return b""

    def _handle_invocation(self, message: Invocation, out: EffectBatch) -> None:
        try:
            self.invoked(message.target, message.arguments, out)
        except Exception as error:  # nothing that a hub sends may end the connection
            record = self._codec.record(message)
            out.quarantine(record, error)
            self.spoiled(record, out)
        if message.invocation_id and self.state is SessionState.OPEN:
            out.add(*self._say(self._codec.failure(message.invocation_id, NO_RESULT)))

    def _handle(self, message: Heard, out: EffectBatch) -> None:
        match message:
            case Invocation():
                self._handle_invocation(message, out)
            case Ping():
                pass
            case Completion():
                effects = self._calls.completed(message)
                if effects is None:
                    out.unrouted += 1
                else:
                    out.add(*effects)
            case Close():
                out.add(*self.end(_ending(message)))
            case Malformed(raw=raw, error=error):
                out.quarantine(raw, error)
                if message.may_be_data:
                    self.spoiled(raw, out)
            case _:
                out.unrouted += 1

    def _say(self, message: str | bytes, *, control: bool = False) -> list[Effect]:
        self._sent_at = self.now
        return [Send(message, control)]


def _ending(close: Close) -> Reason:
    """HubProtocol, "Close": whether the hub would have us back. Where not, it refused us."""
    words = f": {said(close.error)}" if close.error else ""
    if close.allow_reconnect is True:
        return Retryable(f"the hub closed the connection{words}", "hub_closed")
    return Slow(f"the hub closed the connection and does not ask us back{words}", "hub_dismissed")
