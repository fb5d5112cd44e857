"""`runtime.account` on a simulated ProjectX: right after losses, after dropped events, and in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import LinewardenError, Runtime, RuntimeStopped
from actors.simulators import SimulatedO2
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from tests.support.runtimes import config as o2_config
from tests.trading import halts
from tests.trading.halts import ACCOUNT

OTHER = 4243
ENQ = "CON.F.US.ENQ.Z26"
EP = "CON.F.US.EP.Z26"


@pytest.fixture
def venue() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, snapshots=False) as venue:
        yield venue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    OrderStore.create(tmp_path / "orders").close()
    return tmp_path / "orders"


def config(folder: Path, venue: SimulatedProjectX, **feed: Any) -> dict[str, Any]:
    restart = {"initial": 0.05, "maximum": 0.2, "stable_after": 0.05, "max_restarts": 10_000}
    return halts.config(folder, venue, restart=restart, **feed)


@pytest.fixture
def runtime(folder: Path, venue: SimulatedProjectX) -> Iterator[Runtime]:
    with actors.start(config(folder, venue), wait=10.0) as runtime:
        yield runtime


# ── what cannot be followed ──


@pytest.mark.parametrize("account", ["4242", 42.0, True, -1, None])
def test_an_account_is_a_number(runtime: Runtime, account: Any) -> None:
    for call in (runtime.account, runtime.flat, runtime.resync_account):
        with pytest.raises(LinewardenError, match="an account is the venue's number of it"):
            call("projectx", account)
    assert runtime.status().accounts == {}


def test_a_venue_without_accounts_says_so(o2: SimulatedO2) -> None:
    with (
        actors.start(o2_config(o2.url), wait=10.0) as runtime,
        pytest.raises(LinewardenError, match="venue 'o2' has no channels that tell what an account has"),
    ):
        runtime.account("o2", 1)


def test_what_is_not_followed_can_be_forgotten(runtime: Runtime) -> None:
    runtime.forget_account("projectx", ACCOUNT)


def test_after_the_end_every_call_says_so(runtime: Runtime) -> None:
    runtime.stop()
    for call in (runtime.account, runtime.flat, runtime.resync_account, runtime.forget_account):
        with pytest.raises(RuntimeStopped):
            call("projectx", ACCOUNT)
    with pytest.raises(RuntimeStopped):
        runtime.on_account("projectx", ACCOUNT, handler=print)
