"""A whole desk, every venue, every way to fail: and no secret of it is in anything that people see."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from websockets.sync.server import ServerConnection, serve

import actors
from actors import NotLiveError, Runtime
from actors.secret import Secret
from actors.service import Service
from actors.settings.schema import ServiceSettings, ServiceTokens
from actors.simulators import SimulatedAlpaca, SimulatedO2, SimulatedTplus
from actors.simulators.projectx import SimulatedProjectX
from actors.status import Status
from actors.wire.frames import FrameReader
from tests.commands import asked
from tests.login.test_connector import SEED
from tests.stories.test_projectx import API_KEY, WANTED, tokens_shown
from tests.support.runtimes import HEARTBEAT, KEY, RESTART, SECRET, until
from tests.venues.test_declarative import LOGIN
from tests.venues.test_signalr_live import TABLE, TOKEN, SimulatedQuay

QUERY = "canary-of-the-query-00f1"
PIER_KEY = "canary+of/the=pier"  # written in other ways in a URL and in JSON
DESK = "canary-of-the-service"
QUARANTINING = {"o2", "iex", "tplus/user-trades", "projectx/user", "projectx/market", "quay", "pier"}
QUICK = {"restart": RESTART | {"slow_initial": 0.05}, "heartbeat": HEARTBEAT, "connect_timeout": 5.0}


@contextmanager
def parrot() -> Iterator[str]:
    """A venue that greets, lets anybody in, and says again whatever it is told, as an error of its own."""

    def speak(connection: ServerConnection) -> None:
        connection.send('{"hello": 1}')
        for message in connection:
            connection.send(f"you said {message!s}")
            connection.send('{"login": "ok"}')

    with serve(speak, "127.0.0.1", 0) as server:
        import threading

        listener = threading.Thread(target=server.serve_forever)
        listener.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        listener.join()


class Venues:
    """The other ends of six feeds, and what each of them was told in confidence."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self.o2 = stack.enter_context(SimulatedO2(rate=0))
        self.alpaca = stack.enter_context(SimulatedAlpaca(rate=0))
        self.px = stack.enter_context(SimulatedProjectX(rate=0))
        self.tplus = stack.enter_context(SimulatedTplus(rate=0, market=False))
        self.quay = stack.enter_context(SimulatedQuay())
        pier = stack.enter_context(parrot())
        (directory / "quay.toml").write_text(TABLE)
        (directory / "pier.toml").write_text(LOGIN)
        feeds: dict[str, dict[str, Any]] = {
            "o2": {"venue": "o2", "url": f"{self.o2.url}?token={QUERY}"},
            "iex": {"venue": "alpaca", "url": self.alpaca.url_of("iex"), "key": KEY, "secret": SECRET},
            "projectx": {"venue": "projectx", "url": self.px.url, "user_name": "trader", "api_key": API_KEY},
            "tplus": {"venue": "tplus", "url": self.tplus.url, "private_key": SEED},
            "quay": {"venue": str(directory / "quay.toml"), "token": TOKEN},
            "pier": {"venue": str(directory / "pier.toml"), "url": pier, "api_key": PIER_KEY},
        }
        feeds["o2"]["subscribe"] = [{"channel": "trades", "keys": [self.o2.markets[0]]}]
        feeds["projectx"]["subscribe"] = WANTED
        feeds["tplus"]["subscribe"] = [{"channel": "user_trades"}]
        feeds["quay"]["url"] = re.sub("^http", "ws", self.quay.hub_url("market"))
        self.config = {"feeds": {name: table | QUICK for name, table in feeds.items()}}

    def confided(self) -> dict[str, set[str]]:
        """What each was told: secrets of the config, and every token that was given out."""
        headers = {request.headers.get("authorization", "") for request in self.tplus.requests}
        return {
            "o2": {QUERY},
            "iex": {KEY, SECRET},
            "projectx": {API_KEY} | tokens_shown(self.px),
            "tplus": {SEED} | {header.partition(" ")[2] for header in headers} - {""},
            "quay": {TOKEN},
            "pier": {PIER_KEY},
        }

    def secrets(self) -> set[str]:
        return {DESK}.union(*self.confided().values())

    def say_it_all_again(self) -> None:
        """Each sends back what it was told, in a message that nobody can read."""
        odd = {feed: f"what is this? {' '.join(sorted(told))}" for feed, told in self.confided().items()}
        self.o2.send_raw(odd["o2"])
        self.alpaca.send_raw(odd["iex"])
        self.alpaca.error(500, odd["iex"])
        self.tplus.send_raw(odd["tplus"])
        self.px.say(f"{odd['projectx']}\x1e".encode())
        self.quay.say(f"{odd['quay']}\x1e".encode())

    def drop(self) -> None:
        for venue in (self.o2, self.alpaca, self.px, self.tplus, self.quay):
            venue.drop()

    def refuse(self) -> None:
        """From now on nobody is let in, and it is said why."""
        self.o2.refuse(401, n=1_000)
        self.px.unauthorized(n=0)
        self.px.refuse_login(n=1_000)
        self.tplus.unauthorized(n=1_000)
        self.quay.unauthorized(n=0)
        self.alpaca.refuse(401, n=1_000)


class Seen:
    """All that people, programs and pages saw of a run, by where they saw it."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def look(self, when: str, runtime: Runtime) -> None:
        status = runtime.status()
        self.places[f"status, {when}"] = msgspec.json.encode(status).decode()
        self.places[f"reprs, {when}"] = repr(
            (status, runtime, runtime.settings, runtime.supervisor, runtime._wanted)
        )

    def fail(self, when: str, error: BaseException) -> None:
        told = traceback.TracebackException.from_exception(error, capture_locals=False)
        self.places[f"traceback, {when}"] = "".join(told.format())

    def hits(self, secrets: set[str]) -> list[tuple[str, str]]:
        """Each place where there is one, and its beginning."""
        forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1], quote(secret, ""))}
        return [(place, form[:6]) for place, text in self.places.items() for form in forms if form in text]


def epochs(number: int) -> Callable[[Status], bool]:
    """Every line has come to this life, or a later one, and is live."""
    return lambda status: all(
        line.epoch >= number and line.state == "live" for line in status.lines().values()
    )


def crashed(status: Status) -> bool:
    return all(line.reason is not None and line.reason.kind == "crashed" for line in status.lines().values())


def parked(status: Status) -> bool:
    lines = {name: line for name, line in status.lines().items() if name != "pier"}
    return all(line.state == "failed" or line.attempt > 1 for line in lines.values())


def test_no_secret_of_any_venue_is_in_anything_that_people_see(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = Seen()
    with ExitStack() as stack:
        venues = Venues(stack, tmp_path)
        runtime = stack.enter_context(actors.start(venues.config, wait=20.0))
        tokens = ServiceTokens(account=Secret(DESK))
        service = Service(runtime, ServiceSettings(socket="none", listen="127.0.0.1:0", tokens=tokens))
        stack.enter_context(service)
        seen.look("at first", runtime)

        venues.say_it_all_again()
        until(runtime, lambda status: {each.line for each in status.quarantine.newest} >= QUARANTINING)
        seen.look("with a quarantine", runtime)

        for feed in ("projectx", "tplus"):
            runtime.refresh_token(feed, timeout=20.0)
        seen.look("with other tokens", runtime)

        with monkeypatch.context() as patch:
            patch.setattr(FrameReader, "feed", _fail)
            until(runtime, crashed)
            seen.look("crashed", runtime)
        runtime.wait_live(timeout=20.0)

        for command in (["status"], ["journal"], ["quarantine", "--json"]):
            told = asked(*command, "--url", service.url, environ={"LINEWARDEN_TOKEN": DESK})
            assert told.returncode == 0, told.stderr
            seen.places[f"linewarden {' '.join(command)}"] = told.stdout + told.stderr

        venues.refuse()
        venues.drop()
        until(runtime, parked)
        with pytest.raises(NotLiveError) as refused:
            runtime.wait_live(timeout=0.1)
        seen.fail("refused", refused.value)
        seen.look("refused", runtime)
        secrets = venues.secrets()

    ours = [record for record in caplog.records if not record.name.startswith(("websockets.", "actors.sim"))]
    seen.places["log"] = "\n".join(map(logging.Formatter().format, ours))
    assert len(secrets) >= 8 + 2 + 2  # two tokens of ProjectX, two of tplus
    assert "ArithmeticError" in seen.places["log"]
    assert "what is this?" in seen.places["linewarden quarantine --json"]
    assert "you said" in seen.places["linewarden quarantine --json"]
    assert seen.hits(secrets) == []


def _fail(*_: object) -> None:
    raise ArithmeticError("on purpose")
