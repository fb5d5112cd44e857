"""Whatever a gateway answers, a conversation ends, within bounds, and raises nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.protocol import AnyMutation, Call, Cancel, Close, HttpAnswer, Intent, Modify, Place
from tests.support.examples import examples
from tests.venues.projectx.rest.gateway import (
    ACCOUNT,
    API,
    DATE,
    EP,
    Row,
    contract_row,
    order_row,
    position_row,
    serve,
    trade_row,
)

SINCE = datetime(2026, 11, 30, tzinfo=UTC)
TAG = "lw-store-1"
MUTATIONS: tuple[AnyMutation, ...] = (
    Place(account=ACCOUNT, contract=EP.id, side="buy", size=2, type="limit", limit_price=Decimal("6801.25")),
    Modify(account=ACCOUNT, order=9, limit_price=Decimal("6801.25"), size=2),
    Cancel(account=ACCOUNT, order=9),
    Close(account=ACCOUNT, contract=EP.id),
    Close(account=ACCOUNT, contract=EP.id, size=2),
)
READS: dict[str, Call[Any]] = {
    "contract": API.contract("ES"),
    "contract by id": API.contract(EP.id),
    "available": API.available_contracts(),
    "bars": API.bars(EP.id, "month", start=SINCE, end=SINCE),
    "accounts": API.accounts(),
    "account": API.account("PRAC"),
    "orders": API.orders(ACCOUNT, SINCE),
    "open orders": API.open_orders(ACCOUNT),
    "order": API.order(ACCOUNT, 9),
    "positions": API.positions(ACCOUNT),
    "trades": API.trades(ACCOUNT, SINCE),
    "exposure": API.exposure(ACCOUNT, EP.id),
    "is protective": API.is_protective(ACCOUNT, 9),
    "ping": API.ping(),
}
FINDS: dict[str, Call[Any]] = {
    f"find {type(each).__name__} {number}": API.find(Intent(tag=TAG, mutation=each, begun_ns=1))
    for number, each in enumerate(MUTATIONS)
}

CALLS = READS | FINDS
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, 1, 2, 3, 8, 99, -1, 10**30, 1.5, "", TAG, EP.id, "9999-12-31T23:59:59Z", [], {}]
)
BAR = {"t": "2026-11-01T00:00:00Z", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}
USUAL = [
    order_row(customTag=TAG),
    position_row(1, 2),
    trade_row(1),
    contract_row("EP", "ESZ6"),
    BAR,
    {"id": 1, "name": "PRAC"},
]
LISTS = ("orders", "positions", "trades", "contracts", "bars", "accounts")


@st.composite
def rows(draw: Any) -> Row:
    usual = draw(st.sampled_from(USUAL))
    changed = draw(st.dictionaries(st.sampled_from(sorted(usual)), ODD, max_size=2))
    return {**usual, **changed}


@st.composite
def bodies(draw: Any) -> bytes:
    body: Row = {"success": True, "errorCode": 0, "totalCount": draw(st.sampled_from([None, 0, 1, 30]))}
    some = draw(st.lists(rows(), max_size=3))
    body |= dict.fromkeys(LISTS, some * draw(st.sampled_from([1, 10])))
    body |= dict.fromkeys(("order", "contract"), draw(rows()))
    body |= draw(st.dictionaries(st.sampled_from(sorted(body)), ODD, max_size=2))
    return msgspec.json.encode(body)


ANSWERS = st.builds(
    HttpAnswer,
    st.sampled_from([200] * 9 + [401, 404, 429, 500]),
    bodies() | st.binary(max_size=20),
    st.sampled_from([DATE, {}, {"date": "Fri, 31 Dec 9999 23:59:59 GMT"}, {"date": "soon"}]),
    at=st.sampled_from([None, 0.0, 1_796_040_000.0, 1e15]),
)


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=examples(20))
@given(answers=st.lists(ANSWERS, min_size=1, max_size=4))
def test_a_read_ends(name: str, answers: list[HttpAnswer]) -> None:
    asked = 0

    def reply(*_: object) -> HttpAnswer:
        nonlocal asked
        asked += 1
        return answers[min(asked, len(answers)) - 1]

    assert serve(CALLS[name], reply) is not None
    assert asked <= 100
