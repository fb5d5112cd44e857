"""Each example runs as its reader would run it: a process of its own, and what it prints is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import PATIENCE
from tests.examples.running import EXAMPLES, run

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
