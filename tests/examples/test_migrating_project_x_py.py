"""The ports of project-x-py's examples run as their readers would run them, and print what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.examples.running import EXAMPLES, run

FOLDER = "migrating/project_x_py"
MODULES = {"project_x_suite"}  # that the ports share
PAGE = Path(__file__).parents[2] / "docs" / "migrating" / "project-x-py.md"
CLOSED = "closed: True"
PRICE = r"[\d,]+\.\d+"

# Each line is found among what the port prints, in this order.
QUICK = {
    "clock_changes": (
        "spring: Sun 00:00 to Sun 12:00: 11 h; Sun 17:00 to Mon 16:00: 23 h",
        "  08:00 UTC is 03:00 CDT",
        "autumn: Sun 00:00 to Sun 12:00: 13 h; Sun 17:00 to Mon 16:00: 23 h",
        "  06:00 UTC is 01:00 CDT",
        "  07:00 UTC is 01:00 CST",
    ),
    "client_basics": (
        r"PRAC-V2-4242: balance 50000\.00, simulated, may trade",
        "pong; 0 positions; contracts: ESZ6",
        r"live, health \d+",
    ),
    "data_access": ("ready: True ", rf"price: {PRICE}", "last bar: .* exact: True", r"range of .*"),
    "suite_demo": (
        "connected to PRAC-V2-4242, 3 instruments",
        rf"NQ: NQZ6 at {PRICE}, tick 0\.25",
        rf"CL: CLZ6 at {PRICE}, tick 0\.01",
        "NQ in the suite: True",
        r"NQ 15min: \d+ bars",
    ),
}
LONG = {
    "atr_bracket_strategy": (CLOSED,),
    "book_scalping": ("entered: .*", CLOSED),
    "bounded_memory": (
        "events were given up: True, conflated: True",
        r"events that were given up here: \d+ \(overflow\)",
        "counts agree: True",
        r"bars that are kept: \d+",
    ),
    "bracket_watch": ("positions .*", "cleaned up: True"),
    "data_frames": (
        "1min: 300 rows, .*",
        "1h: 2. rows, .*",
        r"\d days in 2\d\d rows with start, .*",
        "exact: True",
    ),
    "data_validation": (
        "20 quotes, 0 strange, .*",
        r"  of a made-up quote: crossed: 101\.1 / 100",
        "undecodable: [1-9]",
        "300 bars, each within its range: True, exact: .*",
    ),
    "event_system": (
        "Accepted; events:",
        "  connected",
        "  market_depth_update",
        "  quote_update",
        "  trade_tick",
        rf"the next buy is at {PRICE}",
        "quotes were counted: True errors: 0",
        CLOSED,
    ),
    "export_bars": ("CSV: key,kind,start,.*; has rows: True", r"JSON: \['NQ', 'ES'\]", "[▁▂▃▄▅▆▇█]{48}"),
    "failing_handler": (
        "failures are counted: True; it rested: True",
        "opened: True; the handler beside it was called: True",
        "the stream is open: True; errors beside it: 0",
    ),
    "find_instruments": (
        "NQ: 1 found: NQZ6",
        r"  NQZ6: .* tick 0\.25 = 5\.0",
        "  projectx: Contract/search was refused .*",
        "all that may be traded: ESZ6, NQZ6, CLZ6",
    ),
    "indicators": (
        r"NQ: RSI \d+, SMA .*",
        "NQ 15min: MACD .*",
        r"NQ 1s: RSI \d+ at .*",
        r"2\d rows with start, .*",
    ),
    "join_orders": ("joined the bid: .*", "joined the ask: .*", "cancelled: True", CLOSED),
    "managed_trade": (
        "entered 2, the stop is at work: True",
        "stop moved: Accepted",
        r"1 closed: Accepted; legs: \['Accepted', 'Accepted'\]",
        "NQ is over: True",
        "a stop of 40 ticks risks more than 10: not entered",
        "short: None",
        "short: 1 net -1",
        "NQ is over: True",
    ),
    "multi_timeframe": ("trends: .*", "(buy|sell) [1-3]: Accepted", "1s bar: agreed .*", CLOSED),
    "order_book_analysis": (
        "best .* crossed False",
        "imbalance .*",
        r"\d+ trades: delta .*",
        "average spread .*",
    ),
    "order_errors": (
        "off tick: not sent: .* lies between the ticks .*",
        r"too many: not sent \(limit\): .* max_size is 3, .*",
        "close of nothing: refused by the venue: 2 Position not found.",
        "lost answer: Unknown",
        "looked for: Accepted",
        "closed, with its legs: True",
    ),
    "order_lifecycle": (
        "filled: 1 of 1",
        "not filled in time: moved",
        "order is FILLED",
        r"1 ended; cancelled: \['Accepted', 'Accepted'\]",
        CLOSED,
    ),
    "order_management": (
        "at first: 0 orders, 0 positions",
        "bought: True; working: 3",
        "order is OPEN, 1 at .*",
        "order is OPEN, 3 at a new price",
        "cancel one: Accepted",
        "cancel the rest: 2, complete: True",
        "legs: sell limit, sell stop",
        "closed, with all orders: True",
    ),
    "order_templates": (
        "risk and reward: size 2, 40 and 80 ticks: True",
        "average range: size 1, .*: True",
        "scalp: size 1, 8 and 12 ticks: True",
        "breakout: True",
        "chain: True",
        "closed, with all orders: True",
    ),
    "pairs_trading": (
        r"legs: \['Accepted', 'Accepted'\]",
        "closed: True True",
    ),
    "positions": (
        "  3 of NQZ6 from .*",
        "  NQZ6: 1 of 3 contracts have a stop",
        "  500 of risk and a stop of 40 ticks allow 2 contracts",
        "one contract closed: Accepted",
        "all closed: True",
        r"realised -?[\d.]+ by 4 fills",
    ),
    "realtime_data": (
        "projectx/user is connected",
        "projectx/market is connected",
        r"CON\.F\.US\.\w+\.Z26 1s: .*",
        r"\d+ quotes; the newest: .*",
        r"health \d+, .*",
    ),
    "risk_management": (
        "risk 100: 0 contracts",
        r"risk 500\.00: 2 contracts",
        ".* max_size is 3, .*",
        "stop moved: Accepted",
        CLOSED,
        "open profit is known: True; trades closed: 1",
        "halted: True; another order: halted",
    ),
    "sessions": (
        "NQ eth: 4 sessions, .*",
        "NQ rth: . sessions, .*",
        "last regular session: 7. bars of 5min, VWAP .*",
        "rth is (open|closed) now",
    ),
    "status_export": (
        r"projectx/user: live, health \d+, restarts 0",
        "JSON: True",
        "CSV: feed,channel,received,.*",
        "linewarden_line_connects_total 2",
        "(may act|not now: .*)",
    ),
    "strategy_loop": ("wanted [01], held 0", "at the end: True"),
}


def check(port: str, expected: tuple[str, ...]) -> None:
    """Each expected line comes, after the one before it; nothing else is known of the others."""
    printed = run(f"{FOLDER}/{port}.py")
    rest = iter(printed)
    for line in expected:
        assert any(re.fullmatch(line, each) for each in rest), f"{line!r} is not in order among {printed}"


@pytest.mark.parametrize("port", QUICK)
def test_a_port_prints_what_is_true(port: str) -> None:
    check(port, QUICK[port])


@pytest.mark.long
@pytest.mark.parametrize("port", LONG)
def test_every_other_port_prints_what_is_true(port: str) -> None:
    check(port, LONG[port])


def test_every_port_is_run_here_and_named_on_the_page() -> None:
    ports = {each.stem for each in (EXAMPLES / FOLDER).glob("*.py")}
    assert ports == {*QUICK, *LONG, *MODULES}
    page = PAGE.read_text(encoding="utf-8")
    assert [each for each in ports if f"{FOLDER}/{each}.py" not in page] == []
