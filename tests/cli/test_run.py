"""`linewarden run` in a process of its own, and in this one with a runtime that a test makes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from actors import log_queue
from actors.cli import run
from actors.errors import Timeout
from actors.settings import Settings, load
from actors.simulators import SimulatedO2
from actors.status import LineGlance, Status
from tests.cli.conftest import Invoke
from tests.cli.statuses import line, status
from tests.commands import DEMO, ENDING, child, on_a_terminal, posix, ran

# ── in a process of its own ───────────────────────────────────────────────────────────────────────


CANARY = "canary-77c1"


LINES = (
    *("o2", "alpaca", "crypto", "tplus/depth-200", "tplus/trades", "tplus/user-trades"),
    *("projectx/user", "projectx/market"),
)


CHANNELS = ("depth", "depth_view", "trades", "orders", "balances", "nonce")


def counts(shown: str, name: str) -> tuple[int, int]:
    """How often this line was shown as lost, and as restored."""
    return shown.count(f" {name}: line lost: "), shown.count(f" {name}: restored")


# Each was shown with an event.
SHOWN = ("projectx orders 4242: ", "alpaca quotes AAPL: bid ", "tplus depth 200: bid ")


def lost_and_restored(shown: str) -> bool:
    return all(event in shown for event in SHOWN) and all(
        lost == restored >= 1 for lost, restored in (counts(shown, name) for name in LINES)
    )


@posix
def test_the_demo_dies_comes_back_and_says_so() -> None:
    with child("run", DEMO, "--no-service", "--show-events", "--log-level", "error") as it:
        assert it.stdout is not None
        markets = ""
        for row in it.stdout:
            markets += row
            if lost_and_restored(markets):
                break
        it.send_signal(signal.SIGTERM)
        rest, _ = it.communicate(timeout=ENDING)
    assert it.returncode == 0
    rest, _, summary = rest.partition("demo ran for ")
    markets += rest
    assert "8 of 8 lines live at the end." in summary
    for name in LINES:
        lost, restored = counts(markets, name)
        assert lost == restored >= 1
        how_often = {1: "once", 2: "twice"}.get(lost, f"{lost} times")
        assert re.search(rf"  {name}: live; lost {how_often} \(.*\), restored {how_often}, ", summary)
    gaps = "".join(row for row in markets.splitlines() if "o2: gap of " in row)
    assert all(f" {channel} 0x" in gaps for channel in CHANNELS)
    assert re.search(r"  alpaca quotes AAPL: bid \S+ × \d+ · ask ", markets)
    assert "projectx orders 4242: " in markets
    assert "cause unknown" not in markets  # opening the streams costs none of them a gap
    assert re.search(r"  tplus depth 200: bid \S+ × \S+ · ask ", markets)
    assert "counters reconcile: " in summary
    assert summary.endswith("Every loss was restored.\n")


def test_a_line_that_stays_down_is_1_and_says_why(tmp_path: Path) -> None:
    with SimulatedO2() as gone:
        config = tmp_path / "desk.toml"
        config.write_text(f'[feeds.o2]\nvenue = "o2"\nurl = "{gone.url}"\n')
    it = ran("run", config, "--no-service", "--duration", 0.2)
    assert it.returncode == 1
    assert re.fullmatch(r"o2 is not live: .*refused.*\.", it.stdout.splitlines()[-1])


def test_a_bad_config_is_78_and_told_in_sentences(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    config.write_text(
        '[runtime]\nwatchdog_timeout = "${CANARY}"\n[feeds.o2]\nvenue = "o2"\nurl = "http://${CANARY}"\n'
    )
    it = ran("run", config, "--show-events", environ={"CANARY": CANARY})
    assert (it.returncode, it.stdout) == (78, "")
    assert len(it.stderr.splitlines()) == 2
    for sentence in it.stderr.splitlines():
        assert re.fullmatch(rf"{re.escape(str(config))}: \[.+\] \w+: expected .+[.?]", sentence)
    assert CANARY not in it.stderr


@posix
def test_no_secret_is_in_any_output(tmp_path: Path) -> None:
    """The log of every level is JSON with line and epoch; neither it nor stdout tells a secret."""
    config, log = tmp_path / "desk.toml", tmp_path / "log"
    with SimulatedO2(rate=50, faults=["drop every=0.5", "garbage every=0.7"]) as venue:
        config.write_text(
            f"""
            [service]
            listen = "127.0.0.1:0"
            tokens = {{ act = "${{CANARY}}${{CANARY}}" }}
            [defaults.restart]
            initial = 0.05
            stable_after = 0.05
            [feeds.o2]
            venue = "o2"
            url = "{venue.url}?token=${{CANARY}}"
            proxy = "http://user:${{CANARY}}@127.0.0.1:1"
            subscribe = [{{ channel = "trades", keys = ["{venue.markets[0]}"] }}]
            """
        )
        told = ("--show-events", "--log-format", "json", "--log-level", "debug")
        with (
            log.open("w") as file,
            child("run", config, *told, environ={"CANARY": CANARY}, stderr=file) as it,
        ):
            assert it.stdout is not None
            out = ""
            for row in it.stdout:
                out += row
                if "trades 0x" in out and "line lost" in out and venue.lives > 3:
                    break
            it.send_signal(signal.SIGTERM)
            out += it.communicate(timeout=ENDING)[0]
    assert "trades 0x" in out
    assert "line lost" in out
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"o2"} == {record["line"] for record in records if record["epoch"] is not None}
    assert all(isinstance(record["epoch"], int | None) for record in records)
    assert CANARY not in out + log.read_text()


@posix
def test_on_a_terminal_a_table_lives_and_stderr_goes_where_it_was_sent() -> None:
    with on_a_terminal("run", DEMO, "--no-service", "--show-events", stderr=subprocess.PIPE) as (it, screen):
        screen.seen("demo: live")
        screen.seen("last-data")  # the head of the table
        screen.seen("depth 0x32d6…8f2e")
        it.send_signal(signal.SIGTERM)
        _, log = it.communicate(timeout=ENDING)
        seen = screen.whole()
    assert it.returncode == 0
    assert "INFO    o2#1 live" in log
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", seen)  # no colour was wanted
    rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "\n").splitlines()
    assert max(map(len, rows)) <= 80
    assert seen.rstrip().endswith("Every loss was restored.")


# ── in this process ───────────────────────────────────────────────────────────────────────────────


class Fake:
    """A runtime that tells what it was asked."""

    def __init__(self) -> None:
        self.looked = 0
        self.stopped: list[float] = []
        self.dies = False
        self.state = "live"
        self.failures: list[Exception] = []  # of the next looks
        self.turns = 0
        self._tree = self._status = self
        self.settings = Settings(feeds={})

    def status(self) -> Status:
        if self.failures:
            raise self.failures.pop(0)
        found = status(a=line(decoded=5, state=self.state))
        self.looked += 1
        return structs.replace(found, state="stopped") if self.dies else found

    @property
    def end_reason(self) -> str | None:
        return "the supervisor died" if self.dies else None

    def glance(self) -> dict[str, LineGlance]:
        return {}

    def moves(self) -> bool:
        self.turns += 1
        return True

    def stop(self, timeout: float) -> tuple[str, ...]:
        self.stopped.append(timeout)
        return ()


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    fake = Fake()

    def start(settings: Settings) -> Fake:
        assert list(settings.feeds) == ["a"]
        return fake

    monkeypatch.setattr(run, "_start", start)
    monkeypatch.setattr("actors.cli.logs.set_up", lambda *_: None)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    yield fake
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def end_when_it_runs(runtime: Fake, number: signal.Signals, turns: int = 1) -> None:
    def tell() -> None:
        deadline = time.monotonic() + 20.0
        while runtime.turns < turns and time.monotonic() < deadline:
            time.sleep(0.01)
        assert runtime.turns  # else the signal would end the tests
        os.kill(os.getpid(), number)

    threading.Thread(target=tell, daemon=True).start()


def test_run_ends_by_itself_with_a_summary(linewarden: Invoke, desk_config: Path, runtime: Fake) -> None:
    told = linewarden("run", desk_config, "--duration", "0.2")
    assert told.exit_code == 0
    assert "a: live; lost twice" in told.stdout
    assert told.stdout.endswith("Every loss was restored.\n")
    assert runtime.stopped == [run.STOP_WITHIN]


@pytest.mark.parametrize(
    ("options", "used"),
    [
        ((), ("json", "warning")),
        (("--log-level", "debug"), ("json", "debug")),
        (("--log-format", "text"), ("text", "warning")),
    ],
)
def test_the_command_line_comes_before_the_log_table(
    linewarden: Invoke,
    desk_config: Path,
    runtime: Fake,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    used: tuple[str, str],
) -> None:
    calls: list[tuple[str, str]] = []
    monkeypatch.setattr("actors.cli.logs.set_up", lambda *given: calls.append(given))
    desk_config.write_text('[log]\nformat = "json"\nlevel = "warning"\n' + desk_config.read_text())
    linewarden("run", desk_config, "--duration", "0", *options)
    assert calls == [used]
    assert runtime.stopped


def test_a_judged_run_ends_with_1_if_a_line_is_down(
    linewarden: Invoke, desk_config: Path, runtime: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SETTLE", 0.3)
    runtime.state = "connecting"
    told = linewarden("run", desk_config, "--duration", "0")
    assert told.exit_code == 1
    assert told.stdout.endswith("a is not live: connecting.\n")
    assert runtime.looked > 1  # it was given its time


@posix
def test_a_service_is_not_judged(linewarden: Invoke, desk_config: Path, runtime: Fake) -> None:
    runtime.state = "connecting"
    end_when_it_runs(runtime, signal.SIGINT)
    told = linewarden("run", desk_config)
    assert told.exit_code == 0
    assert "is not live" not in told.stdout


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_when_told(
    linewarden: Invoke, desk_config: Path, runtime: Fake, number: signal.Signals
) -> None:
    end_when_it_runs(runtime, number)
    told = linewarden("run", desk_config)
    assert told.exit_code == 0
    assert "1 of 1 line live at the end" in told.stdout
    assert len(runtime.stopped) == 1


def test_the_configs_that_come_along_are_sound() -> None:
    ids = {"O2_MARKET": "0x" + "ab" * 32, "O2_TRADE_ACCOUNT": "0x" + "cd" * 32}
    for file in DEMO.parent.glob("*.toml"):
        assert load(file, ids).warnings == ()


def test_the_keys_that_are_commented_out_are_known(tmp_path: Path) -> None:
    ids = {"O2_MARKET": "0x" + "ab" * 32, "O2_TRADE_ACCOUNT": "0x" + "cd" * 32, "LINEWARDEN_TOKEN": "t" * 32}
    text = (DEMO.parent / "desk.toml").read_text()
    every = re.sub(r"^# (?=\w+ = |\[[a-z._]+\])", "", text, flags=re.MULTILINE)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    (tmp_path / "feeds.d").mkdir()
    (tmp_path / "keys.env").touch(0o600)
    config = tmp_path / "desk.toml"
    config.write_text(every)
    settings = load(config, ids)
    assert settings.service.tokens.look is not None
    assert settings.feeds["o2"].connect_rate is not None
    assert settings.feeds["o2"].subscribe[0].calendar is not None


@posix
def test_a_run_without_a_viewer_builds_one_status_at_its_end(
    linewarden: Invoke, desk_config: Path, runtime: Fake
) -> None:
    end_when_it_runs(runtime, signal.SIGTERM, turns=5)
    assert linewarden("run", desk_config, "--no-service").exit_code == 0
    assert runtime.turns >= 5
    assert runtime.looked == 1


def test_run_does_not_outlive_its_supervisor(linewarden: Invoke, desk_config: Path, runtime: Fake) -> None:
    runtime.dies = True
    assert linewarden("run", desk_config).exit_code == 1
    assert len(runtime.stopped) == 1


@pytest.mark.parametrize("error", [KeyError(12), Timeout("no answer within 5 s")], ids=repr)
def test_a_look_that_fails_does_not_end_the_run(
    linewarden: Invoke, desk_config: Path, runtime: Fake, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.failures = [error, error]  # the first ones, so there is nothing to show yet
    told = linewarden("run", desk_config, "--duration", "0.1")
    assert told.exit_code == 0
    assert told.stdout.endswith("Every loss was restored.\n")
    assert runtime.looked >= 1
    records = [record for record in caplog.records if record.name == "actors.cli.run"]
    assert [record.getMessage().startswith("No status") for record in records] == [True, True]


def test_a_summary_that_fails_is_logged_and_the_run_ends_as_it_was(
    linewarden: Invoke,
    desk_config: Path,
    runtime: Fake,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(*_: object) -> Iterator[str]:
        raise OverflowError("400 digits")

    monkeypatch.setattr(run, "summary", failing)
    told = linewarden("run", desk_config, "--duration", "0.1")
    assert told.exit_code == 0
    assert told.stdout.endswith("Every loss was restored.\n")
    assert log_queue.flush(20.0)
    assert "view.failed" in [getattr(record, "event", "") for record in caplog.records]


def test_a_judged_run_is_judged_by_what_it_last_knew(
    linewarden: Invoke, desk_config: Path, runtime: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SETTLE", 0.3)
    runtime.failures = [ValueError("odd")] * 1_000
    told = linewarden("run", desk_config, "--duration", "0.1")
    assert told.exit_code == 1
    assert told.stdout.endswith("No status could be read; see the log.\n")
    assert len(runtime.stopped) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_room_is_made_for_many_lines(caplog: pytest.LogCaptureFixture) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        with caplog.at_level("INFO", logger="actors.cli.run"):
            run._raise_file_limit(10)
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
            run._raise_file_limit(500)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 128 + 4 * 500
        assert caplog.messages == ["The limit of open files was raised from 512 to 2128 for 500 lines."]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
