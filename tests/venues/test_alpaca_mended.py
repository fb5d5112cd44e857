"""A trade update's field of another type costs that field, and no fill. An amount costs the update."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors.venues.alpaca.account_messages import AccountFrame, TradeUpdate
from actors.venues.alpaca.codec import trade_update

ORDER = {"id": "o1", "symbol": "SPY", "qty": "1", "filled_qty": "1", "side": "buy"}
FILL = {"event": "fill", "execution_id": "e1", "price": "1.5", "qty": "1", "order": ORDER}


def read(**changes: Any) -> TradeUpdate:
    return trade_update(AccountFrame("trade_updates", "", msgspec.Raw(msgspec.json.encode(FILL | changes))))


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"event_id": 415}, "event_id", "415"),
        ({"event_id": {"new": 1}}, "event_id", None),
        ({"execution_id": True}, "execution_id", None),
        ({"timestamp": ["?"]}, "timestamp", None),
        ({"legs": [{"execution_id": 7, "price": "1"}]}, "execution_id", "e1"),
    ],
)
def test_another_type_costs_that_field(changes: dict[str, Any], field: str, value: object) -> None:
    update = read(**changes)
    assert getattr(update, field) == value
    assert (update.price, update.qty, update.order.id) == (Decimal("1.5"), Decimal(1), "o1")


def test_within_the_order_and_its_legs() -> None:
    leg = ORDER | {"asset_class": 9}
    update = read(order=ORDER | {"extended_hours": "no", "client_order_id": 17, "legs": [leg]})
    assert (update.order.client_order_id, update.order.extended_hours) == ("17", None)
    assert update.order.legs is not None
    assert (update.order.legs[0].asset_class, update.order.legs[0].qty) == ("9", Decimal(1))


@pytest.mark.parametrize(
    "changes",
    [
        {"price": "many"},
        {"event": None},
        {"order": None},
        {"order": ORDER | {"id": []}},
        {"order": ORDER | {"filled_qty": {}}},
        {"position_qtys": {"SPY": "x"}, "event_id": 1},
        {"legs": 5, "price": []},
    ],
)
def test_what_an_update_is_not_to_be_without(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(**changes)
