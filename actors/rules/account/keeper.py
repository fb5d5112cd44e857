"""Keeps what one account has, from its stream and from snapshots over REST."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from actors.protocol.accounts import AccountRow
from actors.protocol.trading import Contract
from actors.rules.account.budget import AuditBudget
from actors.rules.account.snapshot import Snapshot
from actors.rules.account.states import ViewState
from actors.rules.account.view import AccountEvent, AccountView, Flat, Mark

MAX_AGE: Final = 330.0  # seconds: audits of an idle account are 300 s apart
NO_LOOK: Final = float("inf")


class AccountKeeper:
    """One account of one feed. One thread at a time; no clock, no I/O.

    `now` is monotonic seconds: of the receipt of an event on this machine, or of the moment of the call.
    `now_ns` is wall clock, nanoseconds. What its owner does:

    1. subscribe to `Venue.account_channels`; `subscribed` once all are confirmed; `event` for each row from
       the start, also before that; `interrupted` when the line is down, a `Gap` comes, or a channel closes.
    2. when `next_look_in` is 0: ask for the five lists of `account_reads(account, keeper.since_ns)`, ask for
       each order of `unlisted(snapshot)` by its id, add these as `single`, and tell `looked`. A look that
       failed as a whole is told too, with reads that have no answer.
    3. `expect` before a mutation leaves; `answered` when its outcome is known to need no event.
    4. rotate the line, or connect it again, when `take_rotation` gives a reason.
    """

    def __init__(
        self, feed: str, account: int, *, since_ns: int, now: float, budget: AuditBudget | None = None
    ) -> None:
        """`since_ns`: when the session began, wall clock: realised profit counts from there.

        `budget`: shared by the accounts of a login; None: looks are not limited.
        """
        raise NotImplementedError

    @property
    def state(self) -> ViewState:
        """What the view is worth."""
        raise NotImplementedError

    @property
    def since_ns(self) -> int:
        """From where on history and fills are to be asked for; wall clock, nanoseconds."""
        raise NotImplementedError

    # ── what happens ──

    def event(self, row: AccountRow, now: float, now_ns: int) -> Sequence[AccountEvent]:
        """Takes a row of the stream, and returns the change it made; nothing where it made none."""
        raise NotImplementedError

    def interrupted(self, why: str, now: float) -> None:
        """Events may be missing: the view is `down` until `subscribed`, and then until a whole snapshot."""
        raise NotImplementedError

    def subscribed(self, now: float) -> None:
        """All its channels are confirmed. Snapshots that were asked for from now on count."""
        raise NotImplementedError

    def expect(self, key: str | int, now: float) -> None:
        """A mutation is about to leave. `key`: the tag of a new order, the id of an order that is changed or
        cancelled, or the contract of a position that is closed.

        A look is due at once if no event of that order or contract comes within 5 s.
        """
        raise NotImplementedError

    def answered(self, key: str | int) -> None:
        """No event will come for this mutation, as after a refusal."""
        raise NotImplementedError

    def new_session(self, since_ns: int) -> None:
        """A session began at this time: realised profit counts from there."""
        raise NotImplementedError

    def resync(self, now: float) -> None:
        """Forgets all doubts: what the next whole snapshot shows is taken over as it is."""
        raise NotImplementedError

    def confirm(self, now: float) -> None:
        """Evidence is waited for: where the present one is not enough, two looks are due, 2 s apart."""
        raise NotImplementedError

    # ── looks ──

    def next_look_in(self, now: float) -> float:
        """Returns the seconds until the next look; infinity while no look could count."""
        raise NotImplementedError

    def unlisted(self, snapshot: Snapshot) -> tuple[int, ...]:
        """Returns the orders that are known to work and are in none of its lists: ask for them by id."""
        raise NotImplementedError

    def looked(
        self, snapshot: Snapshot, now: float, now_ns: int, *, requests: int = 5
    ) -> Sequence[AccountEvent]:
        """Takes a snapshot, and returns what was taken over. `requests`: what it took of the meter."""
        raise NotImplementedError

    def take_rotation(self) -> str:
        """Returns why the line is to be replaced, once; empty: it is not."""
        raise NotImplementedError

    # ── what may be concluded ──

    def view(
        self,
        now: float,
        now_ns: int,
        marks: Mapping[str, Mark] | None = None,
        contracts: Mapping[str, Contract] | None = None,
        *,
        intents: Collection[str] | None = None,
        max_age: float = MAX_AGE,
    ) -> AccountView:
        """Returns the account as it is known now. `marks` and `contracts` are by the contract's id.

        `intents` and `max_age` are those of `flat`.
        """
        raise NotImplementedError

    def flat(self, now: float, *, intents: Collection[str] | None, max_age: float = MAX_AGE) -> Flat:
        """Returns whether the account is flat: yes, no, or unknown.

        `intents`: tags of mutations without outcome, of any process of this host; None: they cannot be read.
        `max_age`: seconds since the newest snapshot was asked for.
        """
        raise NotImplementedError

    def unproved(
        self, now: float, *, intents: Collection[str] | None, max_age: float = MAX_AGE
    ) -> tuple[str, ...]:
        """Returns why no permit may be built on the account; empty: the evidence is enough, flat or not."""
        raise NotImplementedError
