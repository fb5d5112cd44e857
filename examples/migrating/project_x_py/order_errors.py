"""What an order can end in, and what is done then.

    python examples/migrating/project_x_py/order_errors.py

Their `except ProjectXOrderError` and `OrderSubmissionUncertainError` are three outcomes. There is
nothing to roll back: entry and exits of a bracket are one order at the venue, and a close takes its
legs along.
"""

from __future__ import annotations

from project_x_suite import WAIT, TradingSuite, trading_suite

import actors


def told(outcome: actors.Accepted | actors.Refused | actors.Unknown) -> str:
    match outcome:
        case actors.Accepted():
            return "accepted"
        case actors.Refused(code="terms", message=message):
            return f"not sent: {message}"
        case actors.Refused(by_venue=True, code=code, message=message):
            return f"refused by the venue: {code} {message}"
        case actors.Refused(code=code, retry_after=seconds) if seconds:
            return f"not sent ({code}): try again in {seconds:.0f} s"
        case actors.Refused(code=code, message=message):
            return f"not sent ({code}): {message}"
        case actors.Unknown(why=why):
            return f"may be at the venue: {why}"


def refusals(suite: TradingSuite) -> None:
    px, account, nq = suite.orders, suite.account_id, suite["NQ"]
    off_tick = nq.price + nq.contract.tick_size / 2
    print("off tick:", told(px.place(account, nq.contract, "buy", 1, limit=off_tick).get(timeout=WAIT)))
    print("too many:", told(px.place(account, nq.contract, "buy", 9).get(timeout=WAIT)))
    print("close of nothing:", told(px.close(account, nq.contract).get(timeout=WAIT)))


def lost_answer(suite: TradingSuite) -> None:
    """The answer of an order is lost on its way. It is looked for by its tag, and never sent again."""
    if suite.is_simulated:
        suite.runtime.simulator("projectx").arm("answer_lost page=Order/place")
    px, account, nq = suite.orders, suite.account_id, suite["NQ"]
    handle = px.place(account, nq.contract, "buy", 1, bracket=actors.Bracket(stop=40, target=80))
    print("lost answer:", type(handle.get(timeout=WAIT)).__name__)
    print("looked for:", type(px.settle(handle.tag).get(timeout=WAIT)).__name__)


def main() -> None:
    with trading_suite("NQ") as suite:
        refusals(suite)
        lost_answer(suite)
        print("closed, with its legs:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
