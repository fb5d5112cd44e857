"""Regular and extended hours: bars of each, their statistics, VWAP, and the same for several instruments.

    python examples/migrating/project_x_py/sessions.py

A session is a calendar in the config. The bar "session" tells when it began and ended; bars of other
timeframes belong to it by their time. Holidays and early closes stand in `closed`.
"""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import pairwise

from project_x_suite import WAIT, Instrument, TradingSuite, trading_suite

import actors

CALENDARS = {
    "eth": {"zone": "America/Chicago", "sessions": ["Sun-Thu 17:00-16:00"]},
    "rth": {"zone": "America/Chicago", "sessions": ["Mon-Fri 08:30-15:00"], "closed": ["2026-12-25"]},
}
Bars = tuple[actors.Bar, ...]


def sessions(suite: TradingSuite, one: Instrument, calendar: str) -> Bars:
    """One bar for each session that is over: `get_session_data`, `aggregate_session_bars`."""
    runtime = suite.runtime
    return runtime.bars("projectx", one.contract, "session", calendar=calendar, history=5, wait=WAIT)[
        "session"
    ].finished


def within(bars: Bars, session: actors.Bar) -> Bars:
    """Those of a session: `filter_by_session`."""
    return tuple(each for each in bars if session.start_ns <= each.start_ns < session.end_ns)


def vwap(bars: Bars) -> Decimal:
    """`calculate_session_vwap`; anchored at another time, it is that of the bars since then."""
    volume = sum((each.volume for each in bars), Decimal())
    return sum(((each.high + each.low + each.close) / 3 * each.volume for each in bars), Decimal()) / volume


def statistics(name: str, bars: Bars) -> None:
    """`calculate_session_stats`, `analyze_session_volatility`, `calculate_efficiency_metrics`."""
    ranges = [each.high - each.low for each in bars]
    moved = sum((abs(each.close - each.open) for each in bars), Decimal())
    print(f"{name}: {len(bars)} sessions, volume {sum(each.volume for each in bars)}, widest {max(ranges)}")
    print(f"  average range {sum(ranges) / len(bars):.2f}, of which moved {moved / sum(ranges):.0%}")
    gaps = [after.open - before.close for before, after in pairwise(bars)]  # `analyze_session_gaps`
    print(f"  gaps {[str(each) for each in gaps]}")


def main() -> None:
    with trading_suite("NQ", "ES", timeframes=("5min",), calendars=CALENDARS, past=6) as suite:
        for name, one in suite.instruments.items():
            for calendar in CALENDARS:
                statistics(f"{name} {calendar}", sessions(suite, one, calendar))

        nq = suite["NQ"]
        last = sessions(suite, nq, "rth")[-1]
        day = suite.orders.bars(nq.contract, "5min", days=6).get(timeout=WAIT)
        bars = within(day, last)
        print(
            f"last regular session: {len(bars)} bars of 5min, VWAP {vwap(bars):.2f}, close {bars[-1].close}"
        )
        total, levels = Decimal(), []
        for each in bars:  # `calculate_session_cumulative_volume`
            total += each.volume
            levels.append(total)
        print(f"  volume by the end of its first hour: {levels[11]} of {levels[-1]}")
        print(
            f"  from its open: {(bars[-1].close / bars[0].open - 1):+.3%}; high {last.high}, low {last.low}"
        )

        now = time.time_ns()
        for name, hours in suite.runtime.settings.calendars.items():  # `is_market_open`
            print(f"{name} is {'open' if hours.is_open(now) else 'closed'} now")


if __name__ == "__main__":
    main()
