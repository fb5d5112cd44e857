"""Profit and loss in money: by tick size and tick value, never in points.

ProjectX states no unrealised profit anywhere: it is made of the average price, and of a mark that says how
old it is. Stated are the profit of each half-turn, before fees, and commissions apart from them (`sums`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from actors.protocol.accounts import AccountPosition
from actors.protocol.ticks import money
from actors.protocol.trading import Contract
from actors.rules.account.view import Mark, PositionView


def valued(
    position: AccountPosition, marks: Mapping[str, Mark], contracts: Mapping[str, Contract]
) -> PositionView:
    """Returns a position with its profit at the mark; without one, `why` says what is missing."""
    mark, contract = marks.get(position.contract), contracts.get(position.contract)
    why = _missing(position, mark, contract)
    unrealised = None
    if not why and contract and mark and position.net and position.average_price is not None:
        unrealised = money(contract, position.net, position.average_price, mark.price)
    return PositionView(
        contract=position.contract,
        net=position.net,
        average_price=position.average_price,
        unrealised=unrealised,
        mark=None if mark is None else mark.price,
        mark_age_s=None if mark is None else mark.age_s,
        why=why,
        name="" if contract is None else contract.name,
        row=position,
    )


def total(positions: Iterable[PositionView]) -> Decimal | None:
    """Returns the unrealised profit of all; None: one of them has none."""
    parts = [each.unrealised for each in positions]
    return None if None in parts else sum((part for part in parts if part is not None), Decimal(0))


def _missing(position: AccountPosition, mark: Mark | None, contract: Contract | None) -> str:
    if position.net is None:
        return "the venue told no direction of the position"
    if position.average_price is None:
        return "the venue told no average price"
    if contract is None or not contract.tick_size:
        return "the tick value of the contract is not known"
    return "no price of the contract is known" if mark is None else ""
