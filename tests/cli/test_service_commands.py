"""Two terminals: `linewarden run` in one process, and a command that asks it in another."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

import actors
from actors import Runtime, cli
from actors.cli import service_commands
from actors.display.status_rows import COLUMNS, SORTS
from actors.service import Service
from actors.settings.schema import ServiceSettings
from actors.simulators import SimulatedO2
from tests.cli.running import Running, feed, running, trades, written
from tests.commands import PATIENCE, asked, child, on_a_terminal, posix, ran
from tests.support.runtimes import feed_at

CANARY = "canary-77c1"


@pytest.fixture
def unused() -> str:
    """An address at which no process listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


# ── status ──────────────────────────────────────────────────────────────────────────────────────


def test_a_live_service_is_shown_and_is_0(live_run: Running) -> None:
    told = ran("status", "--url", live_run.url)
    assert (told.returncode, told.stderr) == (0, "")
    summary, process, head, row = told.stdout.splitlines()
    assert summary == "desk: live · 1 of 1 line live"
    assert f" · pid {live_run.process.pid} · " in process
    assert process.endswith("/desk.toml")
    assert head.split() == [column for column in COLUMNS if column != "events/s"]
    assert row.split()[:2] == ["o2", "live"]
    assert "1/1" in row.split()
    assert "\x1b" not in told.stdout

    tree = ran("status", "--json", "--url", live_run.url)
    assert tree.returncode == 0
    line = json.loads(tree.stdout)["feeds"]["o2"]["lines"]["o2"]
    assert (line["state"], line["epoch"]) == ("live", 1)


def test_status_with_fresh_is_1_while_some_topic_is_not_fresh(live_run: Running) -> None:
    told = ran("status", "--fresh", "--url", live_run.url)
    assert told.returncode == 1
    assert ": not fresh (no_event): no event has come since the login" in told.stdout
    assert ran("status", "--fresh", "--json", "--url", live_run.url).returncode == 1
    assert ran("status", "--url", live_run.url).returncode == 0


def test_a_feed_out_of_reach_is_1_and_the_service_answers_all_the_same(
    tmp_path: Path, o2: SimulatedO2
) -> None:
    with SimulatedO2() as gone:
        url = gone.url
    with running(written(tmp_path / "desk.toml", feed("o2", o2.url), feed("far", url))) as it:
        it.until(lambda lines: lines["o2"]["state"] == "live" and lines["far"]["reason"] is not None)
        told = it.ask("status")
        assert told.returncode == 1
        assert re.search(r"^far: (backoff, try \d+ in|connecting).*; down since .*refused", told.stdout, re.M)
        assert re.search(r"^far +(backoff|connecting) ", told.stdout, re.M)
        assert told.stdout.startswith("desk: degraded · may end by itself · 1 of 2 lines live · 1 ")
        assert it.ask("status", "--json").returncode == 1
        assert it.ask("status", "o2").returncode == 0
        assert it.ask("status", "far", "--json").returncode == 1
        rows = it.ask("status", "--down").stdout.splitlines()
        assert [row.split()[0] for row in rows[-2:]] == ["line", "far"]
        assert it.end()[0] == 0


def test_a_target_that_does_not_exist_is_told_with_the_nearest(runtime: Runtime) -> None:
    with Service(runtime, ServiceSettings()) as service:
        for options in ([], ["--json"], ["--down"]):
            told = asked("status", "o22", "--url", service.url, *options)
            assert told.returncode == 2
            assert "there is no feed or line 'o22'; did you mean 'o2'?" in told.stderr
            assert "There are: o2" in told.stderr
        told = asked("status", "--sort", "helth", "--url", service.url)
        assert told.returncode == 2
        assert "there is no column 'helth'; did you mean 'health'?" in told.stderr
        for column in SORTS:
            assert asked("status", "--sort", column, "--url", service.url).returncode == 0


def test_a_target_is_alone_in_the_table_and_in_json(o2: SimulatedO2) -> None:
    table = {"feeds": {name: feed_at(o2.url) for name in ("left", "right")}}
    with actors.start(table, wait=10) as runtime:
        runtime.supervisor.pause("right").get(timeout=10)
        with Service(runtime, ServiceSettings()) as service:

            def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
                return asked("status", *arguments, "--url", service.url)

            assert (ask().returncode, ask("left").returncode, ask("right").returncode) == (1, 0, 1)
            rows = [row.split()[0] for row in ask("left").stdout.splitlines()]
            assert rows[-2:] == ["line", "left"]
            whole, part = (json.loads(ask(*target, "--json").stdout) for target in ((), ("left",)))
            assert (list(whole["feeds"]), list(part["feeds"])) == (["left", "right"], ["left"])
            assert whole.keys() == part.keys()


@pytest.mark.parametrize(
    ("target", "fresh"), [(None, False), ("a", True), ("b", False), ("b/x", False), ("b/y", True)]
)
def test_the_exit_code_with_fresh_is_that_of_the_target(target: str | None, fresh: bool) -> None:
    topics = [{"topic": "b/trades/X"}]
    lines = {"b/x": {"state": "live", "topics": topics}, "b/y": {"state": "live"}}
    tree = {
        "feeds": {"a": {"live": True}, "b": {"live": True, "lines": lines}},
        "untrusted": {"b/trades/X": {}},
    }
    liveness = msgspec.json.decode(msgspec.json.encode(tree), type=service_commands._Liveness)
    assert liveness.is_live(target)
    assert liveness.is_fresh(target) is fresh


@posix
def test_on_a_terminal_the_whole_picture_is_within_it(tmp_path: Path, o2: SimulatedO2) -> None:
    feeds = [feed(f"feed{number}", o2.url) for number in range(30)]
    with running(written(tmp_path / "desk.toml", *feeds)) as it:
        it.until(lambda lines: all(line["state"] == "live" for line in lines.values()))
        it.ask("pause", "feed29")
        for options in ([], ["--all"]):
            with on_a_terminal("status", "--url", it.url, *options) as (command, screen):
                assert command.wait(PATIENCE) == 1
                seen = screen.whole()
            rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "").splitlines()
            assert max(map(len, rows)) <= 80
            first = next(number for number, row in enumerate(rows) if row.startswith("line "))
            assert rows[first + 1].split()[:2] == ["feed29", "paused"]
            if options:
                assert len(rows) == first + 31
            else:
                assert len(rows) == 29  # one is for the prompt
                assert "not shown: " in "".join(rows[-3:])
                assert rows[-1].endswith("linewarden status --all")
        assert it.end()[0] == 0


def test_no_service_is_3_and_says_where_it_was_looked_for(
    unused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = written(
        tmp_path / "desk.toml",
        service=f'socket = "none"\nlisten = "{unused}"\ntokens = {{ act = "{CANARY}" }}',
    )
    ways: list[tuple[list[object], dict[str, str]]] = [
        (["--url", unused, "-c", "elsewhere.toml"], {"LINEWARDEN_URL": "http://127.0.0.1:1"}),
        ([], {"LINEWARDEN_URL": f"http://{unused}"}),
        (["-c", config], {}),
        (["-c", config], {"LINEWARDEN_URL": "http://127.0.0.1:1"}),
    ]
    (tmp_path / "elsewhere.toml").touch()
    monkeypatch.chdir(tmp_path)
    for arguments, environ in ways:
        for command in (["status"], ["status", "--watch"], ["tail", "o2", "trades", "m"], ["pause", "o2"]):
            told = asked(*command, *arguments, environ=environ)
            assert (told.returncode, told.stdout) == (3, "")
            assert told.stderr.startswith(f"cannot reach the service at http://{unused}: ")
            assert "; is `linewarden run` running? " in told.stderr
            assert len(told.stderr.splitlines()) == 1
    assert ran("status", environ={"LINEWARDEN_URL": unused}).returncode == 3


@posix
def test_a_service_is_found_without_an_address_until_its_process_has_ended(
    tmp_path: Path, o2: SimulatedO2
) -> None:
    config = written(tmp_path / "desk.toml", feed("o2", o2.url), service='socket = "auto"')
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "RUNTIME_DIRECTORY": ""}
    path = tmp_path / "linewarden" / "desk.sock"
    with running(config, environ=environ) as it:
        assert it.url == f"unix:{path}"
        for given in ([], ["-c", config]):
            told = asked("journal", *given, environ=environ)
            assert (told.returncode, told.stdout) == (0, "No line has been lost.\n")
        it.process.kill()
        it.process.wait(PATIENCE)
    for given in ([], ["-c", config]):
        told = asked("status", *given, environ=environ)
        assert (told.returncode, told.stdout) == (3, "")
        why = "the socket is there, and no process listens: the service has ended. Start it: linewarden run."
        assert told.stderr.startswith(f"cannot reach the service at unix:{path}: {why}")


@pytest.mark.parametrize("command", ["status", "quarantine", "dead-letters"])
def test_what_the_caller_may_not_see_is_told(
    command: str, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = structs.replace(runtime.status(), redacted=True)
    monkeypatch.setattr(runtime._status, "look", lambda: told)
    with Service(runtime, ServiceSettings(listen="127.0.0.1:0")) as service:
        shown = asked(command, "--url", service.url).stdout
    assert "accounts, orders and raw messages are not shown: that needs the right `account`" in shown


ANSWERS = [
    (["journal"], "No line has been lost.\n"),
    (["quarantine"], "There is no message in quarantine.\n"),
    (["dead-letters", "--json"], '{"count":0,"newest":[]}\n'),
    (["restart", "o2"], "restart o2: accepted\n"),
    (["pause", "o2"], "pause o2: accepted\n"),
    (["resume", "o2"], "resume o2: accepted\n"),
]


@pytest.mark.parametrize(("command", "printed"), ANSWERS)
def test_a_process_that_asks_prints_the_answer_and_ends_with_0(
    command: list[str], printed: str, runtime: Runtime
) -> None:
    with Service(runtime, ServiceSettings()) as service:
        told = ran(*command, "--url", service.url)
    assert (told.returncode, told.stdout, told.stderr) == (0, printed, "")


@posix
def test_watch_looks_again_until_ctrl_c(live_run: Running, o2: SimulatedO2, market: str) -> None:
    with on_a_terminal("status", "--watch", "--url", live_run.url) as (it, screen):
        screen.seen("events/s")
        screen.seen("1 of 1 line live", times=2)
        live_run.ask("pause", "o2")
        screen.seen("0 of 1 line live")
        live_run.process.kill()  # the view waits for the service
        screen.seen("cannot reach the service at")
        it.send_signal(signal.SIGINT)
        assert it.wait(PATIENCE) == 0
        seen = screen.whole()
    rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "\n").splitlines()
    assert max(map(len, rows)) <= 80
    assert "Traceback" not in seen
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", seen)  # no colour was wanted


# ── tail ────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def tailing(run: Running, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], Callable[[], Any]]]:
    with child("tail", *arguments, "--url", run.url) as it:
        assert it.stdout is not None
        rows = it.stdout
        yield it, lambda: json.loads(rows.readline())


@posix
def test_a_tail_shows_a_drop_in_its_place(live_run: Running, o2: SimulatedO2) -> None:
    market = o2.markets[1]
    with tailing(live_run, "o2", "trades", market, "--markers") as (it, heard):
        o2.wait_heard("subscribe_trades", 2, timeout=PATIENCE)
        o2.trade(market, trade_id="1")
        assert heard()["state"] == "connected"
        event = heard()
        assert (event["type"], event["epoch"], event["event"]["trade_id"]) == ("Trade", 1, "1")
        o2.drop()
        o2.wait_for(lambda: o2.lives == 2 and o2.subscribers("trades", market), timeout=PATIENCE)
        o2.trade(market, trade_id="2")
        markers = [heard() for _ in range(4)]
        assert [marker.get("state", marker["marker"]) for marker in markers] == [
            "disconnected",
            "reconnecting",
            "restored",
            "gap",
        ]
        assert heard()["event"]["trade_id"] == "2"
        it.send_signal(signal.SIGINT)
        out, log = it.communicate(timeout=PATIENCE)
        assert (it.returncode, out, log) == (0, "", "")


def test_a_tail_that_is_not_read_any_more_ends_quietly(live_run: Running, o2: SimulatedO2) -> None:
    market = o2.markets[1]
    with tailing(live_run, "o2", "trades", market) as (it, heard):
        o2.wait_heard("subscribe_trades", 2, timeout=PATIENCE)
        o2.trade(market)
        assert heard()["type"] == "Trade"
        assert it.stdout is not None
        it.stdout.close()
        o2.trade(market)
        assert it.wait(PATIENCE) == 0
        assert it.stderr is not None
        assert it.stderr.read() == ""


@posix
def test_a_tail_without_its_service_is_3(live_run: Running, o2: SimulatedO2) -> None:
    with tailing(live_run, "o2", "trades", o2.markets[1], "--markers") as (it, heard):
        o2.wait_heard("subscribe_trades", 2, timeout=PATIENCE)
        o2.trade(o2.markets[1])
        assert heard()["state"] == "connected"
        assert heard()["type"] == "Trade"  # the tail is there
        assert live_run.end()[0] == 0
        assert heard() == {"marker": "closed", "reason": "the service stops"}
        _, log = it.communicate(timeout=PATIENCE)
    assert it.returncode == 3
    assert log == f"the tail of o2/trades at {live_run.url} has ended: the service stops.\n"


def test_a_tail_of_nothing_is_1_or_2(live_run: Running) -> None:
    for arguments in (["o3", "trades", "m"], ["o2", "trade", "m"], ["o2", "trades"]):
        told = live_run.ask("tail", *arguments)
        assert (told.returncode, told.stdout) == (1, "")
        assert len(told.stderr.splitlines()) == 1
    assert live_run.ask("tail", "o2", "depth", "m", "--option", "precision").returncode == 2


def test_a_tail_passes_options_on(live_run: Running, o2: SimulatedO2, market: str) -> None:
    with tailing(live_run, "o2", "depth", market, "--option", "precision=100") as (_, heard):
        assert heard()["topic"].endswith("?precision=100")


# ── acting ──────────────────────────────────────────────────────────────────────────────────────


def test_restart_pause_resume(live_run: Running) -> None:
    for command, wanted in (("pause", "paused"), ("resume", "live"), ("restart", "live")):
        epoch = live_run.lines()["o2"]["epoch"]
        told = live_run.ask(command, "o2")
        assert (told.returncode, told.stdout) == (0, f"{command} o2: accepted\n")
        live_run.until(
            lambda lines, s=wanted, e=epoch: (
                lines["o2"]["state"] == s  # type: ignore[misc]
                and (s == "paused" or lines["o2"]["epoch"] > e)
            )
        )
    unknown = live_run.ask("restart", "o22")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "did you mean 'o2'?" in unknown.stderr


def test_the_journal_tells_of_each_ending(live_run: Running, o2: SimulatedO2, market: str) -> None:
    assert live_run.ask("journal").stdout == "No line has been lost.\n"
    o2.drop()
    o2.wait_heard("subscribe_trades", 2, timeout=PATIENCE)
    o2.trade(market)
    live_run.until(lambda lines: bool(lines["o2"]["journal"]) and lines["o2"]["state"] == "live")
    told = live_run.ask("journal", "o2")
    assert told.returncode == 0
    head, _, row, *_ = told.stdout.splitlines()
    columns = (
        "when line epoch kind code try lived detect wait connect login subscribe first data what happened"
    )
    assert " ".join(head.split()) == columns
    assert re.search(r"^\d\d-\d\d \d\d:\d\d:\d\d +o2 +1 +retryable +\w+ +1 ", row)
    assert len(row.split()) > 12
    assert re.search(r"^subscription +blind today +since the start$", told.stdout, re.MULTILINE)
    assert re.search(rf"^o2/trades/{market} +\S+ \w+ +\S+ \w+$", told.stdout, re.MULTILINE)
    (ending,) = json.loads(live_run.ask("journal", "--json").stdout)["o2"]
    assert ending["kind"] == "retryable"
    unknown = live_run.ask("journal", "o22")
    assert (unknown.returncode, unknown.stderr) == (1, "there is no line 'o22'; did you mean 'o2'?\n")


def test_what_was_put_aside_can_be_looked_at(live_run: Running, o2: SimulatedO2) -> None:
    assert live_run.ask("quarantine").stdout == "There is no message in quarantine.\n"
    o2.send_raw("no \x1b[2J JSON")
    deadline = time.monotonic() + PATIENCE
    while "1 message." not in (told := live_run.ask("quarantine").stdout):
        assert time.monotonic() < deadline, told
    assert r"no \x1b[2J JSON" in told
    assert json.loads(live_run.ask("quarantine", "--json").stdout)["count"] == 1
    letters = json.loads(live_run.ask("dead-letters", "--json").stdout)
    assert (
        live_run.ask("dead-letters")
        .stdout.splitlines()[-1]
        .startswith("There is no" if not letters["count"] else "")
    )


# ── reload ──────────────────────────────────────────────────────────────────────────────────────


def test_a_reload_leaves_alone_what_did_not_change(
    live_run: Running, o2_config: Path, o2: SimulatedO2
) -> None:
    assert ran("reload", "--url", live_run.url).stdout == "No changes.\n"
    before = o2_config.read_text()
    o2_config.write_text(before + feed("other", o2.url))
    plan = live_run.ask("reload", "--plan")
    assert (plan.returncode, plan.stdout) == (0, "planned: feed other is added\n")
    assert list(live_run.lines()) == ["o2"]
    assert live_run.ask("reload").stdout == "feed other is added\n"
    lines = live_run.until(lambda lines: lines.get("other", {}).get("state") == "live")
    assert lines["o2"]["epoch"] == 1
    assert "INFO" in live_run.logged("Reloaded: feed other is added")

    o2_config.write_text(before.replace("keys", "kyes") + feed("third", o2.url))
    for arguments in ([], ["--plan"]):
        wrong = live_run.ask("reload", *arguments)
        assert (wrong.returncode, wrong.stdout) == (1, "")
        assert "did you mean 'keys'?" in wrong.stderr
        assert wrong.stderr.endswith("Nothing has changed.\n")
    live_run.logged("did you mean 'keys'?")
    assert {name: line["epoch"] for name, line in live_run.lines().items()} == {"o2": 1, "other": 1}


# ── the port, and who may ask ───────────────────────────────────────────────────────────────────


def test_a_taken_socket_is_a_sentence_and_no_venue_is_connected_to(
    live_run: Running, tmp_path: Path, o2: SimulatedO2
) -> None:
    address = live_run.url.removeprefix("unix:")
    second = written(tmp_path / "second.toml", feed("o2", o2.url), service=f'socket = "{address}"')
    before = o2.lives
    told = ran("run", second)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith(f"{address} is taken: process {live_run.process.pid} listens there")
    assert len(told.stderr.splitlines()) == 1
    assert o2.lives == before
    alone = ran("run", second, "--no-service", "--duration", 0.5)
    assert alone.returncode == 0
    assert "Answers at" not in alone.stderr


@posix
def test_what_was_killed_starts_again_at_the_same_socket(o2_config: Path) -> None:
    urls = set()
    for _ in range(2):
        with running(o2_config) as it:
            urls.add(it.url)
            it.until(lambda lines: lines["o2"]["state"] == "live")
            it.process.send_signal(signal.SIGKILL)
            it.process.wait(PATIENCE)
    assert len(urls) == 1


def test_a_token_is_required_and_shown_nowhere(
    tmp_path: Path, o2: SimulatedO2, market: str, unused: str
) -> None:
    config = written(
        tmp_path / "desk.toml",
        feed("o2", o2.url, trades(market)),
        service=f'socket = "none"\nlisten = "{unused}"\ntokens = {{ act = "${{DESK_TOKEN}}" }}',
    )
    outputs = []
    with running(config, "--log-level", "debug", environ={"DESK_TOKEN": CANARY}) as it:
        it.logged("o2#1 live")
        for command in (["status"], ["status", "--json"], ["tail", "o2", "trades", market], ["reload"]):
            without = it.ask(*command)
            assert (without.returncode, without.stdout) == (1, "")
            assert "requires a token: set LINEWARDEN_TOKEN" in without.stderr
            wrong = it.ask(*command, environ={"LINEWARDEN_TOKEN": f"{CANARY}-2"})
            assert (wrong.returncode, wrong.stdout) == (1, "")
            assert "rejected the token" in wrong.stderr
            outputs += [without, wrong]
        odd = it.ask("status", environ={"LINEWARDEN_TOKEN": f"{CANARY}\n"})
        assert (odd.returncode, odd.stdout) == (1, "")
        for command in (["status"], ["status", "--json"], ["journal"], ["pause", "o2"], ["reload"]):
            right = it.ask(*command, environ={"LINEWARDEN_TOKEN": CANARY})
            assert right.returncode == 0, right.stderr
            outputs.append(right)
        # The config says where; its secrets are not looked up.
        paused = ran("status", "-c", config, environ={"LINEWARDEN_TOKEN": CANARY})
        assert paused.returncode == 1
        missing = asked("status", "-c", config)
        assert missing.returncode == 1
        assert "requires a token: set LINEWARDEN_TOKEN" in missing.stderr
        code, out = it.end()
        assert code == 0
        log = "".join(it.log)
    for told in (*outputs, odd, paused, missing):
        assert CANARY not in told.stdout + told.stderr
    assert CANARY not in out + log


@posix
def test_a_judged_run_serves_too(o2_config: Path) -> None:
    with running(o2_config, "--duration", 600, "--show-events") as it:
        it.until(lambda lines: list(lines) == ["o2"] and lines["o2"]["state"] == "live")
        code, out = it.end()
    assert code == 0
    assert out.endswith("Every loss was restored.\n")


@pytest.mark.parametrize("given", ["option", "variable"])
def test_a_shell_completes_what_the_service_knows(
    live_run: Running, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], given: str
) -> None:
    begun = f"linewarden restart --url {live_run.url} o" if given == "option" else "linewarden restart o"
    words = {"COMP_WORDS": begun, "COMP_CWORD": str(len(begun.split()) - 1)}
    url = "http://127.0.0.1:9" if given == "option" else live_run.url
    environ = {"_LINEWARDEN_COMPLETE": "complete_bash", "LINEWARDEN_URL": url, **words}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(service_commands, "COMPLETE", PATIENCE)  # a busy machine, and Tab pressed again
    with pytest.raises(SystemExit):
        cli.main()
    assert capfd.readouterr().out.split() == ["o2"]
