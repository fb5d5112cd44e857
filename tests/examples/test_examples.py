"""Each example runs as its reader would run it: a process of its own, and what it prints is true."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.commands import PATIENCE
from tests.examples.running import EXAMPLES, ROOT, run

DEMO_MARKET = "0x32d6c94ffb1a61890266ab17a4ed5fe10a5c4cf3115f5ec5add0cafcbd0e8f2e"
TRADE = re.compile(r"(buy |sell) +[\d,]+ at [\d,]+")
QUOTE = re.compile(r"quote  [\d.]+ / [\d.]+  \([a-z_, ]*\)")
ORDER = re.compile(r"order  \d+ (buy|sell) \d+ CON\.F\.US\.[A-Z.\d]+: [a-z]+")


def test_every_example_is_run_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{script.name}"' in here for script in EXAMPLES.glob("*.py"))


# ── project_x_orders ────────────────────────────────────────────────────────────────────────────


def test_project_x_orders() -> None:
    accounts, holdings, accepted, closed = run("project_x_orders.py")
    assert accounts == "accounts: 4242, 4243"
    assert holdings == "open: 0 positions, 0 orders"
    assert re.fullmatch(r"accepted: order \d+", accepted)
    assert closed == "closed, with its legs"


# ── trading_suite, suite_bot ──────────────────────────────────────────────────────────────────────


def test_trading_suite() -> None:
    loaded, bought, *positions, closed = run("trading_suite.py")
    bars = "1min 300 bars, 5min 2.. bars, 1h 2. bars"
    assert re.fullmatch(f"loaded: projectx/CON.F.US.ENQ.Z26: {bars}; account 4242 is synced", loaded)
    assert bought == "buy 2: Accepted"  # 40 ticks of ENQ are 200, and the risk is 500
    assert all(re.fullmatch(r"position: 2, (-?[\d.]+|None) at ([\d.]+|None)", each) for each in positions)
    assert closed == "closed, flat: yes"


def test_suite_bot_buys_once_and_closes() -> None:
    *rounds, closed = run("suite_bot.py")
    looks = [re.sub(r"^2\d\d bars, ", "", each) for each in rounds]
    if "buy: Accepted" in looks:
        assert looks == ["positions: []", "buy: Accepted", "positions: [1]", "positions: [1]"]
        assert closed == "closed: True"
    else:  # the last bar of this market closed at the lowest price of an hour
        assert looks == ["positions: []"] * 3
        assert closed == "closed: False"


# ── plain_script ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("arguments", [(), ("config/demo.toml", DEMO_MARKET)])
def test_plain_script(arguments: tuple[str, ...]) -> None:
    *_, disconnected, reconnecting, restored, gap, trade = run("plain_script.py", *arguments)
    assert disconnected.startswith("-- o2 is disconnected: ")
    assert reconnecting.startswith("-- o2 is reconnecting: ")
    assert restored == "-- o2 is restored"
    assert re.fullmatch(r"-- gap: an unknown number of trades .* \d\.\d\d s \(disconnect\)", gap)
    assert TRADE.fullmatch(trade)


def test_plain_script_says_how_it_is_used() -> None:
    command = [sys.executable, str(EXAMPLES / "plain_script.py"), "one-too-few"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 1
    assert "python examples/plain_script.py CONFIG MARKET" in ran.stderr


# ── feeds_at_run_time ───────────────────────────────────────────────────────────────────────────


def test_feeds_at_run_time() -> None:
    assert run("feeds_at_run_time.py") == [
        "feed alpaca is added",
        "feed o2 is added",
        "MSFT: 410.55 by poller",
        "alpaca is back: alpaca/quotes/AAPL",
        "feed alpaca is reconnected: compression changed",
        "status: alpaca down, o2 live",
        "status: o2 live",
    ]


# ── ask_the_supervisor ──────────────────────────────────────────────────────────────────────────


def test_ask_the_supervisor() -> None:
    told = [" ".join(line.split()) for line in run("ask_the_supervisor.py")]
    assert told[:-1] == [
        "status:",
        "left live life 1, health 100",
        "right live life 1, health 100",
        "pause left: accepted",
        "left is connected",
        "left is disconnected",
        "left is paused",
        "status:",
        "left paused life 1, health 0",
        "right live life 1, health 100",
        "resume left: accepted",
        "left is connecting",
        "left is restored",
        "restart both:",
        "answers: ['accepted', 'accepted']",
        "left is disconnected",
        "left is restored",
        "right is connected",
        "right is disconnected",
        "right is restored",
        "status:",
        "left live life 3, health 100",
        "right live life 2, health 100",
    ]
    assert told[-1].startswith("restart rigth: there is no feed or line 'rigth'; did you mean 'right'?")


# ── quotes_and_orders ───────────────────────────────────────────────────────────────────────────


def test_quotes_and_orders() -> None:
    told = run("quotes_and_orders.py")
    quotes = [line for line in told if QUOTE.fullmatch(line)]
    orders = [line for line in told if ORDER.fullmatch(line)]
    assert len(quotes) + len(orders) == len(told)
    assert any(line.endswith(": filled") for line in orders)
    assert told[-1] == quotes[-1]


# ── stop_loss ───────────────────────────────────────────────────────────────────────────────────


def test_stop_loss_waits_for_the_end_of_a_halt_and_sells_once() -> None:
    told = run("stop_loss.py")
    assert told[0] == "-- statuses: the line is connected"
    assert any(line.startswith("not at ") and "quiet (halted): Trading Halt" in line for line in told)
    assert [line for line in told if line.startswith("sell at ")] == told[-1:]


# ── flask_latest ────────────────────────────────────────────────────────────────────────────────


def test_flask_latest_asks_itself() -> None:
    health, trade = run("flask_latest.py")
    assert health == "health {'lines': {'o2': 'live'}}"
    assert re.search(r"^latest/0xbeef .*'side': '(buy|sell)'", trade)


@contextmanager
def flask(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The app under Flask's own server on a free port, and its URL. Ctrl-C has to end it."""
    app = str(EXAMPLES / "flask_latest.py")
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", app, "run", "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        lines = (re.search(r"Running on (http://[\d.:]+)", line) for line in process.stderr)
        yield process, next(found[1] for found in lines if found)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process
        process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def ask(url: str, seconds: float = PATIENCE) -> Any:
    """The answer of a page, asked again while there is no server or no trade yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urlopen(url, timeout=10.0) as answer:
                return json.load(answer)
        except URLError as error:  # HTTPError is one, too
            if isinstance(error, HTTPError):
                error.close()
            if getattr(error, "code", 503) != 503 or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@pytest.mark.skipif(os.name == "nt", reason="signals to a child differ there")
@pytest.mark.parametrize("options", [(), ("--debug",)])
def test_flask_latest_under_flasks_server(options: tuple[str, ...]) -> None:
    with flask(*options) as (process, url):
        latest = ask(f"{url}/latest/0xbeef")
        assert latest["market"] == "0xbeef"
        assert ask(f"{url}/health") == {"lines": {"o2": "live"}}
        if options and (tasks := Path(f"/proc/{process.pid}/task")).exists():
            assert len(list(tasks.iterdir())) == 1  # the reloader's parent runs nothing
    assert process.returncode in {0, 1, -signal.SIGINT}  # Flask ends as it likes; it does end


@pytest.mark.skipif(os.name == "nt", reason="there is no fork")
def test_flask_latest_in_a_forked_worker() -> None:
    """As gunicorn does with `preload_app`: imported in the master, served after the fork."""
    code = """
        import os, sys
        sys.path.insert(0, "examples")
        import flask_latest
        if os.fork() == 0:
            answer = flask_latest.app.test_client().get("/latest/0xbeef")
            print(answer.status_code, answer.headers["Retry-After"], answer.json, flush=True)
            flask_latest.desk.started().wait_live(timeout=10)
            sys.exit(0)
        assert os.wait()[1] == 0
        assert flask_latest.desk.runtime is None
    """
    code = "\n".join(line.removeprefix(" " * 8) for line in code.splitlines())
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "503 1 {'error': 'no trade yet'}\n"
