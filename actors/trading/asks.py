"""One ask of a venue's REST on its way: it waits, a thread carries it on, its future has what came of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator
from enum import Enum, auto
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

from msgspec import structs

from actors import log_queue
from actors.actor import Reply, ReplyTimeout
from actors.errors import AskFailedError, AskRefusedError, LinewardenError, RuntimeStopped, Timeout
from actors.http_types import HttpAnswer, HttpFailed, HttpRequest
from actors.login.redaction import without_secrets
from actors.login.token_store import TokenStore
from actors.protocol.conversation import Token
from actors.protocol.rest import Call, CallRefused, Lane
from actors.reasons import Reason
from actors.secret import Secret
from actors.supervision.forks import Home
from actors.timers import Timer, check_seconds
from actors.trading.gathering import Gettable
from actors.trading.login import Login
from actors.wire.attempt import ConnectCancel, ConnectFailed
from actors.wire.connect import Dial
from actors.wire.send_right import SendRight

log = log_queue.logger("actors.trading")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

NO_TOKEN: Final = Token(Secret(""))  # of a venue that needs none
METER: Final = "rest"  # of mutations and logins
UNAUTHORIZED: Final = 401
LOST: Final = frozenset({"lost", "handshake", "tls"})  # what ended a connection, and may be over already
TOO_MANY: Final = 429
SLOW: Final = 0.9  # seconds: a request that takes longer may arrive outside of the margin of its meter
PATIENCE: Final = 60.0  # seconds without requests after a venue answers 429 and names no time


class AskState(Enum):
    WAITING = auto()
    RUNNING = auto()
    DONE = auto()


class Ask:
    """Something that a venue is asked for. One thread at a time carries it on; any thread may end it."""

    is_mutation: ClassVar[bool] = False

    def __init__(self, feed: str, login: Login, lane: Lane, meter: str, until: float) -> None:
        self.feed, self.login, self.lane, self.meter = feed, login, lane, meter
        self.until = until  # monotonic seconds, by the runtime's clock
        self._state = AskState.WAITING
        self._lock = threading.Lock()
        self._timer: Timer | None = None
        self._thread_left = threading.Event()

    @property
    def is_waiting(self) -> bool:
        return self._state is AskState.WAITING

    def run(self) -> float:
        """On a thread of its own. Only the first of several threads carries it on.

        Returns 0.0: it has ended. Else the seconds until its meter has room again: it waits for that.
        """
        if not self._move(AskState.WAITING, AskState.RUNNING):
            if self._state is AskState.DONE:  # it was given up just before; another thread would leave itself
                self.login.leave(self)
            return 0.0
        try:
            return self._run()
        finally:
            self._thread_left.set()

    def _run(self) -> float:
        pause = 0.0
        try:
            pause = self.carry_on()
        except Exception as error:
            log.exception(
                "request.failed", "%s: unexpected error while the venue was asked.", self.feed, feed=self.feed
            )
            self.give_up(LinewardenError(f"{self.feed}: unexpected error ({type(error).__name__})"))
        self.login.leave(self)
        if pause and self._move(AskState.RUNNING, AskState.WAITING):
            return pause
        self._leave()
        return 0.0

    def carry_on(self) -> float:
        """Asks, and ends it. Else returns the seconds until its meter has room again; nothing was asked."""
        raise NotImplementedError

    def give_up(self, error: LinewardenError) -> None:
        """Nothing comes of it: `error` says why."""
        raise NotImplementedError

    def await_thread(self, seconds: float) -> None:
        """Waits until the thread that has begun it has left it, if one has."""
        if not self.ended_unless_begun():
            self._thread_left.wait(seconds)

    def stop(self) -> None:
        """The runtime ends."""
        self.give_up(RuntimeStopped("stop() was called"))

    def tell(self, _: object) -> None:
        """The timer's: its deadline is over."""
        self.give_up(Timeout(f"{self.feed}: the venue did not answer in time"))

    def watched_by(self, timer: Timer) -> None:
        """The timer tells it when its deadline is over."""
        self._timer = timer
        if self._state is AskState.DONE:
            timer.cancel()

    def ended_unless_begun(self) -> bool:
        """Ends it, if no thread has begun it; returns whether that is so."""
        if not self._move(AskState.WAITING, AskState.DONE):
            return False
        self._leave()
        return True

    def ended(self) -> bool:
        """Ends it; returns whether it had not ended before."""
        with self._lock:
            state, self._state = self._state, AskState.DONE
        if state is AskState.WAITING:
            self._leave()
        return state is not AskState.DONE

    def _leave(self) -> None:
        self.login.leave(self)
        if self._timer is not None:
            self._timer.cancel()

    def _move(self, before: AskState, after: AskState) -> bool:
        with self._lock:
            if self._state is not before:
                return False
            self._state = after
            return True


class Access:
    """How the venue of one feed is asked: its token, the way to it, its login's meter. One per ask."""

    def __init__(
        self,
        feed: str,
        login: Login,
        tokens: TokenStore,
        dial: Dial,
        left: Callable[[], float],
        *,
        needs_token: bool = True,
    ) -> None:
        self._needs_token = needs_token
        self.feed, self.login, self.tokens, self.dial = feed, login, tokens, dial
        self.left = left  # seconds until the deadline of the ask
        self.connect_cancel = ConnectCancel()
        self._refused: Token | None = None  # by the venue

    def token(self) -> Token:
        """The feed's token: one login for all who want another one.

        Raises:
            AskFailedError: there is none.
        """
        if not self._needs_token:
            return NO_TOKEN
        try:
            token, _ = self.tokens.token(f"{self.feed}/ask", self.connect_cancel, self._refused)
        except ConnectFailed as failed:
            raise AskFailedError(self.feed, failed.reason.text, failed.reason.code) from None
        finally:
            for _ in range(self.login.new_requests_of(self.tokens)):
                self.login.take(METER, "flatten")  # a login is a request as well, also that of a line
        return token

    def fetch(self, request: HttpRequest, right: SendRight | None = None) -> HttpAnswer | HttpFailed:
        within = structs.replace(request, timeout=min(request.timeout, max(0.0, self.left())))
        return self.login.connections.fetch(within, self.dial, self.connect_cancel, right)

    def refuse(self, token: Token) -> None:
        """The venue answered 401 to this token: the next ask gets another one."""
        self._refused = token
        self.tokens.refuse(token)

    def words(self, text: str) -> str:
        """A text of the venue's for people, without secrets."""
        return self.tokens.redactor.words(text)

    def read(self, call: Call[T], lane: Lane) -> T:
        """What this read brings, asked for here and now: a second time after 401 or a lost connection.

        Raises:
            AskRefusedError: the venue refuses it.
            AskFailedError: there is no answer; its `retry_after`, where the meter is empty.
        """
        reading = Reading(self, call, lane)
        if wait := reading.go_on():
            raise AskFailedError(self.feed, empty_meter(wait), "meter", wait)
        if (error := self.error(reading.outcome)) is not None:
            raise error
        return cast(T, reading.outcome)

    def error(self, outcome: object) -> AskRefusedError | AskFailedError | None:
        """What a read raises for this outcome; None: it is the answer."""
        if isinstance(outcome, CallRefused):
            words = self.words(outcome.message)
            return AskRefusedError(self.feed, outcome.endpoint, outcome.code, outcome.name, words)
        if isinstance(outcome, Reason | HttpFailed):
            return AskFailedError(self.feed, outcome.text, outcome.code)
        return None


def empty_meter(seconds: float) -> str:
    return f"the venue may not be asked so often; again in {seconds:.1f} s"


class Seen:
    """The requests of one conversation: each is counted before, and its answer noted after.

    `status` is of the last answer. A 429 closes the meter for the time that it names.
    """

    def __init__(self, login: Login, meter: str) -> None:
        self.status: int | None = None
        self.pause = 0.0  # seconds, by the last answer
        self._login, self._meter = login, meter
        self._counted_at = 0.0

    def take(self, lane: Lane) -> float:
        """0.0: the request is counted, send it. Else seconds until it may be asked for again."""
        self._counted_at = self._login.meter.now()
        return self._login.take(self._meter, lane)

    def note(self, answer: HttpAnswer | HttpFailed) -> None:
        if (took := self._login.meter.now() - self._counted_at) > SLOW:
            self._login.meter.late(self._meter, took)
        self.status, self.pause = (answer.status if isinstance(answer, HttpAnswer) else None), 0.0
        if isinstance(answer, HttpAnswer) and answer.status == TOO_MANY:
            self.pause = PATIENCE if answer.retry_after is None else answer.retry_after
            self._login.meter.leave(self._meter, self.pause)


class Reading(Generic[T]):
    """A read's conversation. Where its meter is empty it stops before its next request, and can go on later.

    It is begun a second time after 401, with another token, after 429, and after a lost connection.
    """

    def __init__(self, access: Access, call: Call[T], lane: Lane) -> None:
        self.outcome: T | CallRefused | Reason | HttpFailed | None = None
        self._access, self._call, self._lane = access, call, lane
        self._is_again = False
        self._token: Token | None = None
        self._talk: Generator[HttpRequest, HttpAnswer, T | CallRefused | Reason] | None = None
        self._request: HttpRequest | None = None

    def go_on(self) -> float:
        """Asks until `outcome` is known: 0.0. Else returns the seconds until its meter has room.

        Raises:
            AskFailedError: there is no token.
        """
        seen = Seen(self._access.login, self._call.meter)
        while True:
            if wait := self._ask(seen):
                return wait
            is_refused = seen.status == UNAUTHORIZED
            if is_refused and self._token is not None:
                self._access.refuse(self._token)
            if self._is_again or not (is_refused or seen.pause or self._is_lost()):
                return 0.0
            self._is_again, self._talk = True, None
            if seen.pause:
                return seen.pause

    def _ask(self, seen: Seen) -> float:
        try:
            if self._talk is None:
                self._token = self._access.token()
                self._talk = self._call.converse(self._token.value)
                self._request = next(self._talk)
            while True:
                assert self._request is not None
                if wait := seen.take(self._lane):
                    return wait
                answer = self._access.fetch(self._request)
                seen.note(answer)
                if isinstance(answer, HttpFailed):
                    self._talk.close()
                    self._end(answer)
                    return 0.0
                self._request = self._talk.send(answer)
        except StopIteration as end:
            self._end(end.value)
        return 0.0

    def _end(self, outcome: T | CallRefused | Reason | HttpFailed) -> None:
        """Texts have no secrets."""
        if isinstance(outcome, Reason | HttpFailed):
            outcome = without_secrets(outcome, self._access.tokens.redactor)
        self.outcome = outcome

    def _is_lost(self) -> bool:
        return isinstance(self.outcome, HttpFailed) and self.outcome.code in LOST


# ── reads ───────────────────────────────────────────────────────────────────────────────────────


class Asked(Gettable[T_co]):
    """The future of one read. Any thread, any number of times."""

    def __init__(self, reply: Reply, feed: str) -> None:
        self._reply, self._feed = reply, feed
        self._home = Home()

    def get(self, timeout: float | None = None) -> T_co:
        """What the venue answered; waits for at most `timeout` seconds, None: until the read's own deadline.

        Raises:
            AskRefusedError: the venue refused it, with its words.
            AskFailedError: no answer came, or none that can be read; why.
            Timeout: `timeout` is over and the read goes on; or its own deadline is over.
            LinewardenError: `timeout` is no number of seconds.
            RuntimeStopped: the runtime has ended.
            ForkError: this is a forked child.
        """
        check_seconds("timeout", timeout, optional=True)
        self._home.check()
        try:
            answer: T_co = self._reply.get(timeout=timeout)
        except ReplyTimeout:
            raise Timeout(f"{self._feed}: no answer within {timeout:g} s; the read goes on") from None
        return answer

    @property
    def done(self) -> bool:
        """Whether `get` returns or raises at once."""
        return not self._reply.open

    def __repr__(self) -> str:
        return f"<Asked of {self._feed}, {'done' if self.done else 'under way'}>"


class TellingReply(Reply):
    """Tells what the answer is, or the error, on the thread that ends it."""

    def __init__(self, told: Callable[[Any], None]) -> None:
        super().__init__("requester")
        self._told = told

    def set(self, value: Any = None) -> None:
        super().set(value)
        self._told(value)

    def set_exception(self, exc_info: Any = None) -> None:
        super().set_exception(exc_info)
        self._told((exc_info or sys.exc_info())[1])


class ReadAsk(Ask):
    """A read: it waits for a connection and for its meter, and is asked once more where that may help.

    `then`: makes of its answer the read that was meant.
    """

    def __init__(
        self,
        access: Access,
        call: Call[Any],
        until: float,
        then: Callable[[Any], Call[Any]] | None = None,
        *,
        lane: Lane = "read",
        reply: Reply | None = None,
    ) -> None:
        super().__init__(access.feed, access.login, lane, call.meter, until)
        self.reply = Reply("requester") if reply is None else reply
        self._access, self._then = access, then
        self._reading: Reading[Any] = Reading(access, call, self.lane)

    def carry_on(self) -> float:
        try:
            wait = self._reading.go_on()
        except AskFailedError as error:
            self.give_up(error)
            return 0.0
        if wait:
            return wait
        outcome = self._reading.outcome
        if (failed := self._access.error(outcome)) is not None:
            self.give_up(failed)
        elif self._then is not None:
            return self._go_on_with(self._then(outcome))
        elif self.ended():
            self.reply.set(outcome)
        return 0.0

    def _go_on_with(self, call: Call[Any]) -> float:
        self._reading, self._then = Reading(self._access, call, self.lane), None
        self.meter = call.meter
        return self.carry_on()

    def give_up(self, error: LinewardenError) -> None:
        if self.ended():
            self.reply.fail(error)
            self._access.connect_cancel.cancel()
