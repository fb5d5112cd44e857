"""Contracts that a search finds, and the one that a name names: 09_get_check_available_instruments.py.

    python examples/migrating/project_x_py_1/available_instruments.py
    python examples/migrating/project_x_py_1/available_instruments.py CONFIG SYMBOL...

Without arguments it asks a simulator in this process for a few symbols. With them it asks the feed `projectx`
of a config file.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import actors
from actors.trading.projectx_requests import ProjectXRequests

SIMULATED: Mapping[str, Any] = {
    "feeds": {
        "projectx": {
            "venue": "projectx",
            "url": "sim://projectx?rate=0",
            "user_name": "trader",
            "api_key": "any",
        },
    },
}
WAIT = 30.0  # seconds


def search(config: str | Mapping[str, Any], symbols: Sequence[str]) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        px = runtime.ask("projectx")
        print("may be traded:", ", ".join(each.name for each in px.available_contracts().get(timeout=WAIT)))
        for symbol in symbols:
            show(px, symbol)


def show(px: ProjectXRequests, symbol: str) -> None:
    found, one = px.contracts(symbol), px.contract(symbol)  # both are asked at the same time
    for each in found.get(timeout=WAIT):
        print(f"{symbol}: {'active' if each.is_active else 'expired'} {each.name}, {each.description}")
    try:
        contract = one.get(timeout=WAIT)
    except actors.AskRefusedError as error:  # none, or several: the first one is never taken
        print(f"{symbol}: {error}")
        return
    print(f"{symbol} is {contract.id}: product {contract.product}, a tick of {contract.tick_size}")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(__doc__)
    search(*((sys.argv[1], sys.argv[2:]) if sys.argv[1:] else (SIMULATED, ["NQ", "ES", "E", "ZB"])))
