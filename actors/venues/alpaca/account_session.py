"""Alpaca's account stream: `trade_updates`, the life of an account's orders.

Here the client speaks first, messages are objects, and `listen` replaces the whole list. Nothing is
replayed and there is no snapshot: after a `Gap` orders and positions have to be read over REST, once
the topic is confirmed, and merged by the order's `id` and `updated_at`. Within one connection's life a
fill comes once.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.protocol import (
    Announce,
    Confirm,
    Effect,
    EffectBatch,
    Fatal,
    Frame,
    Missed,
    RecentIds,
    Reject,
    Retryable,
    Secret,
    SessionState,
    Topic,
)
from actors.venues.alpaca.account_messages import AccountAnswer, AccountFrame, TradeUpdate
from actors.venues.alpaca.codec import Encoding, account_frame, answer, trade_update
from actors.venues.alpaca.keyed_session import KeyedSession

TRADE_UPDATES = "trade_updates"
FILLS = frozenset({"fill", "partial_fill"})
REMEMBERED = 10_000  # at least; ids of executions
ADVICE = (
    "Check key, secret and paper in this feed's table: paper = true wants keys of the paper account, "
    "paper = false those of the live one."
)
_WORDS = 500  # characters of an error that are told


class AccountSession(KeyedSession):
    def __init__(self, key: Secret, secret: Secret, *, encoding: Encoding = "json") -> None:
        super().__init__(key, secret, encoding=encoding)
        self._topic: Topic | None = None  # wanted
        self._confirmed = False
        self._listens: list[bool] = []  # unanswered ones, oldest first: whether they ask for the stream
        self._seen = RecentIds(REMEMBERED)

    def opened(self, now: float) -> list[Effect]:
        self._move("upgraded")
        return [self._login()]

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        for topic in topics:  # there is one channel, without keys
            if topic == self._topic and not self._confirmed:
                self._listens.clear()  # asked once more: no answer came
            self._topic, self._confirmed = topic, False
        return self._listen() if topics else []

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        if self._topic is None or self._topic not in topics:
            return []
        self._topic, self._confirmed = None, False
        return self._listen()

    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        out = EffectBatch()
        for _, payload in frames:
            if self.state is SessionState.ENDED:
                break
            try:
                self._handle(account_frame(payload), payload, out)
            except Exception as error:
                self._put_aside(payload, error, out)
        return out.effects()

    def _handle(self, frame: AccountFrame, payload: bytes, out: EffectBatch) -> None:
        match frame.stream or frame.action:
            case "trade_updates":
                self._handle_update(trade_update(frame), out)
            case "authorization":
                self._handle_authorization(answer(frame), out)
            case "listening":
                self._handle_listening(answer(frame), out)
            case "error":
                words = _text(answer(frame).error_message) or "no words"
                out.add(self._end(Retryable(f"alpaca ends the account stream: {words}", "alpaca_error")))
            case _:  # not asked for: it is kept to be looked at
                out.quarantine(payload, "a message that is no trade update and no answer")

    def _handle_update(self, update: TradeUpdate, out: EffectBatch) -> None:
        topic = self._topic
        if topic is None:
            out.unrouted += 1
            return
        self._confirm(topic, out)  # nothing of an account is passed over for its answer's being late
        if update.event in FILLS and update.execution_id and not self._seen.add(update.execution_id):
            out.duplicates += 1
            return
        out.deliver(topic, update)

    def _handle_authorization(self, said: AccountAnswer, out: EffectBatch) -> None:
        """Only a refusal in so many words is about the keys: another answer may be a failing server's."""
        words = _text(said.message) or _text(said.status) or "no words"
        if said.status == "authorized":
            if self.state is SessionState.LOGGING_IN:
                self._move("welcomed")
                out.add(Announce())
        elif said.action == "listen" and self.state is SessionState.OPEN:
            out.add(self._end(Retryable("alpaca forgot the login of the account stream", "alpaca_login")))
        elif _text(said.status).strip().lower() == "unauthorized":
            out.add(self._end(Fatal(f"alpaca refuses the login: {words}", "alpaca_unauthorized", ADVICE)))
        else:
            text = f"alpaca neither takes nor refuses the login of the account stream: {words}"
            out.add(self._end(Retryable(text, "alpaca_login")))

    def _handle_listening(self, said: AccountAnswer, out: EffectBatch) -> None:
        listed = isinstance(said.streams, list) and TRADE_UPDATES in said.streams
        self._strike_off(listed)
        topic = self._topic
        if topic is None or self._listens:  # it answers an earlier list
            return
        if listed:
            self._confirm(topic, out)
            return
        if self._confirmed:
            out.add(Missed((topic,), "unknown"))
        self._topic, self._confirmed = None, False
        out.add(Reject((topic,), "the venue's acknowledgement does not list it"))

    def _strike_off(self, listed: bool) -> None:
        """An answer is that of the oldest listen that asked for just this; those before it were lost."""
        oldest = self._listens.index(listed) if listed in self._listens else 0
        del self._listens[: oldest + 1]

    def _confirm(self, topic: Topic, out: EffectBatch) -> None:
        if not self._confirmed:
            self._confirmed = True
            out.add(Confirm((topic,)))

    def _put_aside(self, payload: bytes, error: Exception, out: EffectBatch) -> None:
        """An update that cannot be read, or something that may have been one."""
        out.quarantine(payload, error)
        if self._topic is not None and self._confirmed:
            out.add(Missed((self._topic,), "quarantine"))

    def _listen(self) -> list[Effect]:
        self._listens.append(self._topic is not None)
        streams = [TRADE_UPDATES] if self._topic is not None else []
        return [self._frame({"action": "listen", "data": {"streams": streams}})]


def _text(said: object) -> str:
    return said[:_WORDS] if isinstance(said, str) else ""
