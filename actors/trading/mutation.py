"""One mutation on its way: checked, recorded, sent once or not at all, its outcome recorded.

    contract → prices on their ticks → limits' facts → token → meter → config → intent on the disk →
    connection → deadline and config → first byte → answer → outcome on the disk → handle

Nothing here is done twice. Up to the first byte whatever fails makes it `Refused`; after it, `Unknown`. The
first byte is written under the lock of its `SendRight`, which the deadline, a stop and a stuck thread revoke.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from msgspec import Struct, structs

from actors import log_queue
from actors.errors import AskError, AskFailedError, LinewardenError, RuntimeStopped
from actors.http_types import HttpAnswer, HttpFailed, HttpRequest
from actors.protocol.accounts import Side
from actors.protocol.trading import (
    Accepted,
    Align,
    AnyMutation,
    Cancel,
    Close,
    Contract,
    Intent,
    OrderOutcome,
    Place,
    Refused,
    TradingApi,
    Unknown,
    lane_of,
)
from actors.reasons import Reason
from actors.secret import Secret
from actors.trading.asks import METER, UNAUTHORIZED, Access, Ask, Seen, empty_meter
from actors.trading.folder import StoreError
from actors.trading.intents import is_repeatable
from actors.trading.order_handle import OutcomeReply
from actors.trading.records import Check
from actors.wire.send_right import SendRight

if TYPE_CHECKING:
    from actors.trading.order_store import OrderStore

log = log_queue.logger("actors.trading")

GIVEN_UP: Final = ((TimeoutError, "deadline"), (RuntimeStopped, "stopped"))


class DeclinedError(Exception):
    """It is not sent: `refused` says why."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused


class Instrument(Struct, frozen=True):
    """What a mutation is about: its contract, and the side of the order that is changed, if it is one."""

    contract: Contract
    side: Side | None = None


Resolve: TypeAlias = Callable[[Access], Instrument]  # with the reads that this takes


def _unheard(intent: Intent, reply: OutcomeReply) -> None:
    """The default of `Terms.note`."""


def _allowed() -> str:
    """The default of `Terms.barred`."""
    return ""


class Terms(Struct, frozen=True):
    """What a feed lays down for its mutations.

    `check`: reads the facts of the limits, and returns the check for the transaction that writes the intent.
    `store` None: it cannot be opened, and `store_error` says why. `settling`: intents of ended processes are
    being looked for at the venue. `note`: is called just before one leaves. `barred`: why none may leave by
    the config as it is now; empty: it may.
    """

    api: TradingApi
    host: str
    check: Callable[[Access, Intent, Contract | None], Check]
    now_ns: Callable[[], int]
    store: OrderStore | None = None
    store_error: str = ""
    dry_run: bool = False
    settling: bool = False
    note: Callable[[Intent, OutcomeReply], object] = _unheard
    barred: Callable[[], str] = _allowed

    def knows(self, tag: str) -> bool:
        """Whether an intent has this tag; true where that cannot be read."""
        if self.store is None:
            return False
        try:
            return self.store.intent(tag) is not None
        except sqlite3.Error:
            return True


class MutationAsk(Ask):
    """A mutation. `resolve`: finds its instrument; None: it needs none.

    `is_known`: its tag is that of an earlier call. That this call sends nothing does not mean then that the
    order was not sent.
    """

    is_mutation: ClassVar[bool] = True

    def __init__(
        self,
        access: Access,
        terms: Terms,
        mutation: AnyMutation,
        resolve: Resolve | None,
        align: Align,
        tag: str,
        until: float,
        protects: bool | None = None,
        *,
        is_known: bool = False,
    ) -> None:
        super().__init__(access.feed, access.login, lane_of(mutation), METER, until)
        self._is_known = is_known
        self.reply = OutcomeReply(tag)
        self.reply.given_up = self._refuse_unless_begun
        self._access, self._terms, self._tag = access, terms, tag
        self._mutation, self._resolve, self._align = mutation, resolve, align
        self._known_to_protect = protects
        self._right = SendRight(access.left, terms.barred)

    def is_under_way_for(self, mutation: AnyMutation) -> bool:
        """Whether it is this very mutation, and has no outcome yet."""
        return self._mutation == mutation and self.reply.open

    # ── on its own thread ──

    def carry_on(self) -> float:
        outcome = self._outcome()
        self.ended()
        self.reply.finish(outcome)
        return 0.0

    def _outcome(self) -> OrderOutcome:
        try:
            return self._send(*self._prepared())
        except DeclinedError as declined:
            return self._not_sent(declined.refused)
        except AskFailedError as error:
            refused = Refused(self._tag, error.code, message=error.why, retry_after=error.retry_after)
            return self._not_sent(refused)
        except AskError as error:
            return self._not_sent(Refused(self._tag, "read", message=str(error)))
        except LinewardenError as error:  # the runtime ends, or the feed was removed
            return self._given_up(error)

    def _prepared(self) -> tuple[Intent, Check]:
        found = None if self._resolve is None else self._resolve(self._access)
        mutation = self._mutation
        contract, side = (None, None) if found is None else (found.contract, found.side)
        if contract is not None and isinstance(mutation, Place | Close):
            mutation = structs.replace(mutation, contract=contract.id)
        prepared = self._terms.api.prepare(mutation, contract, align=self._align, side=side)
        if isinstance(prepared, str):
            raise self._declined("terms", prepared)
        if self._terms.dry_run:
            raise self._declined("dry_run", f"dry run: nothing was sent; it would be {prepared}")
        intent = Intent(tag=self._tag, mutation=prepared, begun_ns=self._terms.now_ns())
        return intent, self._terms.check(self._access, intent, contract)

    def _send(self, intent: Intent, check: Check) -> OrderOutcome:
        token, seen = self._access.token(), Seen(self.login, self.meter)
        if wait := seen.take(self.lane):
            raise self._declined("meter", empty_meter(wait), retry_after=wait)
        if self._right.revoked or self._access.left() <= 0:
            raise self._declined("deadline", "its deadline is over; nothing was sent")
        if barred := self._terms.barred():
            raise self._declined("trading", f"{barred}. Nothing was sent.")
        known = self._begin(intent, check)
        if known is not None:
            return known
        self._terms.note(intent, self.reply)
        outcome = self._exchange(intent.mutation, seen, token.value)
        if seen.status == UNAUTHORIZED:
            self._access.refuse(token)
        self._record(outcome)
        return outcome

    def _begin(self, intent: Intent, check: Check) -> OrderOutcome | None:
        """Writes the intent; None: it is on the disk, and this call sends it."""
        store, host, mutation = self._terms.store, self._terms.host, intent.mutation
        if store is None:
            self._begin_without_store(mutation)
            return None
        begun = store.begin(intent, host, check)
        if isinstance(mutation, Cancel) and isinstance(begun, Refused) and begun.code == "halted":
            begun = store.begin(intent, host, check, protects=self._protects(mutation))
        if isinstance(begun, Refused):
            raise DeclinedError(begun)
        return begun.outcome

    def _begin_without_store(self, mutation: AnyMutation) -> None:
        """What reduces risk and may be repeated goes out. Halts cannot be read, and count as standing."""
        why = self._terms.store_error
        if not is_repeatable(mutation):
            raise self._declined("store", f"nothing was sent: {why}")
        if isinstance(mutation, Cancel) and self._protects(mutation):
            raise self._declined("halted", f"nothing was sent, for the order protects a position: {why}")
        kind = type(mutation).__name__.lower()
        log.error(
            "order.unrecorded",
            "%s: %s is sent without a record, with tag %s: %s",
            self.feed,
            kind,
            self._tag,
            why,
            feed=self.feed,
        )

    def _protects(self, cancel: Cancel) -> bool:
        if self._known_to_protect is not None:
            return self._known_to_protect
        return self._access.read(self._terms.api.is_protective(cancel.account, cancel.order), self.lane)

    def _exchange(self, mutation: AnyMutation, seen: Seen, secret: Secret) -> OrderOutcome:
        from actors.wire.http_client import carry_on  # an HTTP client, where one is needed

        told: OrderOutcome | Reason | HttpFailed
        try:
            conversation = self._terms.api.send(mutation, self._tag, secret)
            told = carry_on(conversation, partial(self._fetch, seen))
        except Exception as error:
            log.exception(
                "order.send_failed",
                "%s: unexpected error while %s was sent.",
                self.feed,
                self._tag,
                feed=self.feed,
            )
            told = HttpFailed(f"unexpected error ({type(error).__name__})", "crashed")
        if isinstance(told, Accepted | Refused | Unknown):
            return self._without_secrets(told)
        return self._unanswered(self._access.words(told.text), told.code)

    def _fetch(self, seen: Seen, request: HttpRequest) -> HttpAnswer | HttpFailed:
        answer = self._access.fetch(request, self._right)
        seen.note(answer)
        return answer

    def _unanswered(self, why: str, code: str) -> OrderOutcome:
        if self._right.revoke():
            return Unknown(self._tag, why)
        if barred := self._terms.barred():
            code, why = "trading", f"{barred}. Nothing was sent."
        elif self._access.left() <= 0:
            code, why = "deadline", f"its deadline is over; nothing was sent ({why})"
        return Refused(self._tag, code, message=why)

    def _record(self, outcome: OrderOutcome) -> None:
        try:
            if self._terms.store is not None:
                self._terms.store.finish(outcome)
        except StoreError as error:  # its runtime has ended meanwhile: the next one settles it
            text = "%s: the outcome of %s is not recorded: %s"
            log.error("order.outcome_unrecorded", text, self.feed, self._tag, error, feed=self.feed)  # noqa: TRY400
        except Exception:  # the intent stays open: it is settled as one whose outcome is not known
            log.exception(
                "order.outcome_unrecorded",
                "%s: the outcome of %s is not recorded.",
                self.feed,
                self._tag,
                feed=self.feed,
            )

    def _without_secrets(self, told: OrderOutcome) -> OrderOutcome:
        match told:
            case Refused():
                return structs.replace(told, message=self._access.words(told.message))
            case Unknown():
                return structs.replace(told, why=self._access.words(told.why))
        return told

    def _declined(self, code: str, message: str, retry_after: float | None = None) -> DeclinedError:
        return DeclinedError(Refused(self._tag, code, message=message, retry_after=retry_after))

    # ── on other threads ──

    def give_up(self, error: LinewardenError) -> None:
        """Its deadline is over, and its thread has not ended it; or the runtime does not wait any longer."""
        outcome = self._given_up(error)
        self._access.connect_cancel.cancel()
        self.ended_unless_begun()
        self.reply.finish(outcome)

    def stop(self) -> None:
        """The runtime ends: what has not left does not leave. What has is waited for."""
        if not self._right.revoke(unless_used=True):
            self.give_up(RuntimeStopped("stop() was called"))

    def _refuse_unless_begun(self, error: BaseException) -> None:
        """Its letter is not read to its end. A thread that has begun it goes on, and ends it."""
        if self.ended_unless_begun():
            self.reply.finish(self._given_up(error))

    def _given_up(self, error: BaseException) -> OrderOutcome:
        if self._right.revoke():
            return Unknown(self._tag, str(error))
        code = next((code for kind, code in GIVEN_UP if isinstance(error, kind)), "failed")
        return self._not_sent(Refused(self._tag, code, message=f"{error}; nothing was sent"))

    def _not_sent(self, refused: Refused) -> OrderOutcome:
        """What this call comes to, which has sent nothing."""
        if not self._is_known or refused.code == "tag":
            return refused
        return Unknown(
            self._tag, f"an earlier call has this tag, and its outcome is not known here: {refused.message}"
        )
