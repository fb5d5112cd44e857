"""The venue's own SDK takes the simulator for tplus. What it believes, our sessions may believe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.simulators import SimulatedTplus
from actors.simulators.tplus.account import Activity, OrderVariant
from benchmarks.installs import TPLUSPY
from tests.interop.program import Program

SEED = "a1" * 32
ALICE = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED)).public_key().public_bytes_raw().hex()
ADDRESS = "ab" * 32 + "@" + "00" * 7 + "a4b1"
PUBLIC = ("depth", "klines", "ticker", "tickers", "trades")
PRIVATE = ("orders", "user trade events", "user trades", "positions", "activity", "intent")


@pytest.fixture
def tplus() -> Iterator[SimulatedTplus]:
    with SimulatedTplus(rate=0) as each:
        yield each


@pytest.fixture(params=["200", ADDRESS], ids=["index", "address"])
def asset(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def program(tplus: SimulatedTplus, asset: str, sdk_python: Callable[[str], Path]) -> Iterator[Program]:
    tplus.trade(asset)
    tplus.order(ALICE, "Created", asset)
    tplus.position(ALICE, asset)
    each = Program(sdk_python(TPLUSPY), "tpluspy_client.py", tplus.http_url, SEED, asset)
    try:
        tplus.wait_for(lambda: tplus.connections == len(PUBLIC + PRIVATE), timeout=30)
        yield each
    finally:
        each.end()


def test_the_sdk_reads_the_pages(tplus: SimulatedTplus, asset: str, program: Program) -> None:
    def hear(stream: str) -> Any:
        return program.hear(stream)["told"]

    bids, asks, sequence = tplus.book(asset)
    snapshot = hear("snapshot")
    assert snapshot["sequence_number"] == sequence
    assert dict(map(tuple, snapshot["bids"])) == {float(price): float(size) for price, size in bids.items()}
    assert dict(map(tuple, snapshot["asks"])) == {float(price): float(size) for price, size in asks.items()}
    assert hear("ticker now")["asset_id"] == asset
    assert asset in {each["asset_id"] for each in hear("tickers now")}
    assert asset in {each["asset_id"] for each in hear("markets now")}
    assert hear("klines now")["items"]
    assert [each["trade_id"] for each in hear("trades now")] == [1]
    for page in ("orders now", "orders of the book now"):
        assert [(each["order_id"], each["base_asset"]) for each in hear(page)] == [("o-1", asset)]
    assert [each["asset_id"] for each in hear("positions now")] == [asset]


def test_the_sdk_logs_in_once_and_hears_every_stream(
    tplus: SimulatedTplus, asset: str, program: Program
) -> None:
    def hears(stream: str, said: Any) -> bool:
        """Whether the SDK made of it what was said; it has fields of its own, too."""
        return alike(program.hear(stream)["told"], said)

    tplus.depth_change(asset, bids=[("101.30", "2.5")], asks=[("999.25", 0)])
    told = program.hear("depth")["told"]
    assert (told["bids"], told["asks"]) == ([[101.3, 2.5]], [[999.25, 0.0]])
    assert told["sequence_number"] == tplus.book(asset).sequence

    bars = tplus.kline(asset, *(tplus.kline(asset, open_timestamp_ns=number)[0] for number in (1, 2)))
    assert [len(program.hear("klines")["told"]) for _ in range(3)] == [1, 1, len(bars)]
    ticker = tplus.ticker(asset, index_price="100.5")
    assert hears("ticker", ticker)
    assert alike(program.hear("tickers")["told"], [ticker])
    assert hears("trades", tplus.trade(asset, price="9007199254740993.12"))

    for variant in get_args(OrderVariant):
        assert hears("orders", tplus.order(ALICE, variant, asset))
    pending = tplus.user_trade(ALICE, asset, status="Pending")
    undone = tplus.user_trade(ALICE, **(pending | {"status": "Rollbacked", "rollback_reason": "late"}))
    confirmed = tplus.user_trade(ALICE, asset)
    for each in (pending, undone, confirmed):
        assert hears("user trade events", each)
    assert hears("user trades", confirmed)
    assert hears("positions", tplus.position(ALICE, asset, side="short", liquidation_price="250.5"))
    for activity in get_args(Activity):
        assert hears("activity", tplus.account_event(ALICE, activity, asset))
    assert hears("intent", tplus.intent(asset))

    assert tplus.auth_requests == 2  # a nonce and a token, for six sockets and four pages
    tplus.close(1000)
    assert [program.hear(stream)["told"] for stream in PUBLIC + PRIVATE] == ["over"] * 11


def test_the_sdk_comes_back_with_a_new_token(tplus: SimulatedTplus, program: Program) -> None:
    program.hear("orders now")
    tplus.expire_tokens()
    tplus.close(1001)
    assert len(program.hear("orders now")["told"]) == 1
    assert tplus.auth_requests == 4


def alike(told: Any, said: Any) -> bool:
    """Whether all that was said is in what the SDK told; a decimal may be spelled otherwise."""
    if isinstance(said, dict):
        return all(alike(told[key], value) for key, value in said.items())
    if isinstance(said, list):
        return len(told) == len(said) and all(map(alike, told, said))
    if isinstance(said, str) and isinstance(told, str) and said != told:
        return Decimal(told) == Decimal(said)
    return bool(told == said)
