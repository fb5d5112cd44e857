"""Join the best bid or the best ask.

python examples/migrating/project_x_py/join_orders.py
"""

from __future__ import annotations

from project_x_suite import WAIT, order_id, trading_suite

import actors


def main() -> None:
    with trading_suite("NQ") as suite:
        px, account, nq = suite.orders, suite.account_id, suite["NQ"]
        sides = {"bid": px.place(account, nq.contract, "buy", 1, join="bid")}
        sides["ask"] = px.place(account, nq.contract, "sell", 1, join="ask")
        for side, handle in sides.items():
            order = order_id(handle)
            if order is not None:
                row = px.order(account, order).get(timeout=WAIT)
                print(f"joined the {side}: {row.status.name.lower() if row.status else None}")
        # the market moves: one of them may be filled already, and its cancel is then refused
        left = [px.cancel(account, each.order.id) for each in suite.account.orders]
        print(
            "cancelled:",
            all(not isinstance(each, actors.Unknown) for each in actors.gather(left, timeout=WAIT)),
        )
        print("closed:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
