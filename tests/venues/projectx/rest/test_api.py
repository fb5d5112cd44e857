"""What the feed offers as a whole."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.protocol import Cancel, FrameLimit, Intent, Loss, TradingApi
from actors.venues.projectx import ProjectX, ProjectXApi, ProjectXSettings
from tests.venues.projectx.rest.gateway import ACCOUNT, API, EP, TOKEN

SINCE = datetime(2026, 11, 30, tzinfo=UTC)
CALLS: dict[str, Any] = {
    "contract": API.contract("NQ"),
    "contracts": API.contracts("NQ"),
    "available_contracts": API.available_contracts(),
    "bars": API.bars(EP.id, "minute", start=SINCE, end=SINCE),
    "accounts": API.accounts(),
    "account": API.account("PRAC"),
    "orders": API.orders(ACCOUNT, SINCE),
    "open_orders": API.open_orders(ACCOUNT),
    "order": API.order(ACCOUNT, 9),
    "positions": API.positions(ACCOUNT),
    "trades": API.trades(ACCOUNT, SINCE),
    "ping": API.ping(),
    "logout": API.logout(),
    "find": API.find(Intent(tag="t", mutation=Cancel(account=1, order=1), begun_ns=0)),
    "exposure": API.exposure(ACCOUNT, EP.id),
    "is_protective": API.is_protective(ACCOUNT, 9),
    "account_ids": API.account_ids(),
    "working": API.working(ACCOUNT),
    "final_row": API.final_row(ACCOUNT, 9),
    "tags": API.tags(0),
    "lost_fills": API.lost_fills(ACCOUNT, Loss(0, 1)),
}


def test_a_feed_has_its_requests_at_its_own_address() -> None:
    settings = ProjectXSettings(
        api_url="https://user@API.example.com:8443/px", live_data=True, bars_rate="50/30s"
    )
    api = ProjectX("projectx", settings).trading()
    assert isinstance(api, TradingApi)
    assert api.host == "api.example.com:8443"
    assert api.meters == {"rest": FrameLimit(200, 60.0), "bars": FrameLimit(50, 30.0)}
    request = next(api.contracts("NQ").converse(TOKEN))
    assert request.url == "https://user@API.example.com:8443/px/api/Contract/search"
    assert b'"live":true' in request.body


def test_a_rate_that_is_none_is_a_mistake_of_the_config() -> None:
    with pytest.raises(ValueError, match="expected frames per time"):
        ProjectXSettings(bars_rate="fast")


def test_every_read_is_here() -> None:
    offered = {name for name, _ in inspect.getmembers(ProjectXApi, inspect.isfunction) if name[0] != "_"}
    assert offered == CALLS.keys() | {"prepare", "send", "account_reads", "finished_bars"}


@pytest.mark.parametrize("name", CALLS)
def test_a_read_counts_in_its_meter_and_has_its_time(name: str) -> None:
    call = CALLS[name]
    assert (call.meter, call.timeout) == (("bars", 30.0) if name == "bars" else ("rest", 10.0))
    assert call.meter in API.meters
    assert name in call.name
    assert next(call.converse(TOKEN)).timeout == call.timeout


@pytest.mark.parametrize("name", CALLS)
def test_a_read_can_be_asked_twice(name: str) -> None:
    """Once more, after the token was renewed."""
    first, second = (next(CALLS[name].converse(TOKEN)) for _ in range(2))
    assert (first.url, first.body) == (second.url, second.body)
