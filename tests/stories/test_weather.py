"""A line that worked is refused: what passes is waited for, what is final is final, within the law.

The sockets are real, and time is moved by hand.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from actors import Gap, Lifecycle
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.status import LineStatus
from tests.support.failing_relay import Front
from tests.support.runtimes import KEY, SECRET
from tests.support.venue_cases import by_venue
from tests.support.virtual_time import Clockwork, clockwork

QUIET = {"ping_interval": 0.0, "venue_ping_interval": 0.0}
STABLE = 10.5  # seconds: a little more than `stable_after`
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
VERDICT_AFTER, REFUSED_INTERVAL = 1_800.0, 900.0  # the defaults
NO_PAGE = b"<html><h1>403 ERROR</h1>The request could not be satisfied.</html>"
LOGIN_PAGE = b"<html>Sign in to the WiFi of this hotel</html>"
NEVER = "Fri, 31 Dec 9999 23:59:59 GMT"


@pytest.fixture
def o2() -> Iterator[SimulatedO2]:
    with SimulatedO2(rate=0) as simulator:
        yield simulator


@pytest.fixture
def front(o2: SimulatedO2) -> Iterator[Front]:
    with Front(o2.port) as standing:
        yield standing


def feed(front: Front, *, scheme: str = "ws", **keys: Any) -> Mapping[str, Any]:
    return {"venue": "o2", "url": f"{scheme}://127.0.0.1:{front.port}/v1/ws", "heartbeat": QUIET} | keys


@contextmanager
def playing(front: Front, *, stable: bool = True, **keys: Any) -> Iterator[Clockwork]:
    with clockwork({"feeds": {"o2": feed(front, **keys)}}, live=stable) as clock:
        clock.advance(STABLE if stable else 0.0)
        yield clock


def lose(clock: Clockwork, front: Front, place: str) -> LineStatus:
    """Every line that is live is cut off, and refused once or twice. The one of which the law is seen."""
    lost = [name for name, line in clock.lines().items() if line.state == "live"]
    front.fail(place)
    clock.until(lambda status: all(status.lines()[name].state in {"backoff", "failed"} for name in lost))
    clock.advance(1.0)  # the first try after a stable life
    lines = [line for line in clock.lines().values() if line.reason is not None]
    return min(lines, key=lambda line: line.reason is None or line.reason.kind == "retryable")


def next_attempt(clock: Clockwork) -> float:
    seconds = clock.line().next_attempt_s
    assert seconds is not None, clock.line()
    return seconds


def pass_time(clock: Clockwork, seconds: float) -> set[str]:
    """Let the time pass; the states in which the line was between its attempts."""
    until, states = clock.now + seconds, set()
    while clock.now < until:
        states.add(clock.line().state)
        clock.advance(min(10.0, until - clock.now))
    return states | {clock.line().state}


# ── three incidents ─────────────────────────────────────────────────────────────────────────────


def test_a_cdn_that_answers_403_for_ten_minutes(front: Front) -> None:
    front.page = NO_PAGE
    with playing(front) as clock:
        line = lose(clock, front, "http 403")
        assert line.reason is not None
        assert (line.state, line.reason.kind, line.reason.code) == ("backoff", "slow", "http_403")
        assert line.reason.text.endswith("; it worked before")
        assert pass_time(clock, 10 * MINUTE) == {"backoff"}
        assert front.met == 6  # twice at once, then after 30, 90, 210 and 450 s: a WAF counts them
        front.heal()
        clock.advance(next_attempt(clock) + 1.0)
        assert clock.line().state == "live"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def served(ca: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    return context


def test_a_captive_portal_for_a_minute(o2: SimulatedO2, ca: trustme.CA, tmp_path: Path) -> None:
    """First its own certificate; then, where that is trusted, a redirect to its page; then the page."""
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls: dict[str, Any] = {"scheme": "wss", "ca_file": str(tmp_path / "ca.pem")}
    with (
        Front(o2.port, served(ca, "127.0.0.1"), served(ca, "portal.example")) as front,
        playing(front, **tls) as clock,
    ):
        front.page = LOGIN_PAGE
        line = lose(clock, front, "portal")
        assert line.reason is not None
        assert (line.state, line.reason.kind, line.reason.code) == ("backoff", "slow", "hostname")
        assert pass_time(clock, 20.0) == {"backoff"}
        front.place = "http 302"
        assert pass_time(clock, 20.0) == {"backoff"}
        line = clock.line()
        assert line.reason is not None
        assert line.reason.code == "http_302"
        assert "points to portal.example" in line.reason.text
        front.place = "http 200"
        assert pass_time(clock, 20.0) == {"backoff"}
        front.heal()
        clock.advance(next_attempt(clock) + 1.0)
        assert clock.line().state == "live"


def test_a_maintenance_redirect_for_an_hour(front: Front) -> None:
    with playing(front) as clock:
        begun = clock.now
        lose(clock, front, "http 302")
        pass_time(clock, VERDICT_AFTER - (clock.now - begun) - 1.0)
        assert clock.line().state == "backoff"
        pass_time(clock, 300.0)
        line = clock.line()
        assert line.reason is not None
        assert (line.state, line.reason.kind) == ("failed", "fatal")
        assert "put it into url" in line.reason.advice
        met = front.met
        pass_time(clock, HOUR - (clock.now - begun))
        assert clock.line().state == "failed"
        assert front.met - met == 1  # one probe in the second half of the hour
        front.heal()
        assert 0.0 < next_attempt(clock) <= REFUSED_INTERVAL
        clock.advance(next_attempt(clock) + 1.0)
        assert clock.line().state == "live"


@pytest.mark.parametrize("status", [302, 400, 403, 404, 451])
def test_one_stray_refusal_costs_no_more_than_another_loss(front: Front, status: int) -> None:
    with playing(front) as clock:
        front.fail(f"http {status}")
        clock.until(lambda status: status.lines()["o2"].state == "backoff")
        clock.advance(0.25)
        assert front.met == 1
        front.heal()
        clock.advance(0.5)
        assert clock.line().state == "live"


# ── verdicts ────────────────────────────────────────────────────────────────────────────────────


def test_a_revoked_key_is_probed_twice_and_then_final(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    with playing(front) as clock:
        line = lose(clock, front, "http 401")
        assert line.reason is not None
        assert (line.state, line.reason.kind, line.reason.code) == ("failed", "fatal", "http_401")
        assert next_attempt(clock) == pytest.approx(REFUSED_INTERVAL, abs=1.1)
        assert (
            "it worked before; next probe in 900 s. Check the credentials of this line, and run"
            in caplog.text
        )
        pass_time(clock, HOUR)
        assert (clock.line().state, clock.line().next_attempt_s, front.met) == ("failed", None, 3)
        clock.advance(30 * DAY)
        assert (clock.line().state, front.met) == ("failed", 3)  # venues lock accounts that go on

        clock.runtime.supervisor.restart("o2").get(timeout=5)  # the verdict has ended what was proved
        clock.until(lambda status: front.met == 4 and status.lines()["o2"].state == "failed")
        assert clock.line().next_attempt_s is None


def test_a_login_service_that_is_broken_for_a_while_is_no_verdict(front: Front) -> None:
    with playing(front) as clock:
        lose(clock, front, "http 401")
        front.heal()
        clock.advance(next_attempt(clock) + 1.0)
        assert clock.line().state == "live"
        clock.advance(STABLE)
        lose(clock, front, "http 401")
        assert next_attempt(clock) == pytest.approx(REFUSED_INTERVAL, abs=1.1)  # its time begins again


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 418, 451])
def test_before_any_stable_life_a_refusal_is_final_at_once(front: Front, status: int) -> None:
    front.place = f"http {status}"
    with playing(front, stable=False) as clock:
        clock.until(lambda _: clock.line().state == "failed")
        line = clock.line()
        assert line.reason is not None
        assert (line.reason.kind, line.next_attempt_s) == ("fatal", None)
        assert line.reason.advice
        clock.advance(DAY)
        assert front.met == 1


def test_a_life_that_was_not_stable_proves_nothing(front: Front) -> None:
    with playing(front, stable=False) as clock:
        clock.runtime.wait_live(timeout=10.0)
        clock.advance(5.0)
        line = lose(clock, front, "http 403")
        assert (line.state, line.next_attempt_s) == ("failed", None)


# ── what is remembered, and what ends it ────────────────────────────────────────────────────────


def test_it_is_remembered_over_a_rotation_a_restart_and_a_reload(front: Front) -> None:
    with playing(front) as clock:
        clock.runtime.rotate("o2", timeout=10.0)
        assert lose(clock, front, "http 403").state == "backoff"
        front.heal()
        clock.runtime.supervisor.restart("o2").get(timeout=5)
        clock.runtime.wait_live(timeout=10.0)
        assert lose(clock, front, "http 403").state == "backoff"
        front.heal()
        for keys in ({"max_message": 1_000_000}, {"restart": {"maximum": 20.0}}):  # reconnected, adjusted
            clock.runtime.reload({"feeds": {"o2": feed(front, **keys)}})
            clock.runtime.supervisor.restart("o2").get(timeout=5)
            clock.runtime.wait_live(timeout=10.0)
            assert lose(clock, front, "http 403").state == "backoff"
            front.heal()


def test_another_url_has_proved_nothing(front: Front, o2: SimulatedO2) -> None:
    with playing(front) as clock, Front(o2.port) as other:
        other.place = "http 404"
        clock.runtime.reload({"feeds": {"o2": feed(other)}})
        clock.until(lambda status: status.lines()["o2"].state == "failed")
        assert clock.line().next_attempt_s is None
        front.place = "http 404"
        clock.runtime.reload({"feeds": {"o2": feed(front)}})  # back: that one did work
        clock.until(lambda status: status.lines()["o2"].state == "backoff")


def test_other_credentials_have_proved_nothing() -> None:
    with SimulatedAlpaca(rate=0) as alpaca, Front(alpaca.port) as front:
        url = alpaca.url_of("iex").replace(f":{alpaca.port}", f":{front.port}")
        keys = {"venue": "alpaca", "url": url, "key": KEY, "secret": SECRET, "heartbeat": QUIET}
        with clockwork({"feeds": {"iex": keys}}) as clock:
            clock.advance(STABLE)
            front.place = "http 403"
            clock.runtime.reload({"feeds": {"iex": {**keys, "secret": "another"}}})
            clock.until(lambda status: status.lines()["iex"].state == "failed")
            assert clock.line().next_attempt_s is None
            clock.runtime.reload({"feeds": {"iex": keys}})
            clock.until(lambda status: status.lines()["iex"].state == "backoff")


def test_weather_is_the_account_s() -> None:
    """One line of the account is refused: the other one does not connect before the pause is over."""
    with SimulatedAlpaca(rate=0) as alpaca, Front(alpaca.port) as front:
        table = {"venue": "alpaca", "key": KEY, "secret": SECRET, "heartbeat": QUIET}
        urls = {
            name: alpaca.url_of(name).replace(f":{alpaca.port}", f":{front.port}") for name in ("iex", "news")
        }
        with clockwork({"feeds": {name: table | {"url": url} for name, url in urls.items()}}) as clock:
            clock.advance(STABLE)
            clock.runtime.supervisor.pause("news").get(timeout=5)
            clock.until(lambda status: status.lines()["news"].state == "paused")
            lose(clock, front, "http 403")
            clock.runtime.supervisor.resume("news").get(timeout=5)
            clock.until(lambda status: status.lines()["news"].state == "backoff")
            assert front.met == 2
            assert 25.0 < (clock.lines()["news"].next_attempt_s or 0.0) <= 31.0


# ── Retry-After ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [302, 401, 403, 404, 408, 418, 429, 451, 500, 503])
def test_any_refusal_with_retry_after_is_slow_from_the_first_connect_on(front: Front, status: int) -> None:
    front.place, front.retry_after = f"http {status}", 600
    with playing(front, stable=False) as clock:
        clock.until(lambda _: clock.line().state == "backoff" and front.met == 1)
        line = clock.line()
        assert line.reason is not None
        assert (line.reason.kind, line.reason.code) == ("slow", f"http_{status}")
        assert next_attempt(clock) == pytest.approx(600.0, abs=1.0)
        (cooldown,) = clock.runtime.status().cooldowns
        assert (cooldown.line, cooldown.asked_by) == ("o2", "venue")
        front.heal()
        clock.advance(599.0)
        assert front.met == 1
        clock.advance(3.0)
        assert clock.line().state == "live"
        assert clock.runtime.status().cooldowns == ()


def test_the_state_says_until_when_the_venue_asked_to_wait(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    front.place, front.retry_after = "http 503", 600
    with playing(front, stable=False) as clock:
        clock.until(lambda _: clock.line().state == "backoff")
        until = datetime.fromtimestamp(clock.timers.wall_ns() / 1e9 + 600)
        expected = f"waiting until {until:%H:%M} (the venue asked)"
        assert clock.line().waiting == expected
        assert f"o2: {expected}: " in caplog.text
        front.heal()
        clock.advance(602.0)
        assert (clock.line().state, clock.line().waiting) == ("live", "")


@pytest.mark.parametrize("asked", [NEVER, 999_999_999, "9" * 400, formatdate(4e9, usegmt=True)])
@pytest.mark.parametrize("status", [403, 429, 503])
def test_an_absurd_pause_is_observed_for_an_hour_and_told_loudly(
    front: Front, status: int, asked: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    front.place, front.retry_after = f"http {status}", asked
    with playing(front, stable=False) as clock:
        clock.until(lambda _: clock.line().state == "backoff" and front.met == 1)
        assert next_attempt(clock) == pytest.approx(HOUR, abs=1.0)
        (warned,) = [each for each in caplog.records if "retry_after_cap" in each.getMessage()]
        assert warned.levelno == logging.WARNING
        figure = re.search(r"asks for a pause of (\d+) s; 3600 s of it", warned.getMessage())
        assert figure is not None
        assert int(figure[1]) == 999_999_999 if asked == 999_999_999 else int(figure[1]) > 1e9
        clock.advance(HOUR + 2.0)
        clock.until(lambda _: clock.line().state == "backoff" and front.met == 2)
        front.heal()
        clock.advance(HOUR + 2.0)
        assert clock.line().state == "live"


def test_the_cap_is_a_key_of_the_config(front: Front) -> None:
    front.place, front.retry_after = "http 429", 999_999_999
    with playing(front, stable=False, restart={"retry_after_cap": 90.0}) as clock:
        clock.until(lambda _: clock.line().state == "backoff" and front.met == 1)
        assert next_attempt(clock) == pytest.approx(90.0, abs=1.0)


@pytest.mark.parametrize("asked", ["-5", "nan", "soon", "Sun, 99 Nov 2026 12:00:00 GMT", "1" * 5 + " 0"])
def test_what_is_no_time_is_no_pause(front: Front, asked: str) -> None:
    front.place, front.retry_after = "http 503", asked
    with playing(front, stable=False) as clock:
        clock.until(lambda _: clock.line().state == "backoff")
        assert (clock.line().waiting, clock.line().reason.kind) == ("", "retryable")  # type: ignore[union-attr]


def test_a_candidate_that_is_asked_for_a_pause_asks_it_of_the_account(front: Front) -> None:
    with playing(front) as clock:
        front.retry_after, front.place = 600, "http 429"
        with pytest.raises(Exception, match="429"):
            clock.runtime.rotate("o2", timeout=10.0)
        assert clock.line().state == "live"
        (cooldown,) = clock.runtime.status().cooldowns
        assert cooldown.asked_by == "venue"
        clock.runtime.supervisor.pause("o2").get(timeout=5)
        clock.until(lambda status: status.lines()["o2"].state == "paused")
        clock.runtime.supervisor.resume("o2").get(timeout=5)
        clock.until(lambda status: status.lines()["o2"].waiting != "")
        assert front.met == 1


# ── the other doors ─────────────────────────────────────────────────────────────────────────────


@contextmanager
def by_login(name: str) -> Iterator[tuple[Front, Clockwork]]:
    """A feed of that venue, whose login and negotiation pass the front, too; stable."""
    case = by_venue("OUTAGES")[name]
    with case.simulator() as venue, Front(venue.port) as front:
        url = case.url(venue).replace(f":{venue.port}", f":{front.port}")
        with clockwork(
            {"feeds": {name: {"venue": name, "url": url, "heartbeat": QUIET} | case.keys}}
        ) as clock:
            clock.advance(STABLE)
            case.forget(venue)
            yield front, clock


@pytest.mark.parametrize("venue", ["tplus", "projectx"])
@pytest.mark.parametrize(
    ("place", "kind"), [("http 403", "slow"), ("http 302", "slow"), ("http 401", "fatal")]
)
def test_the_law_is_the_same_at_a_login_and_at_a_negotiation(venue: str, place: str, kind: str) -> None:
    with by_login(venue) as (front, clock):
        line = lose(clock, front, place)
        assert line.reason is not None
        assert (line.reason.kind, line.next_attempt_s is None) == (kind, False)
        front.heal()
        clock.advance(REFUSED_INTERVAL + MINUTE)
        assert {each.state for each in clock.lines().values()} == {"live"}


@pytest.mark.parametrize("venue", ["tplus", "projectx"])
def test_a_pause_that_a_login_is_asked_for_is_capped_and_observed(venue: str) -> None:
    with by_login(venue) as (front, clock):
        front.retry_after = 999_999_999
        assert lose(clock, front, "http 403").waiting
        met = front.met
        front.heal()
        clock.advance(HOUR - MINUTE)
        assert front.met == met
        clock.advance(2 * MINUTE)
        assert {each.state for each in clock.lines().values()} == {"live"}


def in_session(clock: Clockwork, alpaca: SimulatedAlpaca, code: int) -> LineStatus:
    """The venue sends this error on the live stream."""
    alpaca.error(code)
    clock.until(lambda status: status.lines()["iex"].state in {"backoff", "failed"})
    return clock.line()


@pytest.mark.parametrize("code", [402, 409])
def test_a_verdict_inside_the_session_follows_the_same_law(code: int) -> None:
    with SimulatedAlpaca(rate=0) as alpaca:
        table = {"venue": "alpaca", "url": alpaca.url_of("iex"), "key": KEY, "secret": SECRET}
        with clockwork({"feeds": {"iex": table | {"heartbeat": QUIET}}}) as clock:
            line = in_session(clock, alpaca, code)
            assert (line.state, line.next_attempt_s) == ("failed", None)  # it was not stable
            clock.runtime.supervisor.restart("iex").get(timeout=5)
            clock.runtime.wait_live(timeout=10.0)
            clock.advance(STABLE)
            line = in_session(clock, alpaca, code)
            assert (line.state, line.next_attempt_s) == ("failed", REFUSED_INTERVAL)
            clock.advance(REFUSED_INTERVAL + 1.0)
            assert clock.line().state == "live"


BANNED = """
name = "pier"
about = "A venue that bans by a close code."
url = "wss://pier.example"
[channels.trades]
about = "Trades."
key = "symbol"
[[events]]
when = { ch = "trades" }
wire = "ch"
key = "s"
[close]
fatal = [4001]
"""


@pytest.mark.parametrize(
    ("code", "words", "kind", "seconds"),
    [
        (4001, "key revoked", "fatal", 900.0),
        (4001, "banned, retry after 120", "slow", 120.0),
        (1013, '{"retry_after": 120}', "slow", 120.0),
        (1008, "try again in 2 minutes", "slow", 120.0),
    ],
)
def test_close_codes_follow_the_same_law_and_may_name_a_time(
    o2: SimulatedO2, tmp_path: Path, code: int, words: str, kind: str, seconds: float
) -> None:
    (tmp_path / "pier.toml").write_text(BANNED)
    table = {"venue": str(tmp_path / "pier.toml"), "url": o2.url, "heartbeat": QUIET}
    with clockwork(
        {"feeds": {"pier": table | {"subscribe": [{"channel": "trades", "keys": ["A"]}]}}}
    ) as clock:
        clock.advance(STABLE)
        o2.close(code, words)
        clock.until(lambda status: status.lines()["pier"].state in {"backoff", "failed"})
        line = clock.line()
        assert line.reason is not None
        assert (line.reason.kind, line.reason.code, line.next_attempt_s) == (kind, f"close_{code}", seconds)
        assert bool(line.waiting) == (kind == "slow")
        clock.advance(seconds + 2.0)
        assert clock.line().state == "live"


# ── cool-downs are listed and cleared ───────────────────────────────────────────────────────────


def test_a_cool_down_that_is_cleared_lets_its_lines_connect_at_once(front: Front) -> None:
    front.place, front.retry_after = "http 429", 600
    with playing(front, stable=False) as clock:
        clock.until(lambda _: clock.line().state == "backoff" and front.met == 1)
        (cooldown,) = clock.runtime.status().cooldowns
        with pytest.raises(Exception, match=re.escape(f"'o3'. There are: {cooldown.account}.")):
            clock.runtime.clear_cooldowns("o3")
        front.heal()
        assert clock.runtime.clear_cooldowns(cooldown.account) == (cooldown.account,)
        clock.runtime.wait_live(timeout=10.0)
        assert clock.runtime.status().cooldowns == ()
        assert clock.runtime.clear_cooldowns() == ()


def test_a_login_may_be_tried_again_once_its_cool_down_is_cleared() -> None:
    with by_login("tplus") as (front, clock):
        front.retry_after = 600
        lose(clock, front, "http 429")
        front.heal()
        assert len(clock.runtime.clear_cooldowns("tplus")) == 1
        clock.runtime.wait_live(timeout=10.0)


def test_gap_and_lifecycle_are_told_of_a_refused_line_as_of_any_other(
    o2: SimulatedO2, front: Front, market: str
) -> None:
    with playing(front) as clock:
        trades = clock.runtime.subscribe("o2", "trades", market, wait=10.0)
        lose(clock, front, "http 401")
        front.heal()
        clock.advance(REFUSED_INTERVAL + 1.0)
        o2.trade(market)
        seen: list[str] = []
        for item in trades.with_markers():
            seen.append(item.state if isinstance(item, Lifecycle) else type(item).__name__)
            if not isinstance(item, Lifecycle | Gap):
                break
        outage = ["disconnected", "reconnecting", "failed", "restored", "Gap"]
        assert seen == ["connected", *outage, "Trade"]
