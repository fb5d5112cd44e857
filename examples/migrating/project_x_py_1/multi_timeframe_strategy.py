"""Trades when three timeframes agree, on fresh data alone. It does what 06_multi_timeframe_strategy.py does.

    python examples/migrating/project_x_py_1/multi_timeframe_strategy.py
    python examples/migrating/project_x_py_1/multi_timeframe_strategy.py CONFIG ACCOUNT INSTRUMENT

Without arguments it trades on a simulator in this process, for three rounds. With them it trades for real, if
the table of the feed `projectx` has `trading = true`, until Ctrl-C. At the end it gets out of the market.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal

import actors
from actors.protocol import Contract
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests
from actors.venues import projectx

Trend = Literal["up", "down", "none", "unknown"]
PERIODS = {"4h": 50, "1h": 20, "15min": 10}  # bars of each moving average
RISK = 500  # money, of one trade
MOST = 2  # contracts
BRACKET = actors.Bracket(stop=40, target=80)  # ticks: 10 and 20 points of NQ
WAIT = 30.0  # seconds


def trend(bars: Sequence[actors.Bar], period: int) -> Trend:
    """By the close, and by the moving average of now and of one bar before."""
    if len(bars) <= period:
        return "unknown"
    closes = [bar.close for bar in bars]
    now, before = average(closes[-period:]), average(closes[-period - 1 : -1])
    if closes[-1] > now > before:
        return "up"
    return "down" if closes[-1] < now < before else "none"


def average(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


def signal(trends: Mapping[str, Trend]) -> Literal["buy", "sell"] | None:
    """Both long ones say it, and the short one does not contradict."""
    long, medium, short = trends.values()
    if long == medium == "up" and short in {"up", "none"}:
        return "buy"
    return "sell" if long == medium == "down" and short in {"down", "none"} else None


def trade(
    config: str | Mapping[str, Any], account_name: str, instrument: str, rounds: int | None = None
) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(timeout=WAIT)
        account = px.account(account_name).get(timeout=WAIT).id
        contract = px.contract(instrument).get(timeout=WAIT)
        quotes = runtime.subscribe("projectx", projectx.QUOTES, contract.id, wait=WAIT)
        try:
            for _ in islice(count(), rounds):
                look_and_act(runtime, px, account, contract, quotes)
                time.sleep(0.5 if rounds else 60)
        except KeyboardInterrupt:
            print("Ctrl-C: out of the market")
        finally:  # a kill -9 does not come here: docs/trading.md, "The dead man's switch"
            get_out(px, account, contract)


def look_and_act(
    runtime: actors.Runtime,
    px: ProjectXRequests,
    account: int,
    contract: Contract,
    quotes: actors.Stream[projectx.Quote],
) -> None:
    view = runtime.bars("projectx", contract, *PERIODS, wait=WAIT)
    trends = {name: trend(view[name].finished, period) for name, period in PERIODS.items()}
    side = signal(trends)
    print(", ".join(f"{name} {each}" for name, each in trends.items()), "->", side or "nothing")
    if side is None or not runtime.flat("projectx", account, wait=WAIT):  # flat: no order works, either
        return
    try:
        runtime.require(quotes, max_age=5.0)  # the data is there, and not old
    except actors.Blind as blind:
        print("not now:", blind)
        return
    price = runtime.latest("projectx", contract.id, max_age=5.0)
    touch = price.ask if side == "buy" else price.bid
    if touch is None:
        return
    entry = Decimal(touch)  # as exact as the venue's: its prices are decimals
    stop = entry - 40 * contract.tick_size if side == "buy" else entry + 40 * contract.tick_size
    size = min(MOST, actors.position_size(contract, entry, stop, RISK))
    if size:  # the SDK's example trades one also where the risk allows none
        outcome = px.place(account, contract, side, size, limit=entry, bracket=BRACKET).get(timeout=WAIT)
        print(f"{side} {size}: {type(outcome).__name__}")


def get_out(px: ProjectXRequests, account: int, contract: Contract) -> None:
    """Entries first, so that none of them opens what has been closed; then the position, with its legs."""
    cancelled = px.cancel_all(account, contract).get(timeout=2 * WAIT)
    print("no order works" if cancelled.is_complete else f"look at the account: {cancelled.why}")
    if any(each.contract_id == contract.id for each in px.positions(account).get(timeout=WAIT)):
        closed = px.close(account, contract, sweep=True).get(timeout=2 * WAIT)
        print("closed" if closed.is_complete else f"look at the account: {closed.why}")


def simulated(folder: Path) -> dict[str, Any]:
    """A feed that may trade, on a simulator with ten days of history: 50 bars of 4 h need more than eight."""
    OrderStore.create(folder).close()
    feed = {
        "venue": "projectx",
        "url": "sim://projectx?rate=50&acting=false&past=10&seed=4",
        "user_name": "trader",
        "api_key": "any",
        "trading": True,
        "limits": {"max_size": MOST, "orders_per_minute": 10},
    }
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": feed}}


if __name__ == "__main__":
    if len(sys.argv) == 4:
        trade(sys.argv[1], sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 1:
        with tempfile.TemporaryDirectory() as home:
            trade(simulated(Path(home) / "orders"), "PRAC-V2-4242", "NQ", rounds=3)
    else:
        sys.exit(__doc__)
