"""What is checked of data that comes, and checks of your own.

    python examples/migrating/project_x_py/data_validation.py

A message that cannot be decoded, or has a number out of all bounds, is counted and kept aside
(`quarantine`), and the stream has a `Gap` there. Old data is no data: `max_event_lag`, `max_age`. Which
price is strange for a contract is yours.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from project_x_suite import WAIT, trading_suite

import actors
from actors.venues import projectx


def strange(quote: projectx.Quote, last: Decimal | None, tick: Decimal) -> Iterator[str]:
    """What their `ValidationConfig` looks for, in prices."""
    bid, ask = quote.best_bid, quote.best_ask
    if bid is None or ask is None:
        return
    if bid >= ask:
        yield f"crossed: {bid} / {ask}"
    if ask - bid > 40 * tick:
        yield f"the spread is {ask - bid}"
    if bid % tick or ask % tick:
        yield f"off its tick: {bid} / {ask}"
    if last is not None and abs((bid + ask) / 2 - last) > last / 100:
        yield f"more than 1 % from {last}"


def main() -> None:
    with trading_suite("NQ") as suite:
        runtime, contract = suite.runtime, suite["NQ"].contract
        with runtime.subscribe(
            "projectx", projectx.QUOTES, contract.id, stale_after=10.0, max_event_lag=2.0, wait=WAIT
        ) as quotes:
            if suite.is_simulated:
                runtime.simulator("projectx").arm("garbage kind=json")
            found: list[str] = []
            last = None
            for _ in range(20):
                quote = quotes.get(timeout=WAIT)
                found += strange(quote, last, contract.tick_size)
                last = quote.last_price
            print(f"20 quotes, {len(found)} strange, {quotes.fresh().state}")

        made_up = projectx.Quote(contract.id, best_bid=Decimal("101.1"), best_ask=Decimal("100"))
        for text in strange(made_up, Decimal(24_000), contract.tick_size):
            print("  of a made-up quote:", text)
        status = runtime.status()
        print(f"undecodable: {status.quarantine.count}")
        bars = suite["NQ"].bars["1min"].finished
        ordered = all(
            bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars
        )
        print(f"{len(bars)} bars, each within its range: {ordered}, exact: {sum(bar.exact for bar in bars)}")
        try:
            runtime.require(("projectx", projectx.QUOTES, contract.id), max_age=2.0)
        except actors.Blind as blind:
            print("not now:", blind)


if __name__ == "__main__":
    main()
