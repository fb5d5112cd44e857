"""Settles at a start what former processes left open, before anything may add risk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from actors import log_queue
from actors.protocol.trading import Unknown
from actors.trading.order_handle import OrderHandle

if TYPE_CHECKING:
    from actors.trading.order_store import OrderStore

log = log_queue.logger("actors.trading")

AGAIN: Final = 30.0  # seconds until what is still unknown is looked for again

Settle = Callable[[str, str], OrderHandle]  # with the name of a feed and a tag


class Settlement:
    """Looks at the venue for what came of each open intent, on a thread that ends when all is known."""

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
        try:
            while self._look() and not self._stopped.wait(AGAIN):
                pass
        except Exception:  # the store itself refuses what adds risk while an outcome is unknown
            log.exception("The settling of former intents has failed; what they came to stays unknown.")
        finally:
            self._under_way.clear()

    def _look(self) -> bool:
        """Returns whether some outcome is still unknown."""
        store = self._store()
        found = () if store is None else store.open_intents(of_ended_processes=True)
        feeds = {host: feed for feed, host in self._hosts.items()}
        asked = [
            (feed, self._settle(feed, each.intent.tag))
            for each in found
            if (feed := feeds.get(each.host)) is not None
        ]
        unknown = [handle.tag for feed, handle in asked if isinstance(handle.get(), Unknown)]
        self._tell(unknown)
        self._under_way.clear()
        return bool(unknown)

    def _tell(self, unknown: Collection[str]) -> None:
        if unknown:
            text = "it is not known what came of %s; the accounts may not add risk. Asked again every %g s"
            log.error(text, ", ".join(unknown), AGAIN)
