"""Search contracts, and take the one that a name means.

    python examples/migrating/project_x_py/find_instruments.py

Their example asks for names at the terminal: give them as arguments of `search`. `contract` refuses a
text that names several contracts; `get_instrument` takes the first one that the search finds.
"""

from __future__ import annotations

from project_x_suite import WAIT, trading_suite

import actors
from actors.trading.projectx_requests import ProjectXRequests


def search(px: ProjectXRequests, text: str) -> None:
    try:
        found = px.contracts(text).get(timeout=WAIT)
        print(f"{text}: {len(found)} found: {', '.join(each.name for each in found)}")
        best = px.contract(text).get(timeout=WAIT)
        print(f"  {best.name}: {best.description}; id {best.id}; tick {best.tick_size} = {best.tick_value}")
    except actors.AskRefusedError as error:
        print(f"  {error}")


def main() -> None:
    with trading_suite() as suite:
        for text in ("NQ", "ES", "CL", "E-mini", "XYZ"):
            search(suite.orders, text)
        every = suite.orders.available_contracts().get(timeout=WAIT)
        print("all that may be traded:", ", ".join(each.name for each in every))
        print(suite.runtime.status().text)


if __name__ == "__main__":
    main()
