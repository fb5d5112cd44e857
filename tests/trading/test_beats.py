"""The beats of a program: sent because it has called, at once, and confirmed at its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors
from actors import LinewardenError, Runtime, log_queue
from actors.secret import Secret
from actors.service import Service
from actors.settings.schema import ServiceSettings, ServiceTokens
from actors.settings.service_address import parse_address
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.beats import Beats
from tests.trading import halts
from tests.trading.halts import config, until

TOKEN = "a-token-of-ours"
SWITCH = {"after": 60.0}

venue, folder = halts.venue, halts.folder


@pytest.fixture
def service(folder: Path, venue: SimulatedProjectX) -> Iterator[Service]:
    tokens = ServiceTokens(act=Secret(TOKEN))
    settings = ServiceSettings(socket="none", listen="127.0.0.1:0", tokens=tokens)
    with (
        actors.start(config(folder, venue, dead_mans_switch=SWITCH)) as runtime,
        Service(runtime, settings) as service,
    ):
        yield service


def armed(service: Service) -> tuple[str, ...]:
    switch = service._switches._switches.get("projectx")
    return () if switch is None else switch.armed


def test_a_beat_arms_the_switch_and_the_last_one_disarms_it(service: Service) -> None:
    beats = Beats(service.url, "projectx", by="bot", token=TOKEN)
    beats.beat()
    until(lambda: armed(service) == ("bot",))
    at = service._switches._switches["projectx"]._beats["bot"]
    beats.beat()
    until(lambda: service._switches._switches["projectx"]._beats["bot"] > at)
    beats.end()
    assert armed(service) == ()


class Asked(threading.Event):
    """Tells how it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0
        self.timeouts: set[float | None] = set()

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        self.timeouts.add(timeout)
        return super().wait(timeout)


def test_nothing_beats_by_itself(service: Service) -> None:
    beats = Beats(lambda: parse_address(service.url), "projectx", by="bot", token=Secret(TOKEN))
    beats._asked = asked = Asked()
    beats.beat()
    until(lambda: armed(service) == ("bot",))
    at = service._switches._switches["projectx"]._beats["bot"]
    until(lambda: asked.waits == 2)
    assert asked.timeouts == {None}, "its thread waits for its program alone"
    beats.stop()
    beats.beat()
    assert beats._thread is not None
    beats._thread.join(10.0)
    assert not beats._thread.is_alive()
    assert service._switches._switches["projectx"]._beats["bot"] == at


def test_a_beat_that_is_not_taken_is_logged_once_and_holds_nothing_up(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    beats = Beats(lambda: parse_address(service.url), "projectx", by="bot", token=Secret("another-one"))
    before = time.monotonic()
    for _ in range(1_000):
        beats.beat()
    assert time.monotonic() - before < 1.0
    until(lambda: log_queue.flush(5.0) and "a beat was not taken" in caplog.text)
    with pytest.raises(LinewardenError, match=r"is still armed: http://.* rejected the token"):
        beats.end()
    assert log_queue.flush(5.0)
    told = [r for r in caplog.records if r.levelno == logging.ERROR and r.name == "actors.trading.beats"]
    assert len(told) == 1
    assert "another-one" not in caplog.text


def test_a_text_that_is_no_address_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="expected an address such as unix:"):
        Beats("ftp://desk.example", "projectx", by="bot")


def test_a_service_that_is_not_there_is_told() -> None:
    beats = Beats("http://127.0.0.1:9", "projectx", by="bot")
    with pytest.raises(LinewardenError, match=r"cannot reach the service at http://127\.0\.0\.1:9: "):
        beats.end()


def test_a_runtime_beats_at_the_address_of_its_config(
    service: Service, tmp_path: Path, venue: SimulatedProjectX
) -> None:
    table = config(tmp_path / "orders", venue, dead_mans_switch=SWITCH)
    table["runtime"] |= {"name": "bot"}
    listen = service.url.removeprefix("http://")
    table["service"] = {"socket": "none", "listen": listen, "tokens": {"act": TOKEN}}
    with actors.start(table) as bot:
        bot.beat()
        until(lambda: armed(service) == ("bot",))
        bot.beat("projectx", last=True)
        assert armed(service) == ()
        bot.beat("projectx")
        until(lambda: armed(service) == ("bot",))
    assert armed(service) == ("bot",), "stop() disarms nothing: a crash would as well"


def test_a_runtime_beats_at_the_socket_of_its_service(
    folder: Path, venue: SimulatedProjectX, tmp_path: Path
) -> None:
    """The config of both has the same name; that of the program gives no address."""
    table = config(folder, venue, dead_mans_switch=SWITCH)
    with actors.start(table) as runtime, Service(runtime, ServiceSettings()) as service:
        bot = actors.start(config(tmp_path / "other", venue, dead_mans_switch=SWITCH))
        with bot:
            bot.beat()
            until(lambda: armed(service) == ("linewarden",))
            bot.beat(last=True)
            assert armed(service) == ()


def test_a_feed_without_a_switch_takes_no_beat(folder: Path, venue: SimulatedProjectX) -> None:
    with actors.start(config(folder, venue)) as runtime:
        _refuses(runtime)


def _refuses(runtime: Runtime) -> None:
    for feed in ("", "projectx", "nowhere"):
        with pytest.raises(LinewardenError, match="has no dead man's switch; no feed has one"):
            runtime.beat(feed)
