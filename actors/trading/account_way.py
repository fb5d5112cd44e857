"""What a followed account needs of its runtime, and nothing that keeps the runtime in use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final

from actors import log_queue
from actors.actor import Reply, Roles
from actors.delivery.cells import Cells
from actors.errors import LinewardenError
from actors.events import SubscriptionState, Topic
from actors.feed_spec import FeedSpec
from actors.market.latest_prices import LatestPrices, StreamPrice
from actors.messages import AwaitAnswers, RestartLines, Rotate
from actors.protocol.trading import Contract, TradingApi
from actors.rules.journal import SilentLossEntry
from actors.supervision.freshness import FreshnessLooks
from actors.supervision.state import SharedState
from actors.timers import Tellable, Timer
from actors.trading.requests import Requests
from actors.trading.runtime_requests import RuntimeRequests, Unsettled

log = log_queue.logger("actors.trading.accounts")

DAY_NS: Final = 86_400 * 10**9


class CallingReply(Reply):
    """A reply that calls `then` once it is answered or has failed, on the thread that does so."""

    def __init__(self, role: str, then: Callable[[Reply], object]) -> None:
        super().__init__(role)
        self._then = then

    def set(self, value: Any = None) -> None:
        was_open = self.open
        super().set(value)
        if was_open:
            self._then(self)

    def set_exception(self, exc_info: Any = None) -> None:
        was_open = self.open
        super().set_exception(exc_info)
        if was_open:
            self._then(self)


class AccountWay:
    """One account at the venue of one feed, as the config has it now. Any thread."""

    def __init__(
        self,
        feed: str,
        account: int,
        requests: RuntimeRequests,
        prices: LatestPrices,
        shared: SharedState,
        roles: Roles,
        check: Callable[[], None],
    ) -> None:
        """`check` raises once the runtime has ended."""
        self.feed, self.account = feed, account
        self.timers = requests.timers
        self._requests, self._prices, self._shared, self._roles = requests, prices, shared, roles
        self._check = check
        self._looks = FreshnessLooks(shared, requests.timers)

    def __str__(self) -> str:
        return f"{self.feed}/{self.account}"

    @property
    def cells(self) -> Cells:
        """The newest event of each topic."""
        return self._shared.cells

    # ── time ──

    def now(self) -> float:
        """Monotonic seconds."""
        return self.timers.clock.monotonic()

    def now_ns(self) -> int:
        """Wall clock, nanoseconds."""
        return self.timers.clock.wall_ns()

    def send_after(self, seconds: float, target: Tellable) -> Timer:
        return self.timers.send_after(seconds, target, None)

    # ── the venue ──

    @property
    def spec(self) -> FeedSpec | None:
        """None: the feed was removed from the config."""
        return self._shared.specs.feeds.get(self.feed)

    def requests(self) -> Requests:
        """Raises LinewardenError: its feed was removed, or the runtime has ended."""
        return self._requests.core(self.feed, None, self._check)

    def contract(self, id: str) -> Contract | None:
        """What the venue has told of a contract within the last day; None: it has not been asked."""
        spec = self.spec
        api = None if spec is None else spec.venue.rest()
        found = None if api is None else self._requests.contracts.get((self.feed, api.host, id))
        return None if found is None else found[0]

    def resolve(self, id: str) -> bool:
        """Asks the venue for a contract, on a thread that may wait; returns whether it is known now."""
        with suppress(LinewardenError):
            requests = self.requests()
            api = requests.api
            self._requests.know_contract(self.feed, api.host, id, requests.read(api.contract(id)).get())
            return True
        return False

    def price(self, contract: str) -> StreamPrice | None:
        """The newest price that a stream has brought."""
        spec = self.spec
        return None if spec is None else self._prices.newest(spec.venue, contract)

    def unsettled(self) -> Unsettled:
        """Intents of any process of the host without a known outcome. It reads the order store."""
        spec = self.spec
        api: TradingApi | None = None if spec is None else spec.venue.trading()
        if api is None:
            return Unsettled(why="its feed has no orders")
        return self._requests.unsettled(api.host, self.account)

    def session_since_ns(self, topics: Collection[Topic]) -> int:
        """When the present session began: by a calendar of its topics in the config, else at 0:00 UTC."""
        now_ns, spec = self.now_ns(), self.spec
        policies = () if spec is None else (spec.freshness.get(topic) for topic in topics)
        for policy in policies:
            if policy is not None and policy.calendar is not None:
                opened = policy.calendar.opened_before(now_ns)
                if opened is not None:
                    return opened
        return now_ns - now_ns % DAY_NS

    # ── the line ──

    def await_answers(
        self, topics: Sequence[Topic], then: Callable[[dict[Topic, SubscriptionState]], object]
    ) -> None:
        """Calls `then` with the states of these topics when the venue has answered for each."""

        def answered(reply: Reply) -> None:
            with suppress(LinewardenError):
                then(reply.get(timeout=0.0))

        self._roles.named("registry").ask(AwaitAnswers(tuple(topics)), CallingReply("registry", answered))

    def lines_of(self, topics: Collection[Topic]) -> tuple[str, ...]:
        """The lines on which they lie."""
        cells = (self._shared.cells.get(topic) for topic in topics)
        return tuple(dict.fromkeys(cell.line for cell in cells if cell is not None and cell.line is not None))

    def unread(self, topics: Collection[Topic]) -> str:
        """Why their lines may hold what has not been read; empty: they do not. It waits for nothing."""
        if (spec := self.spec) is None:
            return ""
        troubles = (self._looks.line(line, spec).trouble for line in self.lines_of(topics))
        return next((trouble.text for trouble in troubles if trouble is not None), "")

    def epoch_of(self, line: str) -> int:
        found = self._shared.lines.get(line)
        return 0 if found is None else found.epoch

    def replace_line(self, line: str, why: str, then: Callable[[], object]) -> None:
        """Rotates a line, and calls `then`; one that cannot be rotated is connected again."""
        supervisor = self._roles.named("supervisor")
        log.warning("account.line_replaced", "%s: line %s is replaced: %s", self, line, why, line=line)

        def rotated(reply: Reply) -> None:
            try:
                refused = "".join(reply.get(timeout=0.0).values())
            except LinewardenError as error:
                refused = str(error)
            if refused:
                log.warning(
                    "account.line_replaced",
                    "%s: line %s is connected again, for it cannot be rotated: %s",
                    self,
                    line,
                    refused,
                    line=line,
                )
                supervisor.ask(RestartLines(line), CallingReply("supervisor", lambda _: then()))
            else:
                then()

        supervisor.ask(Rotate(line), CallingReply("supervisor", rotated))

    def distrust(self, topics: Collection[Topic], why: str) -> None:
        """These topics are not fresh from now on; `why` empty: they may be again."""
        self._shared.distrust(topics, why)

    def record_loss(self, topics: Collection[Topic], text: str, at_ns: int) -> None:
        """An event did not come: it is entered in the journal of its line."""
        for line in self.lines_of(topics)[:1]:
            entry = SilentLossEntry(str(self), self.epoch_of(line), at_ns, text)
            self._shared.note_silent_loss(line, entry)

    def note_change(self) -> None:
        """The next status shows it."""
        self._shared.note_change()
