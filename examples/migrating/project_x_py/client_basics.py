"""Log in, look at the account, and ask for several things at once.

    python examples/migrating/project_x_py/client_basics.py

Their `asyncio.gather` of three requests is `actors.gather`. A login is made by the feed, once for all.
"""

from __future__ import annotations

from project_x_suite import WAIT, trading_suite

import actors


def main() -> None:
    with trading_suite() as suite:
        px = suite.orders
        for account in px.accounts().get(timeout=WAIT):
            kind = "simulated" if account.simulated else "live"
            trades = "may trade" if account.can_trade else "may not trade"
            print(f"{account.name}: balance {account.balance}, {kind}, {trades}")

        ping, positions, found = (
            px.ping(),
            px.positions(suite.account_id),
            px.contracts("ES"),
        )  # all under way
        actors.gather([ping, positions, found], timeout=WAIT)
        print(f"{ping.get()}; {len(positions.get().rows)} positions; contracts: {found.get()[0].name}")
        line = suite.runtime.status().lines()["projectx/user"]
        print(f"{line.state}, health {line.health.score}")


if __name__ == "__main__":
    main()
