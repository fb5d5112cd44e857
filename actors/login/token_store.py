"""The token of a feed: kept, shared by its lines, renewed before its end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import inf
from typing import Literal, NamedTuple, TypeAlias

from msgspec import structs

from actors.http_types import HttpFailed
from actors.login.redaction import Redactor, in_the_path, secrets_in, without_secrets
from actors.protocol.conversation import Conversation, Token
from actors.protocol.limits import TokenBucket
from actors.protocol.venue import Venue
from actors.reasons import Fatal, Reason, Retryable, Slow, Stopped, Weather
from actors.timers import Clock
from actors.wire.connect import ConnectCancel, ConnectFailed, Dial

EARLY = 60.0  # seconds before its end from which a token is not shown any more
DUE = 900.0  # seconds before its end from which a token is to be renewed
SHARE = 0.25  # of a short life, for that
LATE = 60.0  # seconds after which a refusal does not mean that a token was no good from the start
REMEMBERED = 5.0  # seconds for which a login that was refused counts for lines that did not wait for it
TURNED_AWAY = ("http_401", "http_403")
NO_OTHER = "The feed has this token alone. Give another one: runtime.refresh_token(feed, token=...)."
LoginOutcome = Token | Reason | HttpFailed  # of a login
# Which token a connection shows: the stored one; a newer one, if that is due; the one on trial.
Shows: TypeAlias = Literal["stored", "new", "trial"]


class StoredToken(NamedTuple):
    """What a token_store has."""

    token: Token | None = None
    margin: float = EARLY  # seconds before its end
    due: float = DUE  # seconds before its end
    refused: Token | None = None  # by the venue


class Trial(NamedTuple):
    """A token that has yet to prove itself: candidates show it, and the lines that are tried with it."""

    token: Token
    tried_by: frozenset[str] = frozenset()  # lines that are not live, and connect for this very trial


class TokenStore:
    """A feed's token: one login for all lines that ask at once. Any thread."""

    def __init__(self, venue: Venue, dial: Dial, clock: Clock, retry_after_cap: float = inf) -> None:
        self.clock = clock
        self.redactor = Redactor()
        self._venue, self._dial = venue, dial
        self.follow(venue, dial, retry_after_cap)
        self._bucket = TokenBucket(venue.login_budget)
        self._turn = threading.Lock()  # held during a login
        self._changing = threading.Lock()  # held for a moment, as `_turn` is not
        self._trying = threading.Lock()  # held during a trial
        self._trials = 0  # the number of the last one
        self._succeeded = 0  # the number of the last one that has made a token which was accepted
        self._stored = StoredToken()
        self._trial: Trial | None = None
        self._doubted: Trial | None = None  # the last trial, unless its token was accepted
        self._renewed: Token | None = None  # the one whose renewal was asked for, though it was refused
        self._unrenewed: Reason | None = None  # why there is no newer token; None: it was not asked for
        self._failed: Reason | None = None  # what the last login came to, if to nothing
        self._failed_at = 0.0  # monotonic seconds
        self._told: set[str] = set()  # lines that have heard of that failure
        self._logins = 0
        self._requests = 0  # of all logins

    def token(
        self,
        line: str,
        connect_cancel: ConnectCancel,
        refused: Token | None = None,
        shows: Shows = "stored",
        venue: Venue | None = None,
    ) -> tuple[Token, bool]:
        """A token that is none of `refused`, and whether it was made just now. Waits for a login.

        `venue`: at the address that this line connects to; later logins go there as well.

        `connect_cancel` ends a login that this call began; a line that waited for it then begins its own.

        Raises:
            ConnectFailed: there is none, and why.
        """
        seen = self._logins
        with self._turn:
            if connect_cancel.cancelled:
                raise ConnectFailed(Stopped())
            self._venue = venue or self._venue
            if refused is not None:
                self.refuse(refused)
            trial = self._trial if self._trial is None or self._trial.token != refused else None
            if trial is not None and (shows == "trial" or line in trial.tried_by):
                return trial.token, True
            stored, is_due = self._stored, shows == "new" and self.renewal_in == 0.0
            if self._is_good(stored) and not is_due:
                assert stored.token is not None
                return stored.token, False
            if trial is not None and not is_due:
                return trial.token, True
            return self._make(line, connect_cancel, waited=self._logins != seen, is_due=is_due), True

    def _make(self, line: str, connect_cancel: ConnectCancel, *, waited: bool, is_due: bool) -> Token:
        failed = self._still_failed(line, waited=waited)
        if failed is not None:
            self._told.add(line)
            raise ConnectFailed(failed)
        former = self._stored.token
        token = self._log_in(line, connect_cancel)
        if is_due and token == former:
            self._unrenewed = self._why_unrenewed()
            raise ConnectFailed(self._unrenewed)
        self._keep(token)
        return token

    def refuse(self, token: Token) -> None:
        """The venue does not take it: no line shows it again. Never waits, as a login may.

        One that has been replaced already is not worth a word: that it is late must not clear the newer one.
        """
        with self._changing:
            if token == self._stored.token:
                self._stored = self._stored._replace(refused=token)

    def follow(self, venue: Venue, dial: Dial, retry_after_cap: float = inf) -> None:
        """From now on log in at this venue, this way, as the same account: the token is kept. Never waits.

        A pause that the venue asks for is observed for `retry_after_cap` seconds at most.
        """
        self._venue, self._dial, self._cap = venue, dial, retry_after_cap
        self.redactor.add_secrets((*in_the_path(venue.settings.url), *secrets_in(venue.settings)))

    def forget_pause(self) -> None:
        """A person acts: the next line may log in, whatever pause the venue has asked for. Never waits."""
        if isinstance(self._failed, Slow):
            self._failed = None

    @property
    def login_requests(self) -> int:
        """How many requests all logins have taken, those of lines among them."""
        return self._requests

    @property
    def renewal_in(self) -> float | None:
        """Seconds until the token is to be renewed; None: it has no end, or there is none."""
        held = self._stored
        left = self._life(held)
        return None if left is None else max(0.0, left - held.due)

    @property
    def expires_in(self) -> float | None:
        """Seconds of life that are left to the token; None: it has no end, or there is none."""
        return self._life(self._stored)

    @property
    def trouble(self) -> str:
        """Why the token was not renewed, although that is due; empty: it was, or is not due."""
        reason = self._unrenewed or self._failed
        return reason.text if reason is not None and self.renewal_in == 0.0 else ""

    # ── trials ──

    @contextlib.contextmanager
    def one_trial(self, seconds: float, *, given: bool) -> Iterator[bool]:
        """One trial at a time. False: another call has made a new token since this one began to wait.

        Raises:
            TimeoutError: another trial was under way for so many seconds.
        """
        seen = self._trials
        if not self._trying.acquire(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX)):
            raise TimeoutError
        try:
            if not given and self._succeeded > seen:
                yield False
                return
            self._trials += 1
            number = self._trials
            yield True
            if not given:
                self._succeeded = number
        finally:
            self._trying.release()

    def begin_trial(
        self, given: Token | None, connect_cancel: ConnectCancel, seconds: float, tried_by: Iterable[str] = ()
    ) -> None:
        """Put this token on trial; None: one that a login makes. The stored one stays until `accept`.

        The lines `tried_by` are not live and connect for the sake of it: to them its refusal is final. At
        most `seconds` are spent on waiting for a login of another line; then `connect_cancel` is cancelled.

        Raises:
            ConnectFailed: no other token could be made, or this one has ended.
        """
        if not self._turn.acquire(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX)):
            connect_cancel.cancel()
            raise ConnectFailed(Stopped())
        try:
            if given is None and self._failed is not None and (left := self._pause_left()):
                text = f"{self._failed.text}; {left:.0f} s of the pause that the venue asked for are left"
                raise ConnectFailed(Slow(text, self._failed.code, left, exact=True))
            token = given or self._log_in("", connect_cancel, asked=True)
            if given is None and token == self._stored.token:
                raise ConnectFailed(self._why_unrenewed())
            if not _lives(token, self.clock.wall_ns()):
                raise ConnectFailed(Fatal("the supplied token has expired", "token_expired"))
            self.redactor.add_secrets(secrets_in(token))
            self._trial = self._doubted = Trial(token, frozenset(tried_by))
        finally:
            self._turn.release()

    def accept(self) -> None:
        """The venue has taken the token on trial: it is the stored one from now on. Never waits."""
        trial, self._trial = self._trial, None
        if trial is not None:
            self._keep(trial.token)

    def end_trial(self) -> None:
        """The token on trial is of no use. Never waits, as a login may."""
        self._trial = None

    def doubts(self, token: Token | None, line: str) -> bool:
        """Whether it says nothing of this line's credentials that the venue does not take this token.

        It does not while the token is on trial, nor if the trial was over before the line had its answer.
        """
        doubted = self._doubted
        return doubted is not None and token == doubted.token and line not in doubted.tried_by

    # ── logins ──

    def _is_good(self, stored: StoredToken) -> bool:
        """Whether a line may show it."""
        token = stored.token
        return token is not None and token != stored.refused and not self._is_old(token, stored.margin)

    def _why_unrenewed(self) -> Reason:
        if self._unrenewed is not None:
            return self._unrenewed
        return Fatal("there is no way to make another token", "no_other_token", NO_OTHER)

    def _still_failed(self, line: str, *, waited: bool) -> Reason | None:
        """Why this line need not log in, as another one has just done; None: it has to."""
        match self._failed:
            case Weather() as failed:
                return failed if waited else None
            case Fatal() as failed if line not in self._told and self._is_recent():
                return failed  # to one that has had it: it was restarted or probes, and asks again
            case Slow(retry_after=float()) as failed:
                left = self._pause_left()
                return structs.replace(failed, retry_after=left) if left > 0 else None
            case failed:
                return failed if waited else None

    def _pause_left(self) -> float:
        """Seconds of the pause that the venue asked for at the last login."""
        asked = self._failed.retry_after if isinstance(self._failed, Slow) else None
        if asked is None:
            return 0.0
        return max(0.0, self._failed_at + min(asked, self._cap) - self.clock.monotonic())

    def _is_recent(self) -> bool:
        return self.clock.monotonic() - self._failed_at < REMEMBERED

    def _log_in(self, line: str, connect_cancel: ConnectCancel, *, asked: bool = False) -> Token:
        """`asked`: by a program; a refusal is that call's own, and no line's."""
        from actors.wire.http_client import RequestCount, converse  # an HTTP client, where one is needed

        wait = self._bucket.take(self.clock.monotonic())
        if wait:
            text = f"too many logins in a row for the limit of the venue; the next one waits {wait:.0f} s"
            raise ConnectFailed(Slow(text, "login_budget", wait, exact=True))
        count = RequestCount()
        try:
            outcome = self._ask(
                partial(converse, dial=self._dial, connect_cancel=connect_cancel, count=count)
            )
        finally:
            self._requests += count.sent
            if not count.sent:  # no request left: the way was blocked, or none was needed
                self._bucket.give_back()
        if connect_cancel.cancelled:
            raise ConnectFailed(Stopped())
        self._logins += 1
        if isinstance(outcome, Token):
            self._failed = None
            return outcome
        outcome = self._told_to_people(outcome, "the login failed: ")
        if not asked or isinstance(outcome, Slow):
            self._failed, self._failed_at, self._told = outcome, self.clock.monotonic(), {line}
        raise ConnectFailed(outcome)

    def _ask(self, converse: Callable[[Conversation[Token]], LoginOutcome]) -> LoginOutcome:
        now_ns = self.clock.wall_ns()
        stored = self._stored  # kept until there is a successor: its end is still to be known
        former, self._unrenewed = stored.token, None
        was_renewed = former == self._renewed == stored.refused  # a token that was refused is asked for once
        if former is not None and not was_renewed and _lives(former, now_ns):
            self._renewed = former
            renewal = self._venue.renew(former, now_ns)
            if renewal is not None:
                renewed = converse(renewal)
                if isinstance(renewed, Token | Slow):
                    return renewed  # where the venue asks for a pause, a login would not observe it
                self._unrenewed = self._told_to_people(renewed, "the token was not renewed: ")
        return converse(self._venue.login(now_ns))

    def _told_to_people(self, outcome: Reason | HttpFailed, about: str) -> Reason:
        reason = outcome.reason(about) if isinstance(outcome, HttpFailed) else outcome
        return without_secrets(reason, self.redactor)

    def _keep(self, token: Token) -> None:
        self.redactor.add_secrets(secrets_in(token))
        margin, due = EARLY, DUE
        if token.expires_ns is not None:  # of a short life not all is given up
            life = (token.expires_ns - self.clock.wall_ns()) / 1e9
            margin, due = max(0.0, min(EARLY, life * 0.1)), max(0.0, min(DUE, life * SHARE))
        with self._changing:
            if token == self._stored.token:
                self._stored = self._stored._replace(refused=None)  # there is no other
            else:
                self._stored, self._renewed, self._unrenewed = StoredToken(token, margin, due), None, None
            if self._doubted is not None and self._doubted.token == token:
                self._doubted = None  # accepted; or a login says so as well

    def _life(self, held: StoredToken) -> float | None:
        if held.token is None or held.token.expires_ns is None:
            return None
        return (held.token.expires_ns - self.clock.wall_ns()) / 1e9

    def _is_old(self, token: Token, margin: float) -> bool:
        return not _lives(token, self.clock.wall_ns() + int(margin * 1e9))


def is_turned_away(reason: Reason) -> bool:
    """Whether the token was refused at the handshake. A status with Retry-After asks for a pause instead."""
    return isinstance(reason, Fatal) and reason.code in TURNED_AWAY


def _lives(token: Token, now_ns: int) -> bool:
    return token.expires_ns is None or now_ns < token.expires_ns


def _not_proved(text: str) -> Reason:
    """A line whose token on trial was refused tries again: after the verdict there may be a better one."""
    return Retryable(f"the venue rejected the new token: {text}", "token_on_trial")
