"""One account that a runtime follows: on a thread of its own, which its stream, its looks and timers wake.

The thread takes what the stream holds before it takes the answers of a look: an event that came before an
answer is never applied after it. It waits for nothing but that, and ends with the stream.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from msgspec import Struct

from actors import log_queue
from actors.delivery.inlet import Waker
from actors.events import Closed, Gap, Lifecycle, Received, SubscriptionState, Topic
from actors.market.latest_prices import StreamPrice
from actors.protocol.accounts import AccountBalance, AccountRow
from actors.protocol.trading import Cancel, Close, Intent, Modify, OrderOutcome, Place, Refused, Unknown
from actors.rules.account.budget import MOST_REPLACED, AuditBudget, Replacements
from actors.rules.account.flat import NO_LEGS
from actors.rules.account.keeper import AccountKeeper
from actors.rules.account.snapshot import Snapshot
from actors.rules.account.view import AccountEvent, AccountView, Flat, Mark
from actors.status import AccountStatus
from actors.stream import Stream
from actors.supervision.permit import Limits, StreamSource
from actors.timers import Timer
from actors.trading.account_look import begin_look
from actors.trading.account_way import AccountWay
from actors.trading.order_handle import OutcomeReply
from actors.trading.runtime_requests import Unsettled

log = log_queue.logger("actors.trading.accounts")

ALL_READ: Final = Limits(max_queue=0)
UP: Final = frozenset({"connected", "restored"})  # states of a line that bring events
REQUESTS: Final = 5  # of one look
KEPT: Final = 1.0  # seconds for which a view is the same object, where nothing happens
SESSION_NS: Final = 30 * 10**9  # nanoseconds between two looks whether another session has begun
WITHHELD: Final = (
    f"; its lines were replaced {MOST_REPLACED} times within an hour already, and are replaced again once "
    "that is over. Compare the account with the venue's own screens"
)
RESOLVE_AGAIN: Final = 30.0  # seconds until a contract is asked for again that could not be resolved

Job = Callable[[], object]
Tell = Callable[[Sequence[AccountEvent]], object]
Ended = Callable[[str], object]  # with the reason


class LoginLooks:
    """What the accounts of one login share: the lock of their keepers, the budget of their looks, and how
    often their lines may be replaced.

    `under_way`: looks that are, of all of them; with the lock.
    """

    def __init__(self, budget: AuditBudget) -> None:
        self.budget, self.lock = budget, threading.RLock()
        self.under_way = 0
        self.replacements = Replacements()

    def may_replace(self, now: float) -> bool:
        """Whether the lines may be replaced now; if so, that is noted."""
        with self.lock:
            may = not self.replacements.wait(now)
            if may:
                self.replacements.note(now)
        return may

    def wait(self, now: float) -> float:
        """Seconds until the budget has room for one more look, beside those under way; with the lock."""
        return self.budget.wait(REQUESTS * (self.under_way + 1), now)


class MadeView(Struct, frozen=True):
    """A view, and all that it was made of."""

    view: AccountView
    changes: int
    unsettled: Unsettled
    untaken: str
    prices: Mapping[str, StreamPrice | None]
    at: float  # monotonic seconds


class FollowedAccount:
    """Any thread may look and tell. `tell` is called with what has happened, and `when_ended` at its end."""

    def __init__(
        self,
        way: AccountWay,
        stream: Stream[Any],
        keeper: AccountKeeper,
        looks: LoginLooks,
        tell: Tell,
        when_ended: Ended,
    ) -> None:
        self.way, self.stream = way, stream
        self.topics: tuple[Topic, ...] = tuple(stream._topics)
        self.doubts = 0  # how often the view was in doubt; a look at it takes no lock
        self.untrusted = ""  # why its channels are not trusted
        self.silent_losses = 0
        self._keeper, self._tell, self._when_ended = keeper, tell, when_ended
        self._looks = looks
        self._changed = threading.Condition(looks.lock)  # notified when it is synced, and at its end
        self._source = StreamSource(stream._inlet, way.cells)
        self._waker, self._jobs = Waker(), SimpleQueue[Job]()
        self._changes = 0
        self._made: MadeView | None = None
        self._session_ns = self._session_seen_ns = 0  # its beginning, and when it was looked at; wall clock
        self._open: set[str] = set()  # tags without outcome, as the order store had them
        self._placed: set[tuple[str, int]] = set()  # orders that were accepted, as it had them
        self._leaving: set[object] = set()  # mutations of which the keeper has not been told
        self._has_item = False  # an item that the stream does not hold any more, and the keeper has not
        # Its thread's own:
        self._down: dict[str, str] = {}  # lines that are not up, and why
        self._asked = 0  # questions whether the subscriptions are answered; an older answer is of no use
        self._is_confirmed = False
        self._is_idle = False
        self._is_looking = self._is_to_replace = self._is_replacing = self._is_resolving = False
        self._seen = -1  # changes, when contracts and session were looked at
        self._unresolved: dict[str, float] = {}  # contracts, and when they may be asked for again
        self._timer: Timer | None = None
        self._due: float | None = None  # of the timer, monotonic seconds

    def __str__(self) -> str:
        return str(self.way)

    # ── any thread's ──

    def put(self, job: Job) -> None:
        """Do this on its thread."""
        self._jobs.put(job)
        self._waker.set()

    def tell(self, _: Any) -> None:
        """The timer's: a look may be due."""
        self.put(self._timer_over)

    @property
    def ended(self) -> str | None:
        """Why its stream has ended; None: it has not."""
        return self.stream.end_reason

    @property
    def is_busy(self) -> bool:
        """Whether something is under way that needs no time of the clock, which tests move by hand."""
        waits = self.ended is None and self.stream._peek() is not None
        return not self._is_idle or waits or not self._jobs.empty() or self._is_looking or self._is_resolving

    def view(self) -> AccountView:
        """As it is now: the same object until something happens, for a second at most."""
        unsettled, untaken, made = self._intents(), self._unread(), self._made
        if made is None or not self._holds(made, unsettled, untaken):
            made = self._made = self._make(unsettled, untaken)
        return made.view

    def wait(self, seconds: float) -> None:
        """Until it is synced or has ended, for at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._keeper.state == "synced" or self.ended is not None, seconds)

    def await_change(self, seconds: float) -> None:
        """Until something happens, for at most so many seconds."""
        with self._changed:
            changes = self._changes
            self._changed.wait_for(lambda: self._changes != changes or self.ended is not None, seconds)

    def flat(self, max_age: float) -> Flat:
        """Whether it is flat now."""
        unsettled, untaken = self._intents(), self._unread()
        with self._changed:
            found = self._keeper.flat(
                self.way.now(), intents=_tags(unsettled), max_age=max_age, untaken=untaken
            )
        return _explained(found, unsettled)

    def unproved(self, max_age: float) -> tuple[str, ...]:
        """Why no permit may be built on it; empty: the evidence is enough. It reads the order store."""
        unsettled, untaken = self._intents(), self._untaken()
        with self._changed:
            found = self._keeper.unproved(
                self.way.now(), intents=_tags(unsettled), max_age=max_age, untaken=untaken
            )
        return (*found, unsettled.why) if unsettled.why else found

    def confirm(self) -> None:
        """Evidence is waited for: where the present one is not enough, looks are due."""
        self.put(lambda: self._keep(self._keeper.confirm))

    def resync(self) -> None:
        """What the next whole look shows is taken over as it is."""
        self.put(lambda: self._keep(self._keeper.resync))

    def expect(self, intent: Intent, reply: OutcomeReply) -> None:
        """A mutation of this process is about to leave."""
        key = _key(intent)

        def told(outcome: OrderOutcome) -> None:
            if isinstance(outcome, Refused):
                self.put(lambda: self._answered(key))
            elif isinstance(outcome, Unknown):
                self.put(lambda: self._open.add(intent.tag))

        def expected() -> None:
            with self._changing():
                if isinstance(intent.mutation, Place):  # no event of an earlier time has its tag
                    self._keeper.expect_order(intent.tag, at)
                else:
                    self._keeper.expect(key, at)
            self._leaving.discard(reply)

        reply.told = told
        at = self.way.now()
        self._leaving.add(reply)
        self.put(expected)

    def status(self) -> AccountStatus:
        """For the status of the runtime. Reads no file."""
        with self._changed:
            view = self._keeper.view(self.way.now(), self.way.now_ns(), intents=())
            lacks = self._keeper.lacks
        is_disputed = view.state == "disputed"
        failed = f"the last look was not complete: {'; '.join(lacks)}" if lacks else ""
        return AccountStatus(
            state=view.state,
            reason="" if is_disputed else "; ".join(view.reasons) or failed,
            age_s=view.age_s,
            silent_losses=self.silent_losses,
            disputed=view.reasons if is_disputed else (),
            untrusted=self.untrusted,
        )

    def _intents(self) -> Unsettled:
        """What the order store has of it now. Takes the lock where that has changed.

        An order that another process has placed is waited for as one of this process is. A tag that is open
        no longer, and was not accepted, has its answer: it was refused, or a person says that it is absent.
        """
        found = self.way.unsettled()
        if found.why:
            return found
        if self._open != set(found.tags) or not self._placed.issuperset(found.placed):
            with self._changing():
                self._take_intents(found)
            self._waker.set()
        return found

    def _take_intents(self, found: Unsettled) -> None:
        now, now_ns, since_ns = self.way.now(), self.way.now_ns(), self._keeper.since_ns
        placed = set(found.placed)
        for tag, begun_ns in sorted(placed - self._placed):
            if begun_ns > since_ns:  # the lists show it
                self._keeper.expect_order(tag, now - max(0, now_ns - begun_ns) / 1e9)
        for tag in self._open - set(found.tags) - {tag for tag, _ in placed}:
            self._keeper.answered(tag)
        self._open, self._placed = set(found.tags), placed

    def _untaken(self) -> str:
        """What has come, and the keeper has not been told yet; takes no lock.

        It is looked at behind the order store and ahead of the keeper: what leaves either is in the next.
        """
        waiting = [*self._source.waiting(ALL_READ)]
        if waiting or self._has_item:  # in this order, which is that of the reader
            return "events of its channels have come, and are not taken over yet"
        return "a mutation is leaving" if self._leaving else ""

    def _unread(self) -> str:
        """The same, and what a line may hold that was not read, as after a pause: permits look at lines."""
        return self._untaken() or self.way.unread(self.topics)

    def _holds(self, made: MadeView, unsettled: Unsettled, untaken: str) -> bool:
        """Takes no lock."""
        if (made.changes, made.unsettled, made.untaken) != (self._changes, unsettled, untaken):
            return False
        is_young = 0 <= self.way.now() - made.at < KEPT
        return is_young and made.prices == {id: self.way.price(id) for id in made.prices}

    def _make(self, unsettled: Unsettled, untaken: str) -> MadeView:
        """The venue reads prices, so that is done without the lock."""
        way, tags = self.way, _tags(unsettled)
        prices = {id: way.price(id) for id in self._contracts()}
        contracts = {id: found for id in prices if (found := way.contract(id)) is not None}
        with self._changed:
            now, now_ns = way.now(), way.now_ns()
            marks = {
                id: Mark(price.price, price.age(now, now_ns), price.of)
                for id, price in prices.items()
                if price is not None
            }
            view = self._keeper.view(now, now_ns, marks, contracts, intents=tags, untaken=untaken)
            return MadeView(view, self._changes, unsettled, untaken, prices, now)

    def _contracts(self) -> tuple[str, ...]:
        """Those in which it has a position."""
        with self._changed:
            positions = self._keeper.view(self.way.now(), self.way.now_ns(), intents=()).positions
        return tuple(each.contract for each in positions)

    # ── its own thread ──

    def follow(self) -> None:
        """Until the stream ends."""
        inlet = self.stream._inlet
        with inlet.ready:
            inlet.wakers = (*inlet.wakers, self._waker)
        self._session_ns = self._keeper.since_ns
        self._await_answers()
        try:
            while self._go_on():
                pass
        finally:
            self._end()

    def _go_on(self) -> bool:
        """One item of the stream; or one job, where it holds none; or a wait. Returns whether it goes on."""
        place = self.stream._peek()
        if place is not None:
            self._has_item = True
            try:
                return self._take_item(self.stream._take_at(place))
            finally:
                self._has_item = False
        if self.ended is not None:  # and all of it was read
            return False
        if not self._jobs.empty():  # only this thread takes from it
            self._jobs.get()()
            return True
        self._begin_what_is_due()
        if self._jobs.empty() and self.stream._peek() is None:
            self._is_idle = True
            self._waker.wait(None)
            self._is_idle = False
        return True

    def _take_item(self, item: object) -> bool:
        """Returns whether it goes on."""
        if isinstance(item, Received):
            self._take(item, self.stream._box.reached_for.origin.at)
        elif isinstance(item, Closed):
            return False
        else:
            self._mark(item)
        return True

    def _take(self, received: Received[Any], at: float) -> None:
        if received.source == "rest":  # of a back-fill: a look after the loss shows it, with all the rest
            return
        try:
            spec = self.way.spec
            row = None if spec is None else spec.venue.account_row(received.event)
            if row is None or not self._is_own(row):
                return
            with self._changing():
                events = self._keeper.event(row, at, received.received_ns)
        except BaseException as error:  # of a venue of yours: `sys.exit()` must not end this thread
            self.stream._inlet.handler_errors += 1
            log.exception(
                "account.event_unreadable",
                "%s: an event could not be read; its lists are asked for.",
                self,
                feed=self.way.feed,
            )
            self._lose(f"an event could not be read ({type(error).__name__})")
            return
        self._has_item = False  # a handler may ask for the view
        self._tell(events)

    def _is_own(self, row: AccountRow) -> bool:
        """A channel without keys tells of all accounts of the login."""
        return not isinstance(row, AccountBalance) or row.account in (self.way.account, None)

    def _mark(self, marker: object) -> None:
        match marker:
            case Lifecycle(line=line, state=state) if state in UP:
                self._down.pop(line, None)
                self._await_answers()
            case Lifecycle(line=line, state=state, reason=reason):
                self._down[line] = f"{line} is {state}" + (f": {reason}" if reason else "")
                self._is_confirmed = False
                self._asked += 1  # an answer that is on its way is of the connection that was lost
                self._keep(lambda now: self._keeper.interrupted(self._down[line], now))
            case Gap(reason=reason):
                self._lose(f"a gap in its events ({reason})")

    def _lose(self, why: str) -> None:
        """Events are missing, and the line is up."""
        self._keep(lambda now: self._keeper.interrupted(why, now))
        if self._is_confirmed and not self._is_down():
            self._keep(self._keeper.subscribed)

    def _is_down(self) -> bool:
        """Whether a line is down on which its topics lie now."""
        return not self._down.keys().isdisjoint(self.way.lines_of(self.topics))

    def _await_answers(self) -> None:
        """Asks whether the venue has confirmed all subscriptions: looks count from then on."""
        self._asked += 1
        asked = self._asked
        self.way.await_answers(
            self.topics, lambda states: self.put(lambda: self._take_answers(states, asked))
        )

    def _take_answers(self, states: Mapping[Topic, SubscriptionState], asked: int) -> None:
        if asked != self._asked or self._is_down() or self._is_confirmed:
            return
        rejected = {topic: state.reason for topic, state in states.items() if state.state == "rejected"}
        if rejected:
            self._keep(lambda now: self._keeper.interrupted(_rejection(rejected), now))
            return
        self._is_confirmed = True
        self._keep(self._keeper.subscribed)

    def _answered(self, key: str | int) -> None:
        self._keep(lambda _: self._keeper.answered(key))

    # ── looks ──

    def _begin_what_is_due(self) -> None:
        now = self.way.now()
        self._begin_session()
        self._resolve_contracts(now)
        if self._is_looking:
            return
        with self._changed:
            wait, since_ns = self._keeper.next_look_in(now), self._keeper.since_ns
            if wait <= 0:  # those of other accounts are not counted before they are over
                wait = self._looks.wait(now)
            self._looks.under_way += wait <= 0
        if wait <= 0:
            self._is_looking = True
            self._set_timer(None)
            begin_look(self.way, since_ns, self._unlisted, self._looked)
        else:
            self._set_timer(now + wait)

    def _set_timer(self, due: float | None) -> None:
        """`due`: monotonic seconds; None, or infinity: nothing is."""
        due = None if due == float("inf") else due
        if self._timer is not None:
            if due is not None and self._due is not None and abs(due - self._due) < 0.001:
                return
            self._timer.cancel()
            self._timer = None
        self._due = due
        if due is not None:
            self._timer = self.way.send_after(max(0.0, due - self.way.now()), self)

    def _timer_over(self) -> None:
        self._timer, self._due = None, None

    def _unlisted(self, snapshot: Snapshot) -> tuple[int, ...]:
        """On the thread of the look."""
        with self._changed:
            return self._keeper.unlisted(snapshot)

    def _looked(self, snapshot: Snapshot, requests: int) -> None:
        """On the thread of the look."""
        self.put(lambda: self._take_look(snapshot, requests))

    def _take_look(self, snapshot: Snapshot, requests: int) -> None:
        self._is_looking = False
        now, now_ns = self.way.now(), self.way.now_ns()
        with self._changing():
            self._looks.under_way -= 1
            before = self._keeper.view(now, now_ns, intents=()).silent_losses
            events = self._keeper.looked(snapshot, now, now_ns, requests=requests)
            after = self._keeper.view(now, now_ns, intents=()).silent_losses
            rotation, state = self._keeper.take_rotation(), self._keeper.state
        self._tell(events)
        for loss in after:
            if loss not in before:
                self.silent_losses += 1
                log.warning(
                    "account.silent_loss",
                    "%s: an event was lost in silence, and is taken over: %s",
                    self,
                    loss.what,
                    feed=self.way.feed,
                )
                self.way.record_loss(self.topics, loss.what, loss.at_ns)
        if rotation:
            self._distrust(rotation)
        elif self._is_to_replace and state == "untrusted":  # it was not connected again by itself
            self._replace_if_allowed()
        elif self.untrusted:
            self._trust_again()

    # ── trust ──

    def _distrust(self, why: str) -> None:
        """Its channels are not fresh, and its lines are replaced."""
        self.untrusted = why
        self._is_to_replace = True
        self._replace_if_allowed()
        self.way.distrust(self._own_topics(), self.untrusted)

    def _replace_if_allowed(self) -> None:
        """A venue that never tells of some events would be connected to without end."""
        now = self.way.now()
        if not self._looks.may_replace(now):
            if WITHHELD not in self.untrusted:
                self.untrusted += WITHHELD
                log.error("account.untrusted", "%s: %s", self, self.untrusted, feed=self.way.feed)
            return
        self._is_to_replace = False
        self._replace_lines(self.untrusted.removesuffix(WITHHELD))

    def _replace_lines(self, why: str) -> None:
        lines = self.way.lines_of(self.topics)
        self._is_replacing = bool(lines)
        left = set(lines)

        def replaced(line: str) -> None:
            left.discard(line)
            if not left:
                self._replaced()

        for line in lines:
            self.way.replace_line(line, why, partial(self.put, partial(replaced, line)))
        if not lines:  # its topics are on none now
            self._replaced()

    def _replaced(self) -> None:
        """The new connection has taken over without a gap, or its stream tells of the loss."""
        self._is_replacing = False
        self._lose("its line was replaced")
        self._keep(self._keeper.confirm)

    def _trust_again(self) -> None:
        """Once two looks at the new connection agree with it."""
        if self._is_replacing:
            return
        with self._changed:
            missing = self._keeper.unproved(self.way.now(), intents=())
        if set(missing) <= {NO_LEGS}:
            log.info(
                "account.trusted",
                "%s: its channels are trusted again: two looks agree with them.",
                self,
                feed=self.way.feed,
            )
            self.untrusted, self._is_to_replace = "", False
            self.way.distrust(self._own_topics(), "")

    def _own_topics(self) -> tuple[Topic, ...]:
        """Those of this account alone; of a venue that tells of all accounts in one, that one."""
        return tuple(topic for topic in self.topics if topic.key) or self.topics

    # ── contracts, sessions ──

    def _resolve_contracts(self, now: float) -> None:
        """The tick value of each position's contract is asked for once."""
        if self._is_resolving or (self._seen == self._changes and not self._unresolved):
            return
        self._seen = self._changes
        due = [
            id
            for id in self._contracts()
            if self.way.contract(id) is None and self._unresolved.get(id, 0.0) <= now
        ]
        if not due:
            return
        self._unresolved |= dict.fromkeys(due, now + RESOLVE_AGAIN)
        self._is_resolving = True

        def run() -> None:
            for id in due:
                self.way.resolve(id)
            self.put(self._resolved)

        try:
            threading.Thread(target=run, name=f"account/{self}/contracts", daemon=True).start()
        except RuntimeError:
            self._is_resolving = False

    def _resolved(self) -> None:
        self._is_resolving = False
        with self._changing():
            pass

    def _begin_session(self) -> None:
        now_ns = self.way.now_ns()
        if 0 <= now_ns - self._session_seen_ns < SESSION_NS:
            return
        self._session_seen_ns = now_ns
        since_ns = self.way.session_since_ns(self.topics)
        if since_ns > self._session_ns:
            self._session_ns = since_ns
            self._keep(lambda _: self._keeper.new_session(since_ns))

    # ── changes ──

    def _keep(self, change: Callable[[float], object]) -> None:
        """Changes the keeper at this moment."""
        with self._changing():
            change(self.way.now())

    def _changing(self) -> _Change:
        return _Change(self)

    def _end(self) -> None:
        self._set_timer(None)
        if self.untrusted:
            self.way.distrust(self._own_topics(), "")
        with self._changed:
            self._looks.under_way -= self._is_looking
            self.doubts += 1
            self._keeper.interrupted(self.ended or "it is followed no longer", self.way.now())
            self._changes += 1
            self._changed.notify_all()
        self.way.note_change()
        self._when_ended(self.ended or "it is followed no longer")


class _Change:
    """A change of the keeper, with its lock: a view that is no longer synced is one more doubt."""

    def __init__(self, account: FollowedAccount) -> None:
        self._account = account

    def __enter__(self) -> None:
        self._account._changed.acquire()
        self._before = self._account._keeper.state

    def __exit__(self, *_: object) -> None:
        account, state = self._account, self._account._keeper.state
        account._changes += 1
        if self._before != state:
            account.doubts += self._before == "synced"
        account._changed.notify_all()
        account._changed.release()
        if self._before != state:
            account.way.note_change()


def _key(intent: Intent) -> str | int:
    """By what the keeper knows the events of a mutation."""
    match intent.mutation:
        case Place():
            return intent.tag
        case Modify(order=order) | Cancel(order=order):
            return order
        case Close(contract=contract):
            return contract


def _tags(unsettled: Unsettled) -> tuple[str, ...] | None:
    return None if unsettled.why else unsettled.tags


def _explained(found: Flat, unsettled: Unsettled) -> Flat:
    """With the reason why intents are not known."""
    if not unsettled.why or found:
        return found
    return Flat(found.answer, (*found.reasons, unsettled.why))


def _rejection(rejected: Mapping[Topic, str]) -> str:
    """One reason for all: a venue that does not know the account says so for each of its channels."""
    channels = ", ".join(topic.channel for topic in rejected)
    reason = next(iter(rejected.values()))
    return (
        f"the venue rejects {channels} of this account ({reason}); they are asked for again when the line "
        "connects again. If the number is wrong, correct `accounts` of the feed, or call forget_account"
    )
