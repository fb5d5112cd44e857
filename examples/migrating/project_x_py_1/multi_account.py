"""Several accounts of one login, each by its name. It does what multi_account_demo.py of 1.0 does.

    python examples/migrating/project_x_py_1/multi_account.py
    python examples/migrating/project_x_py_1/multi_account.py CONFIG ACCOUNT...

Without arguments it asks a simulator in this process. With them it asks the feed `projectx` of a config file.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import actors

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


def look(config: str | Mapping[str, Any], names: Sequence[str]) -> None:
    with actors.start(config, wait=WAIT) as runtime:  # one login and one connection to each hub for all
        px = runtime.ask("projectx")
        for account in px.accounts().get(timeout=WAIT):
            print(f"{account.id} {account.name}: {account.balance:,}")

        for name in names:
            try:
                number = px.account(name).get(timeout=WAIT).id  # in upper or lower case
            except actors.AskRefusedError as error:  # another account is never taken
                print(error)
                continue
            view = runtime.account("projectx", number, wait=WAIT)
            print(f"{name} is {number}, {view.state}: {len(view.positions)} positions")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(__doc__)
    look(
        *((sys.argv[1], sys.argv[2:]) if sys.argv[1:] else (SIMULATED, ["prac-v2-4242", "PRAC-V2-4243", "X"]))
    )
