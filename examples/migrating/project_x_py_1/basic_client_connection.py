"""Logs in and looks: accounts, contracts, bars, positions. It does what 01_basic_client_connection.py does.

    python examples/migrating/project_x_py_1/basic_client_connection.py
    python examples/migrating/project_x_py_1/basic_client_connection.py CONFIG ACCOUNT INSTRUMENT

Without arguments it asks a simulator in this process. With them it asks the feed `projectx` of a config file,
for an account by its name and an instrument such as MNQ.
"""

import sys
from collections.abc import Mapping
from typing import Any

import actors

SIMULATED: Mapping[str, Any] = {
    "feeds": {
        "projectx": {
            "venue": "projectx",
            "url": "sim://projectx?rate=0&past=1",
            "user_name": "trader",
            "api_key": "any",
        },
    },
}
WAIT = 30.0  # seconds


def look(config: str | Mapping[str, Any], account_name: str, instrument: str) -> None:
    with actors.start(config, wait=WAIT) as runtime:  # both hubs are connected, too
        px = runtime.ask("projectx")

        account = px.account(account_name).get(timeout=WAIT)  # an error, where there is none of this name
        print(f"account {account.id} {account.name}: balance {account.balance:,}")
        print(f"may trade: {account.can_trade}, simulated: {account.simulated}")

        # These three are asked at the same time.
        found, bars, positions = (
            px.contracts(instrument),
            px.bars(instrument, "15min", days=1),
            px.positions(account.id),
        )
        for each in found.get(timeout=WAIT):
            print(f"found {each.name} ({each.id}): a tick is {each.tick_size}, worth {each.tick_value}")
        print("traded here:", px.contract(instrument).get(timeout=WAIT).id)  # one, or an error

        latest = bars.get(timeout=WAIT)[-1]  # oldest first; only finished ones, unless partial=True
        print(f"latest of {len(bars.get())} bars: {latest.open} to {latest.close}, {latest.volume} traded")

        listing = positions.get(timeout=WAIT)
        for position in listing:
            print(f"position: {position.net} {position.contract_id} at {position.average_price}")
        print(f"{len(listing.rows)} positions, and the list is whole: {listing.whole}")


if __name__ == "__main__":
    if len(sys.argv) not in {1, 4}:
        sys.exit(__doc__)
    look(*(sys.argv[1:] or (SIMULATED, "PRAC-V2-4242", "NQ")))
