"""Asks venues for the newest prices over HTTP, where the stream has no fresh one.

It never waits: each conversation is carried on by a short-lived thread. Whoever asks what is being
asked already shares its answer.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from actors import log_queue
from actors.actor import Actor, Address, Inbox, KeptReply
from actors.diagnostics import DeadLetters
from actors.feed_spec import FeedSpec
from actors.http_types import HttpFailed
from actors.login.redaction import without_secrets
from actors.messages import AskLatest, BudgetDue, LatestTold, RoleStarted
from actors.protocol.limits import TokenBucket
from actors.protocol.prices import Price
from actors.protocol.venue import Venue
from actors.reasons import Crashed, Reason, Slow
from actors.timers import Timers
from actors.wire.attempt import ConnectCancel

log = log_queue.logger("actors.requester")

AT_ONCE: Final = 4  # conversations of one feed
CONVERSATION: Final = 10.0  # seconds that one may take
PATIENCE: Final = 10.0  # seconds for which a venue is left alone that wants to be, and names no time
LONGEST: Final = 300.0  # seconds for which it is, whatever it names

Hears = AskLatest | LatestTold | BudgetDue | RoleStarted


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


class Cooldown(Struct, frozen=True):
    """A budget is spent: the turn of the timer that will say when it is not, and its time."""

    turn: int
    until: float  # monotonic seconds


class Requester(Actor):
    """Carries on `venue.latest` conversations, within the venue's budget, some at once."""

    def __init__(
        self,
        id: str,
        incarnation: int,
        inbox: Inbox,
        parent: Address,
        dead_letters: DeadLetters,
        *,
        address: Address,
        feeds: Mapping[str, FeedSpec],
        buckets: dict[str, TokenBucket],
        timers: Timers,
    ) -> None:
        super().__init__(id, incarnation, inbox, parent, dead_letters)
        self._address = address
        self._feeds = feeds
        self._buckets = buckets  # by feed; lent, so that who dies often asks no oftener
        self._timers = timers
        self._questions: dict[tuple[Venue, str], Question] = {}  # in the order of their asking
        self._resting: dict[str, Cooldown] = {}  # feeds whose budget is spent
        self._turn = incarnation << 32  # a former keeper's timers are still about

    def on_receive(self, message: Hears) -> None:
        match message:
            case AskLatest():
                self._ask(message)
            case LatestTold(venue=venue, symbol=symbol, keeper=keeper):
                if keeper == self.incarnation:
                    self._questions.pop((venue, symbol)).answer(message)
                    if isinstance(message.outcome, Slow):
                        self._leave_alone(venue, message.outcome)
            case BudgetDue(feed=feed, turn=turn):
                if feed in self._resting and self._resting[feed].turn == turn:
                    del self._resting[feed]
            case RoleStarted():
                pass
            case _:
                self.unknown(message)
        self._go_on()

    def _ask(self, asked: AskLatest) -> None:
        question = Question(asked.venue, asked.symbol)
        question = self._questions.setdefault(question.id, question)
        question.askers.append((asked, self.keep_reply()))

    def _go_on(self) -> None:
        """Begin whatever may be begun now."""
        now = self._timers.clock.monotonic()
        begun = Counter(each.venue.feed for each in self._questions.values() if each.connect_cancel)
        for question in [each for each in self._questions.values() if each.connect_cancel is None]:
            feed = question.venue.feed
            if question.until < now:
                del self._questions[question.id]
            elif begun[feed] < AT_ONCE:
                rest = self._rest(question.venue, now)
                if rest is None:
                    begun[feed] += 1
                    self._begin(question)
                elif question.until < rest.until:
                    wait = rest.until - now
                    text = f"the venue may not be asked so often; again in {wait:.1f} s"
                    self._decline(question, text, "budget")

    def _rest(self, venue: Venue, now: float) -> Cooldown | None:
        """Whether the venue's budget is spent, for how long; None: it allows one more, and it is counted."""
        rest = self._resting.get(venue.feed)
        if rest is None and (wait := self._bucket(venue).take(now)):
            self._turn += 1
            rest = self._resting[venue.feed] = Cooldown(self._turn, now + wait)
            self._timers.send_after(wait, self._address, BudgetDue(venue.feed, self._turn))
        return rest

    def _leave_alone(self, venue: Venue, why: Slow) -> None:
        seconds = PATIENCE if why.retry_after is None else min(why.retry_after, LONGEST)
        self._bucket(venue).leave(self._timers.clock.monotonic(), seconds)

    def _bucket(self, venue: Venue) -> TokenBucket:
        return self._buckets.setdefault(venue.feed, TokenBucket(venue.latest_budget))

    def _begin(self, question: Question) -> None:
        venue, symbol = question.id
        spec = self._feeds.get(venue.feed)
        if spec is None:
            self._decline(question, "its feed was removed from the config", "removed")
            return
        question.connect_cancel = ConnectCancel()
        thread = threading.Thread(
            target=self._converse,
            args=(venue, symbol, spec, question.connect_cancel),
            name=f"fetch/{venue.feed}",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:
            self._decline(question, "no thread can be started to ask the venue", "resources")

    def _decline(self, question: Question, text: str, code: str) -> None:
        """Nobody asks the venue."""
        del self._questions[question.id]
        at = self._timers.clock.monotonic()
        question.answer(LatestTold(*question.id, HttpFailed(text, code), at, self.incarnation))

    def _converse(self, venue: Venue, symbol: str, spec: FeedSpec, connect_cancel: ConnectCancel) -> None:
        """On a thread of its own: whatever comes of it is told, or its place would never be free again."""
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
            log.exception("%s: asking about %s failed in a way that nobody foresaw.", venue.feed, symbol)
            outcome = Crashed(f"asking for it failed in a way that nobody foresaw ({type(error).__name__})")
        at = self._timers.clock.monotonic()
        self._address.tell(LatestTold(venue, symbol, outcome, at, self.incarnation))

    def cleanup(self) -> None:
        """Ends the conversations. Their questions stay with the role: a successor asks again."""
        for question in self._questions.values():
            if question.connect_cancel is not None:
                question.connect_cancel.cancel()
