"""One mutation on its way: checked, recorded, sent once or not at all, its outcome recorded.

    contract → prices on their ticks → limits' facts → token → meter → intent on the disk → connection →
    deadline → first byte → answer → outcome on the disk → handle

Nothing here is done twice. Up to the first byte whatever fails makes it `Refused`; after it, `Unknown`. The
first byte is written under the lock of its `SendRight`, which the deadline, a stop and a stuck thread revoke.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from msgspec import Struct, structs

from actors import log_queue
from actors.errors import AskError, AskFailedError, LinewardenError, RuntimeStopped
from actors.http_types import HttpFailed
from actors.protocol.trading import (
    Accepted,
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
from actors.trading.asks import Access, Ask, Seen
from actors.trading.order_handle import OutcomeReply
from actors.wire.send_right import SendRight

if TYPE_CHECKING:
    from actors.trading.order_store import OrderStore
    from actors.trading.records import StoreView

log = log_queue.logger("actors.trading")

METER: Final = "rest"

GIVEN_UP: Final = ((TimeoutError, "deadline"), (RuntimeStopped, "stopped"))

Check: TypeAlias = "Callable[[StoreView], Refused | None]"


class DeclinedError(Exception):
    """It is not sent: `refused` says why."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused


class Terms(Struct, frozen=True):
    """What a feed lays down for its mutations.

    `contract`: resolves a text strictly, with the reads that this takes. `limits`: reads the facts of the limits,
    and returns the check for the transaction that writes the intent.
    """

    api: TradingApi
    host: str
    contract: Callable[[Access, str], Contract]
    limits: Callable[[Access, AnyMutation, Contract | None], Check]
    now_ns: Callable[[], int]
    store: OrderStore | None = None  # None: dry runs only
    dry_run: bool = False


class MutationAsk(Ask):
    """A mutation. `contract`: as the user named it; empty: the mutation needs none."""

    is_mutation: ClassVar[bool] = True

    def __init__(
        self, access: Access, terms: Terms, mutation: AnyMutation, contract: str, align: str, tag: str, until: float
    ) -> None:
        super().__init__(access.feed, access.login, lane_of(mutation), METER, until)
        self.reply = OutcomeReply(tag)
        self.reply.given_up = self._refuse_unless_begun
        self._access, self._terms, self._tag = access, terms, tag
        self._mutation, self._contract, self._align = mutation, contract, align
        self._right = SendRight(access.left)

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
            return declined.refused
        except AskFailedError as error:
            return Refused(self._tag, error.code, message=error.why, retry_after=error.retry_after)
        except AskError as error:
            return Refused(self._tag, "read", message=str(error))

    def _prepared(self) -> tuple[AnyMutation, Check]:
        contract = self._terms.contract(self._access, self._contract) if self._contract else None
        mutation = self._mutation
        if contract is not None and isinstance(mutation, Place | Close):
            mutation = structs.replace(mutation, contract=contract.id)
        prepared = self._terms.api.prepare(mutation, contract, align=self._align)
        if isinstance(prepared, str):
            raise self._declined("terms", prepared)
        if self._terms.dry_run:
            raise self._declined("dry_run", f"dry run: nothing was sent; it would be {prepared}")
        return prepared, self._terms.limits(self._access, prepared, contract)

    def _send(self, mutation: AnyMutation, check: Check) -> OrderOutcome:
        token = self._access.token()
        if wait := self.login.take(self.meter, self.lane):
            text = f"the venue may not be asked so often; again in {wait:.1f} s"
            raise self._declined("meter", text, retry_after=wait)
        if self._right.revoked or self._access.left() <= 0:
            raise self._declined("deadline", "its deadline is over; nothing was sent")
        known = self._begin(mutation, check)
        if known is not None:
            return known
        seen = Seen(self.login, self.meter)
        outcome = self._exchange(mutation, seen, token.value)
        if seen.status == 401:
            self._access.refuse(token)
        self._record(outcome)
        return outcome

    def _begin(self, mutation: AnyMutation, check: Check) -> OrderOutcome | None:
        """Writes the intent; None: it is on the disk, and this call sends it."""
        store, host = self._terms.store, self._terms.host
        if store is None:
            raise self._declined("trading", "there is no order store")
        intent = Intent(tag=self._tag, mutation=mutation, begun_ns=self._terms.now_ns())
        begun = store.begin(intent, host, check)
        if isinstance(mutation, Cancel) and isinstance(begun, Refused) and begun.code == "halted":
            protects = self._access.read(self._terms.api.is_protective(mutation.account, mutation.order), self.lane)
            begun = store.begin(intent, host, check, protects=protects)
        if isinstance(begun, Refused):
            raise DeclinedError(begun)
        return begun.outcome

    def _exchange(self, mutation: AnyMutation, seen: Seen, secret: object) -> OrderOutcome:
        from actors.wire.http_client import carry_on  # an HTTP client, where one is needed

        told: OrderOutcome | Reason | HttpFailed
        try:
            conversation = self._terms.api.send(mutation, self._tag, secret)
            fetch = seen.by(partial(self._access.fetch, right=self._right))
            told = carry_on(conversation, fetch, seconds=self._access.left())
        except Exception as error:
            log.exception("%s: unexpected error while %s was sent.", self.feed, self._tag)
            told = HttpFailed(f"unexpected error ({type(error).__name__})", "crashed")
        if isinstance(told, Accepted | Refused | Unknown):
            return self._without_secrets(told)
        return self._unanswered(self._access.words(told.text), told.code)

    def _unanswered(self, why: str, code: str) -> OrderOutcome:
        if self._right.revoke():
            return Unknown(self._tag, why)
        if self._access.left() <= 0:
            code, why = "deadline", f"its deadline is over; nothing was sent ({why})"
        return Refused(self._tag, code, message=why)

    def _record(self, outcome: OrderOutcome) -> None:
        try:
            assert self._terms.store is not None
            self._terms.store.finish(outcome)
        except Exception:  # the intent stays open: it is settled as one whose outcome is not known
            log.exception("%s: the outcome of %s is not recorded.", self.feed, self._tag)

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
        if self._right.revoke():
            outcome: OrderOutcome = Unknown(self._tag, str(error))
        else:
            code = next((code for kind, code in GIVEN_UP if isinstance(error, kind)), "failed")
            outcome = Refused(self._tag, code, message=f"{error}; nothing was sent")
        self._access.connect_cancel.cancel()
        self.ended_unless_begun()
        self.reply.finish(outcome)

    def stop(self) -> None:
        """The runtime ends: what has not left does not leave. What has is waited for."""
        if not self._right.revoke(unless_used=True):
            self.give_up(RuntimeStopped("asked to"))

    def _refuse_unless_begun(self, error: BaseException) -> None:
        """Its letter is not read to its end. A thread that has begun it goes on, and ends it."""
        if self.ended_unless_begun():
            self._right.revoke()
            code = "stopped" if isinstance(error, RuntimeStopped) else "failed"
            self.reply.finish(Refused(self._tag, code, message=f"{error}; nothing was sent"))
