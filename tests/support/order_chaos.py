"""Orders from a seed, under faults from the same seed; each outcome is compared with the venue's count."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from actors import Accepted, Bracket, OrderHandle, Refused, Runtime, Unknown
from actors.protocol.trading import OrderOutcome
from actors.simulators import FaultyProxy
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests
from tests.support.internals import Internals, Wedge

REQUESTER = "requester"
CONTRACT = "CON.F.US.EP.Z26"
ACCOUNTS = range(5_000, 5_400)
PLACE, MODIFY, CANCEL = "Order/place", "Order/modify", "Order/cancel"
CLOSE, PART = "Position/closeContract", "Position/partialCloseContract"
PAGES = (PLACE, MODIFY, CANCEL, CLOSE, PART)
THREADS = 8  # that order at once
AT_ONCE = 6  # accounts
BURST = 4  # orders of a thread in one round
DEADLINES = (0.2, 0.5, 1.0, 2.0)  # seconds


class Sent:
    """A mutation that a program has asked for."""

    def __init__(self, page: str, account: int, handle: OrderHandle) -> None:
        self.page, self.account, self.handle = page, account, handle

    @property
    def tag(self) -> str:
        return self.handle.tag


class OrderChaos:
    """A program with several threads on a venue behind a bad network, with a requester that dies."""

    def __init__(
        self, seed: int, venue: SimulatedProjectX, proxy: FaultyProxy, start: Callable[[], Runtime]
    ) -> None:
        self.random = random.Random(seed)
        self.venue, self.proxy, self._start = venue, proxy, start
        self.runtime = start()
        self.px: ProjectXRequests = self.runtime.ask("projectx")
        self.sent: list[Sent] = []
        self.done: list[str] = []  # what was done to it, for people
        self._fresh = list(ACCOUNTS)
        self.accounts = [self._fresh.pop() for _ in range(AT_ONCE)]
        self.orders: list[tuple[int, int]] = []  # account and order that was accepted
        self._internals = Internals()
        self._wedges: list[Wedge] = []
        self.outcomes: Counter[str] = Counter()
        self.await_settled()

    def await_settled(self) -> None:
        while self.runtime._requests.settlement.is_under_way("projectx"):
            threading.Event().wait(0.01)

    # ── one round ──

    def round(self) -> None:
        """Faults, orders of several threads, and all that these must have come to."""
        first = len(self.sent)
        before = Counter(self.venue.seen.requests)
        for _ in range(self.random.randrange(1, 4)):
            self._fault()
        self._order()
        self._internals.disarm()
        for sent in self.sent[first:]:
            outcome = sent.handle.get(20.0)
            assert outcome != Unknown(sent.tag, "under way"), self.where
        self._heal()
        self._check(self.sent[first:], before)

    def stop_in_the_middle(self) -> None:
        """The runtime ends while orders are on their way; another one finds out what came of them."""
        first, before = len(self.sent), Counter(self.venue.seen.requests)
        self._fault()
        stop = threading.Timer(self.random.uniform(0.0, 0.05), self.runtime.stop, (0.5,))
        stop.start()
        self._order()
        stop.join()
        self.runtime.stop()
        self._heal(is_running=False)
        self.runtime = self._start()
        self.px = self.runtime.ask("projectx")
        self.await_settled()
        self._check(self.sent[first:], before)

    def close(self) -> None:
        for wedge in self._wedges:
            wedge.released.set()
        self.runtime.stop()

    @property
    def where(self) -> str:
        return ", ".join(self.done)

    # ── what is done to it ──

    def _fault(self) -> None:
        name, what = self.random.choice(self._faults())
        self.done.append(name)
        what()

    def _faults(self) -> list[tuple[str, Callable[[], object]]]:
        venue, proxy, draw = self.venue, self.proxy, self.random
        n = draw.randrange(1, 5)
        page = draw.choice(("mutations", "mutations", "reads", PLACE, ""))
        rubbish: Any = draw.choice(("json", "empty", "html", "disagree", "bare"))
        kind: Any = draw.choice(("pending", "unknown"))
        way: Any = draw.choice(("up", "down"))
        later, size, after = draw.uniform(0.1, 0.6), draw.randrange(1, 300), draw.randrange(1, 900)
        status, redirect = draw.choice((403, 408, 429, 500, 502, 503)), draw.choice((301, 302, 307, 308))
        effect, calls = draw.random() < 0.5, draw.randrange(0, 14)
        return [
            (f"answer_lost {n} {page}", lambda: venue.answer_lost(n, page)),
            (f"request_lost {n} {page}", lambda: venue.request_lost(n, page)),
            (f"answer_late {later:.2f} {n} {page}", lambda: venue.answer_late(later, n, page)),
            (f"request_late {later:.2f} {n} {page}", lambda: venue.request_late(later, n, page)),
            (f"request_late and hang up {n}", lambda: venue.request_late(later, n, hang_up=True)),
            (f"garbage {rubbish} {n} {page}", lambda: venue.garbage_answer(rubbish, n, page, effect)),
            (f"cut_answer {size} {n} {page}", lambda: venue.cut_answer(size, n, page)),
            (f"pending_code {kind} {effect} {n}", lambda: venue.pending_code(kind, effect, n)),
            (
                f"status {status} {effect} {n} {page}",
                lambda: venue.refuse_page(status, n, page=page, effect=effect),
            ),
            (f"401 {n} {page}", lambda: venue.refuse_page(401, n, page=page)),
            (f"redirect {redirect} {n} {page}", lambda: venue.redirect_page(redirect, n, page)),
            ("expire_tokens", venue.expire_tokens),
            (f"list_absent {n}", lambda: venue.list_absent("null", n)),
            (f"cut {after} {way}", lambda: proxy.cut(after, way)),
            (f"cut each of five after {after} {way}", lambda: self._cut_five(after, way)),
            ("reset", proxy.reset),
            ("slice", lambda: proxy.slice(draw.randrange(1, 200))),
            ("delay", lambda: proxy.delay(0.01, 0.1)),
            (f"hold {way} {size}", lambda: proxy.hold(way, size)),
            (f"kill {calls}", lambda: self._internals.kill(REQUESTER, calls=calls)),
            (f"kill {calls}, with letters in hand and unread", lambda: self._kill_busy(calls)),
            (f"wedge {calls}", lambda: self._wedge(max(1, calls))),
        ]

    def _cut_five(self, after: int, way: Any) -> None:
        for each in range(5):
            self.proxy.cut(after + 31 * each, way)

    def _kill_busy(self, calls: int) -> None:
        """It has orders that wait for a connection, and letters that it has not read."""
        self.venue.answer_late(0.4, 8)
        for _ in range(10):
            self._place(self.random, self.accounts[0])
        self._internals.kill(REQUESTER, calls=calls)

    def _wedge(self, calls: int) -> None:
        if (wedge := self._internals.wedge(REQUESTER, calls=calls)) is not None:
            self._wedges.append(wedge)

    def _heal(self, *, is_running: bool = True) -> None:
        self.proxy.heal()
        self.venue.heal()
        for wedge in self._wedges:
            wedge.released.set()
        self._wedges.clear()
        while self.venue.seen.in_flight:
            threading.Event().wait(0.01)
        while is_running and not self._answers():
            pass

    def _answers(self) -> bool:
        try:
            return self.px.ping().get(5.0) == "pong"
        except Exception:  # of a requester that has just died, or a connection that was reset
            return False

    # ── what a program does ──

    def _order(self) -> None:
        seeds = [self.random.random() for _ in range(THREADS)]
        threads = [threading.Thread(target=self._trade, args=(random.Random(seed),)) for seed in seeds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _trade(self, draw: random.Random) -> None:
        for _ in range(BURST):
            account = draw.choice(self.accounts)
            known = [order for its, order in list(self.orders) if its == account]
            match draw.randrange(8):
                case 0 | 1 | 2 | 3:
                    self._place(draw, account)
                case 4 if known:
                    order, size = draw.choice(known), draw.randrange(1, 4)
                    self._note(
                        MODIFY, account, self.px.modify(account, order, size=size, **self._deadline(draw))
                    )
                case 5 if known:
                    order = draw.choice(known)
                    self._note(CANCEL, account, self.px.cancel(account, order, **self._deadline(draw)))
                case 6:
                    self._note(CLOSE, account, self.px.close(account, CONTRACT, **self._deadline(draw)))
                case 7:
                    self._note(PART, account, self.px.close(account, CONTRACT, 1, **self._deadline(draw)))
                case _:
                    self._place(draw, account, twice=True)

    def _place(self, draw: random.Random, account: int, *, twice: bool = False) -> None:
        """`twice`: a program that repeats itself, with a tag of its own."""
        tag = f"mine-{draw.getrandbits(60)}" if twice or draw.random() < 0.2 else None
        terms: dict[str, Any] = {"size": draw.randrange(1, 3), "side": draw.choice(("buy", "sell"))}
        if draw.random() < 0.5:
            terms |= {"side": "buy", "limit": Decimal("1000.25")}
        elif draw.random() < 0.3:
            terms["bracket"] = Bracket(stop=10, target=20)
        for _ in range(1 + twice):
            handle = self.px.place(account, CONTRACT, **terms, tag=tag, **self._deadline(draw))
            self._note(PLACE, account, handle)

    def _deadline(self, draw: random.Random) -> dict[str, Any]:
        return {"deadline": draw.choice(DEADLINES)}

    def _note(self, page: str, account: int, handle: OrderHandle) -> None:
        self.sent.append(Sent(page, account, handle))

    # ── what it must have come to ──

    def _check(self, sent: list[Sent], before: Counter[str]) -> None:
        most = Counter(each.page for each in sent if self._may_have_left(each.handle.get(0.0)))
        came = Counter(self.venue.seen.requests) - before
        for page in PAGES:
            assert came[page] <= most[page], (page, came[page], most[page], self.where)
        for each in sent:
            self._check_outcome(each, each.handle.get(0.0))
        for each in sent:
            outcome = self._settled(each)
            self.outcomes[type(outcome).__name__] += 1
            self._check_outcome(each, outcome)
            self._check_record(each, outcome)
            if isinstance(outcome, Accepted) and each.page == PLACE and outcome.order_id:
                self.orders.append((each.account, outcome.order_id))
            if isinstance(outcome, Unknown) and each.account in self.accounts:
                self.accounts[self.accounts.index(each.account)] = self._fresh.pop()
        tags = {each.tag for each in self.sent if each.page == PLACE}
        strange = [each.tag for each in self.venue.seen.placed if each.tag and each.tag not in tags]
        assert not [tag for tag in strange if not tag.endswith(("-SL", "-TP"))], self.where
        assert self.venue.seen.placed_twice == [], self.where

    def _may_have_left(self, outcome: OrderOutcome) -> bool:
        return not isinstance(outcome, Refused) or outcome.by_venue

    def _check_outcome(self, sent: Sent, outcome: OrderOutcome) -> None:
        """A program is told what the venue counts."""
        if sent.page != PLACE:
            return
        orders, asked = self.venue.seen.orders(sent.tag), self.venue.seen.asked(sent.tag)
        about = (outcome, orders, asked, self.where)
        assert orders <= 1, about
        assert asked <= 1, about
        match outcome:
            case Accepted():
                assert orders == 1, about
            case Refused(by_venue=True):
                assert orders == 0, about
            case Refused(code=code) if code != "tag":
                assert asked == 0, about

    def _settled(self, sent: Sent) -> OrderOutcome:
        """Where it is not known: what the venue shows of it, once it answers."""
        outcome = sent.handle.get(0.0)
        if not isinstance(outcome, Unknown):
            return outcome
        outcome = self.px.settle(sent.tag).get(10.0)
        if sent.page == PLACE:
            is_there = self.venue.seen.orders(sent.tag) == 1
            assert isinstance(outcome, Accepted) == is_there, (outcome, is_there, self.where)
        return outcome

    def _check_record(self, sent: Sent, outcome: OrderOutcome) -> None:
        """The disk has the outcome that the program was told; its thread may still be writing it."""
        store = self.runtime._requests.store()
        assert isinstance(store, OrderStore)
        if store.intent(sent.tag) is None:
            assert isinstance(outcome, Refused), (sent.tag, outcome, self.where)
            return
        for _ in range(500):
            if (recorded := store.outcome(sent.tag)) is not None:
                break
            threading.Event().wait(0.01)
        assert type(recorded) is type(outcome), (recorded, outcome, self.where)
