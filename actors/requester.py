"""Asks venues over HTTP: for the newest prices where the stream has no fresh one, and what `runtime.ask`
asks.

It never waits: a short-lived thread carries on each conversation. A question for a price that is being asked
already is not asked twice: both askers share the answer.

An ask (`trading/asks.py`) has its future and its state; its own thread ends it, whatever becomes of the
requester. The requester only decides whose turn it is. What it had in hand when it failed is read again by
its successor if it is a read. A mutation is not: it was not begun, and ends as refused.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Final

from msgspec import Struct

from actors import log_queue
from actors.actor import Actor, ActorContext, KeptReply, Lease
from actors.errors import AskFailedError
from actors.feed_spec import Feeds, FeedSpec
from actors.http_types import HttpFailed
from actors.login.redaction import without_secrets
from actors.messages import AskLatest, BudgetDue, LatestTold, RoleStarted
from actors.protocol.limits import TokenBucket
from actors.protocol.prices import Price
from actors.protocol.venue import Venue
from actors.reasons import Crashed, Reason, Slow
from actors.trading.ask_messages import AskEnded, AskMutation, AskPaused, AskRead, MeterDue
from actors.trading.ask_queue import AskQueue, Pause
from actors.trading.asks import Ask, empty_meter
from actors.wire.attempt import ConnectCancel

log = log_queue.logger("actors.requester")

AT_ONCE: Final = 4  # conversations of one feed
CONVERSATION: Final = 10.0  # seconds that one may take
PATIENCE: Final = 10.0  # seconds without requests after a venue asks for a pause and names no time


class Question:
    """A question to a venue, and its askers. `connect_cancel` ends the conversation, once there is one."""

    def __init__(self, venue: Venue, symbol: str) -> None:
        self.venue, self.symbol = venue, symbol
        self.askers: list[tuple[AskLatest, KeptReply]] = []
        self.connect_cancel: ConnectCancel | None = None

    @property
    def id(self) -> tuple[Venue, str]:
        """A feed whose config has changed has another venue: its answers are not shared."""
        return self.venue, self.symbol

    @property
    def until(self) -> float:
        """Monotonic seconds: after that every asker has given up."""
        return max(asked.until for asked, _ in self.askers)

    def answer(self, told: LatestTold) -> None:
        for _, reply in self.askers:
            reply.set(told)


class BudgetPause(Struct, frozen=True):
    """A budget is exhausted: the turn of the timer that ends the pause, and its time."""

    turn: int
    until: float  # monotonic seconds


class Requester(Actor):
    """Carries on `venue.latest` conversations, within the venue's budget, some at once; and asks."""

    def __init__(
        self, context: ActorContext[Lease], *, feeds: Feeds, buckets: dict[str, TokenBucket]
    ) -> None:
        super().__init__(context)
        self._feeds = feeds
        self._buckets = buckets  # by feed; lent, so that a new requester keeps to the budget of the former
        self._questions: dict[tuple[Venue, str], Question] = {}  # in the order of their asking
        self._asks = AskQueue()
        self._paused: dict[str, BudgetPause] = {}  # feeds whose budget is spent
        self._turn = self.incarnation << 32  # a former keeper's timers are still about

    def on_receive(self, message: Any) -> None:
        match message:
            case AskLatest():
                self._ask(message)
            case LatestTold():
                self._answer(message)
            case BudgetDue(feed=feed, turn=turn):
                if feed in self._paused and self._paused[feed].turn == turn:
                    del self._paused[feed]
            case AskRead(ask=ask) | AskMutation(ask=ask):
                self.keep_reply()  # the ask's own thread answers
                if not self._is_too_late(ask):
                    self._asks.add(ask)
            case AskPaused(ask=ask, seconds=seconds):
                self._pause_meter(ask, seconds)
            case MeterDue(login=login, meter=meter, turn=turn):
                self._asks.resume(login, meter, turn)
            case RoleStarted() | AskEnded():
                pass
            case _:
                self.unknown(message)
        self._go_on()
        self._begin_asks()

    # ── asks ──

    def _begin_asks(self) -> None:
        """Begin every ask that has a place now."""
        while (ask := self._asks.next()) is not None:
            args, name = (ask,), f"requester/{ask.feed}"
            try:
                threading.Thread(target=self._carry_on, args=args, name=name, daemon=True).start()
            except RuntimeError:
                ask.give_up(
                    AskFailedError(ask.feed, "no thread can be started to ask the venue", "resources")
                )

    def _carry_on(self, ask: Ask) -> None:
        """On a thread of its own. The role is told, whichever requester plays it by then."""
        pause = ask.run()
        self._roles.named(self.id).tell(AskPaused(ask, pause) if pause else AskEnded())

    def _pause_meter(self, ask: Ask, seconds: float) -> None:
        """A read found its meter empty: it waits for it, as those behind it do."""
        self._turn += 1
        pause = Pause(self._turn, self._clock.monotonic() + seconds)
        if self._asks.pause(ask.login, ask.meter, pause):
            self.send_later(seconds, MeterDue(ask.login, ask.meter, pause.turn))
            for waiting in self._asks.waiting(ask.login, ask.meter):
                self._is_too_late(waiting)
        if not self._is_too_late(ask):
            self._asks.put_back(ask)

    def _is_too_late(self, ask: Ask) -> bool:
        """Whether its meter has no room before its deadline: then it fails now."""
        begins_at = self._asks.begins_at(ask)
        if begins_at <= ask.until:
            return False
        seconds = begins_at - self._clock.monotonic()
        ask.give_up(AskFailedError(ask.feed, empty_meter(seconds), "meter", seconds))
        return True

    # ── the newest prices ──

    def _answer(self, told: LatestTold) -> None:
        """One of a former incarnation is no answer."""
        if told.keeper == self.incarnation:
            self._questions.pop((told.venue, told.symbol)).answer(told)
            match told.outcome:
                case (Slow() as slow) | HttpFailed(lasting=Slow() as slow):
                    self._pause_venue(told.venue, slow)

    def _ask(self, asked: AskLatest) -> None:
        question = Question(asked.venue, asked.symbol)
        question = self._questions.setdefault(question.id, question)
        question.askers.append((asked, self.keep_reply()))

    def _go_on(self) -> None:
        """Begin every conversation that may begin now."""
        now = self._clock.monotonic()
        begun = Counter(each.venue.feed for each in self._questions.values() if each.connect_cancel)
        for question in [each for each in self._questions.values() if each.connect_cancel is None]:
            if question.until < now:
                del self._questions[question.id]
            elif begun[question.venue.feed] < AT_ONCE and self._may_begin(question, now):
                begun[question.venue.feed] += 1
                self._begin(question)

    def _may_begin(self, question: Question, now: float) -> bool:
        """Whether the budget allows it now; it is declined if its askers do not wait for so long."""
        pause = self._pause(question.venue, now)
        if pause is not None and question.until < pause.until:
            wait = pause.until - now
            self._decline(question, f"the venue may not be asked so often; again in {wait:.1f} s", "budget")
        return pause is None

    def _pause(self, venue: Venue, now: float) -> BudgetPause | None:
        """Whether the venue's budget is spent, for how long; None: it allows one more, and it is counted."""
        pause = self._paused.get(venue.feed)
        if pause is None and (wait := self._bucket(venue).take(now)):
            self._turn += 1
            pause = self._paused[venue.feed] = BudgetPause(self._turn, now + wait)
            self.send_later(wait, BudgetDue(venue.feed, self._turn))
        return pause

    def _pause_venue(self, venue: Venue, why: Slow) -> None:
        asked = PATIENCE if why.retry_after is None else why.retry_after
        seconds, spec = asked, self._feeds.get(venue.feed)
        if spec is not None and asked > (seconds := min(asked, spec.policy.restart.retry_after_cap)):
            text = "%s: pause of %.0f s asked for by the venue's pages; %g s are observed (retry_after_cap)"
            log.warning("cooldown.capped", text, venue.feed, asked, seconds, feed=venue.feed)
        self._bucket(venue).leave(self._clock.monotonic(), seconds)

    def _bucket(self, venue: Venue) -> TokenBucket:
        return self._buckets.setdefault(venue.feed, TokenBucket(venue.latest_budget))

    def _begin(self, question: Question) -> None:
        venue, symbol = question.id
        spec = self._feeds.get(venue.feed)
        if spec is None:
            self._decline(question, "its feed was removed from the config", "removed")
            return
        question.connect_cancel = ConnectCancel()
        name, args = f"requester/{venue.feed}", (venue, symbol, spec, question.connect_cancel)
        try:
            threading.Thread(target=self._converse, args=args, name=name, daemon=True).start()
        except RuntimeError:
            self._decline(question, "no thread can be started to ask the venue", "resources")

    def _decline(self, question: Question, text: str, code: str) -> None:
        """Answer without asking the venue."""
        del self._questions[question.id]
        at = self._clock.monotonic()
        question.answer(LatestTold(*question.id, HttpFailed(text, code), at, self.incarnation))

    def _converse(self, venue: Venue, symbol: str, spec: FeedSpec, connect_cancel: ConnectCancel) -> None:
        """On a thread of its own: every outcome is sent as a message, else its place would never be free."""
        outcome: Price | Reason | HttpFailed
        try:
            from actors.wire.http_client import converse  # an HTTP client, where one is needed

            conversation = venue.latest(symbol)
            if conversation is None:
                outcome = HttpFailed("the venue cannot be asked for it", "never")
            else:
                outcome = converse(conversation, spec.dial, connect_cancel, seconds=CONVERSATION)
                if not isinstance(outcome, Price):
                    outcome = without_secrets(outcome, spec.token_store.redactor)
        except Exception as error:
            log.exception(
                "request.failed",
                "%s: unexpected error while asking for the price of %s.",
                venue.feed,
                symbol,
                feed=venue.feed,
            )
            outcome = Crashed(f"unexpected error while asking for it ({type(error).__name__})")
        at = self._clock.monotonic()
        self._roles.named(self.id).tell(LatestTold(venue, symbol, outcome, at, self.incarnation))

    def cleanup(self) -> None:
        """Ends the conversations. Their questions stay with the role: a successor asks again."""
        for question in self._questions.values():
            if question.connect_cancel is not None:
                question.connect_cancel.cancel()
