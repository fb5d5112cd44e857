"""The README is run: its Python, its configs, its commands, its links; and what it says of processes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import actors
from actors import cli
from actors.settings import load
from actors.venues import o2
from tests.commands import PATIENCE, posix

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MARKET = "0xbeef"
ACCOUNT = "0xc0de"
ENVIRONMENT = {
    "O2_MARKET": MARKET,
    "O2_TRADE_ACCOUNT": ACCOUNT,
    "ALPACA_API_KEY": "K",
    "ALPACA_API_SECRET": "S",
    "PROJECT_X_USERNAME": "trader",
    "PROJECT_X_API_KEY": "K",
    "TPLUS_PRIVATE_KEY": "17" * 32,
}
CONFIG = {"feeds": {"o2": {"venue": "o2", "url": "sim://o2?rate=50"}}}


def blocks(language: str) -> list[Any]:
    """The fenced blocks of one language, each named by its line in the README."""
    return [
        pytest.param(found[2], id=f"line-{README[: found.start()].count(chr(10)) + 1}")
        for found in FENCED.finditer(README)
        if found[1] == language
    ]


def commands() -> list[Any]:
    lines = [line for block in blocks("console") for line in block.values[0].splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [pytest.param(line.removeprefix("$ "), id=line.removeprefix("$ ")) for line in lines]


# ── python ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What the README says is there: a runtime that is live, and a stream of trades."""
    with actors.start(CONFIG, wait=10.0) as runtime:
        yield {
            "__name__": "readme",
            "actors": actors,
            "o2": o2,
            "runtime": runtime,
            "trades": runtime.subscribe("o2", o2.TRADES, MARKET, wait=10.0),
            "MARKET": MARKET,
            "ACCOUNT": ACCOUNT,
        }


class Printer:
    """Stands for `print`. Loops of the README go on for as long as there are events: this ends them."""

    ENOUGH = 20  # lines: nothing but such a loop prints so many

    def __init__(self, names: dict[str, Any]) -> None:
        self._names, self._thread, self._lines = names, threading.current_thread(), 0

    def __call__(self, *words: object) -> None:
        sys.stdout.write(" ".join(map(str, words)) + "\n")
        self._lines += threading.current_thread() is self._thread  # a handler prints on its own
        if self._lines == self.ENOUGH:
            for each in [each for each in self._names.values() if isinstance(each, actors.Stream)]:
                each.close()


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code: str, names: dict[str, Any], tmp_path: Path) -> None:
    if "pytest_plugins" in code:
        run_as_test(code, tmp_path)
        return
    names["print"] = Printer(names)
    exec(compile(code, "README.md", "exec"), names)


def run_as_test(code: str, directory: Path) -> None:
    """In a directory and a pytest of its own, as its reader would."""
    file = directory / "test_mine.py"
    file.write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, cwd=directory, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


# ── configs, commands, links ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", blocks("toml"))
def test_config(text: str, tmp_path: Path) -> None:
    file = tmp_path / "readme.toml"
    file.write_text(text, encoding="utf-8")
    settings = load(file, ENVIRONMENT)
    assert settings.feeds
    assert not settings.warnings


@pytest.mark.parametrize("command", commands())
def test_command(command: str) -> None:
    match shlex.split(command):
        case ["linewarden", *arguments]:
            check_command(arguments)
        case ["make", target, *_]:
            assert re.search(rf"^{target}:.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        case ["python", script] | ["flask", "--app", script, *_]:
            assert (ROOT / script).is_file()  # tests/examples runs them
        case other:
            assert other == ["pip", "install", "."]


def check_command(arguments: list[str]) -> None:
    """Run for real where that is quick; else it must be understood."""
    if arguments[0] in {"check", "venues"}:
        ran = subprocess.run(
            [sys.executable, "-m", "actors", *arguments],
            cwd=ROOT,
            env=os.environ | ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout
        return
    top: Any = typer.main.get_command(cli.app)
    context = top.make_context("linewarden", list(arguments))
    name, command, rest = top.resolve_command(context, list(arguments))
    command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_link(target: str) -> None:
    assert (ROOT / target).exists()


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"\]\(#([^)]+)\)", README))))
def test_anchor(anchor: str) -> None:
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("config", "environment"), [("demo", {}), ("desk", ENVIRONMENT)])
def test_configs_that_are_shipped(config: str, environment: dict[str, str]) -> None:
    assert load(ROOT / "config" / f"{config}.toml", environment).feeds


# ── what it says of processes ───────────────────────────────────────────────────────────────────


def child(code: str) -> subprocess.Popen[str]:
    """A process of its own, with a runtime in it; it dies of any warning."""
    begin = f"""
        import os, sys
        import actors
        from actors.venues import o2

        runtime = actors.start({CONFIG!r}, wait=10.0)
        trades = runtime.subscribe("o2", o2.TRADES, {MARKET!r}, wait=10.0)
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(begin) + textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@posix
def test_ctrl_c_ends_a_loop_that_waits() -> None:
    with child(
        """
        quiet = runtime.subscribe("o2", "orders", "0xc0de", wait=10.0)
        try:
            print("waiting", flush=True)
            for _ in quiet:
                pass
        except KeyboardInterrupt:
            print("interrupted")
        """
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told, errors) == (0, "interrupted\n", "")


def test_a_program_that_just_ends_is_stopped() -> None:
    with child("trades.get(timeout=10)") as process:
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 0


@posix
def test_a_forked_child_is_told_so_and_can_start_its_own() -> None:
    with child(
        f"""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork among threads, since 3.12
        if os.fork() == 0:
            calls = (
                runtime.status,
                trades.get,
                lambda: runtime.subscribe("o2", "trades", "0x1"),
                lambda: runtime.latest("o2", "0x1"),
            )
            for call in calls:
                try:
                    call()
                except actors.ForkError as error:
                    print("ForkError:", "after the fork" in str(error))
            with actors.start({CONFIG!r}, wait=10.0) as mine:
                mine.subscribe("o2", "trades", {MARKET!r}).get(timeout=10)
            print("its own", flush=True)
            os._exit(0)
        assert os.wait()[1] == 0
        trades.get(timeout=10)
        """
    ) as process:
        told, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert told == "ForkError: True\n" * 4 + "its own\n"


def test_a_handler_that_raises_is_counted_and_goes_on(
    names: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    twice = threading.Semaphore(0)

    def fail(trade: o2.Trade) -> None:
        twice.release()
        raise ZeroDivisionError("on purpose")

    with names["runtime"].on("o2", o2.TRADES, MARKET, handler=fail) as stream:
        assert twice.acquire(timeout=10)
        assert twice.acquire(timeout=10)
        assert stream.handler_errors >= 1
    assert f"The handler of o2/trades/{MARKET} failed" in caplog.text
