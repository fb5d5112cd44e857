"""One socket of tplus: a stream that begins with the upgrade.

There is nothing to send. What confirms the topic is the welcome frame, or the first data where no
welcome comes; what the registry has not asked for yet is kept until it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from actors.protocol import (
    TEXT,
    Complain,
    Confirm,
    Effect,
    EffectBatch,
    Fatal,
    Frame,
    Missed,
    Reject,
    Resent,
    Retryable,
    Session,
    SessionState,
    TokenRefused,
    Topic,
    decoded,
)
from actors.venues.tplus import messages as m
from actors.venues.tplus.decoding import Decode, decode_control, documents
from actors.venues.tplus.errors import KEY_ADVICE, is_unauthorized, passing, words
from actors.venues.tplus.paths import TplusStream

EARLY = 10_000  # events that may come before the registry has asked for their topic
# What a payload may be read as and is no event to deliver as it is: nothing, several, one without its asset.
UNUSUAL = frozenset({type(None), list, m.Timebar})


class TplusSession(Session):
    """One stream's socket. `with_token`: it came with one, which the venue may refuse."""

    def __init__(self, topic: Topic, stream: TplusStream, *, with_token: bool) -> None:
        super().__init__()
        self._topic = topic
        self._stream = stream
        self._plainly = stream.plainly
        self._with_token = with_token
        self._answer: Confirm | Reject | None = None  # the venue's
        self._wanted = False
        self._early: EffectBatch | None = EffectBatch()  # until it is asked for: what belongs to the topic
        self._waiting = 0  # events in it
        self._now = 0.0

    # ── what the registry wants ──

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        if self._topic not in topics:
            return []
        self._wanted = True
        early, self._early = self._early, None
        answered: list[Effect] = [self._answer] if self._answer is not None else []
        return answered + (early.effects() if early is not None else [])

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """Sends nothing: the line ends when its topic is unwanted."""
        if self._topic in topics:
            self._wanted = False
        return []

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """tplus cannot be made to repeat anything: the seam is marked, and the stream goes on."""
        if self._topic not in topics:
            return []
        mine = (self._topic,)
        answered: list[Effect] = [self._answer] if self._answer is not None else []
        return [Missed(mine, "unknown"), Resent(mine), *answered]

    # ── hearing ──

    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        """The loop reads the usual messages by itself: one event of the topic, which is wanted and confirmed.

        `_read` reads all others. It reads the usual ones as well, with the same effects.
        """
        self._now = now
        out, ended = EffectBatch(), SessionState.ENDED
        topic, plainly, is_live = self._topic, self._plainly, self._is_live
        for opcode, payload in frames:
            if is_live and opcode == TEXT:
                try:
                    event = plainly(payload)
                except Exception:  # `_read` finds out what it is
                    event = None
                if type(event) not in UNUSUAL:
                    out.topics.append(topic)
                    out.events.append(event)
                    continue
            if self.state is ended:
                break
            self._read(opcode, payload, out)
            is_live = self._is_live
        return out.effects()

    @property
    def _is_live(self) -> bool:
        """Whether what the venue sends is delivered at once."""
        return self._wanted and type(self._answer) is Confirm and self.state is SessionState.OPEN

    def _read(self, opcode: int, payload: bytes, out: EffectBatch) -> None:
        """Any message."""
        if opcode != TEXT or not self._is_data(payload, self._plainly, out):
            self._handle_odd(opcode, payload, out)

    def _is_data(self, piece: bytes, decode: Decode, out: EffectBatch) -> bool:
        """Whether it could be read as an event or a list of them; those are heard then."""
        try:
            heard = decode(piece)
        except Exception:  # nothing that a venue sends may end the connection
            return False
        if type(self._answer) is not Confirm:  # also by a list of nothing
            self._confirm(out)
        if type(heard) is list:
            for event in heard:
                self._handle(event, out)
        else:
            self._handle(heard, out)
        return True

    def _handle(self, event: Any, out: EffectBatch) -> None:
        if type(event) is m.Timebar:
            force_setattr(event, "asset_id", self._topic.key)  # before it is delivered
        if self._wanted:
            out.deliver(self._topic, event)
        else:
            self._hold(event, out)

    def _hold(self, event: Any, out: EffectBatch) -> None:
        """Events before the subscription wait; events after its end are counted."""
        if self._early is None:
            out.unrouted += 1
            return
        self._early.deliver(self._topic, event)
        self._waiting += 1
        if self._waiting > EARLY:
            text = f"{EARLY} events came before the subscription"
            out.add(self._end(Retryable(text, "early")))

    # ── what is not as nearly all messages of the stream are ──

    def _handle_odd(self, opcode: int, payload: bytes, out: EffectBatch) -> None:
        if opcode != TEXT:
            out.quarantine(payload, "a binary frame; tplus sends text")
            self._lost(out)
        elif not self._understands(payload, out):
            self._handle_pieces(payload, out)

    def _handle_pieces(self, payload: bytes, out: EffectBatch) -> None:
        """A frame that is not one document, or in which something is odd."""
        try:
            pieces = list(documents(payload))
        except Exception:  # nothing that a venue sends may end the connection
            pieces = []
        for piece in pieces or [payload]:
            if self.state is SessionState.ENDED:
                return
            if not self._understands(piece, out):
                self._puzzle(piece, out)

    def _understands(self, piece: bytes, out: EffectBatch) -> bool:
        """What is plain data is data; else it may speak of the connection, which variants look like too."""
        return (
            self._is_data(piece, self._plainly, out)
            or self._is_control(piece, out)
            or self._is_data(piece, self._stream.decode, out)
        )

    def _confirm(self, out: EffectBatch) -> None:
        self._answer = Confirm((self._topic,))
        if self._wanted:
            out.add(self._answer)

    def _reject(self, why: str, out: EffectBatch) -> None:
        self._answer = Reject((self._topic,), why)
        if self._wanted:
            out.add(self._answer)

    # ── what is no data ──

    def _is_control(self, payload: bytes, out: EffectBatch) -> bool:
        """Whether the connection spoke of itself, and not of the market."""
        if b'"type"' not in payload and b'"error' not in payload:
            return False
        if (control := decoded(decode_control, payload)) is None:
            return False
        if control.type == "subscriptions":
            self._welcomed(control, out)
        elif control.type == "error" or (control.type is None and control.error is not None):
            self._failed(words(control.error or control.errors or control.message) or "no words", out)
        else:
            return control.type in ("ping", "pong")
        return True

    def _welcomed(self, control: m.Control, out: EffectBatch) -> None:
        if control.errors:
            self._failed(words(control.errors), out)
        elif type(self._answer) is not Confirm:
            self._confirm(out)

    def _failed(self, said: str, out: EffectBatch) -> None:
        """An error on the socket: the token's, one that passes, or the stream's."""
        if is_unauthorized(said):
            self._unauthorized(said, out)
        elif (reason := passing(said)) is not None:
            out.add(self._end(reason))
        elif type(self._answer) is Confirm:  # the stream runs: it is about something else
            out.add(Complain("tplus_error", f"tplus says: {said}"))
        else:
            self._reject(f"tplus says: {said}", out)

    def _unauthorized(self, said: str, out: EffectBatch) -> None:
        # It comes after a good upgrade, and no data follow, whether the socket is closed or not.
        if self._with_token:
            self._move("ended")
            out.add(TokenRefused(f"tplus does not take the token of this connection: {said}"))
        else:
            out.add(self._end(Fatal(f"tplus wants a login for this stream: {said}", "login", KEY_ADVICE)))

    def _puzzle(self, piece: bytes, out: EffectBatch) -> None:
        out.quarantine(piece, self._flaw(piece))
        if not self._is_alien(piece):
            self._lost(out)

    def _flaw(self, piece: bytes) -> Exception | str:
        try:
            self._stream.decode(piece)
        except Exception as error:
            return error
        return "unreadable"

    def _is_alien(self, piece: bytes) -> bool:
        """Whether it calls itself something, and bears nothing that our events have."""
        try:
            fields = msgspec.json.decode(piece, type=dict[str, msgspec.Raw])
            return bytes(fields["type"])[:1] == b'"' and not FIELDS.intersection(fields)
        except Exception:
            return False

    def _lost(self, out: EffectBatch) -> None:
        """An event of the topic could not be decoded: it gets a `Missed`."""
        missed = Missed((self._topic,), "quarantine")
        if self._wanted:
            out.add(missed)
        elif self._early is not None:
            self._early.add(missed)


# One of these in a message makes it one of the market's or the account's, whatever it calls itself.
FIELDS = frozenset(
    {"asks", "bids", "sequence_number", "asset_id", "asset", "order_id", "trade_id", "user", "user_id"}
    | {"price", "quantity", "open", "close", "positions", "timestamp_ns"}
)
