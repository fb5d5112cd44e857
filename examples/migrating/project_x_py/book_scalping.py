"""Scalping by the book and the tape: act where both lean to one side, with near exits.

    python examples/migrating/project_x_py/book_scalping.py

One loop over the trades. `require` refuses to act on a trade while newer ones wait, or on a book that
is not whole.
"""

from __future__ import annotations

import time
from collections import deque

from order_book_analysis import delta, imbalance
from project_x_suite import WAIT, TradingSuite, order_id, trading_suite

import actors
from actors.protocol.accounts import Side
from actors.venues import projectx

SECONDS = 15.0  # of this demonstration, at most
WINDOW = 10  # trades


def side_of(book: actors.BookView, tape: deque[projectx.Trade]) -> Side | None:
    lean, flow = imbalance(book), delta(list(tape))
    if lean > 0.05 and flow > 0:
        return "buy"
    if lean < -0.05 and flow < 0:
        return "sell"
    return None


def look(
    suite: TradingSuite, tape: deque[projectx.Trade], trades: actors.Stream[projectx.Trade]
) -> int | None:
    """The entry, if one was placed."""
    nq, book = suite["NQ"], suite["NQ"].book
    if len(tape) < WINDOW or not book.synced or (side := side_of(book, tape)) is None:
        return None
    try:
        suite.runtime.require(trades, book, suite.account, max_age=2.0)
    except actors.Blind as blind:
        print("not now:", blind.reasons[0].cause)
        return None
    spread = book.spread
    if spread is None or spread > nq.ticks(8):
        return None
    print(f"{side}: the book and the tape lean to one side")
    return order_id(
        suite.orders.place(suite.account_id, nq.contract, side, 1, bracket=actors.Bracket(stop=8, target=8))
    )


def main() -> None:
    with trading_suite("NQ") as suite:
        suite.runtime.flat("projectx", suite.account_id, wait=WAIT)  # two looks at the account agree
        tape, entry = deque[projectx.Trade](maxlen=WINDOW), None
        with suite.runtime.subscribe(
            "projectx", projectx.TRADES, suite["NQ"].contract.id, wait=WAIT
        ) as trades:
            until = time.monotonic() + SECONDS
            while entry is None and time.monotonic() < until:
                tape.append(trades.get(timeout=WAIT))
                entry = look(suite, tape, trades)
        view = suite.wait_account(lambda view: entry in {None, *(each.order for each in view.fills)})
        fills = [each for each in view.fills if each.order == entry]
        print("entered:", [f"{each.side} {each.size} at {each.price}" for each in fills])
        print("closed:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
