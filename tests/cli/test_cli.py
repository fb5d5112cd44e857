from __future__ import annotations

import gzip
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from typer.testing import CliRunner

from actors import cli
from actors.cli import run
from actors.errors import Timeout
from actors.protocol.venue import Venue
from actors.settings import Settings, load
from actors.status import Status
from tests.cli.test_run_view import line, status
from tests.commands import DEMO, ENDING, PATIENCE, child, posix
from tests.test_settings import Desk

Invoke = Any
COMMANDS = ("run", "check", "venues", "sim")
ASKING = (
    "status", "tail", "journal", "quarantine", "dead-letters", "restart", "pause", "resume", "reload",
)  # fmt: skip


@pytest.fixture
def linewarden(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs the command in this process, with a venue of these tests."""
    known: Mapping[str, type[Venue]] = {"desk": Desk}
    monkeypatch.setattr("actors.venues.VENUES", known, raising=False)
    return lambda *arguments: CliRunner().invoke(cli.app, [str(each) for each in arguments])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "desk.toml"
    file.write_text(
        """
        [service]
        listen = "127.0.0.1:0"
        [feeds.a]
        venue = "desk"
        key = "k"
        verify_tls = false
        subscribe = [{ channel = "depth", keys = ["A", "B"] }, { channel = "account" }]
        """
    )
    return file


def rows(text: str) -> list[str]:
    return [" ".join(row.split()) for row in text.splitlines() if row.strip()]


def test_help_tells_of_every_command(linewarden: Invoke) -> None:
    told = linewarden("--help")
    assert told.exit_code == 0
    for command in (*COMMANDS, *ASKING):
        assert f"  {command} " in told.stdout
        assert linewarden(command, "--help").exit_code == 0
    assert told.stdout.count("...") == 1  # [ARGS]...; no sentence is cut short


def test_a_usage_error_is_2(linewarden: Invoke, config: Path) -> None:
    for arguments in (
        ["chek"],
        ["check"],
        ["run", config, "--duration", "-1"],
        ["run", config, "--log-level", "x"],
    ):
        assert linewarden(*arguments).exit_code == 2


# ── check ───────────────────────────────────────────────────────────────────────────────────────


def test_check_sums_up_a_good_config(linewarden: Invoke, config: Path) -> None:
    told = linewarden("check", config)
    assert told.exit_code == 0
    assert rows(told.stdout)[0] == "feed venue url lines topics"
    assert rows(told.stdout)[2] == "a desk the venue's own a 2 depth, 1 account"
    assert rows(told.stdout)[3].endswith("desk.toml: no mistakes; 1 feed, 1 line, 3 topics.")
    assert told.stderr.startswith(f"warning: {config}: [feeds.a] verify_tls: ")


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_config_is_1(linewarden: Invoke, config: Path, command: str) -> None:
    config.write_text("[runtime]\nnmae = 1\nwatchdog_timeout = -1\n")
    told = linewarden(command, config)
    assert told.exit_code == 1
    assert told.stdout == ""
    assert told.stderr.splitlines() == [
        f"{config}: [runtime] nmae: there is no such key; did you mean 'name'?",
        f"{config}: [runtime] watchdog_timeout: expected seconds, 0 or more and at most a year, found -1.",
    ]


def test_check_looks_into_a_simulators_url(linewarden: Invoke, config: Path) -> None:
    config.write_text('[feeds.a]\nvenue = "desk"\nkey = "k"\nurl = "sim://o2?fault=drp"\n')
    told = linewarden("check", config)
    assert told.exit_code == 1
    assert "[feeds.a]" in told.stderr
    assert told.stderr.endswith("there is no fault 'drp'; did you mean 'drop'?\n")


# ── venues ──────────────────────────────────────────────────────────────────────────────────────


def test_venues_are_listed_and_told(linewarden: Invoke) -> None:
    assert rows(linewarden("venues").stdout)[2] == "desk for tests depth, account"
    told = rows(linewarden("venues", "desk").stdout)
    assert told[0] == "desk: for tests"
    assert "depth the book market precision: 1 to 18" in told
    assert "key text required" in told
    assert 'network one of: "mainnet", "testnet" mainnet' in told
    unknown = linewarden("venues", "dask")
    assert unknown.exit_code == 2
    assert "did you mean 'desk'?" in unknown.stderr


# ── tables ──────────────────────────────────────────────────────────────────────────────────────

PIER = """
name = "pier"
about = "a pier"
url = "wss://pier.example/${way}"
topics_per_line = 7
limits = { connections = "3 a minute" }
[keys.way]
values = ["in", "out"]
default = "in"
[keys.api_key]
secret = true
about = "its key"
variable = "PIER_KEY"
[channels.trades]
about = "public trades"
key = "market"
wire = "trades.{key}"
shown = "trades"
options.depth = { about = "levels", values = [1, 5], default = 5 }
[channels.status]
about = "how it is"
[subscribe]
send = { sub = "{topics}" }
[[events]]
wire = "ch"
key = "m"
options.depth = "depth"
[[acks]]
when = { ok = true }
[[replies]]
when = "ping"
send = "pong"
"""
MESSAGES = """wss://pier.example <-> 1633998511.159679
wss://pier.example <- 1633998511.16: {"sub":["trades"]}
1633998512.0633569: {"ok":true}
1633998512.0633569: {"ch":"trades","m":"A","depth":5}
{"ch":"trades","m":"B","depth":1}

ping
{"ch":"status"}
"""


@pytest.fixture
def pier(tmp_path: Path) -> Path:
    file = tmp_path / "pier.toml"
    file.write_text(PIER)
    return file


def test_check_takes_a_table_itself(linewarden: Invoke, pier: Path) -> None:
    told = linewarden("check", pier)
    assert told.exit_code == 0
    assert "trades public trades market depth: levels; one of 1, 5; by default 5" in rows(told.stdout)
    assert rows(told.stdout)[-1].endswith("pier.toml: no mistakes; venue pier, 2 channels.")
    pier.write_text(PIER.replace("default = 5", "default = 6").replace('wire = "ch"', 'wire = "ch["'))
    told = linewarden("check", pier)
    assert (told.exit_code, told.stdout) == (1, "")
    assert [line.removeprefix(f"{pier}: ").partition(":")[0] for line in told.stderr.splitlines()] == [
        "[[events]] entry 1 wire",
        "[channels.trades.options.depth] default",
    ]


def test_venues_tells_of_a_table(linewarden: Invoke, pier: Path) -> None:
    told = rows(linewarden("venues", pier).stdout)
    assert told[:2] == ["pier: a pier", "url: wss://pier.example/${way}"]
    assert "status how it is" in told
    assert 'way one of: "in", "out" in' in told
    assert "api_key text required" in told
    assert "connections 3 a minute" in told
    assert "topics 7 on one connection; more open another" in told
    assert "PIER_KEY its key" in told


def test_venues_lists_the_tables_that_come_along(linewarden: Invoke) -> None:
    listed = [row.split()[0] for row in rows(linewarden("venues").stdout)]
    assert listed[2] == "desk"
    assert "binance" in listed
    assert linewarden("venues", "binance").exit_code == 0


@pytest.mark.parametrize("packed", [False, True])
def test_a_sample_shows_how_it_would_be_routed(
    linewarden: Invoke, pier: Path, tmp_path: Path, packed: bool
) -> None:
    sample = tmp_path / "sample"
    sample.write_bytes(gzip.compress(MESSAGES.encode()) if packed else MESSAGES.encode())
    told = linewarden("check", pier, "--sample", sample)
    shown = rows(told.stdout)
    assert {"trades 2 2", "status 1 1", "ack 1", "heartbeat 1"} <= set(shown)
    assert shown[-1] == "5 messages: 3 events routed, 0 unrouted, 0 messages quarantined; 100.00% routed."
    assert told.exit_code == 0


def test_a_sample_with_what_the_table_does_not_know_is_1(
    linewarden: Invoke, pier: Path, tmp_path: Path
) -> None:
    sample = tmp_path / "sample"
    sample.write_bytes(
        MESSAGES.encode() + b'{"type":"news","n":{"a":1},"l":[1]}\n{"type":"olds"}\n{nope\n\xff\xfe\n'
    )
    told = linewarden("check", pier, "--sample", sample)
    text = " ".join(told.stdout.split())
    assert told.exit_code == 1
    assert all(word in text for word in ('{type: "news"', "n: {a: number}", "l: […]}", '{type: "olds"}'))
    assert "JSON is malformed" in text
    assert "9 messages: 3 events routed, 2 unrouted, 2 messages quarantined; 42.86% routed." in text


def test_a_sample_is_of_the_topics_that_the_config_wants(
    linewarden: Invoke, pier: Path, tmp_path: Path
) -> None:
    sample, config = tmp_path / "sample", tmp_path / "desk.toml"
    sample.write_text(MESSAGES)
    config.write_text(
        '[feeds.a]\nvenue = "./pier.toml"\napi_key = "k"\n'
        'subscribe = [{ channel = "trades", keys = ["A"] }]\n'
        '[feeds.b]\nvenue = "./pier.toml"\napi_key = "k"\n'
    )
    told = linewarden("check", config, "--sample", sample, "--feed", "a")
    assert told.exit_code == 1
    assert "5 messages: 1 events routed, 2 unrouted" in told.stdout
    assert linewarden("check", config, "--sample", sample, "--feed", "b").exit_code == 0
    unsaid = linewarden("check", config, "--sample", sample)
    assert unsaid.exit_code == 2
    assert "say which feed the messages are of; there is a, b." in " ".join(unsaid.stderr.split())
    assert linewarden("check", config, "--sample", tmp_path / "none", "--feed", "a").exit_code == 1


def test_a_sample_of_a_venue_in_python(tmp_path: Path) -> None:
    sample, config = tmp_path / "sample", tmp_path / "desk.toml"
    trade = (
        '{"action":"subscribe_trades","market_id":"0xaa","trades":[{"trade_id":"1","side":"buy","price":"1",'
    )
    sample.write_text(trade + '"quantity":"2"}]}\n{"action":"odd"}\n')
    config.write_text('[feeds.a]\nvenue = "o2"\nsubscribe = [{ channel = "trades", keys = ["0xaa"] }]\n')
    told = CliRunner().invoke(cli.app, ["check", str(config), "--sample", str(sample)])
    assert told.exit_code == 1
    assert rows(told.stdout)[-1].startswith("2 messages: 1 events routed, 0 unrouted, 1 messages quarantined")


# ── sim ─────────────────────────────────────────────────────────────────────────────────────────


def test_sim_refuses_what_it_cannot_play(linewarden: Invoke) -> None:
    assert "there is alpaca, o2, projectx, table, tplus" in linewarden("sim", "xyz").stderr
    odd = linewarden("sim", "o2", "--fault", "drp")
    assert odd.exit_code == 2
    assert "did you mean 'drop'?" in odd.stderr
    assert linewarden("sim", "o2", "--rate", "nan").exit_code == 2


def test_sim_prints_the_faults_that_it_can_play(linewarden: Invoke) -> None:
    told = linewarden("sim", "alpaca", "--list-faults")
    assert told.exit_code == 0
    rows = told.stdout.splitlines()
    assert "refuse status=503 retry_after=0.0 n=1" in rows
    assert "reject key" in rows
    at = rows.index("delay_ack seconds")
    assert rows[at + 2] == "        seconds: of the delay (a number)"
    heads = [number for number, row in enumerate(rows) if not row.startswith(" ")]
    assert all(rows[number + 1].startswith("    ") and len(rows[number + 1]) > 10 for number in heads)


def test_sim_takes_each_setting_as_an_option(linewarden: Invoke) -> None:
    told = linewarden("sim", "o2", "--list-settings").stdout.splitlines()
    assert told[told.index("--snapshot-key orders") + 1].endswith("(orders or view or '')")
    for words, problem in (
        (["--rte", "5"], "did you mean 'rate'?"),
        (["--name-errors", "perhaps"], "name_errors takes true or false"),
        (["--snapshot-key=box"], "snapshot_key takes orders or view or ''"),
        (["--port", "70000"], "less than or equal to 65535"),
        (["view"], "'view' is no option"),
    ):
        refused = linewarden("sim", "o2", *words)
        assert refused.exit_code == 2
        assert problem in " ".join(refused.stderr.replace("│", " ").split())


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sim_prints_its_url_and_ends_when_told(number: signal.Signals) -> None:
    with child("sim", "o2", "--seed", "1") as it:
        assert it.stdout is not None
        assert it.stdout.readline().startswith("ws://127.0.0.1:")
        it.send_signal(number)
        assert it.wait(timeout=ENDING) == 0


def test_the_module_is_the_command(tmp_path: Path) -> None:
    with child("--version") as it:
        out, _ = it.communicate(timeout=PATIENCE)
        assert (out.split()[0], it.returncode) == ("linewarden", 0)


# ── run ─────────────────────────────────────────────────────────────────────────────────────────


class Fake:
    """A runtime that tells what it was asked."""

    def __init__(self) -> None:
        self.looked = 0
        self.stopped: list[float] = []
        self.dies = False
        self.state = "live"
        self.failures: list[Exception] = []  # of the next looks
        self._tree = self

    def status(self) -> Status:
        if self.failures:
            raise self.failures.pop(0)
        found = status(a=line(decoded=5, state=self.state))
        self.looked += 1
        return structs.replace(found, state="stopped") if self.dies else found

    @property
    def end_reason(self) -> str | None:
        return "the supervisor died" if self.dies else None

    def moves(self) -> bool:
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


def end_when_looked_at(runtime: Fake, number: signal.Signals) -> None:
    def tell() -> None:
        deadline = time.monotonic() + 20.0
        while not runtime.looked and time.monotonic() < deadline:
            time.sleep(0.01)
        assert runtime.looked  # else the signal would end the tests
        os.kill(os.getpid(), number)

    threading.Thread(target=tell, daemon=True).start()


def test_run_ends_by_itself_with_a_summary(linewarden: Invoke, config: Path, runtime: Fake) -> None:
    told = linewarden("run", config, "--duration", "0.2")
    assert told.exit_code == 0
    assert "a: live; lost twice" in told.stdout
    assert told.stdout.endswith("Every loss was restored.\n")
    assert runtime.stopped == [run.STOP_WITHIN]


def test_a_judged_run_ends_with_1_if_a_line_is_down(
    linewarden: Invoke, config: Path, runtime: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SETTLE", 0.3)
    runtime.state = "connecting"
    told = linewarden("run", config, "--duration", "0")
    assert told.exit_code == 1
    assert told.stdout.endswith("a is not live: connecting.\n")
    assert runtime.looked > 1  # it was given its time


@posix
def test_a_service_is_not_judged(linewarden: Invoke, config: Path, runtime: Fake) -> None:
    runtime.state = "connecting"
    end_when_looked_at(runtime, signal.SIGINT)
    told = linewarden("run", config)
    assert told.exit_code == 0
    assert "is not live" not in told.stdout


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_when_told(linewarden: Invoke, config: Path, runtime: Fake, number: signal.Signals) -> None:
    end_when_looked_at(runtime, number)
    told = linewarden("run", config)
    assert told.exit_code == 0
    assert "lines live at the end" in told.stdout
    assert len(runtime.stopped) == 1


def test_the_configs_that_come_along_are_sound() -> None:
    ids = {"O2_MARKET": "0x" + "ab" * 32, "O2_TRADE_ACCOUNT": "0x" + "cd" * 32}
    for file in DEMO.parent.glob("*.toml"):
        assert load(file, ids).warnings == ()


def test_run_does_not_outlive_its_supervisor(linewarden: Invoke, config: Path, runtime: Fake) -> None:
    runtime.dies = True
    assert linewarden("run", config).exit_code == 1
    assert len(runtime.stopped) == 1


@pytest.mark.parametrize("error", [KeyError(12), Timeout("no answer within 5 s")], ids=repr)
def test_a_look_that_fails_does_not_end_the_run(
    linewarden: Invoke, config: Path, runtime: Fake, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.failures = [error, error]  # the first ones, so there is nothing to show yet
    told = linewarden("run", config, "--duration", "0.1")
    assert told.exit_code == 0
    assert told.stdout.endswith("Every loss was restored.\n")
    assert runtime.looked >= 1
    records = [record for record in caplog.records if record.name == "actors.cli.run"]
    assert [record.getMessage().startswith("No status") for record in records] == [True, True]


def test_a_judged_run_is_judged_by_what_it_last_knew(
    linewarden: Invoke, config: Path, runtime: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SETTLE", 0.3)
    runtime.failures = [ValueError("odd")] * 1_000
    told = linewarden("run", config, "--duration", "0.1")
    assert told.exit_code == 1
    assert told.stdout.endswith("No status could be taken; the log says why.\n")
    assert len(runtime.stopped) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_room_is_made_for_many_lines(caplog: pytest.LogCaptureFixture) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        with caplog.at_level("INFO", logger="actors.cli.run"):
            run._make_room(10)
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
            run._make_room(500)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 128 + 4 * 500
        assert caplog.messages == ["The limit of open files was 512; it is 2128 now, for 500 lines."]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
