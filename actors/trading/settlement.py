"""Settles what former processes left open, before anything may add risk; later what has become unknown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from actors import log_queue
from actors.protocol.trading import Unknown
from actors.trading.order_handle import OrderHandle

if TYPE_CHECKING:
    from actors.trading.order_store import OrderStore
    from actors.trading.records import OpenIntent

log = log_queue.logger("actors.trading")

AGAIN: Final = 30.0  # seconds until what is still unknown is looked for again

Settle = Callable[[str, str], OrderHandle]  # with the name of a feed and a tag


class Settlement:
    """Looks at the venue for what came of each open intent, on a thread that lives as long as the runtime."""

    def __init__(self, hosts: dict[str, str], store: Callable[[], OrderStore | None], settle: Settle) -> None:
        self._hosts, self._store, self._settle = hosts, store, settle  # hosts: by feed that trades
        self._under_way = set(hosts)
        self._stopped = threading.Event()
        if hosts:
            threading.Thread(target=self._run, name="settlement", daemon=True).start()

    def is_under_way(self, feed: str) -> bool:
        """Whether the first look has not come to its end."""
        return feed in self._under_way

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        is_stopped = False
        while not is_stopped:
            try:
                self._look()
            except Exception:  # the store itself refuses what adds risk while an outcome is unknown
                if not self._stopped.is_set():
                    log.exception("The settling of former intents has failed; it is tried again.")
            self._under_way.clear()
            is_stopped = self._stopped.wait(AGAIN)

    def _look(self) -> None:
        store = self._store()
        found = () if store is None else store.open_intents(of_ended_processes=True)
        asked = [self._begin(each) for each in found]
        unknown = [
            handles[0].tag
            for handles in asked
            if handles and all(isinstance(handle.get(), Unknown) for handle in handles)
        ]
        if unknown:
            text = "it is not known what came of %s; the accounts may not add risk. Asked again every %g s"
            log.error(text, ", ".join(unknown), AGAIN)

    def _begin(self, open_intent: OpenIntent) -> list[OrderHandle]:
        """Every login at the venue is asked: which of them sees the account is not recorded."""
        tag, host = open_intent.intent.tag, open_intent.host
        return [self._settle(feed, tag) for feed, its_host in self._hosts.items() if its_host == host]
