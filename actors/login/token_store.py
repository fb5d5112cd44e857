"""The token of a feed: kept, shared by its lines, renewed before its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import NamedTuple

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
LATE = 60.0  # seconds after which a refusal does not mean that a token was no good from the start
TURNED_AWAY = ("http_401", "http_403")
LoginOutcome = Token | Reason | HttpFailed  # of a login


class StoredToken(NamedTuple):
    """What a token_store has."""

    token: Token | None = None
    margin: float = EARLY  # seconds before its end
    refused: Token | None = None  # by the venue


class TokenStore:
    """A feed's token: one login for all lines that ask at once. Any thread."""

    def __init__(self, venue: Venue, dial: Dial, clock: Clock, retry_after_cap: float = inf) -> None:
        self.clock = clock
        self.redactor = Redactor()
        self.follow(venue, dial, retry_after_cap)
        self._bucket = TokenBucket(venue.login_budget)
        self._turn = threading.Lock()  # held during a login
        self._changing = threading.Lock()  # held for a moment, as `_turn` is not
        self._stored = StoredToken()
        self._on_trial: Token | None = None  # given by the user, and not accepted yet; or refused
        self._tried_by: frozenset[str] = frozenset()  # lines that are not live, for this very trial
        self._renewed: Token | None = None  # the one whose renewal was asked for: once is enough
        self._failed: Reason | None = None  # what the last login came to, if to nothing
        self._failed_at = 0.0  # monotonic seconds
        self._told: set[str] = set()  # lines that have heard of that failure
        self._logins = 0

    def token(
        self, line: str, connect_cancel: ConnectCancel, refused: Token | None = None
    ) -> tuple[Token, bool]:
        """A token that is none of `refused`, and whether it was made just now. Waits for a login.

        `connect_cancel` ends a login that this call began; a line that waited for it then begins its own.

        Raises:
            ConnectFailed: there is none, and why.
        """
        seen = self._logins
        with self._turn:
            if connect_cancel.cancelled:
                raise ConnectFailed(Stopped())
            if refused is not None:
                self.refuse(refused)
            kept, margin, known_bad = self._stored
            if kept is not None and kept != known_bad and not self._is_old(kept, margin):
                return kept, kept == self._on_trial
            failed = self._still_failed(line, waited=self._logins != seen)
            if failed is None:
                return self._log_in(line, connect_cancel), True
            self._told.add(line)
            raise ConnectFailed(failed)

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

    def fresh_for(self) -> float | None:
        """Seconds for which the token will still be shown; None: it has no end, or there is none."""
        held = self._stored
        left = self._life(held)
        return None if left is None else left - held.margin

    @property
    def expires_in(self) -> float | None:
        """Seconds of life that are left to the token; None: it has no end, or there is none."""
        return self._life(self._stored)

    def replace(
        self, given: Token | None, connect_cancel: ConnectCancel, seconds: float, tried_by: Iterable[str] = ()
    ) -> StoredToken:
        """Keep this token from now on; None: make a new one. Answers what was held, for `restore`.

        A given one is on trial until `accept` or `restore`. The lines `tried_by` are not live and connect
        for the sake of it: to them its refusal is final. At most `seconds` are spent on waiting for a
        login of another line; then `connect_cancel` is cancelled.

        Raises:
            ConnectFailed: no token could be made, or this one has ended; the former is kept.
        """
        if not self._turn.acquire(timeout=seconds):
            connect_cancel.cancel()
            raise ConnectFailed(Stopped())
        try:
            former = self._stored
            try:
                self._put(given, connect_cancel, frozenset(tried_by))
            except BaseException:
                self.restore(former)
                raise
            return former
        finally:
            self._turn.release()

    def _put(self, given: Token | None, connect_cancel: ConnectCancel, tried_by: frozenset[str]) -> None:
        if given is None:
            self._log_in("", connect_cancel)
            return
        if not _lives(given, self.clock.wall_ns()):
            raise ConnectFailed(Fatal("the supplied token has expired", "token_expired"))
        self._keep(given)
        self._on_trial, self._tried_by = given, tried_by

    def accept(self) -> None:
        """The venue has taken what was given. Never waits."""
        self._on_trial = None

    def restore(self, former: StoredToken) -> None:
        """What took its place was of no use. Never waits, as a login may."""
        with self._changing:
            self._stored, self._renewed = former, None
            if self._on_trial == former.token:
                self._on_trial = None

    def doubts(self, token: Token | None, line: str) -> bool:
        """Whether it says nothing of this line's credentials that the venue does not take this token.

        It does not while the token is on trial, nor if the trial was over before the line had its answer.
        """
        return token is not None and token == self._on_trial and line not in self._tried_by

    def _still_failed(self, line: str, *, waited: bool) -> Reason | None:
        """Why this line need not log in, as another one has just done; None: it has to."""
        match self._failed:
            case Weather() as failed:
                return failed if waited else None
            case Fatal() as failed if line not in self._told:  # one that comes again was restarted, or probes
                return failed
            case Slow(retry_after=float(asked)) as failed:
                left = self._failed_at + min(asked, self._cap) - self.clock.monotonic()
                return structs.replace(failed, retry_after=left) if left > 0 else None
            case failed:
                return failed if waited else None

    def _log_in(self, line: str, connect_cancel: ConnectCancel) -> Token:
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
            if not count.sent:  # no request left: the way was blocked, or none was needed
                self._bucket.give_back()
        if connect_cancel.cancelled:
            raise ConnectFailed(Stopped())
        self._logins += 1
        if isinstance(outcome, HttpFailed):
            outcome = outcome.reason("the login failed: ")
        if not isinstance(outcome, Token):
            outcome = without_secrets(outcome, self.redactor)
            self._failed, self._failed_at, self._told = outcome, self.clock.monotonic(), {line}
            raise ConnectFailed(outcome)
        self._failed = None
        self._keep(outcome)
        return outcome

    def _ask(self, converse: Callable[[Conversation[Token]], LoginOutcome]) -> LoginOutcome:
        now_ns = self.clock.wall_ns()
        former = self._stored.token  # kept until there is a successor: its end is still to be known
        if former is not None and former != self._renewed and _lives(former, now_ns):
            self._renewed = former
            renewal = self._venue.renew(former, now_ns)
            if renewal is not None and isinstance(renewed := converse(renewal), Token):
                return renewed
        return converse(self._venue.login(now_ns))

    def _keep(self, token: Token) -> None:
        self.redactor.add_secrets(secrets_in(token))
        margin = EARLY
        if token.expires_ns is not None:  # of a short life not all is given up
            life = (token.expires_ns - self.clock.wall_ns()) / 1e9
            margin = max(0.0, min(EARLY, life / 10))
        with self._changing:
            self._stored, self._renewed = StoredToken(token, margin), None
            if self._on_trial == token:  # a login says so as well: it is no trial any more
                self._on_trial = None

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
    return Retryable(f"the venue rejected the supplied token: {text}", "token_on_trial")
