"""What only the owner of a service may ask: to end a halt, and to settle orders by hand.

An owner could do the same to the order store's file, as `linewarden unhalt` and `linewarden orders` do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from actors.errors import LinewardenError
from actors.runtime import Runtime
from actors.service.responses import RequestDeclined, ServiceRequest, ServiceResponse, parse_words
from actors.trading.halting import shown
from actors.trading.store_operator import StoreOperator


class OwnerAnswers:
    """Any thread may ask."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def unhalt(self, asked: ServiceRequest) -> ServiceResponse:
        """Ends the halt with this id."""
        with self._store() as store:
            return ServiceResponse(200, {"ended": shown(store.unhalt(asked.argument, by=asked.caller.name))})

    def resolve(self, asked: ServiceRequest) -> ServiceResponse:
        """The order with this tag is not at the venue, `?reason=TEXT`: a person has looked."""
        reason = parse_words(asked, "resolve", ("reason",)).get("reason", "")
        if not reason.strip():
            raise RequestDeclined(
                400, "resolve needs reason=TEXT: how it is known that the venue has no such order"
            )
        with self._store() as store:
            store.resolve(asked.argument, reason=reason, by=asked.caller.name)
        return ServiceResponse(200, {"resolved": asked.argument})

    def adopt(self, asked: ServiceRequest) -> ServiceResponse:
        """Takes over the orders that a restored store lacks, and ends the halts for them."""
        with self._store() as store:
            return ServiceResponse(200, {"adopted": store.adopt(by=asked.caller.name)})

    @contextmanager
    def _store(self) -> Iterator[StoreOperator]:
        folder = self._runtime.settings.trading.dir
        if not folder:
            raise RequestDeclined(404, "nothing trades here: the config has no [trading] dir")
        try:
            with closing(StoreOperator(Path(folder))) as store:
                yield store
        except (sqlite3.Error, OSError) as error:
            text = f"the order store cannot be read or written ({error}); nothing has changed"
            raise LinewardenError(text) from None
