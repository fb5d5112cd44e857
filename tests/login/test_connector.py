"""One login for all lines of a feed: shared, renewed in time, metered, and told to nobody."""

from __future__ import annotations

import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from actors.http_types import Endpoint, HttpRequest
from actors.login.connector import Connector
from actors.login.token_store import Shows, TokenStore
from actors.protocol import Opening
from actors.protocol.conversation import Conversation, Token, settled
from actors.protocol.limits import RateLimit
from actors.reasons import Fatal, Reason, Retryable, Slow, Stopped, Weather
from actors.secret import Secret
from actors.simulators import SimulatedTplus
from actors.simulators.base.client import HttpReply, Later, Request
from actors.timers import SystemClock
from actors.venues.tplus import Tplus, TplusSettings
from actors.wire.connect import ConnectCancel, ConnectFailed, Dial
from tests.wire.proxies import Loopback

SEED = "c0ffee" * 10 + "4711"
ORDERS, FILLS = "tplus/orders", "tplus/user-trades"
A_LOGIN = 2  # requests: a nonce, and the token for it


class Ahead(SystemClock):
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.seconds

    def wall_ns(self) -> int:
        return super().wall_ns() + round(self.seconds * 1e9)


class Negotiating(Tplus):
    """A venue that is asked over HTTP before each connect."""

    def approach(self, opening: Opening) -> Conversation[Endpoint]:
        yield HttpRequest("POST", f"{self._oms.http}/negotiate")
        return self.endpoint(opening)


class SlowAtTheGate(SimulatedTplus):
    """Answers `POST /auth` when it is told to."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(rate=0, **settings)
        self.waiting: list[Callable[[], None]] = []
        self.is_slow = True

    def answer(self, request: Request) -> HttpReply | Later:
        if not self.is_slow or request.path != "/auth":
            return super().answer(request)

        def promise(take: Callable[[HttpReply], None]) -> None:
            def serve() -> None:
                reply = super(SlowAtTheGate, self).answer(request)
                assert isinstance(reply, HttpReply)
                take(reply)

            self.waiting.append(serve)
            self.announce()

        return Later(promise)

    def let_in(self) -> None:
        with self._lock:
            self.is_slow = False
            while self.waiting:
                self.waiting.pop(0)()


@pytest.fixture
def tplus() -> Iterator[SimulatedTplus]:
    with SimulatedTplus(rate=0) as simulator:
        yield simulator


@pytest.fixture
def clock() -> Ahead:
    return Ahead()


def venue_of(tplus: SimulatedTplus) -> Tplus:
    return Tplus("tplus", TplusSettings(url=tplus.url, private_key=Secret(SEED)))


def vault_of(tplus: SimulatedTplus, clock: Ahead | None = None) -> TokenStore:
    return TokenStore(venue_of(tplus), Dial(), clock or Ahead())


def reason_of(call: Callable[[], object]) -> Reason:
    with pytest.raises(ConnectFailed) as failed:
        call()
    return failed.value.reason


def asking(token_store: TokenStore, line: str = ORDERS, refused: Token | None = None) -> Callable[[], object]:
    return lambda: token_store.token(line, ConnectCancel(), refused)


@contextmanager
def door_of(
    tplus: SimulatedTplus, token_store: TokenStore, line: str = ORDERS, shows: Shows = "stored"
) -> Iterator[Connector]:
    connector = Connector(venue_of(tplus), line, Dial(), ConnectCancel(), token_store, shows)
    yield connector
    connector.connect_cancel.cancel()


def at_once(call: Callable[[], Any], times: int) -> list[Any]:
    """What a call gives to so many threads that begin together; an error is an answer, too."""
    together = threading.Barrier(times)
    given: list[Any] = []

    def run() -> None:
        together.wait(5)
        try:
            given.append(call())
        except ConnectFailed as failed:
            given.append(failed.reason)

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return given


# ── one login for all ───────────────────────────────────────────────────────────────────────────


def test_all_who_come_at_once_get_the_token_of_one_login(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    given = at_once(lambda: token_store.token(ORDERS, ConnectCancel()), 8)
    assert len({token for token, _ in given}) == 1
    assert [is_new for _, is_new in given].count(True) == 1
    assert tplus.auth_requests == A_LOGIN


class Turnstile:
    """A lock that counts who comes to it."""

    def __init__(self) -> None:
        self.lock, self.came = threading.Lock(), threading.Semaphore(0)

    def __enter__(self) -> None:
        self.came.release()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_a_login_that_fails_fails_for_all_who_waited_for_it() -> None:
    with SlowAtTheGate(flat_errors=True) as tplus:
        token_store = vault_of(tplus)
        turnstile: Any = Turnstile()
        token_store._turn = turnstile
        told: list[Reason] = []
        threads = [
            threading.Thread(target=lambda: told.append(reason_of(asking(token_store)))) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
            assert turnstile.came.acquire(timeout=5)
        tplus.wait_for(lambda: tplus.waiting)
        tplus.refuse_auth(500)
        tplus.let_in()
        for thread in threads:
            thread.join(10)
        assert [type(reason) for reason in told] == [Retryable] * 5
        assert tplus.auth_requests == A_LOGIN


def test_a_token_is_kept_until_a_minute_before_its_end(clock: Ahead) -> None:
    with SimulatedTplus(rate=0, token_life=600.0) as tplus:
        token_store = vault_of(tplus, clock)
        first, _ = token_store.token(ORDERS, ConnectCancel())
        clock.seconds = 530.0
        assert token_store.token(FILLS, ConnectCancel()) == (first, False)
        clock.seconds = 541.0
        second, is_new = token_store.token(FILLS, ConnectCancel())
        assert is_new
        assert second != first
        assert tplus.auth_requests == 2 * A_LOGIN


def test_a_refused_token_is_not_shown_again(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    first, _ = token_store.token(ORDERS, ConnectCancel())
    second, is_new = token_store.token(ORDERS, ConnectCancel(), first)
    assert is_new
    token_store.refuse(first)  # late: it has been replaced already
    assert token_store.token(FILLS, ConnectCancel(), first) == (second, False)
    token_store.refuse(second)
    assert token_store.token(FILLS, ConnectCancel())[1]
    assert tplus.auth_requests == 3 * A_LOGIN


def test_a_late_refusal_of_an_older_token_does_not_make_the_newer_one_good_again(
    tplus: SimulatedTplus,
) -> None:
    token_store = vault_of(tplus)
    first, _ = token_store.token(ORDERS, ConnectCancel())
    token_store.refuse(first)
    second, _ = token_store.token(ORDERS, ConnectCancel())
    token_store.refuse(second)
    token_store.refuse(first)  # by a line that was slow to hear of it
    third, is_new = token_store.token(FILLS, ConnectCancel())
    assert is_new
    assert third not in (first, second)


def test_a_vault_keeps_its_token_through_a_change_and_logs_in_by_the_new_settings(
    tplus: SimulatedTplus,
) -> None:
    token_store = vault_of(tplus)
    first, _ = token_store.token(ORDERS, ConnectCancel())
    with SimulatedTplus(rate=0) as moved:
        token_store.follow(venue_of(moved), Dial(connect_timeout=3.0))
        assert token_store.token(FILLS, ConnectCancel()) == (first, False)
        token_store.refuse(first)
        assert token_store.token(FILLS, ConnectCancel())[1]
        assert (tplus.auth_requests, moved.auth_requests) == (A_LOGIN, A_LOGIN)


# ── a token that the user supplied ───────────────────────────────────────────────────────────────


def given_by_somebody(tplus: SimulatedTplus, monkeypatch: pytest.MonkeyPatch) -> Tplus:
    """A venue with a token in its settings, and a budget that one login would spend."""
    monkeypatch.setattr(Tplus, "login_budget", RateLimit(1, 3600.0))
    user = venue_of(tplus)._user
    return Tplus("tplus", TplusSettings(url=tplus.url, user=user, token=Secret("given")))


def test_a_given_token_that_is_turned_away_is_shown_once_and_spends_nothing(
    tplus: SimulatedTplus, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = given_by_somebody(tplus, monkeypatch)
    token_store = TokenStore(venue, Dial(), Ahead())
    for connect_rate in range(1, 4):
        connector = Connector(venue, ORDERS, Dial(), ConnectCancel(), token_store)
        reason = reason_of(connector.open)
        assert (type(reason), reason.code) == (Fatal, "http_401")
        assert len(tplus.requests) == connect_rate


def test_a_given_token_that_lines_refuse_inside_again_and_again_spends_nothing(
    tplus: SimulatedTplus, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_store = TokenStore(given_by_somebody(tplus, monkeypatch), Dial(), Ahead())
    for line in (ORDERS, FILLS) * 3:
        token, _ = token_store.token(line, ConnectCancel())
        token_store.refuse(token)
    assert token_store.token(ORDERS, ConnectCancel()) == (token, True)
    assert token_store.token(FILLS, ConnectCancel()) == (token, False)
    assert tplus.requests == []


# ── a token on trial ────────────────────────────────────────────────────────────────────────────

WRONG = Token(Secret("wrong"))


def test_who_is_turned_away_with_a_token_on_trial_comes_back_after_the_verdict(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    token_store.token(ORDERS, ConnectCancel())
    token_store.begin_trial(WRONG, ConnectCancel(), 5.0)
    with door_of(tplus, token_store, shows="trial") as connector:
        reason = reason_of(connector.open)
    assert (type(reason), reason.code) == (Retryable, "token_on_trial")
    assert "401" in reason.text
    with door_of(tplus, token_store) as connector:  # of no candidate: it shows the former one meanwhile
        connector.open().socket.close()
    token_store.end_trial()
    with door_of(tplus, token_store) as connector:
        connector.open().socket.close()
    assert tplus.auth_requests == A_LOGIN


def test_who_hears_of_it_after_the_verdict_comes_back_as_well(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    former, _ = token_store.token(ORDERS, ConnectCancel())
    token_store.begin_trial(WRONG, ConnectCancel(), 5.0)
    with door_of(tplus, token_store) as connector:
        token, _ = token_store.token(ORDERS, ConnectCancel(), shows="trial")
        connector._token, connector._is_new = token, True
        connector._shown_at = token_store.clock.monotonic()
        assert connector.token_refused("not taken").code == "token_on_trial"
        token_store.end_trial()
        assert isinstance(connector.token_refused("not taken"), Retryable)
    assert token_store.token(ORDERS, ConnectCancel()) == (former, False)


def test_a_failed_line_that_is_sent_with_a_token_on_trial_fails_again(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    token_store.begin_trial(WRONG, ConnectCancel(), 5.0, tried_by=[ORDERS])
    with door_of(tplus, token_store) as connector:
        assert isinstance(reason_of(connector.open), Fatal)
    with door_of(tplus, token_store, FILLS) as connector:
        assert isinstance(reason_of(connector.open), Retryable)
    token_store.end_trial()
    assert token_store.token(ORDERS, ConnectCancel())[1]


def test_a_token_that_was_accepted_and_is_refused_later_is_replaced(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    token_store.begin_trial(WRONG, ConnectCancel(), 5.0)
    token_store.accept()
    with door_of(tplus, token_store) as connector:
        connector.open().socket.close()
    assert tplus.auth_requests == A_LOGIN


def test_a_trial_changes_nothing_of_what_is_kept() -> None:
    with SimulatedTplus(rate=0, token_life=86_400.0) as tplus:
        token_store = vault_of(tplus)
        first, _ = token_store.token(ORDERS, ConnectCancel())
        token_store.refuse(first)
        ends_ns = token_store.clock.wall_ns() + 5 * 10**9
        short = Token(Secret("short"), ends_ns)
        token_store.begin_trial(short, ConnectCancel(), 5.0)
        assert token_store.token(FILLS, ConnectCancel()) == (short, True)  # nothing better is there
        assert due_of(token_store) == pytest.approx(900.0, abs=1.0)
        token_store.end_trial()
        assert token_store.token(FILLS, ConnectCancel())[0] not in (first, short)
        token_store.begin_trial(short, ConnectCancel(), 5.0)
        token_store.accept()
        assert due_of(token_store) < 2.0


def due_of(token_store: TokenStore) -> float:
    left, due = token_store.expires_in, token_store.renewal_in
    assert left is not None
    assert due is not None
    return left - due


@pytest.mark.parametrize("given", [None, WRONG])
def test_a_replacement_waits_for_a_login_of_another_line_as_long_as_it_is_told(given: Token | None) -> None:
    with SlowAtTheGate() as tplus:
        token_store, connect_cancel = vault_of(tplus), ConnectCancel()
        login = threading.Thread(target=asking(token_store))
        login.start()
        tplus.wait_for(lambda: tplus.waiting)
        assert isinstance(reason_of(lambda: token_store.begin_trial(given, connect_cancel, 0.05)), Stopped)
        assert connect_cancel.cancelled
        tplus.let_in()
        login.join(10)
        assert not token_store.token(ORDERS, ConnectCancel())[1]  # of that login


def test_a_verdict_waits_for_no_login() -> None:
    with SlowAtTheGate() as tplus:
        token_store = vault_of(tplus)
        token_store.begin_trial(WRONG, ConnectCancel(), 5.0)
        login = threading.Thread(target=asking(token_store, FILLS, WRONG))
        login.start()
        tplus.wait_for(lambda: tplus.waiting)
        verdict = threading.Thread(target=token_store.end_trial, daemon=True)
        verdict.start()
        verdict.join(5)
        assert not verdict.is_alive()
        token_store.accept()
        tplus.let_in()
        login.join(10)


def test_the_end_of_a_token_is_known_until_there_is_another(clock: Ahead) -> None:
    with SlowAtTheGate(token_life=600.0) as tplus:
        tplus.is_slow = False
        token_store = vault_of(tplus, clock)
        first, _ = token_store.token(ORDERS, ConnectCancel())
        tplus.is_slow = True
        login = threading.Thread(target=asking(token_store, FILLS, first))
        login.start()
        tplus.wait_for(lambda: tplus.waiting)
        assert token_store.renewal_in is not None
        tplus.let_in()
        login.join(10)
        assert token_store.token(ORDERS, ConnectCancel())[0] != first


def test_a_refused_token_is_not_shown_again_though_the_login_for_another_has_failed(
    tplus: SimulatedTplus,
) -> None:
    token_store = vault_of(tplus)
    first, _ = token_store.token(ORDERS, ConnectCancel())
    tplus.refuse_auth(500)
    assert isinstance(reason_of(asking(token_store, ORDERS, first)), Retryable)
    assert token_store.token(FILLS, ConnectCancel())[1]


class Unrenewable(Tplus):
    """Takes a request for each renewal that it does not grant."""

    def renew(self, token: Token, now_ns: int) -> Conversation[Token]:
        yield HttpRequest("GET", f"{self._oms.http}/renewal")
        return Retryable("not now", "http_503")


def test_a_renewal_that_came_to_nothing_is_asked_for_once(tplus: SimulatedTplus) -> None:
    token_store = TokenStore(Unrenewable("tplus", venue_of(tplus).settings), Dial(), Ahead())
    first, _ = token_store.token(ORDERS, ConnectCancel())
    tplus.refuse_auth(500)
    assert isinstance(reason_of(asking(token_store, ORDERS, first)), Retryable)
    assert token_store.token(ORDERS, ConnectCancel())[1]
    assert [each.path for each in tplus.requests].count("/renewal") == 1


class Metered(Tplus):
    """Wants no request for a while."""

    def renew(self, token: Token, now_ns: int) -> Conversation[Token]:
        return settled(Slow("later", "http_503", 60.0, shared=True))


def test_a_renewal_that_is_asked_for_a_pause_is_followed_by_no_login(tplus: SimulatedTplus) -> None:
    token_store = TokenStore(Metered("tplus", venue_of(tplus).settings), Dial(), Ahead())
    first, _ = token_store.token(ORDERS, ConnectCancel())
    before = tplus.auth_requests
    refused = reason_of(asking(token_store, ORDERS, first))
    assert isinstance(refused, Slow)
    assert refused.retry_after == 60.0
    assert tplus.auth_requests == before


def test_a_pause_that_is_capped_or_forgotten_ends_before_its_time(
    tplus: SimulatedTplus, clock: Ahead
) -> None:
    for forget in (False, True):
        token_store = TokenStore(venue_of(tplus), Dial(), clock, 90.0)
        clock.seconds = 0.0
        tplus.refuse_auth(403, retry_after=999_999_999)
        assert isinstance(reason_of(asking(token_store)), Slow)
        clock.seconds = 60.0
        second = reason_of(asking(token_store, FILLS))
        assert isinstance(second, Slow)
        assert second.retry_after == pytest.approx(30, abs=5)
        clock.seconds = 60.0 if forget else 91.0
        if forget:
            token_store.forget_pause()
        assert token_store.token(FILLS, ConnectCancel())[1]


# ── a venue that wants to be left alone, or does not know us ────────────────────────────────────


def test_a_metered_login_is_not_tried_again_by_any_line_before_its_time(
    tplus: SimulatedTplus, clock: Ahead
) -> None:
    token_store = vault_of(tplus, clock)
    tplus.refuse_auth(429, retry_after=90)
    first = reason_of(asking(token_store))
    assert isinstance(first, Slow)
    assert first.retry_after == 90
    clock.seconds = 60.0
    second = reason_of(asking(token_store, FILLS))
    assert isinstance(second, Slow)
    assert second.retry_after == pytest.approx(30, abs=5)
    assert tplus.auth_requests == 1
    clock.seconds = 91.0
    assert token_store.token(FILLS, ConnectCancel())[1]


def test_bad_credentials_are_tried_once_for_all_lines_and_again_after_a_command(
    tplus: SimulatedTplus,
) -> None:
    token_store = vault_of(tplus)
    tplus.refuse_auth(401)
    assert isinstance(reason_of(asking(token_store, ORDERS)), Fatal)
    refused = reason_of(asking(token_store, FILLS))  # a line that starts later
    assert isinstance(refused, Fatal)
    assert "private_key" in refused.advice
    assert tplus.auth_requests == 1
    assert token_store.token(FILLS, ConnectCancel())[1]  # it was restarted
    assert token_store.token(ORDERS, ConnectCancel())[1] is False


def test_a_login_without_an_answer_is_retried_later(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    tplus.stop()
    reason = reason_of(asking(token_store))
    assert isinstance(reason, Retryable)
    assert reason.text.startswith("the login failed: ")
    tplus.start()
    assert token_store.token(ORDERS, ConnectCancel())[1]


@contextmanager
def behind(certificate: trustme.LeafCert) -> Iterator[str]:
    """The URL of a venue that has this certificate, and says nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def shake_hands(sock: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(sock, server_side=True):
            pass

    with Loopback(shake_hands) as server:
        yield f"wss://127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("host", "is_trusted", "kind", "code"),
    [("elsewhere.example", True, Weather, "hostname"), ("127.0.0.1", False, Slow, "certificate")],
)
def test_a_certificate_means_the_same_at_the_login_as_at_the_line(
    tmp_path: Path, host: str, is_trusted: bool, kind: type[Reason], code: str
) -> None:
    ca, other = trustme.CA(), trustme.CA()
    (ca if is_trusted else other).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    dial = Dial(ca_file=str(tmp_path / "ca.pem"))
    with behind(ca.issue_cert(host)) as url:
        login = TokenStore(Tplus("tplus", TplusSettings(url=url, private_key=Secret(SEED))), dial, Ahead())
        negotiating = Negotiating("tplus", TplusSettings(url=url))
        approach = Connector(negotiating, "tplus/tickers", dial, ConnectCancel(), login)
        for reason in (reason_of(asking(login)), reason_of(approach.open)):
            assert (type(reason), reason.code) == (kind, code)
        assert reason_of(asking(login)).text.startswith("the login failed: the certificate of 127.0.0.1:")


def test_logins_that_reach_no_server_spend_no_budget(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    tplus.stop()
    outage = [reason_of(asking(token_store)) for _ in range(3 * Tplus.login_budget.burst)]
    assert {(type(reason), reason.code) for reason in outage} == {(Retryable, "refused")}
    tplus.start()
    assert token_store.token(ORDERS, ConnectCancel())[1]


def test_logins_that_the_venue_has_heard_of_spend_it_whatever_came_of_them(
    tplus: SimulatedTplus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tplus, "login_budget", RateLimit(3, 60.0))
    token_store = vault_of(tplus)
    tplus.refuse_auth(500, n=3)
    assert [type(reason_of(asking(token_store))) for _ in range(3)] == [Retryable] * 3
    spent = reason_of(asking(token_store))
    assert isinstance(spent, Slow)
    assert (spent.code, spent.exact) == ("login_budget", True)
    assert tplus.auth_requests == 3


def test_a_storm_of_lost_tokens_stays_within_the_budget(
    tplus: SimulatedTplus, clock: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tplus, "login_budget", RateLimit(3, 60.0))
    token_store = vault_of(tplus, clock)
    token: Token | None = None
    for _ in range(3):
        token, is_new = token_store.token(ORDERS, ConnectCancel(), token)
        assert is_new
    turned_away = at_once(asking(token_store, ORDERS, token), 8)
    assert [type(reason) for reason in turned_away] == [Slow] * 8
    assert {reason.code for reason in turned_away} == {"login_budget"}
    assert all(0 < reason.retry_after <= 60.0 for reason in turned_away)
    assert tplus.auth_requests == 3 * A_LOGIN
    clock.seconds = 60.0
    assert token_store.token(ORDERS, ConnectCancel(), token)[1]


# ── a login that hangs ──────────────────────────────────────────────────────────────────────────


def test_a_login_ends_with_the_line_that_began_it_and_the_next_one_begins_its_own() -> None:
    with SlowAtTheGate() as tplus:
        token_store, connect_cancel = vault_of(tplus), ConnectCancel()
        told: list[Any] = []
        first = threading.Thread(
            target=lambda: told.append(reason_of(lambda: token_store.token(ORDERS, connect_cancel)))
        )
        first.start()
        tplus.wait_for(lambda: tplus.waiting)
        second = threading.Thread(target=lambda: told.append(token_store.token(FILLS, ConnectCancel())))
        second.start()
        connect_cancel.cancel()
        first.join(10)
        assert told == [Stopped()]
        tplus.wait_for(lambda: len(tplus.waiting) == 2)
        tplus.let_in()
        second.join(10)
        assert told[1][1] is True


def test_to_refuse_a_token_waits_for_no_login() -> None:
    with SlowAtTheGate() as tplus:
        token_store = vault_of(tplus)
        tplus.is_slow = False
        token, _ = token_store.token(FILLS, ConnectCancel())
        tplus.is_slow = True
        told: list[tuple[Token, bool]] = []
        other = threading.Thread(
            target=lambda: told.append(token_store.token(ORDERS, ConnectCancel(), token))
        )
        other.start()
        tplus.wait_for(lambda: tplus.waiting)
        token_store.refuse(token)  # a connection's own thread says so, and must not hang
        assert other.is_alive()
        tplus.let_in()
        other.join(10)
        ((new, _),) = told
        assert token_store.token(FILLS, ConnectCancel()) == (new, False)


def test_a_line_that_is_stopped_while_it_waits_for_a_login_begins_none() -> None:
    with SlowAtTheGate() as tplus:
        token_store, connect_cancel = vault_of(tplus), ConnectCancel()
        turnstile: Any = Turnstile()
        token_store._turn = turnstile
        told: list[Reason] = []

        def come(line: str) -> None:
            told.append(reason_of(lambda: token_store.token(line, connect_cancel)))

        threads = [threading.Thread(target=come, args=(line,)) for line in (ORDERS, FILLS)]
        for thread in threads:
            thread.start()
            assert turnstile.came.acquire(timeout=5)
        tplus.wait_for(lambda: tplus.waiting)
        connect_cancel.cancel()
        for thread in threads:
            thread.join(10)
        assert told == [Stopped(), Stopped()]
        assert len(tplus.waiting) == 1


# ── at the connector ─────────────────────────────────────────────────────────────────────────────────


def test_a_kept_token_that_is_turned_away_at_the_door_is_replaced_once(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    token_store.token(FILLS, ConnectCancel())
    tplus.expire_tokens()
    with door_of(tplus, token_store) as connector:
        connector.open().socket.close()
    assert tplus.auth_requests == 2 * A_LOGIN


@pytest.mark.parametrize("status", [401, 403])
def test_a_new_token_that_is_turned_away_ends_it(tplus: SimulatedTplus, status: int) -> None:
    token_store = vault_of(tplus)
    tplus.refuse(status, n=10)
    with door_of(tplus, token_store) as connector:
        reason = reason_of(connector.open)
    assert isinstance(reason, Fatal)
    assert tplus.auth_requests == A_LOGIN
    with door_of(tplus, token_store) as connector:  # a kept one: it is replaced, and that is that
        assert isinstance(reason_of(connector.open), Fatal)
    assert tplus.auth_requests == 2 * A_LOGIN
    assert len([each for each in tplus.requests if each.path == "/orders"]) == 3


def test_another_refusal_at_the_door_costs_no_login(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    token_store.token(FILLS, ConnectCancel())
    tplus.refuse(503)
    with door_of(tplus, token_store) as connector:
        assert isinstance(reason_of(connector.open), Retryable)
    assert tplus.auth_requests == A_LOGIN


def test_a_line_of_public_data_shows_no_token(tplus: SimulatedTplus) -> None:
    with door_of(tplus, vault_of(tplus), "tplus/tickers") as connector:
        connector.open().socket.close()
    assert tplus.auth_requests == 0
    assert "authorization" not in tplus.requests[-1].headers


def test_what_a_refusal_inside_means_depends_on_the_age_of_the_token(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    with door_of(tplus, token_store) as connector:
        connector.open().socket.close()
        fresh = connector.token_refused("not taken")
    assert isinstance(fresh, Fatal)
    assert "[feeds.tplus]" in fresh.advice
    with door_of(tplus, token_store) as connector:
        connector.open().socket.close()
        assert isinstance(connector.token_refused("not taken"), Retryable)
    with door_of(tplus, token_store) as connector:
        connector.open().socket.close()
    assert tplus.auth_requests == 2 * A_LOGIN


def test_a_token_that_was_good_once_or_for_a_while_is_replaced_though_it_was_new(clock: Ahead) -> None:
    with SimulatedTplus(rate=0) as tplus:
        token_store = vault_of(tplus, clock)
        with door_of(tplus, token_store) as connector:
            connector.open().socket.close()
            connector.token_taken()
            assert isinstance(connector.token_refused("not taken any more"), Retryable)
        with door_of(tplus, token_store) as connector:
            connector.open().socket.close()
            clock.seconds = 61.0
            assert isinstance(connector.token_refused("not taken any more"), Retryable)
        assert tplus.auth_requests == 2 * A_LOGIN


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────


class Talkative(Tplus):
    """A venue whose login fails with an unexpected error."""

    def login(self, now_ns: int) -> Conversation[Token]:
        yield HttpRequest("GET", f"{self._oms.http}/health")
        raise ZeroDivisionError("on purpose")


def test_no_failure_of_a_login_tells_a_secret(tplus: SimulatedTplus) -> None:
    token_store = vault_of(tplus)
    token, _ = token_store.token(ORDERS, ConnectCancel())
    shown = [
        repr(token),
        str(token),
        repr(token_store),
        repr(venue_of(tplus)),
        repr(venue_of(tplus).settings),
    ]
    tplus.refuse(401, n=2)
    with door_of(tplus, token_store) as connector, pytest.raises(ConnectFailed) as failed:
        connector.open()
    shown += ["".join(traceback.format_exception(failed.value)), repr(failed.value.reason), repr(connector)]
    broken = TokenStore(Talkative("tplus", venue_of(tplus).settings), Dial(), Ahead())
    with pytest.raises(ZeroDivisionError) as raised:
        broken.token(ORDERS, ConnectCancel())
    shown += ["".join(traceback.format_exception(raised.value))]
    secrets = (SEED, token.value.reveal(), token_store.token(ORDERS, ConnectCancel())[0].value.reveal())
    assert not [text for text in shown if any(secret in text for secret in secrets)]


def test_a_refusal_is_remembered_for_seconds(tplus: SimulatedTplus, clock: Ahead) -> None:
    token_store = vault_of(tplus, clock)
    tplus.refuse_auth(401)
    assert isinstance(reason_of(asking(token_store, ORDERS)), Fatal)
    clock.seconds = 86_400.0
    assert token_store.token(FILLS, ConnectCancel())[1]  # it asks the venue, which is back
    assert tplus.auth_requests == 1 + A_LOGIN


def test_what_a_program_asked_for_in_vain_is_no_refusal_of_a_line(
    tplus: SimulatedTplus, clock: Ahead
) -> None:
    token_store = vault_of(tplus, clock)
    first, _ = token_store.token(ORDERS, ConnectCancel())
    tplus.refuse_auth(401)
    reason = reason_of(lambda: token_store.begin_trial(None, ConnectCancel(), 5.0))
    assert isinstance(reason, Fatal)
    assert token_store.token(ORDERS, ConnectCancel()) == (first, False)
    token_store.refuse(first)
    assert token_store.token(ORDERS, ConnectCancel())[1]


def test_a_login_of_a_program_that_a_venue_meters_holds_for_lines_as_well(
    tplus: SimulatedTplus, clock: Ahead
) -> None:
    token_store = vault_of(tplus, clock)
    tplus.refuse_auth(429, retry_after=90)
    reason_of(lambda: token_store.begin_trial(None, ConnectCancel(), 5.0))
    reason = reason_of(asking(token_store))
    assert isinstance(reason, Slow)
    assert reason.retry_after == pytest.approx(90, abs=5)
    assert tplus.auth_requests == 1


def test_a_given_token_that_ends_soon_says_that_there_is_no_other(
    tplus: SimulatedTplus, clock: Ahead
) -> None:
    ends_ns = clock.wall_ns() + 86_400 * 10**9

    class Given(Tplus):
        def login(self, now_ns: int) -> Conversation[Token]:
            return settled(Token(Secret("given"), ends_ns))

    token_store = TokenStore(Given("tplus", venue_of(tplus).settings), Dial(), clock)
    given, _ = token_store.token(ORDERS, ConnectCancel())
    clock.seconds = 86_400.0 - 890.0  # a quarter of an hour before its end
    assert token_store.renewal_in == 0.0
    assert token_store.token(ORDERS, ConnectCancel()) == (given, False)
    reason = reason_of(lambda: token_store.token(ORDERS, ConnectCancel(), shows="new"))
    assert "no way to make another token" in reason.text
    assert token_store.trouble == reason.text
    token_store.begin_trial(Token(Secret("another")), ConnectCancel(), 5.0)
    assert token_store.trouble
    token_store.accept()
    assert token_store.trouble == ""


def test_a_refresh_that_makes_the_same_token_is_an_error(tplus: SimulatedTplus) -> None:
    user = venue_of(tplus)._user
    venue = Tplus("tplus", TplusSettings(url=tplus.url, user=user, token=Secret("given")))
    token_store = TokenStore(venue, Dial(), Ahead())
    token_store.token(ORDERS, ConnectCancel())
    reason = reason_of(lambda: token_store.begin_trial(None, ConnectCancel(), 5.0))
    assert reason.code == "no_other_token"
