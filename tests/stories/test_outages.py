"""The outage grid: each way of being away, for each length of time, at each venue.

Whatever it was, the line is live again, or it is parked by the law and says why. The sockets are real, and
time is moved by hand, so that an hour of trying passes in moments.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from actors import Gap, Lifecycle, Stream
from actors.simulators import Simulator
from actors.status import LineStatus
from tests.simulators.replay import BinanceReplay
from tests.support.counters import settle
from tests.support.failing_relay import Front
from tests.support.venue_cases import Outages, by_venue
from tests.support.virtual_time import Clockwork, clockwork

SHAPES = Path(__file__).parents[1] / "venues" / "tables"
HOUR = 3_600.0
SHORT = (0.0, 0.1, 1.0, 4.0, 30.0)  # seconds, the clock's
LONG = (300.0, HOUR)
STABLE = 10.5  # seconds: a little more than `stable_after`
LONGEST = {"retryable": 30.0, "slow": 300.0}  # seconds between two tries, by what the last one ended with
PROBE = 60.0
PROBE_REFUSED = 900.0  # of a line that was refused once stable
VERDICT_AFTER = 1_800.0
VERDICTS = {"http_401"}
# A life that ends before the topic was confirmed is told, too; it leaves no gap of its own. A line that has
# failed for good is connected by a person.
REFUSED = {"http_302", "http_400", "http_401", "http_403", "http_404", "http_451"}
LOST = r"(disconnected (reconnecting )*(failed (connecting )?)?(reconnecting )*)+restored Gap "


CASES: dict[str, Outages] = by_venue("OUTAGES") | {
    "binance": Outages(
        lambda: BinanceReplay(SHAPES / "binance.txt"),
        {},
        ("trades", "BTCUSDT"),
        lambda venue: venue.push(),
        {"mid-replay": "frame 1"},
    ),
}
EVERYWHERE = {
    "refused": "refused",
    "accepted then closed": "closed",
    "TLS failure": "tls",
    "HTTP 302": "http 302",
    "HTTP 400": "http 400",
    "HTTP 401": "http 401",
    "HTTP 401 with Retry-After": "http 401 after 45",
    "HTTP 403": "http 403",
    "HTTP 404": "http 404",
    "HTTP 418 with Retry-After": "http 418 after 45",
    "HTTP 429": "http 429",
    "HTTP 429 with Retry-After": "http 429 after 45",
    "HTTP 451": "http 451",
    "HTTP 503": "http 503",
    "half a handshake": "half",
    "upgraded then closed": "upgraded",
    "streaming": "streaming",
}
GRID = [(name, place) for name, case in CASES.items() for place in (*EVERYWHERE, *case.places)]


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


class Stage:
    """A venue, the front before it, a runtime, and one stream of it."""

    def __init__(self, case: Outages, venue: Simulator, front: Front, clock: Clockwork) -> None:
        self.case, self.venue, self.front, self.clock = case, venue, front, clock
        self.once_stable = False
        self.refused_at = 0.0  # by the clock: the begin of the outage
        channel, *keys = case.topic
        self.stream: Stream[Any] = clock.runtime.subscribe(self.name, channel, *keys)
        self.items = self.stream.with_markers()
        self.be_live()
        self.hear()

    @property
    def name(self) -> str:
        (name,) = self.clock.runtime.settings.feeds
        return name

    def be_live(self) -> None:
        """At the latest after the longest wait that the law knows, and what paces a replay."""
        for _ in range(200):
            waits = [line.next_attempt_s for line in self.clock.lines().values()]
            if all(line.state == "live" for line in self.clock.lines().values()) and self.is_confirmed:
                return
            self.clock.advance(min([wait for wait in waits if wait is not None], default=0.1) + 1e-6)
        raise AssertionError(f"not live: {self.clock.lines()}")

    @property
    def is_confirmed(self) -> bool:
        return all(state.state == "confirmed" for state in self.stream.topics.values())

    @property
    def epoch(self) -> int:
        """Of the line on which the stream's topic lies."""
        (topic,) = map(str, self.stream.topics)
        lines = self.clock.lines().values()
        (epoch,) = [line.epoch for line in lines if topic in {each.topic for each in line.topics}]
        return epoch

    def hear(self) -> list[Any]:
        """The venue speaks; what the stream shows up to that event."""
        self.case.say(self.venue)
        told: list[Any] = []
        for item in self.items:
            told.append(item)
            if not isinstance(item, Gap | Lifecycle):
                return told
        raise AssertionError(f"the stream has ended: {told}")

    def outage(self, place: str, seconds: float) -> None:
        """It begins while the line is live, and is over after so many seconds."""
        self.case.forget(self.venue)
        self.refused_at = self.clock.now
        if place == "streaming":
            self.lose(self.front.tear)
            until = self.clock.now + seconds
            while self.clock.now < until:
                self.clock.advance(min(5.0, until - self.clock.now))
                self.lose(self.front.tear)
        else:
            kind, _, seconds_wanted = place.partition(" after ")
            self.front.retry_after = int(seconds_wanted or 0)
            self.lose(partial(self.front.fail, kind))
            self.clock.advance(seconds)
        self.front.heal()

    def lose(self, cut: Callable[[], None]) -> None:
        """Whoever was in has noticed when it returns; the clock stands still meanwhile."""
        up = {name: line.epoch for name, line in self.clock.lines().items() if line.state == "live"}
        cut()
        self.clock.until(
            lambda status: all(
                line.state in {"backoff", "failed"} or line.epoch > up[name]
                for name, line in status.lines().items()
                if name in up
            )
        )


@contextmanager
def stage(name: str, ca: trustme.CA | None = None, ca_file: str = "") -> Iterator[Stage]:
    case = CASES[name]
    tls = None
    if ca is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(tls)
    with case.simulator() as venue, Front(venue.port, tls) as front:
        url = case.url(venue).replace(f":{venue.port}", f":{front.port}")
        feed = {
            "venue": name,
            "url": url.replace("ws://", "wss://") if tls else url,
            "heartbeat": {"ping_interval": 0.0, "venue_ping_interval": 0.0},
            "send_rate": {"batch": 100, "frames": []},
            **({"ca_file": ca_file} if tls else {}),
            **case.keys,
        }
        with clockwork({"feeds": {name: feed}}, live=False) as clock:
            yield Stage(case, venue, front, clock)


def is_by_the_law(scene: Stage, line: LineStatus, longest: float) -> bool:
    """Live, or on its way back within the time that the reasons allow, or parked with its reason."""
    if line.state in {"live", "subscribing"}:  # where a topic needs a snapshot, it may ask for it anew
        return True
    assert line.reason is not None
    if line.state == "failed":
        if line.reason.kind != "fatal":
            return line.next_attempt_s is not None
        is_final = line.reason.code in VERDICTS and scene.clock.now >= scene.refused_at + VERDICT_AFTER
        if is_final or not scene.once_stable:
            return line.next_attempt_s is None
        return line.next_attempt_s is not None and line.next_attempt_s <= PROBE_REFUSED
    return line.state == "backoff" and 0.0 <= (line.next_attempt_s or 0.0) <= longest


def come_back(scene: Stage) -> None:
    """By itself; where the reason is final, when a person acts, and not in an hour by itself."""
    lines = scene.clock.lines()
    # What a venue asks of one line holds for all of the account.
    kinds = {line.reason.kind for line in lines.values() if line.reason is not None}
    longest = max((LONGEST.get(kind, 0.0) for kind in kinds), default=0.0)
    assert {name: line.state for name, line in lines.items() if not is_by_the_law(scene, line, longest)} == {}
    parked = [name for name, line in lines.items() if line.state == "failed" and line.next_attempt_s is None]
    if parked:
        scene.clock.advance(HOUR)
        later = scene.clock.lines()
        assert {name: later[name].epoch for name in parked} == {name: lines[name].epoch for name in parked}
        for name, line in later.items():
            if line.state == "failed":  # others too: lines that share a login share its refusal
                assert line.reason is not None
                assert line.reason.code in VERDICTS if scene.once_stable else line.reason.code in REFUSED
                scene.clock.runtime.supervisor.restart(name).get(timeout=5)
    scene.be_live()


def word(item: Any) -> str:
    return item.state if isinstance(item, Lifecycle) else "Gap" if isinstance(item, Gap) else "event"


@pytest.mark.parametrize(
    "lengths",
    [pytest.param(SHORT, id="seconds"), pytest.param(LONG, id="an hour", marks=pytest.mark.outages)],
)
@pytest.mark.parametrize(("name", "place"), GRID, ids=[f"{name}-{place}" for name, place in GRID])
def test_after_an_outage_the_line_is_live_again_or_parked_with_its_reason(
    name: str, place: str, lengths: tuple[float, ...], ca: trustme.CA, ca_file: str
) -> None:
    where = (EVERYWHERE | CASES[name].places)[place]
    with stage(name, *((ca, ca_file) if where == "tls" else ())) as scene:
        for length in lengths:
            scene.outage(where, length)
            come_back(scene)
            told = scene.hear()
            losses = "+" if where == "streaming" else ""
            assert re.fullmatch(f"({LOST}){losses}event", " ".join(map(word, told))), told
            gaps = [item for item in told if isinstance(item, Gap)]
            assert {gap.reason for gap in gaps} == {"disconnect"}
            assert gaps[-1].epoch == scene.epoch
            if len(gaps) == 1 and where in EVERYWHERE.values():  # no line was spared
                assert gaps[0].until_ns - gaps[0].since_ns >= length * 1e9 * (1 - 1e-6)
            settle(scene.clock.runtime)
            scene.clock.advance(STABLE)
            assert {line.attempt for line in scene.clock.lines().values()} == {0}
            scene.once_stable = True
        assert scene.front.met or where in {"refused", "streaming"}  # somebody came by that place
