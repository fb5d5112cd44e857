"""Two instruments, one decision: both orders are under way together, and a stop protects what is held.

python examples/migrating/project_x_py/pairs_trading.py
"""

from __future__ import annotations

from decimal import Decimal

from project_x_suite import WAIT, Instrument, TradingSuite, trading_suite

import actors


def value(one: Instrument) -> Decimal:
    """What one contract is worth, in money."""
    return one.price / one.contract.tick_size * one.contract.tick_value


def pair(suite: TradingSuite, limit: Decimal) -> bool:
    """Whether both legs were placed."""
    es, nq = suite["ES"], suite["NQ"]
    spread = value(es) - value(nq)
    print(f"spread is known: {spread != 0}")
    if abs(spread) < limit:
        return False
    px, account = suite.orders, suite.account_id
    short, long = (es, nq) if spread > 0 else (nq, es)
    legs = [px.place(account, short.contract, "sell", 1), px.place(account, long.contract, "buy", 1)]
    outcomes = actors.gather(legs, timeout=WAIT)
    print("legs:", [type(each).__name__ for each in outcomes])
    if all(isinstance(each, actors.Accepted) for each in outcomes):
        return True
    print("one leg alone is a risk: both are closed", suite.flatten("ES"), suite.flatten("NQ"))
    return False


def protect(suite: TradingSuite) -> None:
    """A stop behind each position that has none, 80 ticks away."""
    ours = {each.contract.id: each for each in suite.instruments.values()}
    view = suite.wait_account(lambda view: ours.keys() <= {each.contract for each in view.positions})
    for position in view.positions:
        one = ours.get(position.contract)
        if one is None or position.net is None:
            continue
        side = "sell" if position.net > 0 else "buy"
        away = -one.ticks(80) if position.net > 0 else one.ticks(80)
        stop = suite.orders.place(
            suite.account_id,
            one.contract,
            "sell" if position.net > 0 else "buy",
            abs(position.net),
            stop=one.price + away,
        )
        print(f"{one.contract.name}: {side} stop:", type(stop.get(timeout=WAIT)).__name__)


def main() -> None:
    with trading_suite("ES", "NQ") as suite:
        if pair(suite, limit=Decimal(500)):
            protect(suite)
        print("closed:", suite.flatten("ES"), suite.flatten("NQ"))


if __name__ == "__main__":
    main()
