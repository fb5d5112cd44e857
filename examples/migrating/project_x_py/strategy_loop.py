"""A strategy as a class with a loop, until Ctrl-C or SIGTERM.

    python examples/migrating/project_x_py/strategy_loop.py

It runs on the main thread. `require` before the order refuses to act on data that is not current.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from indicators import sma
from project_x_suite import WAIT, TradingSuite, trading_suite

import actors
from actors.venues import projectx

ROUNDS, PAUSE = 3, 0.5  # of this demonstration; seconds


class Strategy:
    """Buys one contract while the short average is above the long one, and sells it when it is below."""

    def __init__(self, suite: TradingSuite) -> None:
        self._suite = suite
        self.stopping = threading.Event()

    def run(self) -> None:
        for _ in range(ROUNDS):
            self._look()
            if self.stopping.wait(PAUSE):
                break

    def _look(self) -> None:
        suite, nq = self._suite, self._suite["NQ"]
        bars = nq.bars["1min"].finished
        wanted = 1 if sma(bars, 10) > sma(bars, 50) else 0
        held = suite.account.net(nq.contract)
        print(f"wanted {wanted}, held {held}")
        if held is None or held == wanted:  # None: not known, so nothing is added to it
            return
        try:
            quotes = ("projectx", projectx.QUOTES, nq.contract.id)
            suite.runtime.require(quotes, suite.account, max_age=5.0)
        except actors.Blind as blind:
            print("not now:", blind)
            return
        if wanted:
            print(
                type(suite.orders.place(suite.account_id, nq.contract, "buy", 1).get(timeout=WAIT)).__name__
            )
        else:
            print("closed:", suite.flatten("NQ"))


def main() -> None:
    with trading_suite("NQ") as suite:
        strategy = Strategy(suite)

        def stop(_number: int, _frame: FrameType | None) -> None:
            strategy.stopping.set()

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        suite.runtime.flat("projectx", suite.account_id, wait=WAIT)  # two looks at the account agree
        strategy.run()
        print("at the end:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
