"""Finds out at the venue what came of an intent. Absence is no evidence: it stays `Unknown`."""

from __future__ import annotations

from actors.errors import AskError, AskFailedError, LinewardenError
from actors.protocol.trading import OrderOutcome, Unknown
from actors.trading.asks import METER, Access, Ask
from actors.trading.mutation import Terms
from actors.trading.order_handle import OutcomeReply


class SettleAsk(Ask):
    """A read that looks for evidence and records it. Its handle never raises, as those of mutations."""

    def __init__(self, access: Access, terms: Terms, tag: str, until: float) -> None:
        super().__init__(access.feed, access.login, "read", METER, until)
        self.reply = OutcomeReply(tag)
        self.reply.given_up = lambda error: self.give_up(LinewardenError(str(error)))
        self._access, self._terms, self._tag = access, terms, tag

    def carry_on(self) -> float:
        try:
            outcome = self._outcome()
        except AskFailedError as error:
            if error.code == "meter" and error.retry_after:
                return error.retry_after
            outcome = Unknown(self._tag, error.why)
        except AskError as error:
            outcome = Unknown(self._tag, str(error))
        self.ended()
        self.reply.finish(outcome)
        return 0.0

    def _outcome(self) -> OrderOutcome:
        store = self._terms.store
        if store is None:
            return Unknown(self._tag, self._terms.store_error)
        intent = store.intent(self._tag)
        if intent is None:
            return Unknown(self._tag, "the order store has no intent with this tag")
        known = store.outcome(self._tag)
        if known is not None and not isinstance(known, Unknown):
            return known
        found = self._access.read(self._terms.api.find(intent), self.lane)
        if not isinstance(found, Unknown):
            store.finish(found)
        return found

    def give_up(self, error: LinewardenError) -> None:
        self._access.connect_cancel.cancel()
        self.ended_unless_begun()
        self.reply.finish(Unknown(self._tag, str(error)))
