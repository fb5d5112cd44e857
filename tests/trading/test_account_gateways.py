"""An account is followed at one gateway: where its feed has another one, what was known is forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import actors
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from tests.trading.halts import ACCOUNT, accepted, config, settled, until


def test_positions_of_one_gateway_are_not_those_of_another(tmp_path: Path) -> None:
    OrderStore.create(tmp_path / "orders").close()
    told: list[Any] = []
    with (
        SimulatedProjectX(rate=0, snapshots=False) as first,
        SimulatedProjectX(rate=0, snapshots=False) as second,
    ):
        its = config(tmp_path / "orders", first, accounts=[ACCOUNT])
        with actors.start(its, wait=10.0) as runtime:
            px = settled(runtime)
            following = runtime.on_account("projectx", ACCOUNT, handler=told.append)
            accepted(px.place(ACCOUNT, "ENQ", "buy", 2))
            until(lambda: [each.net for each in runtime.account("projectx", ACCOUNT).positions] == [2])
            runtime.add_feed("projectx", its["feeds"]["projectx"] | {"url": second.url, "trading": False})
            assert runtime.account("projectx", ACCOUNT).positions == ()
            runtime.wait_live("projectx", timeout=10.0)
            until(lambda: runtime.account("projectx", ACCOUNT).synced)
            assert runtime.account("projectx", ACCOUNT).positions == ()
            assert runtime.flat("projectx", ACCOUNT, wait=10.0).answer == "yes"
            assert not following.closed
            runtime.remove_feed("projectx")
            until(lambda: following.closed)
    assert told
