"""Settles what former processes left open, before anything may add risk; later what has become unknown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from actors import log_queue
from actors.errors import LinewardenError
from actors.protocol.trading import Unknown
from actors.trading.order_handle import OrderHandle

if TYPE_CHECKING:
    from actors.trading.order_store import OrderStore
    from actors.trading.records import OpenIntent

log = log_queue.logger("actors.trading")

AGAIN: Final = 30.0  # seconds until what is still unknown is looked for again
SOON: Final = 2.0  # seconds until a venue that did not answer is asked again

Settle = Callable[[str, str], OrderHandle]  # with the name of a feed and a tag
IsAt = Callable[[str, str], bool]  # with the name of a feed and a host: whether its orders are there now
Tags = Callable[[str], Mapping[int, tuple[str, ...]]]  # of a feed's orders of the last day, by account


class Settlement:
    """Looks at the venues for what came of open intents, and for orders of the store that it lacks.

    `hosts`: by feed that trades. One that is removed, or gets another venue, is asked no more: it sends no
    orders before the next start. Its thread lives as long as the runtime.
    """

    def __init__(
        self,
        hosts: Mapping[str, str],
        store: Callable[[], OrderStore | None],
        settle: Settle,
        tags: Tags,
        is_at: IsAt,
    ) -> None:
        self._hosts, self._store, self._settle, self._tags = dict(hosts), store, settle, tags
        self._is_at = is_at
        self._under_way = set(hosts)
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        if hosts:
            threading.Thread(target=self._run, name="settlement", daemon=True).start()

    def is_under_way(self, feed: str) -> bool:
        """Whether the first look at this feed has not come to its end."""
        return feed in self._under_way

    def wait(self, feed: str, timeout: float | None) -> bool:
        """Until that is so, for at most `timeout` seconds; returns whether it is. A stop ends it too."""
        with self._changed:
            self._changed.wait_for(lambda: feed not in self._under_way or self._stopped.is_set(), timeout)
        return feed not in self._under_way

    def stop(self) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._look()
            except Exception:
                if not self._stopped.is_set():
                    log.exception(
                        "order.settling_failed",
                        "The settling of former orders has failed; it is tried again.",
                    )
            self._stopped.wait(SOON if self._under_way else AGAIN)

    def _look(self) -> None:
        self._leave_those_that_are_gone()
        self._settle_intents()
        for feed in tuple(self._under_way):
            self._look_for_lost_orders(feed)

    def _settle_intents(self) -> None:
        """While an outcome is still unknown, the store refuses what adds risk."""
        if (store := self._store()) is None:  # it is told where what adds risk is refused
            return
        asked = [self._begin(each) for each in store.open_intents(of_ended_processes=True)]
        unknown = [
            handles[0].tag
            for handles in asked
            if handles and all(isinstance(handle.get(), Unknown) for handle in handles)
        ]
        if unknown and not self._stopped.is_set():
            text = "it is not known what came of %s; the accounts may not add risk. Asked again every %g s"
            log.error("order.unsettled", text, ", ".join(unknown), AGAIN)

    def _begin(self, open_intent: OpenIntent) -> list[OrderHandle]:
        """Every login at the venue is asked: which of them sees the account is not recorded."""
        tag, host = open_intent.intent.tag, open_intent.host
        handles = []
        for feed in [feed for feed, its_host in self._hosts.items() if its_host == host]:
            try:
                handles.append(self._settle(feed, tag))
            except LinewardenError:
                if self._is_at(feed, host):  # else it was removed meanwhile
                    raise
        return handles

    def _leave_those_that_are_gone(self) -> None:
        for feed in [feed for feed, host in self._hosts.items() if not self._is_at(feed, host)]:
            log.info(
                "order.settling_ended",
                "%s: it was removed, or has another venue: its former orders are not looked for.",
                feed,
                feed=feed,
            )
            del self._hosts[feed]
            self._has_looked_at(feed)

    def _has_looked_at(self, feed: str) -> None:
        with self._changed:
            self._under_way.discard(feed)
            self._changed.notify_all()

    def _look_for_lost_orders(self, feed: str) -> None:
        """The store halts an account whose orders it has given tags to, and lacks."""
        try:
            found = self._tags(feed)
        except LinewardenError as error:
            if not self._stopped.is_set():
                text = "%s: no order adds risk before the venue has told the orders of the last day: %s"
                log.warning("order.settling_waits", text, feed, error, feed=feed)
            return
        if (store := self._store()) is not None:
            for account, tags in found.items():
                store.lost_tags(tags, self._hosts[feed], account)
        self._has_looked_at(feed)
