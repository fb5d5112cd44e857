"""Keeps what one account has, from its stream and from snapshots over REST."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from actors.protocol.accounts import AccountBalance, AccountPosition, AccountRow, Fill
from actors.protocol.trading import Contract
from actors.rules.account import flat as conclusions
from actors.rules.account.agreement import Agreement
from actors.rules.account.audit import TOO_MANY, Audit, Losses, Suspicion
from actors.rules.account.budget import AuditBudget
from actors.rules.account.differences import Compared, Difference, compare, unlisted
from actors.rules.account.expected import Expectations
from actors.rules.account.kept import NEVER
from actors.rules.account.legs import grouped
from actors.rules.account.money import total, valued
from actors.rules.account.record import OVERLAP_NS, AccountRecord
from actors.rules.account.rows import Key, Kind, key_of, words
from actors.rules.account.schedule import Schedule
from actors.rules.account.snapshot import Snapshot
from actors.rules.account.states import Happening, ViewState, following
from actors.rules.account.view import AccountEvent, AccountSource, AccountView, Flat, Mark, SilentLoss

MAX_AGE: Final = 330.0  # seconds: audits of an idle account are 300 s apart
NO_LOOK: Final = float("inf")
MOST_SINGLE: Final = 20  # orders that are asked for by their id in one look
FIRST: Final = "it has not been subscribed yet"
UNSEEN: Final = "no whole snapshot has come since its channels were confirmed"
NOTHING: Final[Mapping[str, Mark]] = {}
NO_CONTRACTS: Final[Mapping[str, Contract]] = {}
ORDER_OF_EVENTS: Final[tuple[Kind, ...]] = ("order", "fill", "position", "balance")


class AccountKeeper:
    """One account of one feed. One thread at a time; no clock, no I/O.

    `now` is monotonic seconds: of the receipt of an event on this machine, or of the moment of the call.
    `now_ns` is wall clock, nanoseconds. What its owner does:

    1. subscribe to `Venue.account_channels`; `subscribed` once all are confirmed; `event` for each row from
       the start, also before that; `interrupted` when the line is down, a `Gap` comes, or a channel closes.
    2. when `next_look_in` is 0: ask for the five lists of `account_reads(account, keeper.since_ns)`, ask for
       each order of `unlisted(snapshot)` by its id, add these as `single`, and tell `looked`. A look that
       failed as a whole is told too, with reads that have no answer.
    3. `expect` or `expect_order` before a mutation leaves; `answered` when its outcome is known to need no
       event.
    4. rotate the line, or connect it again, when `take_rotation` gives a reason; then tell `interrupted` and
       `subscribed`, also where the rotation lost nothing.
    """

    def __init__(
        self, feed: str, account: int, *, since_ns: int, now: float, budget: AuditBudget | None = None
    ) -> None:
        """`since_ns`: when the session began, wall clock: realised profit counts from there.

        `budget`: shared by the accounts of a login; None: looks are not limited.
        """
        self.feed, self.account = feed, account
        self._state: ViewState = "down"
        self._why = FIRST
        self._record = AccountRecord(since_ns)
        self._audit, self._losses, self._expected = Audit(), Losses(), Expectations()
        self._evidence, self._still = Agreement(), Agreement()
        self._schedule, self._budget, self._cost = Schedule(now), budget, 5
        self._counts_from = now  # snapshots that were asked for before prove nothing
        self._whole: float | None = None  # when the newest whole snapshot was asked for
        self._lacks: tuple[str, ...] = ()  # of the newest look
        self._has_suspended = True  # its list of orders
        self._rotation = ""
        self._distrusted = NEVER  # when its stream was last given up: losses from then on count
        self._start_over()

    def _start_over(self) -> None:
        """What the next snapshots show is taken over at once, until two of them agree."""
        self._is_settled = False
        self._is_forced = False  # also what is older than the stream's rows
        self._adopted: dict[Key, float] = {}  # by an audit: when; the next look must agree
        self._audit.forget()
        self._unsettle()

    def _unsettle(self) -> None:
        self._evidence.broken()
        self._still.broken()

    @property
    def state(self) -> ViewState:
        """What the view is worth."""
        return self._state

    @property
    def since_ns(self) -> int:
        """From where on history and fills are to be asked for: 60 s before the session; wall clock, ns."""
        return self._record.sums.since_ns - OVERLAP_NS

    @property
    def lacks(self) -> tuple[str, ...]:
        """Why the newest look was not complete; empty: it was."""
        return self._lacks

    # ── what happens ──

    def event(self, row: AccountRow, now: float, now_ns: int) -> Sequence[AccountEvent]:
        """Takes a row of the stream, and returns the change it made; nothing where it made none."""
        if isinstance(row, AccountBalance) and row.account not in (None, self.account):
            return ()
        if isinstance(row, AccountPosition | Fill) and not row.contract:  # of which contract is not known
            self._still.broken()
            self._schedule.at_once(now)
            return ()
        self._expected.told(row, now)
        event = self._record.tell(row, now, now_ns)
        if event is None:
            return ()
        if not isinstance(row, AccountBalance):
            self._still.broken()
        return (event,)

    def interrupted(self, why: str, now: float) -> None:
        """Events may be missing: the view is `down` until `subscribed`, and then until a whole snapshot."""
        self._why = why
        self._happened("interrupted")
        self._start_over()

    def subscribed(self, now: float) -> None:
        """All its channels are confirmed. Snapshots that were asked for from now on count."""
        if self._state == "down":
            self._counts_from = now
            self._rotation = ""
            self._happened("subscribed")
            self._schedule.at_once(now)

    def expect(self, key: str | int, now: float) -> None:
        """A mutation is about to leave. `key`: the id of an order that is changed or cancelled, or the
        contract of a position that is closed. Of a new order: `expect_order`.

        A look is due at once if no event of that order or contract comes within 5 s. `now`: when it left;
        an event that was received after that and has been told already is its answer.
        """
        self._expected.add(key, now)

    def expect_order(self, tag: str, now: float) -> None:
        """A new order is about to leave, or the venue has accepted one of another process that left then.

        Its event is to come, unless the stream has told of this tag already.
        """
        self._expected.add_order(tag, now)

    def answered(self, key: str | int) -> None:
        """No event will come for this mutation, as after a refusal."""
        self._expected.drop(key)

    def new_session(self, since_ns: int) -> None:
        """A session began at this time: realised profit counts from there."""
        self._record.begin_session(since_ns)

    def resync(self, now: float) -> None:
        """Forgets all doubts: what the next whole snapshot shows is taken over as it is.

        Mutations that left more than 5 s ago are waited for no longer.
        """
        if self._state != "down":
            self._counts_from = now
        self._happened("resync")
        self._start_over()
        self._record.sums.start_over()
        self._is_forced = True
        self._expected.give_up(now)
        self._schedule.at_once(now)

    def confirm(self, now: float) -> None:
        """Evidence is waited for: where the present one is not enough, looks are due, 2 s apart."""
        self._schedule.want_proof(now)

    # ── looks ──

    def next_look_in(self, now: float) -> float:
        """Returns the seconds until the next look; infinity while no look could count."""
        if self._state == "down":
            return NO_LOOK
        wait = max(0.0, self._next_look() - now)
        return wait if self._budget is None else max(wait, self._budget.wait(self._cost, now))

    def unlisted(self, snapshot: Snapshot) -> tuple[int, ...]:
        """Returns the orders that are known to work and are in none of its lists: ask for them by id."""
        orders = unlisted(snapshot, self._record.rows, self._counts_from)
        return tuple(row.id for row in islice(orders, MOST_SINGLE))

    def looked(
        self, snapshot: Snapshot, now: float, now_ns: int, *, requests: int = 5
    ) -> Sequence[AccountEvent]:
        """Takes a snapshot, and returns what was taken over. `requests`: what it took of the meter."""
        self._cost = max(1, requests)
        if self._budget is not None:
            self._budget.spend(requests, now)
        if self._state == "down" or snapshot.first_asked < self._counts_from:
            return ()
        compared = compare(snapshot, self._record.rows, self._counts_from)
        for row in compared.quiet:
            self._record.refine(row)
        events = self._judge(compared, snapshot.first_asked, now, now_ns)
        has_new_bases = self._judge_sums(compared, snapshot.first_asked, now, now_ns)
        self._answer(compared, snapshot)
        if events or has_new_bases:
            self._unsettle()
        self._conclude(compared, snapshot, now)
        enough, is_proved = not compared.lacks, self._still.is_proved
        self._schedule.looked(snapshot.first_asked, now, enough=enough, is_proved=is_proved)
        return sorted(events, key=_order_of_events)

    def take_rotation(self) -> str:
        """Returns why the line is to be replaced, once; empty: it is not."""
        why, self._rotation = self._rotation, ""
        return why

    # ── what may be concluded ──

    def view(
        self,
        now: float,
        now_ns: int,
        marks: Mapping[str, Mark] = NOTHING,
        contracts: Mapping[str, Contract] = NO_CONTRACTS,
        *,
        intents: Collection[str] | None = None,
        max_age: float = MAX_AGE,
        untaken: str = "",
    ) -> AccountView:
        """Returns the account as it is known now. `marks` and `contracts` are by the contract's id.

        `intents`, `max_age` and `untaken` are those of `flat`.
        """
        record = self._record
        positions = tuple(valued(row, marks, contracts) for row in record.open_positions())
        return AccountView(
            feed=self.feed,
            account=self.account,
            state=self._state,
            reasons=self._reasons(now),
            positions=positions,
            orders=grouped(record.working()),
            fills=record.fills(),
            balance=record.rows.balance(),
            realised=None if self._whole is None else record.sums.realised,
            unrealised=None if self._whole is None else total(positions),
            since_ns=record.sums.since_ns,
            at_ns=now_ns,
            age_s=None if self._whole is None else now - self._whole,
            flat=self.flat(now, intents=intents, max_age=max_age, untaken=untaken),
            unproved=self.unproved(now, intents=intents, max_age=max_age, untaken=untaken),
            silent_losses=self._losses.recent(now),
        )

    def flat(
        self, now: float, *, intents: Collection[str] | None, max_age: float = MAX_AGE, untaken: str = ""
    ) -> Flat:
        """Returns whether the account is flat: yes, no, or unknown.

        Both snapshots that agree must be newer than the last change that the stream told. `intents`: tags of
        mutations without outcome, of any process of this host; None: they cannot be read. `max_age`: seconds
        since the newest snapshot was asked for. `untaken`: a sentence, where the owner holds what it has not
        told the keeper yet: an event, or that a mutation leaves.
        """
        lacks = self._still.lacks(now, max_age)
        return conclusions.flat(self._standing(lacks, now, intents, untaken))

    def unproved(
        self, now: float, *, intents: Collection[str] | None, max_age: float = MAX_AGE, untaken: str = ""
    ) -> tuple[str, ...]:
        """Returns why no permit may be built on the account; empty: the evidence is enough, flat or not."""
        lacks = self._evidence.lacks(now, max_age)
        return conclusions.unproved(self._standing(lacks, now, intents, untaken))

    def _standing(
        self, lacks: str, now: float, intents: Collection[str] | None, untaken: str
    ) -> conclusions.Standing:
        record = self._record
        open_sums = (f"the fills of {each} cannot be counted yet" for each in record.sums.open_contracts())
        return conclusions.Standing(
            positions=record.open_positions(),
            orders=record.working(),
            doubts=self._reasons(now),
            lacks=(lacks,) if lacks else (),
            sums=(*record.contradictions().values(), *open_sums),
            waiting=self._expected.unanswered(),
            intents=intents,
            has_suspended=self._has_suspended,
            untaken=untaken,
        )

    def _reasons(self, now: float) -> tuple[str, ...]:
        doubts = (each.difference.text for each in self._audit.suspicions.values())
        match self._state:
            case "down" | "disputed":
                return (self._why,)
            case "syncing":
                return (UNSEEN, *self._lacks, *doubts, *self._spent(now))
            case "doubted":
                return (*doubts, *self._lacks)
            case "untrusted":
                return tuple(f"the stream did not bring {each.what}" for each in self._losses.recent(now))
        return ()

    def _spent(self, now: float) -> Iterator[str]:
        """Why the look that is due has not left, where it is the budget."""
        wait = 0.0 if self._budget is None else self._budget.wait(self._cost, now)
        if wait > 0:
            yield f"looks have taken their share of the meter of requests; the next leaves in {wait:.0f} s"

    # ── a look ──

    def _judge(self, compared: Compared, asked: float, now: float, now_ns: int) -> list[AccountEvent]:
        """Takes over what may be taken over, and returns it as events."""
        record, pending = self._record, dict(compared.found)
        source: AccountSource = "audit" if self._is_settled else "rest"
        taken = [each for each in pending.values() if self._is_taken_at_once(each)]
        for each in taken:
            del pending[each.key]
        events = self._take_over(taken, source, now_ns)
        judged = compared.judged - {"sum"}
        standing = self._audit.judge(pending, judged, record.heard, asked, now, now_ns)
        self._check_adopted(pending, judged)
        for suspicion in standing:
            events += self._settle(suspicion, now, now_ns)
        return events

    def _is_taken_at_once(self, difference: Difference) -> bool:
        if difference.verdict == "completes" or self._is_forced:
            return True
        return difference.verdict == "newer" and not self._is_settled

    def _take_over(
        self, differences: Iterable[Difference], source: AccountSource, now_ns: int
    ) -> list[AccountEvent]:
        events = []
        for each in differences:
            if each.row is not None:
                events.append(self._record.adopt(each.row, source, now_ns))
            elif isinstance(fill := self._record.rows.get(each.key), Fill):
                events.append(self._record.withdraw(fill, source, now_ns))
        return events

    def _settle(self, suspicion: Suspicion, now: float, now_ns: int) -> list[AccountEvent]:
        """A difference stands. It is taken over where REST is newer, as an event that the stream lost."""
        difference = suspicion.difference
        if difference.verdict != "newer":
            self._dispute(difference.text)
            return []
        self._audit.settled(difference.key)
        self._adopted[difference.key] = now
        self._losses.add(SilentLoss(_what(difference), suspicion.first_ns, now_ns), now)
        return self._take_over([difference], "audit", now_ns)

    def _check_adopted(self, pending: Mapping[Key, Difference], judged: Collection[Kind]) -> None:
        """What was taken over must be what the next look shows, unless the stream has told of it since."""
        for key, at in list(self._adopted.items()):
            if key in pending and self._record.heard(key) <= at:
                self._dispute(f"{pending[key].text}, after REST had been taken over")
            if key[0] in judged:
                del self._adopted[key]

    def _judge_sums(self, compared: Compared, asked: float, now: float, now_ns: int) -> bool:
        """Compares fills with positions. Returns whether that gave a contract another base."""
        if "sum" not in compared.judged:
            return False
        record, since = self._record, self._counts_from
        changed = record.sums.learn(record.nets(), lambda each: record.is_quiet(each, asked, since))
        found = {
            (key := _sum(contract)): Difference(key, "older", None, text)
            for contract, text in record.contradictions().items()
            if record.is_quiet(contract, asked, since)
        }
        for suspicion in self._audit.judge(found, {"sum"}, record.heard, asked, now, now_ns):
            self._dispute(suspicion.difference.text)
        return changed

    def _dispute(self, why: str) -> None:
        if following(self._state, "unremoved") == "disputed":
            self._why = why
        self._happened("unremoved")

    def _answer(self, compared: Compared, snapshot: Snapshot) -> None:
        """Mutations whose order or position the snapshot shows have their answer."""
        rows: list[AccountRow] = list(compared.orders)
        if "position" in compared.judged and self._expected.unanswered():
            rows += self._record.rows.positions()
            rows += self._record.rows.fills()  # a position may have come and gone between two looks
        self._expected.shown(rows, snapshot.first_asked)
        self._expected.looked(snapshot.first_asked)

    def _conclude(self, compared: Compared, snapshot: Snapshot, now: float) -> None:
        self._lacks = tuple(compared.lacks)
        if snapshot.orders.answer is not None:
            self._has_suspended = snapshot.orders.answer.has_suspended
        if self._audit.suspicions:
            self._unsettle()
            self._happened("differs")
        elif not compared.lacks:
            self._agree(compared, snapshot, now)
        if self._losses.after(self._distrusted, now) >= TOO_MANY:
            self._distrusted = now
            self._rotation = f"its stream lost {TOO_MANY} events of account {self.account} within an hour"
            self._happened("lossy")
        if not compared.lacks:
            self._whole = snapshot.first_asked

    def _agree(self, compared: Compared, snapshot: Snapshot, now: float) -> None:
        self._evidence.agreed(snapshot.first_asked, now)
        if not compared.excused and snapshot.first_asked > self._record.changed:
            self._still.agreed(snapshot.first_asked, now)
        self._is_forced = False
        self._happened("taken")
        self._happened("agrees")
        if self._evidence.is_proved:
            self._is_settled = True
            self._record.sums.close()
            self._happened("agreed")

    def _happened(self, happening: Happening) -> None:
        self._state = following(self._state, happening)

    def _next_look(self) -> float:
        """When it is due, monotonic seconds."""
        schedule = self._schedule
        due = schedule.due(self._record.is_busy() or self._state != "synced")
        if schedule.is_failing:
            return due
        others = (self._evidence.next_due(), self._audit.due(schedule.asked), self._expected.due())
        return min([due, *(each for each in others if each is not None)])


def _what(difference: Difference) -> str:
    return difference.text if difference.row is None else words(difference.row)


def _sum(contract: str) -> Key:
    return "sum", contract


def _order_of_events(event: AccountEvent) -> tuple[int, int, int]:
    """As ProjectX tells a fill: the order, the half-turn, the position, the balance; each by venue time."""
    row = event.row
    rank = ORDER_OF_EVENTS.index(key_of(row)[0])
    at_ns = row.at_ns if isinstance(row, Fill) else getattr(row, "updated_ns", None)
    return rank, at_ns or 0, getattr(row, "id", None) or 0
