"""What a program reads off a view: signed positions by id, and one short line where it prints one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from actors.protocol.accounts import AccountPosition
from actors.protocol.trading import Contract
from actors.rules.account.keeper import AccountKeeper
from actors.rules.account.money import valued
from actors.rules.account.view import AccountView, Flat
from tests.rules.account.model import ACCOUNT, CONTRACTS, EP, MNQ


def view(
    *positions: AccountPosition, contracts: Mapping[str, Contract] = CONTRACTS, **more: Any
) -> AccountView:
    given: dict[str, Any] = {"state": "synced", "reasons": (), "flat": Flat("no", ("a position",))} | more
    return AccountView(
        feed="projectx",
        account=ACCOUNT,
        positions=tuple(valued(each, {}, contracts) for each in positions),
        orders=(),
        fills=(),
        balance=None,
        realised=None,
        unrealised=None,
        since_ns=0,
        at_ns=0,
        age_s=0.0,
        unproved=(),
        **given,
    )


SHORT = AccountPosition(contract=EP.id, net=-2, average_price=Decimal("6801.25"))


@pytest.mark.parametrize(
    ("contract", "net"),
    [(EP, -2), (EP.id, -2), (MNQ, 0), (MNQ.id, 0), ("EP", None), ("ES", None), ("ESZ6", None), ("", None)],
    ids=str,
)
def test_a_name_of_a_contract_that_is_held_is_never_a_flat_one(contract: Any, net: int | None) -> None:
    assert view(SHORT).net(contract) == net


def test_of_a_view_that_is_not_synced_no_position_is_known() -> None:
    assert view(SHORT, state="down").net(EP) is None


def test_before_the_first_look_there_is_no_profit_and_not_one_of_zero() -> None:
    keeper = AccountKeeper("projectx", ACCOUNT, since_ns=0, now=0.0)
    found = keeper.view(1.0, 10**9)
    assert (found.unrealised, found.realised, found.flat.answer) == (None, None, "unknown")


def test_a_view_is_shown_in_one_short_line() -> None:
    assert repr(view(SHORT)) == "<AccountView projectx/4242: 1 position · 0 orders · flat no>"
    down = view(state="down", reasons=("the line is down", "and more"))
    assert repr(down) == "<AccountView projectx/4242: down, the line is down>"
