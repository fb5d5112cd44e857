"""One look at an account over REST: its lists, asked for all at once, each with the time of its request.

The thread of a look waits for the answers; it ends with them, or with the runtime.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any, Final, Generic, TypeVar

from actors import log_queue
from actors.errors import AskError, LinewardenError, RuntimeStopped, Timeout
from actors.http_types import HttpAnswer, HttpRequest
from actors.protocol.accounts import AccountReads
from actors.protocol.rest import Call
from actors.rules.account.snapshot import Read, Snapshot
from actors.secret import Secret
from actors.trading.account_way import AccountWay
from actors.trading.asks import Asked
from actors.trading.request_meter import AUDIT, REST
from actors.trading.requests import Requests

log = log_queue.logger("actors.trading.accounts")

T = TypeVar("T")

WAIT: Final = 75.0  # seconds for a read: its meter has room again after a minute
LISTS: Final = ("orders", "history", "fills", "positions", "balance")
Told = Callable[[Snapshot, int], object]  # with the requests that it took


class StampedRead(Generic[T]):
    """A read on its way: when its first request left, how many requests it took, and its answer.

    A request that waits for its meter leaves later than `asked` says, never earlier.
    """

    def __init__(self, requests: Requests, call: Call[T], now: Callable[[], float]) -> None:
        """Asks at once. Raises as `Requests.read` does."""
        self._now, self.asked, self.count = now, now(), 0
        self._converse = call.converse
        stamped = Call(call.name, self._stamped, AUDIT if call.meter == REST else call.meter, call.timeout)
        self._answer: Asked[T] = requests.read(stamped, WAIT)

    def get(self) -> Read[T]:
        """Waits for its answer. Raises RuntimeStopped."""
        try:
            answer = self._answer.get()
            return Read(self.asked, answer)  # it is known by now when that left
        except RuntimeStopped:
            raise
        except (AskError, Timeout) as error:
            return Read(self.asked, why=str(error))

    def _stamped(self, secret: Secret) -> Generator[HttpRequest, HttpAnswer, Any]:
        """The conversation itself. One that is begun a second time is asked for later."""
        conversation = self._converse(secret)
        try:
            request = next(conversation)
            self.asked = self._now()
            while True:
                self.count += 1
                request = conversation.send((yield request))
        except StopIteration as end:
            return end.value
        finally:
            conversation.close()


def begin_look(
    way: AccountWay, since_ns: int, unlisted: Callable[[Snapshot], tuple[int, ...]], told: Told
) -> None:
    """Looks on a thread of its own, and calls `told` there. A look that fails as a whole is told as well.

    `unlisted`: the orders that are missing in its lists, and are asked for by their id.
    """

    def run() -> None:
        try:
            told(*look(way, since_ns, unlisted))
        except RuntimeStopped:
            pass
        except Exception as error:
            log.exception("account.look_failed", "%s: unexpected error while its lists were asked for.", way)
            told(failed(way, since_ns, f"unexpected error ({type(error).__name__})"), 0)

    try:
        threading.Thread(target=run, name=f"account/{way}/look", daemon=True).start()
    except RuntimeError as error:
        told(failed(way, since_ns, f"no thread can be started ({error})"), 0)


def look(
    way: AccountWay, since_ns: int, unlisted: Callable[[Snapshot], tuple[int, ...]]
) -> tuple[Snapshot, int]:
    """Asks and waits. Raises RuntimeStopped."""
    try:
        requests = way.requests()
        reads: AccountReads | None = requests.api.account_reads(way.account, since_ns)
        if reads is None:
            return failed(way, since_ns, "the venue cannot be asked what an account has"), 0
        asked = {name: StampedRead(requests, getattr(reads, name), way.now) for name in LISTS}
    except RuntimeStopped:
        raise
    except LinewardenError as error:  # its feed was removed from the config
        return failed(way, since_ns, str(error)), 0
    lists: dict[str, Any] = {name: read.get() for name, read in asked.items()}
    snapshot = Snapshot(since_ns=since_ns, **lists)
    single = {id: StampedRead(requests, reads.order(id), way.now) for id in unlisted(snapshot)}
    if single:
        found = {id: read.get() for id, read in single.items()}
        snapshot = Snapshot(since_ns=since_ns, **lists, single=found)
    _resolve_contracts(way, snapshot)
    return snapshot, sum(read.count for read in (*asked.values(), *single.values()))


def _resolve_contracts(way: AccountWay, snapshot: Snapshot) -> None:
    """So that a position can be valued as soon as it is shown."""
    rows = () if snapshot.positions.answer is None else snapshot.positions.answer.rows
    for row in rows:
        if row.net and way.contract(row.contract) is None:
            way.resolve(row.contract)


def failed(way: AccountWay, since_ns: int, why: str) -> Snapshot:
    """A look without any answer."""
    now = way.now()
    lists: dict[str, Any] = {name: Read[Any](now, why=why) for name in LISTS}
    return Snapshot(since_ns=since_ns, **lists)
