"""What an account has in one contract, for limits; and which of its orders protect a position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.protocol import Exposure, NoResultError, Steps
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest import account as lists
from actors.venues.projectx.rest.asking import Asking, unproved

LEG_TAGS: Final = ("-SL", "-TP")  # what the gateway appends to the tag of an entry
STOPS: Final = (m.OrderType.STOP, m.OrderType.TRAILING_STOP, m.OrderType.STOP_LIMIT)


def exposure(asking: Asking, account: int, contract: str) -> Steps[Exposure]:
    """Orders first: one that is filled between the two answers is then counted twice, and never missed.

    Every working order counts with what is left of it, legs of a bracket among them.
    """
    working = (yield from lists.open_orders(asking, account)).required()
    positions = (yield from lists.positions(asking, account)).required()
    here = [each for each in working if each.contract_id in (contract, None)]
    return Exposure(
        position=net_of(positions, contract),
        buys=sum(left_of(each) for each in here if _side(each) == m.OrderSide.BID),
        sells=sum(left_of(each) for each in here if _side(each) == m.OrderSide.ASK),
        orders=len(working),
        left={each.id: left_of(each) for each in here},
    )


def is_protective(asking: Asking, account: int, order_id: int) -> Steps[bool]:
    """Legs and stops on the other side of an open position are; so is a leg whose entry may still fill."""
    order = yield from lists.order(asking, account, order_id)
    if order.status is not None and order.status.is_final:
        return False
    if is_leg(order) and order.status != m.OrderStatus.OPEN:
        return True
    if order.contract_id is None:
        raise NoResultError(unproved(lists.ORDER, f"order {order_id} has no contract"))
    positions = (yield from lists.positions(asking, account)).required()
    net = net_of(positions, order.contract_id)
    reduces = net > 0 if _side(order) == m.OrderSide.ASK else net < 0
    return reduces and (is_leg(order) or order.type in STOPS)


def is_leg(order: m.Order) -> bool:
    """Whether the order is a stop or a target that belongs to an entry."""
    return bool(order.parent_order_id) or (order.custom_tag or "").endswith(LEG_TAGS)


def net_of(positions: Iterable[m.Position], contract: str) -> int:
    """Returns the position in a contract with its sign; 0: the list, which is there, has none of it.

    Raises:
        NoResultError: a row names no direction, or no contract, or several are of one contract.
    """
    positions = tuple(positions)
    net = 0
    if sum(each.contract_id == contract for each in positions) > 1:
        raise NoResultError(unproved(lists.POSITIONS, f"{contract} has several positions"))
    for each in positions:
        if each.net is None or each.contract_id is None:
            raise NoResultError(
                unproved(lists.POSITIONS, f"position {each.id} has no direction or no contract")
            )
        net += each.net if each.contract_id == contract else 0
    return net


def left_of(order: m.Order) -> int:
    """Returns how many contracts of an order are not filled.

    Raises:
        NoResultError: it names no size, or one below zero.
    """
    if order.size is None or order.size < 0 or (order.fill_volume or 0) < 0:
        raise NoResultError(unproved(lists.QUERY, f"order {order.id} has no size"))
    return max(0, order.size - (order.fill_volume or 0))


def _side(order: m.Order) -> m.OrderSide:
    if order.side not in (m.OrderSide.BID, m.OrderSide.ASK):
        raise NoResultError(unproved(lists.QUERY, f"order {order.id} has no side"))
    return m.OrderSide(order.side)
